//! The loss over time and by noise level.

use super::{CHART, Report};
use crate::error::Result;
use crate::report::{Axis, Chart, Series};

const TEXT: &str = "The denoising score matching loss, summed over dimensions and weighted as in \
    the training objective. Its minimum is not zero but the weighted variance of the data given the \
    noisy sample. The loss by noise level shows where the network still improves.";

pub fn section(report: Report<'_>) -> Result<Report<'_>> {
    let lines = report.run.stats()?.lines;
    let Some(last) = lines.last() else {
        return Ok(report);
    };
    let curve = lines.iter().map(|line| (line.step as f64, line.loss));
    let loss = Chart::new("Training loss")
        .x(Axis::linear("step"))
        .y(Axis::log("loss per example"))
        .series(Series::line("mean over each logging interval", curve))
        .png(CHART.0, CHART.1)?;

    // The last tenth of the run, so that every level has examples.
    let recent = &lines[lines.len() - lines.len().div_ceil(10)..];
    let early = &lines[..lines.len().div_ceil(10)];
    let mean = |lines: &[crate::run::Line]| -> Vec<(f64, f64)> {
        let bins = last.levels.iter().enumerate();
        bins.filter_map(|(bin, level)| {
            let parts = lines.iter().filter_map(|line| line.levels.get(bin));
            let (sum, count) = parts.fold((0.0, 0), |(sum, count), level| {
                (
                    sum + level.loss.unwrap_or(0.0) * level.count as f64,
                    count + level.count,
                )
            });
            (count > 0).then(|| (level.sigma, sum / count as f64))
        })
        .collect()
    };
    let by_level = Chart::new("Loss by noise level")
        .x(Axis::log("noise level σ"))
        .y(Axis::log("loss per example"))
        .series(Series::line_points("first tenth of training", mean(early)))
        .series(Series::line_points("last tenth", mean(recent)))
        .png(CHART.0, CHART.1)?;
    report
        .heading("Training", TEXT)
        .picture("loss", &loss, "Loss over training.", false)?
        .picture("levels", &by_level, "Loss by noise level.", false)
}
