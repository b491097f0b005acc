//! The loop around every sampler.

use std::ops::ControlFlow;

use super::sampler::{Sampler, State};
use crate::error::{Error, Result};
use crate::noise::Level;
use crate::random::NoiseSource;
use crate::score::{Batch, Denoiser};

/// What a run gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// The samples after the last step in the data's units, row-major `[n, dim]`.
    pub x: Vec<f64>,
    /// The expected denoised samples of the state before the last update, row-major `[n, dim]`:
    /// what Jolicoeur-Martineau et al. 2021 return. They come with the last step and cost no
    /// network call of their own.
    pub denoised: Vec<f64>,
    /// The number of values of a sample.
    pub dim: usize,
    /// Network evaluations of each sample, `[n]`: guidance by two models takes two where a sampler
    /// makes one call, and an adaptive solver takes as many as the sample needs.
    pub evaluations: Vec<u32>,
    /// Whether all steps were made: false where an observer stopped the run.
    pub finished: bool,
}

impl Samples {
    /// The network evaluations of the sample that took the most; 0 without samples.
    pub fn most_evaluations(&self) -> usize {
        self.evaluations
            .iter()
            .max()
            .map_or(0, |&most| most as usize)
    }
}

/// What an observer sees after a step.
#[derive(Clone, Copy, Debug)]
pub struct StepView<'a> {
    /// The step just made, from 0.
    pub step: usize,
    /// How many steps there are.
    pub steps: usize,
    /// The noise level the step started from.
    pub from: Level,
    /// The noise level scheduled after the step.
    pub to: Level,
    /// The samples after the step, row-major `[n, dim]`, in the sampler's coordinates: x/alpha of
    /// `to` is in the data's units.
    pub x: &'a [f64],
    /// The expected denoised samples the step used, those of the state before it, `[n, dim]`.
    pub denoised: &'a [f64],
    /// The number of values of a sample.
    pub dim: usize,
}

/// Looks on while a sampler runs. Closures `FnMut(&StepView)` are observers, and so are `()`,
/// which does nothing, and pairs of observers.
pub trait Observer {
    /// Sees the start: `x`, row-major `[n, dim]`, at `level`.
    fn start(&mut self, level: Level, x: &[f64], dim: usize) {
        let _ = (level, x, dim);
    }

    /// Sees a step, and says whether to go on.
    fn step(&mut self, view: &StepView<'_>) -> ControlFlow<()>;
}

impl Observer for () {
    fn step(&mut self, _: &StepView<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<F: FnMut(&StepView<'_>)> Observer for F {
    fn step(&mut self, view: &StepView<'_>) -> ControlFlow<()> {
        self(view);
        ControlFlow::Continue(())
    }
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn start(&mut self, level: Level, x: &[f64], dim: usize) {
        self.0.start(level, x, dim);
        self.1.start(level, x, dim);
    }

    fn step(&mut self, view: &StepView<'_>) -> ControlFlow<()> {
        // Both see the step, whatever the first answers.
        let (first, second) = (self.0.step(view), self.1.step(view));
        if first.is_break() { first } else { second }
    }
}

/// Runs `sampler` on `denoiser` for the `samples`: their numbers, or a [`Batch`] that says what
/// each is conditioned on.
///
/// The start is sigma_1 N(0, I), and every draw of noise is a function of `source`, the sample's
/// number and the step: splitting the samples over several runs changes nothing but the batches
/// the denoiser is called with.
///
/// # Errors
/// [`Error::NotFinite`] with the step and noise level where the denoiser's output or the final
/// samples are NaN or infinite; those of the denoiser and the sampler.
pub fn run<'a>(
    denoiser: &dyn Denoiser,
    sampler: &mut (impl Sampler + ?Sized),
    source: &NoiseSource,
    samples: impl Into<Batch<'a>>,
    observer: &mut (impl Observer + ?Sized),
) -> Result<Samples> {
    let mut state = State::new(denoiser, source, samples.into())?;
    state.update(0.0, 0.0, first_level(sampler)?.sigma);
    go(state, sampler, observer)
}

/// [`run`] from a start of your own, row-major `[n, dim]`, in the coordinates of the
/// sampler's first level: a latent, or data noised to that level. The noise of the steps is that
/// of a run from noise.
///
/// # Errors
/// As for [`run`], and [`Error::Shape`] where `x` is not a row a sample.
pub fn run_from<'a>(
    x: Vec<f64>,
    denoiser: &dyn Denoiser,
    sampler: &mut (impl Sampler + ?Sized),
    source: &NoiseSource,
    samples: impl Into<Batch<'a>>,
    observer: &mut (impl Observer + ?Sized),
) -> Result<Samples> {
    let mut state = State::new(denoiser, source, samples.into())?;
    if x.len() != state.x().len() {
        return Err(Error::Shape {
            what: "the start".into(),
            expected: vec![state.x().len() / state.dim(), state.dim()],
            found: vec![x.len()],
        });
    }
    first_level(sampler)?;
    state.begin_at(x);
    go(state, sampler, observer)
}

/// The level of the start, of a sampler with a number of steps that can be made.
fn first_level(sampler: &(impl Sampler + ?Sized)) -> Result<Level> {
    let steps = sampler.steps();
    // Draws of noise are numbered in 32 bits.
    if steps == 0 || steps >= u32::MAX as usize {
        let reason = "must be between 1 and 4 294 967 294";
        return Err(Error::setting("steps", steps, reason));
    }
    Ok(sampler.noise(0).0)
}

/// The loop.
fn go(
    mut state: State<'_>,
    sampler: &mut (impl Sampler + ?Sized),
    observer: &mut (impl Observer + ?Sized),
) -> Result<Samples> {
    let steps = sampler.steps();
    observer.start(sampler.noise(0).0, state.x(), state.dim());
    let mut finished = true;
    for step in 0..steps {
        state.step = step;
        sampler.step(step, &mut state)?;
        let (from, to) = sampler.noise(step);
        let view = StepView {
            step,
            steps,
            from,
            to,
            x: state.x(),
            denoised: state.denoised(),
            dim: state.dim(),
        };
        if observer.step(&view).is_break() {
            finished = step + 1 == steps;
            break;
        }
    }
    let (from, to) = sampler.noise(state.step);
    if state.x().iter().any(|x| !x.is_finite()) {
        let (step, sigma) = (state.step, from.relative());
        let hint = "the samples grew beyond all bounds; take a smaller step size".into();
        return Err(Error::NotFinite { step, sigma, hint });
    }
    let (dim, evaluations) = (state.dim(), std::mem::take(&mut state.evaluations));
    let (x, denoised) = state.into_samples(to);
    Ok(Samples {
        x,
        denoised,
        dim,
        evaluations,
        finished,
    })
}
