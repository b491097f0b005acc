//! The expected denoised sample and the score.
//!
//! For x~ = x + sigma z, z ~ N(0, I), Tweedie's formula (Robbins 1956, Miyasawa 1961) ties the
//! posterior mean to the score s of the noised distribution:
//!
//! H(x~, sigma) = E\[x | x~\] = x~ + sigma^2 s(x~, sigma).

use super::check::check_trace;
use super::posterior::Posterior;
use super::query::{Batch, Query};
use crate::error::Result;
use crate::random::NoiseSource;

/// A model of data x in R^D seen through noise of standard deviation sigma.
///
/// Implementations treat rows independently, so that a batch may be split anywhere.
pub trait Denoiser: Send + Sync {
    /// D, the number of values of a sample.
    fn dim(&self) -> usize;

    /// H(x, sigma), the expected denoised samples of the rows of `query`, and what else
    /// `posterior` asks for.
    ///
    /// An implementation counts its evaluations ([`Posterior::evaluated`]), and refuses what it
    /// does not know rather than ignore it ([`Posterior::check_plain`]).
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where x is not a row a noise level or the posterior has not its
    /// length; [`crate::Error::Setting`] for a noise level that is not positive and finite, a
    /// condition that the model does not take, and a variance that it has not learned.
    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()>;

    /// The score s(x, sigma) = (H(x, sigma) - x)/sigma^2, written where [`Denoiser::denoise`]
    /// writes the mean.
    ///
    /// # Errors
    /// As for [`Denoiser::denoise`].
    fn score(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        self.denoise(query, posterior)?;
        let dim = self.dim();
        let rows = posterior.mean.chunks_exact_mut(dim);
        for ((out, x), sigma) in rows.zip(query.x.chunks_exact(dim)).zip(query.sigmas) {
            let scale = 1.0 / (sigma * sigma);
            for (out, x) in out.iter_mut().zip(x) {
                *out = (*out - x) * scale;
            }
        }
        Ok(())
    }

    /// H at the rows of `x`, all at the noise level `sigma` and conditioned on nothing, written
    /// to `out`; both row-major `[n, dim]`.
    ///
    /// # Errors
    /// As for [`Denoiser::denoise`].
    fn denoise_at(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        let sigmas = levels(self.dim(), x, sigma);
        self.denoise(&Query::new(x, &sigmas), &mut Posterior::new(out))
    }

    /// The score at the rows of `x`; arguments as for [`Denoiser::denoise_at`].
    ///
    /// # Errors
    /// As for [`Denoiser::denoise`].
    fn score_at(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        let sigmas = levels(self.dim(), x, sigma);
        self.score(&Query::new(x, &sigmas), &mut Posterior::new(out))
    }
}

/// A denoiser whose derivative is known: what exact likelihoods and guidance need.
pub trait Differentiable: Denoiser {
    /// H(x, sigma) to `posterior`, and v^T dH/dx to `product`, for the rows of `query`: `v` and
    /// `product` are `[n, dim]`.
    ///
    /// # Errors
    /// As for [`Denoiser::denoise`], for `v` and `product` too.
    fn denoise_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        posterior: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()>;

    /// H(x, sigma) to `posterior`, and tr dH/dx to `trace`, `[n]`.
    ///
    /// Unless a denoiser knows better, this takes dim calls of
    /// [`Differentiable::denoise_vjp`].
    ///
    /// # Errors
    /// As for [`Differentiable::denoise_vjp`].
    fn denoise_trace(
        &self,
        query: &Query<'_>,
        posterior: &mut Posterior<'_>,
        trace: &mut [f64],
    ) -> Result<()> {
        let dim = self.dim();
        check_trace(dim, query, posterior, trace)?;
        trace.fill(0.0);
        let (mut v, mut product) = (vec![0.0; query.x.len()], vec![0.0; query.x.len()]);
        for axis in 0..dim {
            v.fill(0.0);
            v.iter_mut().skip(axis).step_by(dim).for_each(|v| *v = 1.0);
            self.denoise_vjp(query, &v, posterior, &mut product)?;
            let diagonal = product.iter().skip(axis).step_by(dim);
            trace.iter_mut().zip(diagonal).for_each(|(t, d)| *t += d);
        }
        Ok(())
    }
}

/// A distribution of data that is known exactly: the oracle of tests and studies.
pub trait Distribution: Differentiable {
    /// The log density of the noised data at the rows of `query`, written to `out`, `[n]`.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where lengths do not fit; [`crate::Error::Setting`] for a noise
    /// level at which there is no density, and a condition that it does not take.
    fn log_density(&self, query: &Query<'_>, out: &mut [f64]) -> Result<()>;

    /// Draws the samples of `batch` from the data noised by `sigma` >= 0: the rows of `out`,
    /// `[n, dim]`, each a function of its number and condition alone.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where the lengths do not fit, [`crate::Error::Setting`] for a
    /// `sigma` that is negative or not finite, and a condition that it does not take.
    fn draw(
        &self,
        source: &NoiseSource,
        batch: Batch<'_>,
        sigma: f64,
        out: &mut [f64],
    ) -> Result<()>;

    /// The log density at the rows of `x`, all at the noise level `sigma` and conditioned on
    /// nothing.
    ///
    /// # Errors
    /// As for [`Distribution::log_density`].
    fn log_density_at(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        let sigmas = levels(self.dim(), x, sigma);
        self.log_density(&Query::new(x, &sigmas), out)
    }

    /// [`Distribution::draw`] of the samples with these numbers, conditioned on nothing.
    ///
    /// # Errors
    /// As for [`Distribution::draw`].
    fn sample(
        &self,
        source: &NoiseSource,
        samples: &[u64],
        sigma: f64,
        out: &mut [f64],
    ) -> Result<()> {
        self.draw(source, Batch::new(samples), sigma, out)
    }
}

/// One noise level for every row of `x`.
fn levels(dim: usize, x: &[f64], sigma: f64) -> Vec<f64> {
    vec![sigma; x.len() / dim.max(1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::GaussianMixture;

    #[test]
    fn wrong_arguments_are_errors_for_every_method() {
        let mixture = GaussianMixture::gaussian(vec![0.0, 0.0], 1.0).unwrap();
        let mut out = [0.0; 4];
        for (x, sigma, length, word) in [
            (&[1.0; 3][..], 1.0, 3, "x has shape"),
            (&[1.0; 4], 1.0, 2, "output"),
            (&[1.0; 4], 0.0, 4, "sigma = 0"),
            (&[1.0; 4], -1.0, 4, "sigma = -1"),
            (&[1.0; 4], f64::NAN, 4, "sigma = NaN"),
            (&[1.0; 4], f64::INFINITY, 4, "sigma = inf"),
        ] {
            let error = mixture
                .denoise_at(x, sigma, &mut out[..length])
                .unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            let error = mixture.score_at(x, sigma, &mut out[..length]).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(mixture.denoise_at(&[], 1.0, &mut []).is_ok());
    }
}
