//! Checks of what denoisers are called with.

use crate::error::{Error, Result};

/// Checks the arguments of [`super::Denoiser::denoise_each`].
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

/// Checks the arguments of [`super::Denoiser::denoise`] for a denoiser of `dim` values.
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

/// Checks the arguments of [`super::Differentiable::denoise_vjp`].
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

/// Checks the arguments of [`super::Differentiable::denoise_trace`].
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

/// Checks the arguments of [`super::Law::sample`].
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
