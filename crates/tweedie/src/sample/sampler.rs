//! What an algorithm provides, and what it works with.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::noise::Level;
use crate::random::{NoiseSource, rows_a_task};
use crate::score::{Batch, Denoiser, Posterior, Query, denoise_rows};

/// A sampling algorithm: a number of steps, each from one noise level to the next.
pub trait Sampler {
    /// How many steps there are.
    fn steps(&self) -> usize;

    /// The noise level that step `i` (from 0) starts from and the one it is scheduled to end at:
    /// [`Level::DATA`] where it is meant to end at the data.
    ///
    /// They say which coordinates the state is in, x = alpha x0 + sigma z; the samples start as
    /// sigma N(0, I), sigma that of the first level.
    fn noise(&self, i: usize) -> (Level, Level);

    /// Makes step `i` (from 0, in order).
    ///
    /// A sampler that remembers earlier steps forgets them at step 0. It may call
    /// [`State::denoise`] any number of times; the last call's result is the expected denoised
    /// sample observers see and, at the last step, the denoised result.
    ///
    /// # Errors
    /// Those of the denoiser.
    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()>;

    /// The network calls that all steps together make, where that is known beforehand; guidance
    /// may make each of them several evaluations.
    fn calls(&self) -> Option<usize>;
}

/// The samples on their way, and the operations steps are made of.
pub struct State<'a> {
    denoiser: &'a dyn Denoiser,
    source: &'a NoiseSource,
    batch: Batch<'a>,
    dim: usize,
    x: Vec<f64>,
    denoised: Vec<f64>,
    /// The noise level of the last query, once a row.
    sigmas: Vec<f64>,
    /// Network evaluations of each sample so far.
    pub(super) evaluations: Vec<u32>,
    /// The samples in VE coordinates, where the state is in others.
    scaled: Vec<f64>,
    pub(super) step: usize,
    /// The number of the next noise draw. The start is draw 0, so a sampler with one
    /// [`State::update`] a step draws number i + 1 in step i.
    draw: u32,
}

impl<'a> State<'a> {
    /// The state before the first step, at zero; the start's draw is the next.
    pub(super) fn new(
        denoiser: &'a dyn Denoiser,
        source: &'a NoiseSource,
        batch: Batch<'a>,
    ) -> Result<Self> {
        let dim = denoiser.dim();
        if dim == 0 {
            let reason = "the denoiser's samples have no values";
            return Err(Error::setting("dim", dim, reason));
        }
        let rows = batch.numbers().len();
        let zeros = vec![0.0; rows * dim];
        Ok(Self {
            denoiser,
            source,
            batch,
            dim,
            x: zeros.clone(),
            denoised: zeros,
            sigmas: vec![0.0; rows],
            evaluations: vec![0; rows],
            scaled: Vec::new(),
            step: 0,
            draw: 0,
        })
    }

    /// Starts from `x` instead of noise. Draw 0 stays unused, so that every step gets the noise
    /// it would get otherwise.
    pub(super) fn begin_at(&mut self, x: Vec<f64>) {
        (self.x, self.draw) = (x, 1);
    }

    /// D, the number of values of a sample.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The samples, row-major `[n, dim]`.
    pub fn x(&self) -> &[f64] {
        &self.x
    }

    /// The result of the last [`State::denoise`], row-major `[n, dim]`.
    pub fn denoised(&self) -> &[f64] {
        &self.denoised
    }

    /// The samples, to change, beside the last denoised ones: for steps that [`State::update`]
    /// does not cover.
    pub fn parts(&mut self) -> (&mut [f64], &[f64]) {
        (&mut self.x, &self.denoised)
    }

    /// The samples and the denoised ones, both to change.
    pub(super) fn parts_mut(&mut self) -> (&mut [f64], &mut [f64]) {
        (&mut self.x, &mut self.denoised)
    }

    /// Computes H of the state at `level`: one network call.
    ///
    /// The denoiser lives in VE coordinates, so it sees x/alpha at the noise sigma/alpha.
    ///
    /// # Errors
    /// Those of the denoiser, and [`Error::NotFinite`] where a value is NaN or infinite.
    pub fn denoise(&mut self, level: Level) -> Result<()> {
        self.ask(level, None)
    }

    /// As [`State::denoise`], with the model's fractions v in \[0, 1\] between the smallest and
    /// the largest variance of an ancestral step, `[n, dim]`, to `variance`
    /// ([`Posterior::variance`]).
    ///
    /// # Errors
    /// As for [`State::denoise`], and where the model has learned no variances.
    pub fn denoise_with_variance(&mut self, level: Level, variance: &mut Vec<f64>) -> Result<()> {
        variance.resize(self.x.len(), 0.0);
        self.ask(level, Some(variance))
    }

    fn ask(&mut self, level: Level, variance: Option<&mut [f64]>) -> Result<()> {
        let sigma = level.relative();
        self.sigmas.fill(sigma);
        let x = in_ve(&self.x, level, &mut self.scaled);
        let query = Query::new(x, &self.sigmas).of(self.batch);
        let mut posterior = Posterior {
            mean: &mut self.denoised,
            variance,
            evaluations: &mut self.evaluations,
        };
        self.denoiser.denoise(&query, &mut posterior)?;
        self.check(sigma)
    }

    /// H of points `x` in VE coordinates, `[m, dim]`, with a noise level each, to `out`: those of
    /// the samples in the rows `rows`, `[m]`. One network call, for solvers that look at points
    /// other than the state.
    ///
    /// # Errors
    /// Those of the denoiser.
    pub fn denoise_rows(
        &mut self,
        rows: &[usize],
        x: &[f64],
        sigmas: &[f64],
        out: &mut [f64],
    ) -> Result<()> {
        denoise_rows(
            self.denoiser,
            &self.batch,
            rows,
            Query::new(x, sigmas),
            out,
            &mut self.evaluations,
        )
    }

    fn check(&self, sigma: f64) -> Result<()> {
        if all_finite(&self.denoised) {
            return Ok(());
        }
        let hint = if all_finite(&self.x) {
            "the network's output broke down; check its checkpoint and that this noise level is \
             among those it was trained on"
        } else {
            "the samples had already grown beyond all bounds; take a smaller step size"
        };
        Err(Error::NotFinite {
            step: self.step,
            sigma,
            hint: hint.into(),
        })
    }

    /// Lets `change` make a step of each sample x, given its row in the batch, its H and the next
    /// draw of noise z: for steps whose coefficients are the sample's own.
    pub fn update_rows(&mut self, change: impl Fn(usize, &mut [f64], &[f64], &[f64]) + Sync) {
        let (source, draw) = (self.source, self.next_draw());
        let (dim, rows) = (self.dim, rows_a_task(self.dim));
        self.x
            .par_chunks_mut(rows * dim)
            .zip(self.denoised.par_chunks(rows * dim))
            .zip(self.batch.numbers().par_chunks(rows))
            .enumerate()
            .for_each(|(task, ((x, denoised), samples))| {
                let mut z = vec![0.0; x.len()];
                source.fill_rows(samples, draw, &mut z);
                let rows_of_task = x.chunks_exact_mut(dim).zip(denoised.chunks_exact(dim));
                let each = rows_of_task.zip(z.chunks_exact(dim)).enumerate();
                for (row, ((x, h), z)) in each {
                    change(task * rows + row, x, h, z);
                }
            });
    }

    /// The number of a fresh draw of noise.
    fn next_draw(&mut self) -> u32 {
        let draw = self.draw;
        self.draw = self.draw.wrapping_add(1);
        draw
    }

    /// x <- `a` x + `b` H, without noise and without taking a draw.
    pub fn mix(&mut self, a: f64, b: f64) {
        let task = rows_a_task(1);
        self.x
            .par_chunks_mut(task)
            .zip(self.denoised.par_chunks(task))
            .for_each(|(x, h)| {
                for (x, h) in x.iter_mut().zip(h) {
                    *x = a * *x + b * h;
                }
            });
    }

    /// x <- `a` x + `b` H + `c` z with a fresh z ~ N(0, I).
    ///
    /// Every call takes the next draw of noise, even where `c` = 0 and none is computed: which
    /// noise a step gets does not depend on the other coefficients.
    pub fn update(&mut self, a: f64, b: f64, c: f64) {
        let (source, draw) = (self.source, self.next_draw());
        if c == 0.0 {
            return self.mix(a, b);
        }
        let (dim, rows) = (self.dim, rows_a_task(self.dim));
        self.x
            .par_chunks_mut(rows * dim)
            .zip(self.denoised.par_chunks(rows * dim))
            .zip(self.batch.numbers().par_chunks(rows))
            .for_each(|((x, denoised), samples)| {
                // The noise is used where it is made: it never reaches memory.
                source.with_rows(samples, draw, dim, |start, z| {
                    let (x, denoised) = (&mut x[start..], &denoised[start..]);
                    for ((x, h), &z) in x.iter_mut().zip(denoised).zip(z) {
                        *x = a * *x + b * h + c * f64::from(z);
                    }
                });
            });
    }

    /// The samples in the data's units and the denoised ones; the state is at `level`.
    pub(super) fn into_samples(mut self, level: Level) -> (Vec<f64>, Vec<f64>) {
        if level.alpha != 1.0 {
            self.x.iter_mut().for_each(|x| *x /= level.alpha);
        }
        (self.x, self.denoised)
    }
}

/// x/alpha: `x` itself where it is in VE coordinates already, else written to `memory`.
fn in_ve<'b>(x: &'b [f64], level: Level, memory: &'b mut Vec<f64>) -> &'b [f64] {
    if level.alpha == 1.0 {
        return x;
    }
    memory.clear();
    memory.extend(x.iter().map(|x| x / level.alpha));
    memory
}

fn all_finite(values: &[f64]) -> bool {
    // No short circuit inside a piece, so that it runs in SIMD registers.
    values
        .par_chunks(1 << 14)
        .all(|v| v.iter().fold(true, |all, v| all & v.is_finite()))
}
