//! One series of a chart: points, and how they are shown.

use super::color::Color;

/// How a series is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// A line through the points.
    #[default]
    Line,
    /// A dashed line through the points: a target, a schedule, a reference.
    Dashed,
    /// A line that keeps each point's value until the next point.
    Step,
    /// A dot at each point.
    Points,
    /// A line with a dot at each point: for a dozen values measured one by one.
    LinePoints,
    /// A bar from zero (on a logarithmic axis: from the bottom) to each point, as wide as the
    /// points are apart: a histogram.
    Bars,
}

/// Points (x, y) with a label and a style.
///
/// A point that is not finite, or not positive on a logarithmic axis, is left out and leaves a
/// gap in a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The name in the legend; a series with an empty one is not listed.
    pub label: String,
    /// The points in the order in which a line goes through them.
    pub points: Vec<(f64, f64)>,
    /// How they are shown.
    pub style: Style,
    /// Red, green, blue; `None` takes the palette's next color.
    pub color: Option<Color>,
    /// A shaded band: (x, lower edge, upper edge) in ascending order of x; may be empty.
    pub band: Vec<(f64, f64, f64)>,
}

impl Series {
    /// A series with this label, points and style, and no band.
    pub fn new(
        label: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
        style: Style,
    ) -> Self {
        let points = points.into_iter().collect();
        Self {
            label: label.into(),
            points,
            style,
            color: None,
            band: Vec::new(),
        }
    }

    /// A line (see [`Style::Line`]).
    pub fn line(label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self::new(label, points, Style::Line)
    }

    /// A dashed line (see [`Style::Dashed`]).
    pub fn dashed(label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self::new(label, points, Style::Dashed)
    }

    /// A stepped line (see [`Style::Step`]).
    pub fn step(label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self::new(label, points, Style::Step)
    }

    /// Dots (see [`Style::Points`]).
    pub fn points(label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self::new(label, points, Style::Points)
    }

    /// A line with dots (see [`Style::LinePoints`]).
    pub fn line_points(
        label: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        Self::new(label, points, Style::LinePoints)
    }

    /// Bars (see [`Style::Bars`]).
    pub fn bars(label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self::new(label, points, Style::Bars)
    }

    /// The same series in this color (red, green, blue).
    pub fn color(mut self, color: Color) -> Self {
        self.color = Some(color);
        self
    }

    /// The same series with a shaded band of (x, lower edge, upper edge).
    pub fn band(mut self, band: impl IntoIterator<Item = (f64, f64, f64)>) -> Self {
        self.band = band.into_iter().collect();
        self
    }
}
