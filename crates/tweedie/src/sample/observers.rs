//! Observers that record: chosen trajectories, and noise measured against noise scheduled.

use std::ops::ControlFlow;

use serde::Serialize;

use super::run::{Observer, StepView};
use crate::noise::Level;

/// Records chosen samples at the start and after every step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectory {
    rows: Vec<usize>,
    dim: usize,
    noise: Vec<f64>,
    points: Vec<f64>,
}

impl Trajectory {
    /// Records these `rows` of the batch, counted from 0. Rows the batch does not have are left
    /// out.
    pub fn new(rows: Vec<usize>) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }

    /// The rows recorded.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The number of values of a sample; 0 before a run.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The scheduled noise level sigma/alpha at each time: sigma_1 at the start, then that after
    /// each step.
    pub fn noise(&self) -> &[f64] {
        &self.noise
    }

    /// The recorded samples in the data's units (x/alpha), row-major `[steps + 1, rows, dim]`.
    pub fn points(&self) -> &[f64] {
        &self.points
    }

    fn record(&mut self, level: Level, x: &[f64]) {
        self.noise.push(level.relative());
        for &row in &self.rows {
            let row = &x[row * self.dim..][..self.dim];
            self.points.extend(row.iter().map(|x| x / level.alpha));
        }
    }
}

impl Observer for Trajectory {
    fn start(&mut self, level: Level, x: &[f64], dim: usize) {
        self.dim = dim;
        self.rows
            .retain(|row| *row < x.len().checked_div(dim).unwrap_or(0));
        self.noise.clear();
        self.points.clear();
        self.record(level, x);
    }

    fn step(&mut self, view: &StepView<'_>) -> ControlFlow<()> {
        self.record(view.to, view.x);
        ControlFlow::Continue(())
    }
}

/// The noise after a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NoiseLevel {
    /// The step, from 0.
    pub step: usize,
    /// The noise sigma/alpha scheduled after the step.
    pub scheduled: f64,
    /// The root mean square of x'/alpha' - H, over the batch and all values: x' the samples after
    /// the step, H the denoised samples that the step saw last.
    pub measured: f64,
}

/// Records the noise after every step (Figure 1 of Jolicoeur-Martineau et al. 2021).
///
/// Where the data are one point, H is that point and [`NoiseLevel::measured`] is exactly the
/// standard deviation of the noise. On other data H itself errs by the posterior's spread. For
/// x' = (1 - eta) x + eta H + c z the measure is, on average,
/// sqrt((1 - eta)^2 E||x - H||^2/D + c^2), and a perfect denoiser has
/// E||x - H||^2/D = sigma^2 - E tr Cov\[x0 | x\]/D: the measure then lies below the schedule at
/// noise levels comparable to the data's scale and approaches it as sigma falls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NoiseLevels {
    levels: Vec<NoiseLevel>,
}

impl NoiseLevels {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// One entry for every step made.
    pub fn levels(&self) -> &[NoiseLevel] {
        &self.levels
    }
}

impl Observer for NoiseLevels {
    fn start(&mut self, _: Level, _: &[f64], _: usize) {
        self.levels.clear();
    }

    fn step(&mut self, view: &StepView<'_>) -> ControlFlow<()> {
        let sum: f64 = view
            .x
            .iter()
            .zip(view.denoised)
            .map(|(x, h)| (x / view.to.alpha - h).powi(2))
            .sum();
        let measured = (sum / view.x.len().max(1) as f64).sqrt();
        let (step, scheduled) = (view.step, view.to.relative());
        self.levels.push(NoiseLevel {
            step,
            scheduled,
            measured,
        });
        ControlFlow::Continue(())
    }
}
