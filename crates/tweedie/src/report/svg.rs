//! The canvas of SVG text: the same shapes as elements, labels as selectable text.

use std::fmt::Write;

use super::canvas::{Anchor, Canvas, Drawing, Paint, Pen, Point, Text};
use super::color::Color;
use super::escape::escape;
use super::picture::check_side;
use crate::error::Result;

/// Wherever SVG is shown, the first of these fonts that exists is used; the first two have the
/// widths that the layout was made for, the last is narrower, so labels never collide.
const FONTS: &str = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";

/// Draws `drawing` as one SVG document.
pub(super) fn render(drawing: &impl Drawing) -> Result<String> {
    let (width, height) = drawing.size();
    check_side("picture width", width)?;
    check_side("picture height", height)?;
    let mut svg = Svg {
        text: String::new(),
    };
    svg.push(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FONTS}\">\n"
    ));
    drawing.draw(&mut svg)?;
    svg.text.push_str("</svg>\n");
    Ok(svg.text)
}

struct Svg {
    text: String,
}

impl Svg {
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

impl Canvas for Svg {
    fn fill(&mut self, corners: &[Point], paint: Paint) {
        self.text.push_str("<polygon points=\"");
        self.points(corners);
        self.push(format_args!("\" fill=\"{}\"", hex(paint.color)));
        self.opacity("fill", paint);
        self.text.push_str("/>\n");
    }

    fn stroke(&mut self, path: &[Point], pen: Pen) {
        self.text.push_str("<polyline points=\"");
        self.points(path);
        let (color, width) = (hex(pen.paint.color), number(pen.width));
        self.push(format_args!(
            "\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" stroke-linejoin=\"round\""
        ));
        match pen.dash() {
            Some([dash, gap]) => self.push(format_args!(" stroke-dasharray=\"{dash} {gap}\"")),
            None => self.text.push_str(" stroke-linecap=\"round\""),
        }
        self.opacity("stroke", pen.paint);
        self.text.push_str("/>\n");
    }

    fn discs(&mut self, centres: &[Point], radius: f64, paint: Paint) {
        // One group states the color once: clouds have thousands of points.
        self.push(format_args!("<g fill=\"{}\"", hex(paint.color)));
        self.opacity("fill", paint);
        self.text.push_str(">\n");
        let radius = number(radius);
        for &(x, y) in centres {
            let (x, y) = (number(x), number(y));
            self.push(format_args!(
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"/>\n"
            ));
        }
        self.text.push_str("</g>\n");
    }

    fn text(&mut self, text: Text<'_>) {
        let (x, y) = (number(text.at.0), number(text.at.1));
        self.push(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\"",
            number(text.size)
        ));
        self.push(format_args!(" fill=\"{}\"", hex(text.color)));
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
