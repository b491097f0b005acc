//! Data beside samples.

use super::{CHART, Report};
use crate::data::Shape;
use crate::error::Result;
use crate::job::Monitor;
use crate::report::{Axis, Chart, Cloud, Grid, Picture, Scatter, Series, density, extent};
use crate::run::signals::{self, Panel};

const TEXT: &str = "The first row is data. Below are the same seeds under annealed Langevin \
    sampling (ALS) and consistent annealed sampling (CAS), with few and with many steps. Each is \
    shown twice: as the final state, and as the expected denoised sample (EDS), which needs no \
    further network call.";

/// Samples of one sampler, in model values.
struct Row {
    label: String,
    values: Vec<f64>,
}

pub fn section<'a>(report: Report<'a>, monitor: &mut Monitor<'_>) -> Result<Report<'a>> {
    let shape = report.model.data().shape;
    let count = match shape {
        Shape::Image { .. } => report.options.columns,
        Shape::Signal { .. } => signals::COLUMNS,
        Shape::Vector { .. } => 2000,
    };
    let rows = draw(&report, count, monitor)?;
    let picture = match shape {
        Shape::Image {
            channels,
            height,
            width,
        } => images(&report, [channels, height, width], &rows)?,
        Shape::Signal { length, .. } => lines(&report, length, &rows)?,
        Shape::Vector { dim: 1 } => histogram(&report, &rows)?,
        Shape::Vector { dim } => scatter(&report, dim, &rows)?,
    };
    let report = report.heading("Samples", TEXT);
    report.picture("samples", &picture, "Data and samples.", shape.is_image())
}

/// The data first, then every sampler without and with the EDS.
fn draw(report: &Report<'_>, count: usize, monitor: &mut Monitor<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if let Some(data) = &report.data {
        let n = count.min(data.len());
        let spread: Vec<usize> = (0..n).map(|i| i * data.len() / n).collect();
        let values = data.gather(&spread).into_iter().map(f64::from).collect();
        rows.push(Row {
            label: "data".into(),
            values,
        });
    }
    for (label, sample) in report.schemes() {
        let (samples, ()) = report.draw("samples", &sample, count, (), monitor)?;
        rows.push(Row {
            label: label.clone(),
            values: samples.x,
        });
        rows.push(Row {
            label: format!("{label} EDS"),
            values: samples.denoised,
        });
    }
    Ok(rows)
}

fn images(report: &Report<'_>, shape: [usize; 3], rows: &[Row]) -> Result<Picture> {
    let map = &report.model.data().map;
    let mut bytes = Vec::new();
    let dim: usize = shape.iter().product();
    for row in rows {
        bytes.extend(row.values.iter().map(|&v| map.to_u8(v as f32)));
        // A data set smaller than a row leaves the rest empty.
        bytes.resize(
            bytes.len().next_multiple_of(dim * report.options.columns),
            0,
        );
    }
    Grid::new(shape)
        .columns(report.options.columns)
        .row_labels(rows.iter().map(|row| row.label.clone()))
        .render(&bytes)
}

fn lines(report: &Report<'_>, length: usize, rows: &[Row]) -> Result<Picture> {
    let data = report.model.data();
    let mut sheets = Vec::new();
    // A line of panels a row: a data set may have fewer signals than fill one.
    for row in rows {
        let panels = row.values.chunks_exact(data.shape.values()).map(|signal| {
            let raw: Vec<f32> = signal.iter().map(|&v| data.map.to_raw(v) as f32).collect();
            Panel::new(row.label.clone(), &raw)
        });
        sheets.push(signals::sheet(panels, length)?);
    }
    Picture::stack(&sheets, 0)
}

fn histogram(report: &Report<'_>, rows: &[Row]) -> Result<Picture> {
    const BINS: usize = 60;
    let map = &report.model.data().map;
    let all = rows
        .iter()
        .flat_map(|row| &row.values)
        .map(|&v| map.to_raw(v));
    let range = extent(all);
    let mut chart = Chart::new("Density of data and samples")
        .x(Axis::linear("value"))
        .y(Axis::linear("density"));
    // Both results of every sampler are too many lines; these are the ones that the run returns.
    let denoise = report.model.config().sample.denoise;
    let shown = |row: &&Row| row.label == "data" || row.label.ends_with("EDS") == denoise;
    for row in rows.iter().filter(shown) {
        let values: Vec<f64> = row.values.iter().map(|&v| map.to_raw(v)).collect();
        let points = density(&values, range, BINS);
        chart = chart.series(match row.label.as_str() {
            "data" => Series::bars("data", points),
            label => Series::line(label, points),
        });
    }
    chart.png(CHART.0, CHART.1)
}

/// The first two coordinates.
fn scatter(report: &Report<'_>, dim: usize, rows: &[Row]) -> Result<Picture> {
    let map = &report.model.data().map;
    let cloud = |row: &Row| {
        let points = row
            .values
            .chunks_exact(dim)
            .map(|v| [map.to_raw(v[0]), map.to_raw(v[1])]);
        Cloud::new(&row.label, points.collect::<Vec<_>>())
    };
    // One frame for all panels, a little wider than the data.
    let reach = rows.first().map_or(1.0, |row| {
        row.values
            .iter()
            .map(|&v| map.to_raw(v).abs())
            .fold(0.0, f64::max)
    });
    // One row per sampler: the data, the final states, their EDS.
    let (data, schemes) = match rows {
        [data, schemes @ ..] if data.label == "data" => (Some(data), schemes),
        schemes => (None, schemes),
    };
    let mut lines = Vec::new();
    for pair in schemes.chunks(2) {
        let mut scatter = Scatter::new("").range(-1.2 * reach, 1.2 * reach);
        for row in data.into_iter().chain(pair) {
            scatter = scatter.cloud(cloud(row));
        }
        lines.push(scatter.png(300)?);
    }
    Picture::stack(&lines, 8)
}
