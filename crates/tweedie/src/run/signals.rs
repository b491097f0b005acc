//! Pictures of signals: one chart each, with a line for every channel, side by side.

use crate::error::Result;
use crate::report::{Axis, Chart, Picture, Series};

/// Charts per row.
pub(super) const COLUMNS: usize = 3;
/// Size of a chart, in pixels: high enough for a scale.
const SIZE: (usize, usize) = (400, 300);
/// Most channels drawn in a chart: more lines than colours could not be distinguished.
const CHANNELS: usize = 6;

/// One signal and its title.
pub(super) struct Panel {
    title: String,
    values: Vec<f32>,
}

impl Panel {
    /// The signal `values`, `[C, T]` in the data's units.
    pub fn new(title: String, values: &[f32]) -> Self {
        Self {
            title,
            values: values.to_vec(),
        }
    }

    /// `length` is T.
    fn chart(&self, length: usize) -> Result<Picture> {
        let mut chart = Chart::new(&self.title)
            .x(Axis::linear(""))
            .y(Axis::linear(""));
        for channel in self.values.chunks_exact(length).take(CHANNELS) {
            let points = channel.iter().enumerate();
            let points = points.map(|(t, &v)| (t as f64, f64::from(v)));
            chart = chart.series(Series::line("", points));
        }
        chart.png(SIZE.0, SIZE.1)
    }
}

/// The panels in rows of [`COLUMNS`]; their signals have `length` values a channel, at least 1.
///
/// # Errors
/// When there are no panels, or too many for one picture.
pub(super) fn sheet(panels: impl IntoIterator<Item = Panel>, length: usize) -> Result<Picture> {
    let charts = panels.into_iter().map(|panel| panel.chart(length));
    let charts = charts.collect::<Result<Vec<_>>>()?;
    let rows = charts.chunks(COLUMNS);
    let rows = rows.map(|row| Picture::side_by_side(row, 4));
    Picture::stack(&rows.collect::<Result<Vec<_>>>()?, 0)
}
