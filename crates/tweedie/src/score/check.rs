//! Checks of what denoisers are called with.

use super::posterior::Posterior;
use super::query::{Batch, Query};
use crate::error::{Error, Result};

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
    query: &Query<'_>,
    v: &[f64],
    posterior: &Posterior<'_>,
    product: &[f64],
) -> Result<()> {
    posterior.check(query, dim)?;
    for (what, values) in [("v", v), ("the product", product)] {
        if values.len() != query.x.len() {
            return Err(Error::Shape {
                what: what.into(),
                expected: vec![query.rows(), dim],
                found: vec![values.len()],
            });
        }
    }
    Ok(())
}

/// Checks the arguments of [`super::Differentiable::denoise_trace`].
pub(crate) fn check_trace(
    dim: usize,
    query: &Query<'_>,
    posterior: &Posterior<'_>,
    trace: &[f64],
) -> Result<()> {
    posterior.check(query, dim)?;
    check_count("the traces", query.rows(), trace)
}

/// Checks the arguments of [`super::Distribution::draw`].
pub(crate) fn check_draw(dim: usize, batch: &Batch<'_>, sigma: f64, out: &[f64]) -> Result<()> {
    if out.len() != batch.numbers().len() * dim {
        return Err(Error::Shape {
            what: "the samples".into(),
            expected: vec![batch.numbers().len(), dim],
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
