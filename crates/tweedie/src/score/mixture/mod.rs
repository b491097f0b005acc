//! The denoiser of a mixture of Gaussians.
//!
//! Data sum_k w_k N(m_k, C_k) noised by sigma follow sum_k w_k N(m_k, C_k + sigma^2 I), so
//!
//! s(x, sigma) = sum_k r_k (C_k + sigma^2 I)^-1 (m_k - x),
//! H(x, sigma) = sum_k r_k h_k, h_k = m_k + C_k (C_k + sigma^2 I)^-1 (x - m_k),
//!
//! with responsibilities r_k proportional to w_k N(x; m_k, C_k + sigma^2 I). Each covariance is
//! diagonalised once, C = Q diag(lambda) Q^T, so that noise is an addition to lambda whatever
//! sigma is. Diagonal covariances need no rotation; zero variances make points.

mod covariance;
mod denoise;
mod distribution;
mod noised;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};

/// A mixture of `K` Gaussians in `D` dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianMixture {
    dim: usize,
    /// ln w_k, weights summing to 1.
    log_weights: Vec<f64>,
    /// `[K, D]`.
    means: Vec<f64>,
    /// lambda: the variances along the axes, `[K, D]`.
    variances: Vec<f64>,
    /// Q^T: the principal axes, one a row, `[K, D, D]`; `None` where they are those of the
    /// coordinates.
    axes: Option<Vec<f64>>,
}

impl GaussianMixture {
    /// The mixture with diagonal covariances: `weights` `[K]`, not negative and rescaled to sum
    /// to 1, `means` `[K, D]`, and `variances` `[K]` (the same in every direction) or `[K, D]`, not negative.
    ///
    /// # Errors
    /// [`Error::Shape`] where the lengths do not fit, [`Error::Setting`] for a value out of range.
    pub fn new(weights: &[f64], means: Vec<f64>, variances: &[f64]) -> Result<Self> {
        let components = weights.len();
        let total: f64 = weights.iter().sum();
        if !(total > 0.0 && total.is_finite() && weights.iter().all(|w| *w >= 0.0)) {
            let reason = "must not be negative, must be finite, and one must be positive";
            return Err(Error::setting("weights", format!("{weights:?}"), reason));
        }
        if means.is_empty() || !means.len().is_multiple_of(components) {
            return Err(Error::Shape {
                what: "means".into(),
                expected: vec![components, means.len().div_ceil(components).max(1)],
                found: vec![means.len()],
            });
        }
        if let Some(mean) = means.iter().find(|mean| !mean.is_finite()) {
            return Err(Error::setting("means", mean, "must be finite"));
        }
        let dim = means.len() / components;
        let variances: Vec<f64> = if variances.len() == components {
            variances
                .iter()
                .flat_map(|&v| std::iter::repeat_n(v, dim))
                .collect()
        } else {
            variances.to_vec()
        };
        if variances.len() != means.len() {
            return Err(Error::Shape {
                what: "variances".into(),
                expected: vec![components, dim],
                found: vec![variances.len()],
            });
        }
        if let Some(v) = variances.iter().find(|v| !(**v >= 0.0 && v.is_finite())) {
            return Err(Error::setting(
                "variances",
                v,
                "must be finite and not negative",
            ));
        }
        let log_weights = weights.iter().map(|w| (w / total).ln()).collect();
        Ok(Self {
            dim,
            log_weights,
            means,
            variances,
            axes: None,
        })
    }

    /// The mixture with full `covariances` `[K, D, D]`, symmetric and positive semi-definite, both
    /// to 1e-10 of their largest value; `weights` and `means` as for [`GaussianMixture::new`].
    ///
    /// A variance below rounding, D 2^-52 of a covariance's largest, counts as 0. Where all
    /// covariances are diagonal, this is [`GaussianMixture::new`], values as they are.
    ///
    /// # Errors
    /// [`Error::Shape`] where the lengths do not fit, [`Error::Setting`] for a value out of range.
    pub fn full(weights: &[f64], means: Vec<f64>, covariances: &[f64]) -> Result<Self> {
        let mut mixture = Self::new(weights, means, &vec![0.0; weights.len()])?;
        let (components, dim) = (mixture.components(), mixture.dim);
        if covariances.len() != components * dim * dim {
            return Err(Error::Shape {
                what: "covariances".into(),
                expected: vec![components, dim, dim],
                found: vec![covariances.len()],
            });
        }
        let mut axes = Vec::with_capacity(covariances.len());
        let mut rotated = false;
        let places = mixture.variances.chunks_exact_mut(dim);
        for (k, (c, variances)) in covariances.chunks_exact(dim * dim).zip(places).enumerate() {
            rotated |= covariance::diagonalise(k, c, variances, &mut axes)?;
        }
        mixture.axes = rotated.then_some(axes);
        Ok(mixture)
    }

    /// N(`mean`, `variance` I); with variance 0, a point.
    ///
    /// # Errors
    /// As for [`GaussianMixture::new`].
    pub fn gaussian(mean: Vec<f64>, variance: f64) -> Result<Self> {
        Self::new(&[1.0], mean, &[variance])
    }

    /// N(`mean`, `covariance`), `[D]` and `[D, D]`.
    ///
    /// # Errors
    /// As for [`GaussianMixture::full`].
    pub fn gaussian_full(mean: Vec<f64>, covariance: &[f64]) -> Result<Self> {
        Self::full(&[1.0], mean, covariance)
    }

    /// The distribution of the data noised by `sigma`: the same mixture, every variance greater by
    /// sigma^2.
    ///
    /// # Errors
    /// [`Error::Setting`] for a `sigma` that is negative or not finite.
    pub fn noised(&self, sigma: f64) -> Result<Self> {
        if !(sigma >= 0.0 && (sigma * sigma).is_finite()) {
            let reason = "must be finite and not negative";
            return Err(Error::setting("sigma", sigma, reason));
        }
        let mut noised = self.clone();
        let variances = noised.variances.iter_mut();
        variances.for_each(|v| *v += sigma * sigma);
        Ok(noised)
    }

    /// The component `k` < K alone, of weight 1.
    ///
    /// # Errors
    /// [`Error::Setting`] for a `k` that is not below K.
    pub fn component(&self, k: usize) -> Result<Self> {
        if k >= self.components() {
            let reason = format!("the mixture has {} components", self.components());
            return Err(Error::setting("k", k, reason));
        }
        let (means, variances) = self.parameters(k);
        Ok(Self {
            dim: self.dim,
            log_weights: vec![0.0],
            means: means.to_vec(),
            variances: variances.to_vec(),
            axes: self.axes(k).map(<[f64]>::to_vec),
        })
    }

    /// K, the number of components.
    pub fn components(&self) -> usize {
        self.log_weights.len()
    }

    /// The weights, `[K]`, summing to 1.
    pub fn weights(&self) -> Vec<f64> {
        self.log_weights.iter().map(|log| log.exp()).collect()
    }

    /// The means, `[K, D]`.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// m_k, and lambda_k, the variances along its axes.
    fn parameters(&self, k: usize) -> (&[f64], &[f64]) {
        let place = k * self.dim..(k + 1) * self.dim;
        (&self.means[place.clone()], &self.variances[place])
    }

    /// The axes of component `k`, `[D, D]`, one a row, unless they are those of the coordinates.
    fn axes(&self, k: usize) -> Option<&[f64]> {
        let size = self.dim * self.dim;
        let axes = self.axes.as_ref()?;
        Some(&axes[k * size..(k + 1) * size])
    }
}
