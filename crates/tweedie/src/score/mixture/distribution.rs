//! The mixture's density and samples.

use rayon::prelude::*;

use super::GaussianMixture;
use super::denoise::Views;
use super::noised::Memory;
use crate::error::{Error, Result};
use crate::random::{NoiseSource, rows_a_task};
use crate::score::check::{check_count, check_draw};
use crate::score::denoiser::Distribution;
use crate::score::query::{Batch, Query};

impl Distribution for GaussianMixture {
    /// With `sigma` = 0 it is the data's own, if all variances are positive: where a variance is
    /// 0 there is no density then.
    fn log_density(&self, query: &Query<'_>, out: &mut [f64]) -> Result<()> {
        query.check_shape(self.dim)?;
        query.batch.unconditioned()?;
        check_count("the log densities", query.rows(), out)?;
        let variances = self.variances.iter().copied();
        let smallest = variances.fold(f64::INFINITY, f64::min);
        for sigma in query.sigmas {
            if !(*sigma >= 0.0 && (smallest + sigma * sigma).is_normal()) {
                let reason = "must be finite, not negative, and positive where a variance is 0";
                return Err(Error::setting("sigma", sigma, reason));
            }
        }
        let views = Views::new(self, query.sigmas);
        let work = 2 * self.means.len() + self.axes.as_ref().map_or(0, Vec::len);
        out.par_iter_mut()
            .zip(query.x.par_chunks_exact(self.dim))
            .enumerate()
            .with_min_len(rows_a_task(work))
            .for_each_init(
                || vec![0.0; Memory::size(self)],
                |memory, (row, (out, x))| {
                    let memory = &mut Memory::new(self, memory);
                    *out = views.at(row).log_density(x, memory);
                },
            );
        Ok(())
    }

    fn draw(
        &self,
        source: &NoiseSource,
        batch: Batch<'_>,
        sigma: f64,
        out: &mut [f64],
    ) -> Result<()> {
        let samples = batch.numbers();
        check_draw(self.dim, &batch, sigma, out)?;
        batch.unconditioned()?;
        source.fill_batch(samples, 0, out);
        let mut along = vec![0.0; self.dim];
        for (row, &sample) in out.chunks_exact_mut(self.dim).zip(samples) {
            let k = self.pick(source.uniform(sample, 0, 0));
            let (means, variances) = self.parameters(k);
            let deviations = variances.iter().map(|v| (v + sigma * sigma).sqrt());
            let Some(axes) = self.axes(k) else {
                for ((z, m), deviation) in row.iter_mut().zip(means).zip(deviations) {
                    *z = m + deviation * *z;
                }
                continue;
            };
            let places = along.iter_mut().zip(&*row).zip(deviations);
            places.for_each(|((along, z), deviation)| *along = deviation * z);
            row.copy_from_slice(means);
            for (along, axis) in along.iter().zip(axes.chunks_exact(self.dim)) {
                row.iter_mut().zip(axis).for_each(|(x, a)| *x += along * a);
            }
        }
        Ok(())
    }
}

impl GaussianMixture {
    /// The component at quantile `u` of the weights.
    fn pick(&self, u: f64) -> usize {
        let mut below = 0.0;
        let mut likely = 0;
        for (k, log_weight) in self.log_weights.iter().enumerate() {
            let weight = log_weight.exp();
            if weight > 0.0 {
                likely = k;
            }
            below += weight;
            if u < below {
                return k;
            }
        }
        // The weights' sum may round to just below 1.
        likely
    }
}
