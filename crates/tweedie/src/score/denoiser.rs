//! The expected denoised sample and the score.
//!
//! For x~ = x + sigma z, z ~ N(0, I), Tweedie's formula (Robbins 1956, Miyasawa 1961) ties the
//! posterior mean to the score s of the noised law:
//!
//! H(x~, sigma) = E\[x | x~\] = x~ + sigma^2 s(x~, sigma).

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::random::rows_a_task;

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
    /// [`Error::Shape`] where `x` is not whole rows or `out` differs in length,
    /// [`Error::Setting`] for a `sigma` that is not positive and finite.
    fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()>;

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

/// Checks the arguments of [`Denoiser::denoise`] for a denoiser of `dim` values.
pub(crate) fn check(dim: usize, x: &[f64], sigma: f64, out: &[f64]) -> Result<()> {
    check_rows(dim, x)?;
    if out.len() != x.len() {
        return Err(Error::Shape {
            what: "the denoiser's output".into(),
            expected: vec![x.len() / dim, dim],
            found: vec![out.len()],
        });
    }
    check_sigma(sigma)
}

/// Checks that `x` is whole rows of `dim` > 0 values.
pub(crate) fn check_rows(dim: usize, x: &[f64]) -> Result<()> {
    if dim == 0 || !x.len().is_multiple_of(dim) {
        return Err(Error::Shape {
            what: "x".into(),
            expected: vec![x.len() / dim.max(1), dim],
            found: vec![x.len()],
        });
    }
    Ok(())
}

/// Checks that sigma and its square are positive and finite.
pub(crate) fn check_sigma(sigma: f64) -> Result<()> {
    if sigma > 0.0 && (sigma * sigma).is_normal() {
        Ok(())
    } else {
        Err(Error::setting(
            "sigma",
            sigma,
            "a noise level must be positive and finite",
        ))
    }
}

/// Applies `to_row` to every row of `x` and its place in `out`, in parallel, with working memory
/// of `scratch` values a thread; `work` is the cost of a row in multiplications.
pub(crate) fn for_rows(
    dim: usize,
    x: &[f64],
    out: &mut [f64],
    scratch: usize,
    work: usize,
    to_row: impl Fn(&[f64], &mut [f64], &mut [f64]) + Sync,
) {
    out.par_chunks_exact_mut(dim)
        .zip(x.par_chunks_exact(dim))
        .with_min_len(rows_a_task(work))
        .for_each_init(
            || vec![0.0; scratch],
            |memory, (out, x)| to_row(x, out, memory),
        );
}

/// ||a - b||^2.
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
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
