//! H, the score, and the derivative of H.
//!
//! dH/dx = Cov\[x0 | x\]/sigma^2, and the covariance is that within the components and that of
//! their means:
//!
//! dH/dx = sum_k r_k (C_k (C_k + sigma^2 I)^-1 + (h_k - H)(h_k - H)^T/sigma^2).
//!
//! The differences are taken before they are multiplied, so nothing large cancels.

use rayon::prelude::*;

use super::GaussianMixture;
use super::noised::{Memory, Noised};
use crate::error::Result;
use crate::score::check::{check, check_each, check_one, check_trace, check_vjp};
use crate::score::denoiser::{Denoiser, Differentiable};
use crate::score::rows::{dot, for_rows, for_rows_of_two, squared_distance};

/// The noised mixture that each row of a batch sees.
struct Views<'a> {
    /// One for each run of equal levels.
    noised: Vec<Noised<'a>>,
    /// The run of each row.
    runs: Vec<usize>,
}

impl<'a> Views<'a> {
    fn new(mixture: &'a GaussianMixture, sigmas: &[f64]) -> Self {
        let levels: Vec<&[f64]> = sigmas.chunk_by(|a, b| a == b).collect();
        let of_level = |level: &&[f64]| Noised::new(mixture, level[0] * level[0]);
        let runs = levels.iter().enumerate();
        Self {
            noised: levels.par_iter().with_min_len(64).map(of_level).collect(),
            runs: runs
                .flat_map(|(run, level)| std::iter::repeat_n(run, level.len()))
                .collect(),
        }
    }

    fn at(&self, row: usize) -> &Noised<'a> {
        &self.noised[self.runs[row]]
    }
}

impl GaussianMixture {
    /// Cov\[x0 | x\], the covariance of the data given one `x`, `[D]`, noised by `sigma`:
    /// row-major `[D, D]`.
    ///
    /// # Errors
    /// As for [`Denoiser::denoise`], and unless `x` is one row.
    pub fn covariance(&self, x: &[f64], sigma: f64) -> Result<Vec<f64>> {
        check_one(self.dim, x, sigma)?;
        let dim = self.dim;
        let mut covariance = vec![0.0; dim * dim];
        // Its product with each unit vector, over sigma^2.
        let (mut h, mut unit) = (vec![0.0; dim], vec![0.0; dim]);
        for (axis, row) in covariance.chunks_exact_mut(dim).enumerate() {
            unit.fill(0.0);
            unit[axis] = sigma * sigma;
            self.denoise_vjp(x, &[sigma], &unit, &mut h, row)?;
        }
        Ok(covariance)
    }

    /// Multiplications of one row.
    fn work(&self) -> usize {
        2 * self.means.len() + 3 * self.axes.as_ref().map_or(0, Vec::len)
    }

    fn expect<'a, const MEAN: bool>(
        &'a self,
        x: &[f64],
        out: &mut [f64],
        view: impl Fn(usize) -> &'a Noised<'a> + Sync,
        term: impl Fn(f64, f64, f64) -> f64 + Sync,
    ) {
        let size = Memory::size(self);
        for_rows(
            self.dim,
            x,
            out,
            size,
            self.work(),
            |row, x, out, memory| {
                let (noised, mut memory) = (view(row), Memory::new(self, memory));
                let square = noised.square;
                noised.expect::<MEAN>(x, out, &mut memory, |d, v| term(d, v, square));
            },
        );
    }
}

/// h_k - m_k along an axis.
fn shrink(difference: f64, v: f64, square: f64) -> f64 {
    v / (v + square) * difference
}

impl Denoiser for GaussianMixture {
    fn dim(&self) -> usize {
        self.dim
    }

    fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        check(self.dim, x, sigma, out)?;
        let noised = Noised::new(self, sigma * sigma);
        self.expect::<true>(x, out, |_| &noised, shrink);
        Ok(())
    }

    /// All rows at once: equal levels beside each other share their logarithms.
    fn denoise_each(&self, x: &[f64], sigmas: &[f64], out: &mut [f64]) -> Result<()> {
        check_each(self.dim, x, sigmas, out)?;
        let views = Views::new(self, sigmas);
        self.expect::<true>(x, out, |row| views.at(row), shrink);
        Ok(())
    }

    /// Directly: (H - x)/sigma^2 would cancel for small sigma.
    fn score(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        check(self.dim, x, sigma, out)?;
        let noised = Noised::new(self, sigma * sigma);
        self.expect::<false>(x, out, |_| &noised, |d, v, square| -d / (v + square));
        Ok(())
    }
}

impl Differentiable for GaussianMixture {
    fn denoise_vjp(
        &self,
        x: &[f64],
        sigmas: &[f64],
        v: &[f64],
        out: &mut [f64],
        product: &mut [f64],
    ) -> Result<()> {
        check_vjp(self.dim, x, sigmas, [v, out, product])?;
        let (views, size) = (Views::new(self, sigmas), Memory::size(self));
        for_rows_of_two(
            self.dim,
            x,
            out,
            product,
            size,
            3 * self.work(),
            |(row, x, h, product, memory)| {
                let (noised, mut memory) = (views.at(row), Memory::new(self, memory));
                let (square, v) = (noised.square, &v[row * self.dim..][..self.dim]);
                noised.expect::<true>(x, h, &mut memory, |d, v| shrink(d, v, square));
                product.fill(0.0);
                for k in 0..self.components() {
                    let r = memory.shares[k];
                    if r == 0.0 {
                        continue;
                    }
                    noised.component_mean(k, x, &mut memory);
                    let places = memory.mean.iter_mut().zip(&*h);
                    places.for_each(|(mean, h)| *mean -= h);
                    let along = dot(memory.mean, v) / square;
                    for (out, away) in product.iter_mut().zip(&*memory.mean) {
                        *out += r * (along * away);
                    }
                    noised.shrunk(k, v, &mut memory);
                    for (out, shrunk) in product.iter_mut().zip(&*memory.mean) {
                        *out += r * shrunk;
                    }
                }
            },
        );
        Ok(())
    }

    fn denoise_trace(
        &self,
        x: &[f64],
        sigmas: &[f64],
        out: &mut [f64],
        trace: &mut [f64],
    ) -> Result<()> {
        check_trace(self.dim, x, sigmas, out, trace)?;
        let (views, size) = (Views::new(self, sigmas), Memory::size(self));
        for_rows_of_two(
            self.dim,
            x,
            out,
            trace,
            size,
            2 * self.work(),
            |(row, x, h, trace, memory)| {
                let (noised, mut memory) = (views.at(row), Memory::new(self, memory));
                let square = noised.square;
                noised.expect::<true>(x, h, &mut memory, |d, v| shrink(d, v, square));
                trace[0] = 0.0;
                for k in 0..self.components() {
                    let r = memory.shares[k];
                    if r == 0.0 {
                        continue;
                    }
                    noised.component_mean(k, x, &mut memory);
                    let between = squared_distance(memory.mean, h) / square;
                    trace[0] += r * (noised.shrinkage(k) + between);
                }
            },
        );
        Ok(())
    }
}
