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
use crate::score::check::{check_one, check_trace, check_vjp};
use crate::score::denoiser::{Denoiser, Differentiable};
use crate::score::posterior::Posterior;
use crate::score::query::Query;
use crate::score::rows::{dot, for_rows, for_rows_of_two, squared_distance};

/// The noised mixture that each row of a batch sees.
pub(super) struct Views<'a> {
    /// One for each run of equal levels.
    noised: Vec<Noised<'a>>,
    /// The run of each row; empty where there is one run.
    runs: Vec<usize>,
}

impl<'a> Views<'a> {
    pub(super) fn new(mixture: &'a GaussianMixture, sigmas: &[f64]) -> Self {
        let of_level = |sigma: f64| Noised::new(mixture, sigma * sigma);
        let levels = || sigmas.chunk_by(|a, b| a == b);
        if levels().nth(1).is_none() {
            let noised = sigmas.first().map(|&sigma| of_level(sigma));
            return Self {
                noised: noised.into_iter().collect(),
                runs: Vec::new(),
            };
        }
        let firsts: Vec<f64> = levels().map(|level| level[0]).collect();
        let runs = levels().enumerate();
        Self {
            noised: firsts
                .par_iter()
                .with_min_len(64)
                .map(|&sigma| of_level(sigma))
                .collect(),
            runs: runs
                .flat_map(|(run, level)| std::iter::repeat_n(run, level.len()))
                .collect(),
        }
    }

    pub(super) fn at(&self, row: usize) -> &Noised<'a> {
        &self.noised[self.runs.get(row).copied().unwrap_or(0)]
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
        let sigmas = [sigma];
        let query = Query::new(x, &sigmas);
        // Its product with each unit vector, over sigma^2.
        let (mut h, mut unit) = (vec![0.0; dim], vec![0.0; dim]);
        for (axis, row) in covariance.chunks_exact_mut(dim).enumerate() {
            unit.fill(0.0);
            unit[axis] = sigma * sigma;
            let mut posterior = Posterior::new(&mut h);
            self.denoise_vjp(&query, &unit, &mut posterior, row)?;
        }
        Ok(covariance)
    }

    /// Multiplications of one row.
    fn work(&self) -> usize {
        2 * self.means.len() + 3 * self.axes.as_ref().map_or(0, Vec::len)
    }

    /// Writes an expectation under the responsibilities of each row of `query` to `posterior`:
    /// [`Noised::expect`] of `term`, whose last argument is sigma^2.
    fn expect<const MEAN: bool>(
        &self,
        query: &Query<'_>,
        posterior: &mut Posterior<'_>,
        term: impl Fn(f64, f64, f64) -> f64 + Sync,
    ) -> Result<()> {
        posterior.check_plain(query, self.dim)?;
        let (views, size) = (Views::new(self, query.sigmas), Memory::size(self));
        for_rows(
            self.dim,
            query.x,
            posterior.mean,
            size,
            self.work(),
            |row, x, out, memory| {
                let (noised, mut memory) = (views.at(row), Memory::new(self, memory));
                let square = noised.square;
                noised.expect::<MEAN>(x, out, &mut memory, |d, v| term(d, v, square));
            },
        );
        posterior.evaluated();
        Ok(())
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

    /// Equal levels beside each other share their logarithms.
    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        self.expect::<true>(query, posterior, shrink)
    }

    /// Directly: (H - x)/sigma^2 would cancel for small sigma.
    fn score(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        self.expect::<false>(query, posterior, |d, v, square| -d / (v + square))
    }
}

impl Differentiable for GaussianMixture {
    fn denoise_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        posterior: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()> {
        check_vjp(self.dim, query, v, posterior, product)?;
        posterior.plain(query)?;
        let (views, size) = (Views::new(self, query.sigmas), Memory::size(self));
        for_rows_of_two(
            self.dim,
            query.x,
            posterior.mean,
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
        posterior.evaluated();
        Ok(())
    }

    fn denoise_trace(
        &self,
        query: &Query<'_>,
        posterior: &mut Posterior<'_>,
        trace: &mut [f64],
    ) -> Result<()> {
        check_trace(self.dim, query, posterior, trace)?;
        posterior.plain(query)?;
        let (views, size) = (Views::new(self, query.sigmas), Memory::size(self));
        for_rows_of_two(
            self.dim,
            query.x,
            posterior.mean,
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
        posterior.evaluated();
        Ok(())
    }
}
