//! The mixture's density and samples.

use rayon::prelude::*;

use super::GaussianMixture;
use super::noised::{Memory, Noised};
use crate::error::{Error, Result};
use crate::random::{NoiseSource, rows_a_task};
use crate::score::check::{check_count, check_rows, check_sample};
use crate::score::denoiser::Law;

impl GaussianMixture {
    /// The log density of the law noised by `sigma` at the rows of `x`, `[n, D]`, written to
    /// `out`, `[n]`. With `sigma` = 0 it is the data's own, if all variances are positive.
    ///
    /// # Errors
    /// [`Error::Shape`] where lengths do not fit; [`Error::Setting`] for a `sigma` that is
    /// negative, not finite, or 0 where a variance is 0: there is no density then.
    pub fn log_density(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        check_rows(self.dim, x)?;
        check_count("the log densities", x.len() / self.dim, out)?;
        let square = sigma * sigma;
        let variances = self.variances.iter().copied();
        let smallest = variances.fold(f64::INFINITY, f64::min);
        if !(sigma >= 0.0 && (smallest + square).is_normal()) {
            let reason = "must be finite, not negative, and positive where a variance is 0";
            return Err(Error::setting("sigma", sigma, reason));
        }
        let noised = Noised::new(self, square);
        let work = 2 * self.means.len() + self.axes.as_ref().map_or(0, Vec::len);
        out.par_iter_mut()
            .zip(x.par_chunks_exact(self.dim))
            .with_min_len(rows_a_task(work))
            .for_each_init(
                || vec![0.0; Memory::size(self)],
                |memory, (out, x)| {
                    *out = noised.log_density(x, &mut Memory::new(self, memory));
                },
            );
        Ok(())
    }

    /// Draws from the law noised by `sigma` >= 0: the rows of `out`, `[samples.len(), D]`, each
    /// a function of its sample's number alone.
    ///
    /// # Errors
    /// [`Error::Shape`] where the lengths do not fit, [`Error::Setting`] for a `sigma` that is
    /// negative or not finite.
    pub fn sample(
        &self,
        source: &NoiseSource,
        samples: &[u64],
        sigma: f64,
        out: &mut [f64],
    ) -> Result<()> {
        check_sample(self.dim, samples, sigma, out)?;
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

impl Law for GaussianMixture {
    fn log_density(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        self.log_density(x, sigma, out)
    }

    fn sample(
        &self,
        source: &NoiseSource,
        samples: &[u64],
        sigma: f64,
        out: &mut [f64],
    ) -> Result<()> {
        self.sample(source, samples, sigma, out)
    }
}
