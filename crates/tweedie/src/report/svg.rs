//! Drawings as SVG text: the one format that charts and panels are drawn in.

use std::fmt::Write;

use super::color::Color;
use super::escape::escape;
use super::font;
use super::picture::check_side;
use super::shapes::{Anchor, Paint, Pen, Point, Rect, Text};
use crate::error::Result;

/// Wherever SVG is shown, the first of these fonts that exists is used; the first two have the
/// widths that the layout was made for, the last is narrower, so labels never collide.
const FALLBACKS: &str = "Verdana, Helvetica, Arial, sans-serif";
/// Lengths of a dash and of a gap, in pixels.
const DASH: &str = "7 5";
/// The most elements that a cloud becomes, and all clouds of a document: resvg refuses documents
/// of more than a million elements, and browsers are slow long before.
const CLOUD: usize = 100_000;
const ALL_CLOUDS: usize = 800_000;

/// An SVG document in the making. Coordinates must be finite.
pub(super) struct Svg {
    text: String,
    /// Elements that clouds may still become.
    room: usize,
}

impl Svg {
    /// A document of `width` × `height` pixels, filled with `background`.
    pub fn new((width, height): (usize, usize), background: Color) -> Result<Self> {
        check_side("picture width", width)?;
        check_side("picture height", height)?;
        let mut svg = Self {
            text: String::new(),
            room: ALL_CLOUDS,
        };
        svg.push(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{}, {FALLBACKS}\" \
             xml:space=\"preserve\">\n",
            font::FAMILY
        ));
        let whole = Rect {
            left: 0.0,
            top: 0.0,
            right: width as f64,
            bottom: height as f64,
        };
        svg.rect(whole, background.into());
        Ok(svg)
    }

    /// The whole document.
    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    /// Fills the closed polygon through `corners`.
    pub fn fill(&mut self, corners: &[Point], paint: Paint) {
        self.text.push_str("<polygon points=\"");
        self.points(corners);
        self.push(format_args!("\" fill=\"{}\"", hex(paint.color)));
        self.opacity("fill", paint);
        self.text.push_str("/>\n");
    }

    /// Fills a rectangle.
    pub fn rect(&mut self, rect: Rect, paint: Paint) {
        self.fill(&rect.corners(), paint);
    }

    /// Draws the open line through `path`, with round joins.
    pub fn stroke(&mut self, path: &[Point], pen: Pen) {
        self.text.push_str("<polyline points=\"");
        self.points(path);
        let (color, width) = (hex(pen.paint.color), number(pen.width));
        self.push(format_args!(
            "\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" stroke-linejoin=\"round\""
        ));
        match pen.dashed {
            true => self.push(format_args!(" stroke-dasharray=\"{DASH}\"")),
            false => self.text.push_str(" stroke-linecap=\"round\""),
        }
        self.opacity("stroke", pen.paint);
        self.text.push_str("/>\n");
    }

    /// Fills a disc of `radius` pixels at each of `centres`.
    ///
    /// Each disc is an element of its own, so that translucent ones add up where they overlap.
    /// Where there are too many for that, several share one, and overlaps among these do not add.
    pub fn discs(&mut self, centres: &[Point], radius: f64, paint: Paint) {
        // One group states the color once: clouds have thousands of points.
        self.push(format_args!("<g fill=\"{}\"", hex(paint.color)));
        self.opacity("fill", paint);
        self.text.push_str(">\n");
        let (r, d) = (number(radius), number(2.0 * radius));
        let share = share_of(centres.len(), self.room);
        self.room = self.room.saturating_sub(centres.len().div_ceil(share));
        for discs in centres.chunks(share) {
            if let &[(x, y)] = discs {
                let (x, y) = (number(x), number(y));
                self.push(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\"/>\n"));
                continue;
            }
            self.text.push_str("<path d=\"");
            for &(x, y) in discs {
                // Two half circles, from the leftmost point and back.
                let (left, y) = (number(x - radius), number(y));
                self.push(format_args!(
                    "M{left} {y}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0"
                ));
            }
            self.text.push_str("\"/>\n");
        }
        self.text.push_str("</g>\n");
    }

    /// Writes one line of text.
    pub fn text(&mut self, text: Text<'_>) {
        // A baseline on a whole pixel keeps letters crisp.
        let (x, y) = match text.upward {
            true => (text.at.0.round(), text.at.1),
            false => (text.at.0, text.at.1.round()),
        };
        let (x, y) = (number(x), number(y));
        self.push(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"",
            number(text.size),
            hex(text.color)
        ));
        match text.anchor {
            Anchor::Start => {}
            Anchor::Middle => self.text.push_str(" text-anchor=\"middle\""),
            Anchor::End => self.text.push_str(" text-anchor=\"end\""),
        }
        if text.upward {
            self.push(format_args!(" transform=\"rotate(-90 {x} {y})\""));
        }
        self.push(format_args!(">{}</text>\n", escape(text.text)));
    }

    fn push(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(what);
    }

    fn points(&mut self, points: &[Point]) {
        for (i, &(x, y)) in points.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            self.push(format_args!("{space}{},{}", number(x), number(y)));
        }
    }

    fn opacity(&mut self, name: &str, paint: Paint) {
        if paint.opacity < 1.0 {
            self.push(format_args!(
                " {name}-opacity=\"{}\"",
                number(paint.opacity)
            ));
        }
    }
}

/// How many of `count` discs share an element: the fewest for which the cloud takes no more than
/// its own bound and half of the `room` that is left.
fn share_of(count: usize, room: usize) -> usize {
    count.div_ceil(CLOUD.min(room.div_ceil(2)).max(1)).max(1)
}

fn hex([r, g, b]: Color) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// A hundredth of a pixel is finer than any eye; trailing zeros go.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_clouds_share_elements() {
        let centres = |n: usize| -> Vec<Point> { (0..n).map(|i| (i as f64, 0.0)).collect() };
        let elements = |n: usize| {
            let mut svg = Svg::new((10, 10), [255; 3]).unwrap();
            svg.discs(&centres(n), 1.5, [0; 3].into());
            let svg = svg.finish();
            let discs = svg.matches("<circle").count() + svg.matches('M').count();
            assert_eq!(discs, n);
            svg.matches("<circle").count() + svg.matches("<path").count()
        };
        assert_eq!(elements(0), 0);
        assert_eq!(elements(CLOUD), CLOUD);
        assert_eq!(elements(CLOUD + 1), CLOUD / 2 + 1);
    }

    #[test]
    fn any_number_of_clouds_has_room() {
        let (clouds, count) = (1000, 10 * CLOUD);
        let mut taken: usize = 0;
        for _ in 0..clouds {
            taken += count.div_ceil(share_of(count, ALL_CLOUDS.saturating_sub(taken)));
        }
        assert!(taken <= ALL_CLOUDS + clouds, "{taken}");
    }
}
