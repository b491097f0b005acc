//! The frame of a chart: its plot area, grid, axes and tick labels.

use super::axis::Span;
use super::color::{AXIS, FINE, GRID, SOFT};
use super::font;
use super::shapes::{Anchor, Pen, Point, Rect, Text};
use super::svg::Svg;
use super::ticks::Ticks;

/// Font size of tick labels, axis labels, legend and notes, in pixels.
pub(super) const SIZE: f64 = 16.0;
/// Distance of tick labels from their axis, in pixels.
pub(super) const AWAY: f64 = 9.0;

/// A plot area and the values it spans.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub area: Rect,
    pub x: Span,
    pub y: Span,
}

impl Frame {
    /// The position of the value (x, y) in pixels; `None` where it cannot be drawn.
    pub fn place(&self, (x, y): (f64, f64)) -> Option<Point> {
        Some((self.across(self.x.place(x)?), self.up(self.y.place(y)?)))
    }

    /// The pixel column of a fraction of the x axis.
    pub fn across(&self, fraction: f64) -> f64 {
        self.area.left + fraction * self.area.width()
    }

    /// The pixel row of a fraction of the y axis.
    pub fn up(&self, fraction: f64) -> f64 {
        self.area.bottom - fraction * self.area.height()
    }

    /// Draws the grid: what lies under the data.
    pub fn draw_grid(&self, svg: &mut Svg, x: &Ticks, y: &Ticks) {
        let major = |ticks: &Ticks| {
            ticks
                .major
                .iter()
                .map(|(place, _)| *place)
                .collect::<Vec<_>>()
        };
        let layers = [(&x.minor, &y.minor, FINE), (&major(x), &major(y), GRID)];
        for (columns, rows, color) in layers {
            let pen = Pen::new(color, 1.0);
            for column in columns.iter().map(|&place| crisp(self.across(place))) {
                svg.stroke(&[(column, self.area.top), (column, self.area.bottom)], pen);
            }
            for row in rows.iter().map(|&place| crisp(self.up(place))) {
                svg.stroke(&[(self.area.left, row), (self.area.right, row)], pen);
            }
        }
    }

    /// Draws the two axes and the tick labels, those of the y axis only if `label_y`.
    pub fn draw_axes(&self, svg: &mut Svg, x: &Ticks, y: &Ticks, label_y: bool) {
        let (left, bottom) = (crisp(self.area.left), crisp(self.area.bottom));
        let corner = [
            (left, self.area.top),
            (left, bottom),
            (self.area.right, bottom),
        ];
        svg.stroke(&corner, Pen::new(AXIS, 1.0));
        let mut label = |text: &str, at, anchor| {
            svg.text(Text::new(text, at, SIZE, anchor, SOFT));
        };
        for (place, text) in &x.major {
            let baseline = bottom + AWAY + SIZE * font::CAPITAL;
            label(text, (self.across(*place), baseline), Anchor::Middle);
        }
        for (place, text) in y.major.iter().filter(|_| label_y) {
            let baseline = self.up(*place) + SIZE * font::CAPITAL / 2.0;
            label(text, (left - AWAY, baseline), Anchor::End);
        }
    }
}

/// The nearest middle of a pixel, where a line one pixel wide fills one row.
fn crisp(at: f64) -> f64 {
    at.floor() + 0.5
}
