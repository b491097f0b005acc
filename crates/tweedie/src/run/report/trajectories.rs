//! The trajectories of samples: the state and the denoised sample, step by step.

use std::ops::ControlFlow;

use super::{CHART, Report};
use crate::data::Shape;
use crate::error::Result;
use crate::job::Monitor;
use crate::report::{Axis, Chart, Cloud, Grid, Picture, Scatter, Series};
use crate::run::SampleConfig;
use crate::run::signals::{self, Panel};
use crate::sample::{Observer, SamplerKind, StepView, Trajectory};

const TEXT: &str = "Consistent annealed sampling from noise to data.";

/// Number of samples followed.
const FOLLOWED: usize = 4;

pub fn section<'a>(report: Report<'a>, monitor: &mut Monitor<'_>) -> Result<Report<'a>> {
    let sample = SampleConfig {
        steps: report.options.steps[1],
        ..report.own(SamplerKind::Cas)
    };
    let shape = report.model.data().shape;
    let picture = match shape {
        Shape::Image {
            channels,
            height,
            width,
        } => images(&report, &sample, [channels, height, width], monitor)?,
        Shape::Signal { length, .. } => lines(&report, &sample, length, monitor)?,
        Shape::Vector { dim } => paths(&report, &sample, dim, monitor)?,
    };
    let report = report.heading("Trajectories", TEXT);
    let caption =
        "From noise to sample; for images and signals, each state is above its denoised sample.";
    report.picture("trajectories", &picture, caption, shape.is_image())
}

/// Keeps the state and the denoised sample at chosen steps.
struct Recorder {
    steps: Vec<usize>,
    frames: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Observer for Recorder {
    fn step(&mut self, view: &StepView<'_>) -> ControlFlow<()> {
        if self.steps.contains(&view.step) {
            self.frames.push((view.x.to_vec(), view.denoised.to_vec()));
        }
        ControlFlow::Continue(())
    }
}

/// [`FOLLOWED`] samples at `columns` steps from the first to the last.
fn follow(
    report: &Report<'_>,
    sample: &SampleConfig,
    columns: usize,
    monitor: &mut Monitor<'_>,
) -> Result<Recorder> {
    let columns = columns.min(sample.steps);
    let last = sample.steps.saturating_sub(1);
    let recorder = Recorder {
        steps: (0..columns)
            .map(|i| i * last / columns.saturating_sub(1).max(1))
            .collect(),
        frames: Vec::new(),
    };
    let (_, recorder) = report.draw("trajectories", sample, FOLLOWED, recorder, monitor)?;
    Ok(recorder)
}

fn images(
    report: &Report<'_>,
    sample: &SampleConfig,
    shape: [usize; 3],
    monitor: &mut Monitor<'_>,
) -> Result<Picture> {
    let recorder = follow(report, sample, report.options.columns, monitor)?;
    let (map, dim) = (&report.model.data().map, shape.iter().product::<usize>());
    let mut bytes = Vec::new();
    let mut labels = Vec::new();
    for k in 0..FOLLOWED {
        for denoised in [false, true] {
            labels.push(if denoised {
                format!("seed {k} EDS")
            } else {
                format!("seed {k}")
            });
            for (x, h) in &recorder.frames {
                let values = &(if denoised { h } else { x })[k * dim..(k + 1) * dim];
                bytes.extend(values.iter().map(|&v| map.to_u8(v as f32)));
            }
        }
    }
    Grid::new(shape)
        .columns(recorder.frames.len())
        .row_labels(labels)
        .render(&bytes)
}

fn lines(
    report: &Report<'_>,
    sample: &SampleConfig,
    length: usize,
    monitor: &mut Monitor<'_>,
) -> Result<Picture> {
    let recorder = follow(report, sample, signals::COLUMNS, monitor)?;
    let data = report.model.data();
    let dim = data.shape.values();
    let mut panels = Vec::new();
    // Two are enough: their charts are larger than images.
    for k in 0..FOLLOWED / 2 {
        for (title, denoised) in [
            (format!("seed {k}"), false),
            (format!("seed {k} EDS"), true),
        ] {
            for (x, h) in &recorder.frames {
                let signal = &(if denoised { h } else { x })[k * dim..(k + 1) * dim];
                let raw: Vec<f32> = signal.iter().map(|&v| data.map.to_raw(v) as f32).collect();
                panels.push(Panel::new(title.clone(), &raw));
            }
        }
    }
    signals::sheet(panels, length)
}

fn paths(
    report: &Report<'_>,
    sample: &SampleConfig,
    dim: usize,
    monitor: &mut Monitor<'_>,
) -> Result<Picture> {
    let followed = 2 * FOLLOWED;
    let trajectory = Trajectory::new((0..followed).collect());
    let (_, trajectory) = report.draw("trajectories", sample, followed, trajectory, monitor)?;
    let map = &report.model.data().map;
    let value = |step: usize, k: usize, d: usize| {
        map.to_raw(trajectory.points()[(step * followed + k) * dim + d])
    };
    let steps = trajectory.noise().len();
    if dim == 1 {
        let mut chart = Chart::new("Trajectories of the samples")
            .x(Axis::linear("step"))
            .y(Axis::linear("value"));
        for k in 0..FOLLOWED {
            let points = (0..steps).map(|step| (step as f64, value(step, k, 0)));
            chart = chart.series(Series::line(format!("seed {k}"), points));
        }
        return chart.png(CHART.0, CHART.1);
    }
    let path = |k| {
        (0..steps)
            .map(|step| [value(step, k, 0), value(step, k, 1)])
            .collect()
    };
    let paths: Vec<Vec<[f64; 2]>> = (0..followed).map(path).collect();
    let end = |k: usize| {
        let last = &paths[k][steps - 1];
        last[0].abs().max(last[1].abs())
    };
    let reach = (0..followed).map(end).fold(1e-9, f64::max);
    let whole = Scatter::new("Full range").cloud(Cloud::new("", Vec::new()).paths(paths.clone()));
    let near = Scatter::new("Close to the data")
        .cloud(Cloud::new("", Vec::new()).paths(paths))
        .range(-1.3 * reach, 1.3 * reach);
    Picture::side_by_side(&[whole.png(420)?, near.png(420)?], 8)
}
