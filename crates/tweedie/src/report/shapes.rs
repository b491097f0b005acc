//! The elements of drawings: points, rectangles, pens and text, in pixels.

use super::color::Color;

/// A position in pixels: x to the right, y down, from the top left corner.
pub(super) type Point = (f64, f64);

/// A rectangle in pixels; `left <= right` and `top <= bottom`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Rect {
    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub fn contains(&self, (x, y): Point) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }

    pub fn corners(&self) -> [Point; 4] {
        [
            (self.left, self.top),
            (self.right, self.top),
            (self.right, self.bottom),
            (self.left, self.bottom),
        ]
    }
}

/// A color and how much it covers: 0 is invisible, 1 is opaque.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub color: Color,
    pub opacity: f64,
}

impl From<Color> for Paint {
    fn from(color: Color) -> Self {
        Self {
            color,
            opacity: 1.0,
        }
    }
}

/// A line's pen: its paint, its width in pixels, whether it is dashed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pen {
    pub paint: Paint,
    pub width: f64,
    pub dashed: bool,
}

impl Pen {
    pub fn new(color: Color, width: f64) -> Self {
        Self {
            paint: color.into(),
            width,
            dashed: false,
        }
    }
}

/// Which part of a text is at its position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// One line of text: its baseline's `at` is where `anchor` says; `upward` turns it a quarter
/// to read from below.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub text: &'a str,
    pub at: Point,
    pub size: f64,
    pub anchor: Anchor,
    pub color: Color,
    pub upward: bool,
}

impl<'a> Text<'a> {
    /// A line of text that reads from left to right.
    pub fn new(text: &'a str, at: Point, size: f64, anchor: Anchor, color: Color) -> Self {
        Self {
            text,
            at,
            size,
            anchor,
            color,
            upward: false,
        }
    }
}
