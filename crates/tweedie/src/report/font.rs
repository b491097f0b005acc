//! The embedded font: widths of text, and breaking text into lines.
//!
//! Embedding it makes pictures the same on every machine and needs no installed font.

use std::sync::LazyLock;

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};

pub(super) static BYTES: &[u8] = include_bytes!("assets/dejavu-sans-subset.ttf");

/// The name by which drawings ask for it.
pub(super) const FAMILY: &str = "DejaVu Sans";

/// Height of a capital letter in units of the font size; used to centre labels on a line.
pub(super) const CAPITAL: f64 = 0.729;

/// The parsed font, or `None` if the embedded file were unreadable (a test rules that out;
/// pictures would then come without text instead of failing).
static FONT: LazyLock<Option<FontRef<'static>>> = LazyLock::new(|| FontRef::new(BYTES).ok());

/// Width of `text` in pixels when the font size is `size` pixels. Kerning, which brings letters
/// closer by parts of a pixel, is left out.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let Some(font) = FONT.as_ref() else {
        return 0.0;
    };
    // Without a size: in the font's own whole units.
    let metrics = font.glyph_metrics(Size::unscaled(), LocationRef::default());
    let map = font.charmap();
    let advance = |letter| metrics.advance_width(map.map(letter).unwrap_or_default());
    let total: f64 = text.chars().filter_map(advance).map(f64::from).sum();
    let units = font
        .metrics(Size::unscaled(), LocationRef::default())
        .units_per_em;
    total * size / f64::from(units.max(1))
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
        let font = FONT.as_ref().unwrap();
        let letters = ('!'..='~').chain('α'..='ρ').chain('σ'..='ω');
        for letter in letters.chain("−×±∞·…→≤≥≈√∇∂‖⁰¹²³⁴⁵⁶⁷⁸⁹⁻₀₁₂ᵢₜé".chars())
        {
            assert!(font.charmap().map(letter).is_some(), "{letter}");
        }
        let metrics = font.glyph_metrics(Size::unscaled(), LocationRef::default());
        let letter = metrics.bounds(font.charmap().map('H').unwrap()).unwrap();
        let em = font
            .metrics(Size::unscaled(), LocationRef::default())
            .units_per_em;
        let capital = letter.y_max / f32::from(em);
        assert!((f64::from(capital) - CAPITAL).abs() < 0.001);
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
