//! The legend: a swatch and a name for each series, in rows below the chart.

use super::color::{Color, INK, SOFT};
use super::font;
use super::series::Style;
use super::shapes::{Anchor, Paint, Pen, Rect, Text};
use super::svg::Svg;

const SWATCH: f64 = 30.0;
const SPACE: f64 = 8.0;
const GAP: f64 = 26.0;
const SIZE: f64 = 16.0;
/// Height of a row in pixels.
pub(super) const ROW: f64 = 25.0;

/// One series as the legend shows it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub label: String,
    pub style: Style,
    pub color: Color,
    pub band: bool,
}

/// Entries broken into rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Legend {
    rows: Vec<Vec<Entry>>,
    left_out: usize,
}

impl Legend {
    /// Rows no wider than `room` pixels, at most `most` of them; entries beyond are counted in
    /// the last row.
    pub fn new(entries: Vec<Entry>, room: f64, most: usize) -> Self {
        let mut rows: Vec<Vec<Entry>> = Vec::new();
        let mut used = f64::INFINITY;
        for mut entry in entries {
            entry.label = font::shorten(&entry.label, SIZE, room - SWATCH - SPACE);
            let wide = width(&entry);
            if used + GAP + wide > room {
                rows.push(Vec::new());
                used = -GAP;
            }
            used += GAP + wide;
            if let Some(row) = rows.last_mut() {
                row.push(entry);
            }
        }
        let mut left_out = 0;
        if rows.len() > most {
            // One row less, to have room for the count.
            let kept = most.saturating_sub(1);
            left_out = rows.drain(kept..).map(|row| row.len()).sum();
        }
        Self { rows, left_out }
    }

    /// Height of all rows in pixels.
    pub fn height(&self) -> f64 {
        ROW * (self.rows.len() + usize::from(self.left_out > 0)) as f64
    }

    /// Draws the rows centred on `centre`, the first one's upper edge at `top`.
    pub fn draw(&self, svg: &mut Svg, centre: f64, top: f64) {
        let mut middle = top + ROW / 2.0;
        for row in &self.rows {
            let gaps = GAP * row.len().saturating_sub(1) as f64;
            let wide: f64 = row.iter().map(width).sum::<f64>() + gaps;
            let mut x = centre - wide / 2.0;
            for entry in row {
                swatch(svg, entry, x, middle);
                svg.text(Text::new(
                    &entry.label,
                    (x + SWATCH + SPACE, middle + SIZE * font::CAPITAL / 2.0),
                    SIZE,
                    Anchor::Start,
                    INK,
                ));
                x += width(entry) + GAP;
            }
            middle += ROW;
        }
        if self.left_out > 0 {
            svg.text(Text::new(
                &format!("… and {} more", self.left_out),
                (centre, middle + SIZE * font::CAPITAL / 2.0),
                SIZE,
                Anchor::Middle,
                SOFT,
            ));
        }
    }
}

fn width(entry: &Entry) -> f64 {
    SWATCH + SPACE + font::width(&entry.label, SIZE)
}

/// A sample of the series, `SWATCH` wide from `x`, around the height `y`.
fn swatch(svg: &mut Svg, entry: &Entry, x: f64, y: f64) {
    if entry.band {
        let rect = Rect {
            left: x,
            top: y - 7.0,
            right: x + SWATCH,
            bottom: y + 7.0,
        };
        svg.rect(
            rect,
            Paint {
                color: entry.color,
                opacity: 0.2,
            },
        );
    }
    let line = [(x + 1.0, y), (x + SWATCH - 1.0, y)];
    let pen = Pen::new(entry.color, 2.5);
    match entry.style {
        Style::Line | Style::Step | Style::LinePoints => svg.stroke(&line, pen),
        Style::Dashed => svg.stroke(
            &line,
            Pen {
                dashed: true,
                ..pen
            },
        ),
        Style::Points => {}
        Style::Bars => {
            let middle = x + SWATCH / 2.0;
            let rect = Rect {
                left: middle - 8.0,
                top: y - 7.0,
                right: middle + 8.0,
                bottom: y + 7.0,
            };
            svg.rect(
                rect,
                Paint {
                    color: entry.color,
                    opacity: 0.6,
                },
            );
        }
    }
    if matches!(entry.style, Style::Points | Style::LinePoints) {
        svg.discs(&[(x + SWATCH / 2.0, y)], 4.5, entry.color.into());
    }
}
