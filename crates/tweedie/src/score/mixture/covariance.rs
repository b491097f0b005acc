//! Covariances: their axes, and back from them.

use super::GaussianMixture;
use crate::error::{Error, Result};
use crate::matrix::{eigen, view};

/// How far from symmetric and from positive semi-definite a covariance may be, relative to its
/// largest value: what single steps of arithmetic in f64 leave behind, with room.
const TOLERANCE: f64 = 1e-10;

/// Writes the variances of component `k`'s `covariance`, `[D, D]`, to `variances`, and appends
/// its axes, one a row; false where those are the coordinates'.
pub(super) fn diagonalise(
    k: usize,
    covariance: &[f64],
    variances: &mut [f64],
    axes: &mut Vec<f64>,
) -> Result<bool> {
    let dim = variances.len();
    let refuse = |value: f64, reason: &str| {
        let reason = format!("the covariance of component {k} {reason}");
        Err(Error::setting("covariances", value, reason))
    };
    if let Some(value) = covariance.iter().find(|value| !value.is_finite()) {
        return refuse(*value, "must be finite");
    }
    let (mut largest, mut diagonal) = (0.0f64, true);
    for (place, value) in covariance.iter().enumerate() {
        largest = largest.max(value.abs());
        diagonal &= *value == 0.0 || place / dim == place % dim;
    }
    for row in 0..dim {
        for column in 0..row {
            let (a, b) = (
                covariance[row * dim + column],
                covariance[column * dim + row],
            );
            if (a - b).abs() > TOLERANCE * largest {
                return refuse(a - b, "must be symmetric: this is a difference across it");
            }
        }
    }
    let not_negative = "must be positive semi-definite: this is a variance along an axis";
    if diagonal {
        for axis in 0..dim {
            variances[axis] = covariance[axis * dim + axis];
            if variances[axis] < 0.0 {
                return refuse(variances[axis], not_negative);
            }
            axes.extend((0..dim).map(|column| f64::from(u8::from(column == axis))));
        }
        return Ok(false);
    }
    let across = (0..dim * dim).map(|place| covariance[place % dim * dim + place / dim]);
    let pairs = covariance.iter().zip(across);
    let symmetric: Vec<f64> = pairs.map(|(a, b)| 0.5 * (a + b)).collect();
    let eigen = eigen(view(&symmetric, dim))?;
    let top = eigen.values.last().copied().unwrap_or(0.0);
    for (axis, &value) in eigen.values.iter().enumerate() {
        if value < -TOLERANCE * top.max(largest) {
            return refuse(value, not_negative);
        }
        let rounding = top * dim as f64 * f64::EPSILON;
        variances[axis] = if value <= rounding { 0.0 } else { value };
        axes.extend(eigen.vectors.values().iter().skip(axis).step_by(dim));
    }
    Ok(true)
}

impl GaussianMixture {
    /// The covariances C_k, row-major `[K, D, D]`.
    pub fn covariances(&self) -> Vec<f64> {
        let dim = self.dim;
        let mut covariances = vec![0.0; self.components() * dim * dim];
        for (k, out) in covariances.chunks_exact_mut(dim * dim).enumerate() {
            let variances = self.parameters(k).1;
            let Some(axes) = self.axes(k) else {
                let places = out.iter_mut().step_by(dim + 1).zip(variances);
                places.for_each(|(out, v)| *out = *v);
                continue;
            };
            for (axis, v) in axes.chunks_exact(dim).zip(variances) {
                add_outer(*v, axis, out);
            }
        }
        covariances
    }

    /// The mean, `[D]`, and the covariance, row-major `[D, D]`, of the whole distribution.
    pub fn moments(&self) -> (Vec<f64>, Vec<f64>) {
        let dim = self.dim;
        let (mut mean, mut covariance) = (vec![0.0; dim], vec![0.0; dim * dim]);
        let weights = self.weights();
        for (w, m) in weights.iter().zip(self.means.chunks_exact(dim)) {
            mean.iter_mut().zip(m).for_each(|(out, m)| *out += w * m);
        }
        let covariances = self.covariances();
        for (k, (w, within)) in weights
            .iter()
            .zip(covariances.chunks(dim * dim))
            .enumerate()
        {
            let places = covariance.iter_mut().zip(within);
            places.for_each(|(out, c)| *out += w * c);
            let means = self.parameters(k).0.iter().zip(&mean);
            let away: Vec<f64> = means.map(|(m, mean)| m - mean).collect();
            add_outer(*w, &away, &mut covariance);
        }
        (mean, covariance)
    }
}

/// out += factor v v^T.
fn add_outer(factor: f64, v: &[f64], out: &mut [f64]) {
    for (row, left) in out.chunks_exact_mut(v.len()).zip(v) {
        for (out, right) in row.iter_mut().zip(v) {
            *out += factor * left * right;
        }
    }
}
