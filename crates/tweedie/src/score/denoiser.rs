//! The expected denoised sample and the score.
//!
//! For x~ = x + sigma z, z ~ N(0, I), Tweedie's formula (Robbins 1956, Miyasawa 1961) ties the
//! posterior mean to the score s of the noised law:
//!
//! H(x~, sigma) = E\[x | x~\] = x~ + sigma^2 s(x~, sigma).

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::random::{NoiseSource, rows_a_task};

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

    /// [`Denoiser::denoise`] with a noise level of its own for every row: `sigmas` `[n]`. For
    /// solvers that choose each sample's steps by itself.
    ///
    /// # Errors
    /// As for [`Denoiser::denoise`], and where there is not one level a row.
    fn denoise_each(&self, x: &[f64], sigmas: &[f64], out: &mut [f64]) -> Result<()> {
        check_each(self.dim(), x, sigmas, out)?;
        let dim = self.dim();
        let mut start = 0;
        for run in sigmas.chunk_by(|a, b| a == b) {
            let rows = start * dim..(start + run.len()) * dim;
            self.denoise(&x[rows.clone()], run[0], &mut out[rows])?;
            start += run.len();
        }
        Ok(())
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
    /// [`Error::Shape`] where lengths do not fit; [`Error::Setting`] for a `sigma` at which there
    /// is no density.
    fn log_density(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()>;

    /// Draws from the data noised by `sigma` >= 0: the rows of `out`, `[samples.len(), dim]`,
    /// each a function of its sample's number alone.
    ///
    /// # Errors
    /// [`Error::Shape`] where the lengths do not fit, [`Error::Setting`] for a `sigma` that is
    /// negative or not finite.
    fn sample(
        &self,
        source: &NoiseSource,
        samples: &[u64],
        sigma: f64,
        out: &mut [f64],
    ) -> Result<()>;
}

/// Checks the arguments of [`Denoiser::denoise_each`].
pub(crate) fn check_each(dim: usize, x: &[f64], sigmas: &[f64], out: &[f64]) -> Result<()> {
    // Any good level: those given are checked below.
    check(dim, x, 1.0, out)?;
    if sigmas.len() != x.len() / dim {
        return Err(Error::Shape {
            what: "the noise levels".into(),
            expected: vec![x.len() / dim],
            found: vec![sigmas.len()],
        });
    }
    sigmas.iter().try_for_each(|&sigma| check_sigma(sigma))
}

/// Checks that `out` holds one value for each of `rows`.
pub(crate) fn check_count(what: &str, rows: usize, out: &[f64]) -> Result<()> {
    if out.len() == rows {
        return Ok(());
    }
    Err(Error::Shape {
        what: what.into(),
        expected: vec![rows],
        found: vec![out.len()],
    })
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

/// Applies `to_row` to every row: its number, its values of `x`, its place in `out`, and working
/// memory of `scratch` values a thread; in parallel. `work` is the cost of a row in
/// multiplications.
pub(crate) fn for_rows(
    dim: usize,
    x: &[f64],
    out: &mut [f64],
    scratch: usize,
    work: usize,
    to_row: impl Fn(usize, &[f64], &mut [f64], &mut [f64]) + Sync,
) {
    out.par_chunks_exact_mut(dim)
        .zip(x.par_chunks_exact(dim))
        .enumerate()
        .with_min_len(rows_a_task(work))
        .for_each_init(
            || vec![0.0; scratch],
            |memory, (row, (out, x))| to_row(row, x, out, memory),
        );
}

/// A row's number, its values of x, its places in the two outputs, and working memory.
pub(crate) type RowOfTwo<'a> = (
    usize,
    &'a [f64],
    &'a mut [f64],
    &'a mut [f64],
    &'a mut [f64],
);

/// [`for_rows`] with a second output, `other`, of as many values a row as fit.
pub(crate) fn for_rows_of_two(
    dim: usize,
    x: &[f64],
    out: &mut [f64],
    other: &mut [f64],
    scratch: usize,
    work: usize,
    to_row: impl Fn(RowOfTwo<'_>) + Sync,
) {
    let width = other.len() / (x.len() / dim).max(1);
    out.par_chunks_exact_mut(dim)
        .zip(x.par_chunks_exact(dim))
        .zip(other.par_chunks_exact_mut(width.max(1)))
        .enumerate()
        .with_min_len(rows_a_task(work))
        .for_each_init(
            || vec![0.0; scratch],
            |memory, (row, ((out, x), other))| to_row((row, x, out, other, memory)),
        );
}

/// Checks the arguments of [`Differentiable::denoise_vjp`].
pub(crate) fn check_vjp(
    dim: usize,
    x: &[f64],
    sigmas: &[f64],
    [v, out, product]: [&[f64]; 3],
) -> Result<()> {
    check_each(dim, x, sigmas, out)?;
    for (what, values) in [("v", v), ("the product", product)] {
        if values.len() != x.len() {
            return Err(Error::Shape {
                what: what.into(),
                expected: vec![x.len() / dim, dim],
                found: vec![values.len()],
            });
        }
    }
    Ok(())
}

/// Checks the arguments of [`Differentiable::denoise_trace`].
pub(crate) fn check_trace(
    dim: usize,
    x: &[f64],
    sigmas: &[f64],
    out: &[f64],
    trace: &[f64],
) -> Result<()> {
    check_each(dim, x, sigmas, out)?;
    check_count("the traces", sigmas.len(), trace)
}

/// Checks the arguments of [`Law::sample`].
pub(crate) fn check_sample(dim: usize, samples: &[u64], sigma: f64, out: &[f64]) -> Result<()> {
    if out.len() != samples.len() * dim {
        return Err(Error::Shape {
            what: "the samples".into(),
            expected: vec![samples.len(), dim],
            found: vec![out.len()],
        });
    }
    if sigma >= 0.0 && sigma.is_finite() {
        return Ok(());
    }
    let reason = "must be finite and not negative";
    Err(Error::setting("sigma", sigma, reason))
}

/// Checks that `x` is one row, for derivatives written out in full.
pub(crate) fn check_one(dim: usize, x: &[f64], sigma: f64) -> Result<()> {
    check_sigma(sigma)?;
    if x.len() == dim {
        return Ok(());
    }
    Err(Error::Shape {
        what: "x".into(),
        expected: vec![dim],
        found: vec![x.len()],
    })
}

/// ||a - b||^2.
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    sum_of(a, b, |a, b| (a - b) * (a - b))
}

/// a . b.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    sum_of(a, b, |a, b| a * b)
}

/// sum_i term(a_i, b_i), in eight sums side by side: one sum alone would wait for each addition.
fn sum_of(a: &[f64], b: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut lanes = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            lanes[lane] += term(a[lane], b[lane]);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| term(*a, *b));
    rest.fold(lanes.iter().sum(), |sum, term| sum + term)
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
