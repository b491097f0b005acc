//! What a chart draws on: a few shapes in pixels, the same for PNG and SVG.

use super::color::Color;
use crate::error::Result;

/// A place in pixels: x to the right, y down, from the top left corner.
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

    /// Lengths of a dash and of a gap, in pixels.
    pub fn dash(&self) -> Option<[f64; 2]> {
        self.dashed.then_some([7.0, 5.0])
    }
}

/// Which part of a text stands at its place.
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

/// The shapes that charts are made of. Coordinates must be finite.
pub(super) trait Canvas {
    /// Fills the closed polygon through `corners`.
    fn fill(&mut self, corners: &[Point], paint: Paint);

    /// Draws the open line through `path`, with round joins.
    fn stroke(&mut self, path: &[Point], pen: Pen);

    /// Fills a disc of `radius` pixels at each of `centres`.
    fn discs(&mut self, centres: &[Point], radius: f64, paint: Paint);

    /// Writes one line of text.
    fn text(&mut self, text: Text<'_>);

    /// Fills a rectangle.
    fn rect(&mut self, rect: Rect, paint: Paint) {
        self.fill(&rect.corners(), paint);
    }
}

/// A drawing that can be put on any canvas of its size: what makes PNG and SVG one code path.
pub(super) trait Drawing {
    /// Width and height in pixels.
    fn size(&self) -> (usize, usize);

    /// Draws everything, background included.
    fn draw(&self, canvas: &mut impl Canvas) -> Result<()>;
}
