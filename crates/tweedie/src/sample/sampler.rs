//! What an algorithm provides, and what it works with.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::random::{NoiseSource, rows_a_task};
use crate::score::Denoiser;

/// A sampling algorithm: a number of steps, each from one noise level to the next.
pub trait Sampler {
    /// How many steps there are.
    fn steps(&self) -> usize;

    /// The noise level that step `i` (from 0) starts from and the one it is scheduled to end at:
    /// 0 where it is meant to end at the data.
    ///
    /// The first level of step 0 is the standard deviation of the start.
    fn noise(&self, i: usize) -> (f64, f64);

    /// Makes step `i` (from 0, in order).
    ///
    /// A sampler that remembers earlier steps forgets them at step 0. It may call
    /// [`State::denoise`] any number of times; the last call's result is the expected denoised
    /// sample observers see and, at the last step, the denoised result.
    ///
    /// # Errors
    /// Those of the denoiser.
    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()>;
}

/// The samples on their way, and the operations steps are made of.
pub struct State<'a> {
    denoiser: &'a dyn Denoiser,
    source: &'a NoiseSource,
    samples: &'a [u64],
    dim: usize,
    x: Vec<f64>,
    denoised: Vec<f64>,
    pub(super) step: usize,
    pub(super) calls: usize,
    /// The number of the next noise draw. The start is draw 0, so a sampler with one
    /// [`State::update`] a step draws number i + 1 in step i.
    draw: u32,
}

impl<'a> State<'a> {
    /// The start: `sigma` N(0, I), draw 0.
    pub(super) fn start(
        denoiser: &'a dyn Denoiser,
        source: &'a NoiseSource,
        samples: &'a [u64],
        sigma: f64,
    ) -> Result<Self> {
        let dim = denoiser.dim();
        if dim == 0 {
            return Err(Error::setting(
                "dim",
                dim,
                "the denoiser's samples have no values",
            ));
        }
        let zeros = vec![0.0; samples.len() * dim];
        let (x, denoised) = (zeros.clone(), zeros);
        let mut state = Self {
            denoiser,
            source,
            samples,
            dim,
            x,
            denoised,
            step: 0,
            calls: 0,
            draw: 0,
        };
        state.update(0.0, 0.0, sigma);
        Ok(state)
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

    /// Computes H(x, sigma): one network call.
    ///
    /// # Errors
    /// Those of the denoiser, and [`Error::NotFinite`] where a value is NaN or infinite.
    pub fn denoise(&mut self, sigma: f64) -> Result<()> {
        self.denoiser.denoise(&self.x, sigma, &mut self.denoised)?;
        self.calls += 1;
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

    /// x <- `a` x + `b` H + `c` z with a fresh z ~ N(0, I).
    ///
    /// Every call takes the next draw of noise, even where `c` = 0 and none is computed: which
    /// noise a step gets does not depend on the other coefficients.
    pub fn update(&mut self, a: f64, b: f64, c: f64) {
        let (source, draw) = (self.source, self.draw);
        self.draw = self.draw.wrapping_add(1);
        let (dim, rows) = (self.dim, rows_a_task(self.dim));
        self.x
            .par_chunks_mut(rows * dim)
            .zip(self.denoised.par_chunks(rows * dim))
            .zip(self.samples.par_chunks(rows))
            .for_each(|((x, denoised), samples)| {
                if c == 0.0 {
                    for (x, h) in x.iter_mut().zip(denoised) {
                        *x = a * *x + b * h;
                    }
                    return;
                }
                // The noise is used where it is made: it never reaches memory.
                source.with_rows(samples, draw, dim, |start, z| {
                    let (x, denoised) = (&mut x[start..], &denoised[start..]);
                    for ((x, h), &z) in x.iter_mut().zip(denoised).zip(z) {
                        *x = a * *x + b * h + c * f64::from(z);
                    }
                });
            });
    }

    pub(super) fn into_samples(self) -> (Vec<f64>, Vec<f64>) {
        (self.x, self.denoised)
    }
}

fn all_finite(values: &[f64]) -> bool {
    // No short circuit inside a piece, so that it runs in SIMD registers.
    values
        .par_chunks(1 << 14)
        .all(|v| v.iter().fold(true, |all, v| all & v.is_finite()))
}
