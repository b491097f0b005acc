//! The embedded font: widths of text, outlines of letters, and breaking text into lines.
//!
//! Embedding it makes pictures the same on every machine and needs no installed font.

use std::sync::OnceLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

static BYTES: &[u8] = include_bytes!("assets/dejavu-sans-subset.ttf");

/// Height of a capital letter in units of the font size; used to centre labels on a line.
pub(super) const CAPITAL: f64 = 0.729;

/// The parsed font, or `None` if the embedded file were unreadable (a test rules that out;
/// pictures would then come without text instead of failing).
fn face() -> Option<&'static Face<'static>> {
    static FACE: OnceLock<Option<Face<'static>>> = OnceLock::new();
    FACE.get_or_init(|| Face::parse(BYTES, 0).ok()).as_ref()
}

fn glyph(face: &Face<'_>, letter: char) -> GlyphId {
    face.glyph_index(letter).unwrap_or(GlyphId(0))
}

fn units(face: &Face<'_>) -> f64 {
    f64::from(face.units_per_em()).max(1.0)
}

/// Width of `text` in pixels when the font size is `size` pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let Some(face) = face() else { return 0.0 };
    let advance = |letter| face.glyph_hor_advance(glyph(face, letter)).unwrap_or(0);
    let total: f64 = text.chars().map(|letter| f64::from(advance(letter))).sum();
    total * size / units(face)
}

/// Feeds the outlines of `text` to `sink`, in pixels, x to the right and y down, the start of
/// the baseline at (0, 0).
pub(super) fn outline(text: &str, size: f64, sink: &mut impl OutlineBuilder) {
    let Some(face) = face() else { return };
    let scale = (size / units(face)) as f32;
    let mut x = 0.0;
    for letter in text.chars() {
        let id = glyph(face, letter);
        face.outline_glyph(id, &mut Placed { sink, x, scale });
        x += f32::from(face.glyph_hor_advance(id).unwrap_or(0)) * scale;
    }
}

/// Moves an outline from font units to its place in the line.
struct Placed<'a, S> {
    sink: &'a mut S,
    x: f32,
    scale: f32,
}

impl<S> Placed<'_, S> {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl<S: OutlineBuilder> OutlineBuilder for Placed<'_, S> {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.sink.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.sink.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.sink.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.sink.curve_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.sink.close();
    }
}

/// `text`, or its beginning and an ellipsis where it is wider than `room` pixels.
pub(super) fn shorten(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept = text.to_owned();
    while kept.pop().is_some() {
        let short = format!("{}…", kept.trim_end());
        if width(&short, size) <= room {
            return short;
        }
    }
    String::new()
}

/// `text` broken at spaces into at most `most` lines no wider than `room` pixels; what does not
/// fit ends in an ellipsis. Empty text gives no lines.
pub(super) fn wrap(text: &str, size: f64, room: f64, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let full = lines.len() == most;
        match lines.last_mut() {
            // On the last line words are only collected: `shorten` cuts it below.
            Some(line) if full || width(&format!("{line} {word}"), size) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| shorten(line, size, room)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_every_sign_that_labels_use() {
        let face = face().unwrap();
        let letters = ('!'..='~').chain('α'..='ρ').chain('σ'..='ω');
        for letter in letters.chain("−×±∞·…→≤≥≈√∇∂‖⁰¹²³⁴⁵⁶⁷⁸⁹⁻₀₁₂ᵢₜé".chars())
        {
            assert!(face.glyph_index(letter).is_some(), "{letter}");
        }
        let capital = face.glyph_bounding_box(glyph(face, 'H')).unwrap().y_max;
        assert!((f64::from(capital) / units(face) - CAPITAL).abs() < 0.001);
    }

    #[test]
    fn width_grows_with_text_and_size() {
        assert_eq!(width("", 16.0), 0.0);
        assert!(width("iiii", 16.0) < width("mmmm", 16.0));
        assert!((width("σ", 32.0) - 2.0 * width("σ", 16.0)).abs() < 1e-9);
    }

    #[test]
    fn lines_fit_their_room() {
        let lines = wrap(
            "a fairly long title that cannot stand on one line",
            16.0,
            150.0,
            2,
        );
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| width(line, 16.0) <= 150.0));
        assert!(lines[1].ends_with('…'));
        assert!(wrap("  ", 16.0, 100.0, 2).is_empty());
        assert_eq!(shorten("word", 16.0, 1.0), "");
    }
}
