//! The expected denoised sample and the score.
//!
//! For x~ = x + sigma z, z ~ N(0, I), Tweedie's formula (Robbins 1956, Miyasawa 1961) ties the
//! posterior mean to the score s of the noised law:
//!
//! H(x~, sigma) = E\[x | x~\] = x~ + sigma^2 s(x~, sigma).

use super::check::check_trace;
use super::rows::by_level;
use crate::error::{Error, Result};
use crate::random::NoiseSource;

/// A model of data x in R^D seen through noise of standard deviation sigma.
///
/// Implementations treat rows independently, so that a batch may be split anywhere.
pub trait Denoiser {
    /// D, the number of values of a sample.
    fn dim(&self) -> usize;

    /// H(x, sigma), the expected denoised samples of the rows of `x`, written to `out`.
    ///
    /// `x` and `out` are row-major `[n, dim]`; `sigma` is positive, in the data's units.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where `x` is not whole rows or `out` differs in length,
    /// [`crate::Error::Setting`] for a `sigma` that is not positive and finite.
    fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()>;

    /// [`Denoiser::denoise`] with a noise level of its own for every row: `sigmas` `[n]`. For
    /// solvers that choose each sample's steps by itself.
    ///
    /// # Errors
    /// As for [`Denoiser::denoise`], and where there is not one level a row.
    fn denoise_each(&self, x: &[f64], sigmas: &[f64], out: &mut [f64]) -> Result<()> {
        by_level(self.dim(), x, sigmas, out, |x, sigma, out| {
            self.denoise(x, sigma, out)
        })
    }

    /// [`Denoiser::denoise`], and to `range`, as long as `x`, where between the smallest and the
    /// largest variance of an ancestral step the model puts each value's: v in \[0, 1\] of Nichol
    /// and Dhariwal 2021, Eq. 15.
    ///
    /// # Errors
    /// As for [`Denoiser::denoise`]; [`Error::Setting`] unless the model has learned variances.
    fn denoise_with_range(
        &self,
        x: &[f64],
        sigma: f64,
        out: &mut [f64],
        range: &mut [f64],
    ) -> Result<()> {
        let _ = (x, sigma, out, range);
        let reason = "this model has learned no variances; take fixed-small or fixed-large";
        Err(Error::setting("variance", "learned", reason))
    }

    /// The score s(x, sigma) = (H(x, sigma) - x)/sigma^2, written to `out`; shapes and errors as
    /// for [`Denoiser::denoise`].
    fn score(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        self.denoise(x, sigma, out)?;
        let scale = 1.0 / (sigma * sigma);
        for (out, x) in out.iter_mut().zip(x) {
            *out = (*out - x) * scale;
        }
        Ok(())
    }
}

/// A denoiser whose derivative is known: what exact likelihoods and guidance need.
pub trait Differentiable: Denoiser {
    /// H(x, sigma) to `out`, and v^T dH/dx to `product`, for the rows of `x` with one noise level
    /// each: all `[n, dim]` but `sigmas`, `[n]`.
    ///
    /// # Errors
    /// As for [`Denoiser::denoise_each`], for `v` and `product` too.
    fn denoise_vjp(
        &self,
        x: &[f64],
        sigmas: &[f64],
        v: &[f64],
        out: &mut [f64],
        product: &mut [f64],
    ) -> Result<()>;

    /// H(x, sigma) to `out`, `[n, dim]`, and tr dH/dx to `trace`, `[n]`.
    ///
    /// Unless a denoiser knows better, this takes dim calls of
    /// [`Differentiable::denoise_vjp`].
    ///
    /// # Errors
    /// As for [`Differentiable::denoise_vjp`].
    fn denoise_trace(
        &self,
        x: &[f64],
        sigmas: &[f64],
        out: &mut [f64],
        trace: &mut [f64],
    ) -> Result<()> {
        let dim = self.dim();
        check_trace(dim, x, sigmas, out, trace)?;
        trace.fill(0.0);
        let (mut v, mut product) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        for axis in 0..dim {
            v.fill(0.0);
            v.iter_mut().skip(axis).step_by(dim).for_each(|v| *v = 1.0);
            self.denoise_vjp(x, sigmas, &v, out, &mut product)?;
            let diagonal = product.iter().skip(axis).step_by(dim);
            trace.iter_mut().zip(diagonal).for_each(|(t, d)| *t += d);
        }
        Ok(())
    }
}

/// A law of data that is known exactly: the oracle of tests and studies.
pub trait Law: Differentiable {
    /// The log density of the data noised by `sigma` at the rows of `x`, `[n, dim]`, written to
    /// `out`, `[n]`.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where lengths do not fit; [`crate::Error::Setting`] for a `sigma` at
    /// which there is no density.
    fn log_density(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()>;

    /// Draws from the data noised by `sigma` >= 0: the rows of `out`, `[samples.len(), dim]`,
    /// each a function of its sample's number alone.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where the lengths do not fit, [`crate::Error::Setting`] for a
    /// `sigma` that is negative or not finite.
    fn sample(
        &self,
        source: &NoiseSource,
        samples: &[u64],
        sigma: f64,
        out: &mut [f64],
    ) -> Result<()>;
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
            let error = mixture.denoise(x, sigma, &mut out[..length]).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            let error = mixture.score(x, sigma, &mut out[..length]).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(mixture.denoise(&[], 1.0, &mut []).is_ok());
    }
}
