//! The optimal denoiser of a finite data set.
//!
//! The law of the data points themselves, each equally likely, noised by sigma:
//!
//! H(x, sigma) = sum_i w_i x_i, w = softmax(-||x - x_i||^2/(2 sigma^2)),
//! ds/dx = (Cov\[x0 | x\]/sigma^2 - I)/sigma^2.
//!
//! A network that minimises denoising score matching without error on these points is this
//! function (Jolicoeur-Martineau et al. 2021, appendix D). H tends to the mean of the data as
//! sigma -> inf and to the nearest point as sigma -> 0.

use super::denoiser::{Denoiser, check, for_rows, squared_distance};
use crate::error::{Error, Result};

/// The denoiser of data points, each equally likely.
#[derive(Clone, Debug, PartialEq)]
pub struct Empirical {
    /// `[n, dim]`.
    data: Vec<f64>,
    dim: usize,
}

impl Empirical {
    /// The data points: rows `[n, dim]`, at least one.
    ///
    /// # Errors
    /// [`Error::Shape`] where `data` is empty or not whole rows, [`Error::Setting`] for a value
    /// that is not finite.
    pub fn new(data: Vec<f64>, dim: usize) -> Result<Self> {
        if dim == 0 || data.is_empty() || !data.len().is_multiple_of(dim) {
            return Err(Error::Shape {
                what: "data".into(),
                expected: vec![(data.len() / dim.max(1)).max(1), dim],
                found: vec![data.len()],
            });
        }
        if let Some(place) = data.iter().position(|value| !value.is_finite()) {
            let reason = format!("row {} has a value that is not finite", place / dim);
            return Err(Error::setting("data", data[place], reason));
        }
        Ok(Self { data, dim })
    }

    /// The number of data points.
    pub fn count(&self) -> usize {
        self.data.len() / self.dim
    }

    /// The data points, `[n, dim]`.
    pub fn data(&self) -> &[f64] {
        &self.data
    }

    /// Cov\[x0 | x\], the covariance of the data points under their weights at one `x`, `[dim]`:
    /// row-major `[dim, dim]`.
    ///
    /// # Errors
    /// As for [`Denoiser::denoise`], and unless `x` is one row.
    pub fn covariance(&self, x: &[f64], sigma: f64) -> Result<Vec<f64>> {
        let dim = self.dim;
        if x.len() != dim {
            let (what, expected) = ("x".into(), vec![dim]);
            return Err(Error::Shape {
                what,
                expected,
                found: vec![x.len()],
            });
        }
        let mut mean = vec![0.0; dim];
        self.denoise(x, sigma, &mut mean)?;
        let mut weights = vec![0.0; self.count()];
        self.weigh(x, sigma, &mut weights);
        let mut covariance = vec![0.0; dim * dim];
        for (point, w) in self.data.chunks_exact(dim).zip(weights) {
            for (i, row) in covariance.chunks_exact_mut(dim).enumerate() {
                let left = w * (point[i] - mean[i]);
                for ((out, p), m) in row.iter_mut().zip(point).zip(&mean) {
                    *out += left * (p - m);
                }
            }
        }
        Ok(covariance)
    }

    /// The derivative of the score at one `x`, `[dim]`: row-major `[dim, dim]`, symmetric.
    ///
    /// # Errors
    /// As for [`Empirical::covariance`].
    pub fn score_jacobian(&self, x: &[f64], sigma: f64) -> Result<Vec<f64>> {
        let mut jacobian = self.covariance(x, sigma)?;
        let square = sigma * sigma;
        for (place, value) in jacobian.iter_mut().enumerate() {
            let unit = if place / self.dim == place % self.dim {
                1.0
            } else {
                0.0
            };
            *value = (*value / square - unit) / square;
        }
        Ok(jacobian)
    }

    /// w_i at `x`, summing to 1. The nearest point's exponent is 0, so the sum is at least 1
    /// before it is divided out.
    fn weigh(&self, x: &[f64], sigma: f64, weights: &mut [f64]) {
        for (w, point) in weights.iter_mut().zip(self.data.chunks_exact(self.dim)) {
            *w = squared_distance(x, point);
        }
        let nearest = weights.iter().copied().fold(f64::INFINITY, f64::min);
        let scale = -0.5 / (sigma * sigma);
        let mut total = 0.0;
        for w in weights.iter_mut() {
            *w = ((*w - nearest) * scale).exp();
            total += *w;
        }
        weights.iter_mut().for_each(|w| *w /= total);
    }

    /// Writes sum_i w_i `term`(x, x_i) to the rows of `out`.
    fn expect(
        &self,
        x: &[f64],
        sigma: f64,
        out: &mut [f64],
        term: impl Fn(f64, f64) -> f64 + Sync,
    ) -> Result<()> {
        check(self.dim, x, sigma, out)?;
        for_rows(
            self.dim,
            x,
            out,
            self.count(),
            self.data.len(),
            |x, out, weights| {
                self.weigh(x, sigma, weights);
                out.fill(0.0);
                for (point, &w) in self.data.chunks_exact(self.dim).zip(weights.iter()) {
                    // At small sigma nearly all weights underflow; NaN must get through.
                    if w != 0.0 {
                        for ((out, &x), &p) in out.iter_mut().zip(x).zip(point) {
                            *out += w * term(x, p);
                        }
                    }
                }
            },
        );
        Ok(())
    }
}

impl Denoiser for Empirical {
    fn dim(&self) -> usize {
        self.dim
    }

    fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        self.expect(x, sigma, out, |_, point| point)
    }

    /// Directly: (H - x)/sigma^2 would cancel for small sigma.
    fn score(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        let square = sigma * sigma;
        self.expect(x, sigma, out, |x, point| (point - x) / square)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{NoiseSource, Stream};
    use crate::score::GaussianMixture;

    fn points(n: usize, dim: usize) -> Vec<f64> {
        let mut data = vec![0.0; n * dim];
        NoiseSource::new(2, Stream::Data).fill_normal(0, 0, &mut data);
        data
    }

    #[test]
    fn property_2_it_is_the_mixture_of_points() {
        let data = points(7, 3);
        let empirical = Empirical::new(data.clone(), 3).unwrap();
        let mixture = GaussianMixture::new(&[1.0; 7], data, &[0.0; 7]).unwrap();
        let x = points(20, 3);
        let (mut a, mut b) = (vec![0.0; 60], vec![0.0; 60]);
        for sigma in [0.05, 0.5, 3.0] {
            empirical.denoise(&x, sigma, &mut a).unwrap();
            mixture.denoise(&x, sigma, &mut b).unwrap();
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
            empirical.score(&x, sigma, &mut a).unwrap();
            mixture.score(&x, sigma, &mut b).unwrap();
            assert!(
                a.iter()
                    .zip(&b)
                    .all(|(a, b)| (a - b).abs() < 1e-10 * b.abs().max(1.0))
            );
        }
    }

    #[test]
    fn property_2_limits_are_the_mean_and_the_nearest_point() {
        let data = points(50, 4);
        let empirical = Empirical::new(data.clone(), 4).unwrap();
        let x = [0.3, -1.0, 0.2, 0.9];
        let mut h = [0.0; 4];
        empirical.denoise(&x, 1e8, &mut h).unwrap();
        for (axis, h) in h.iter().enumerate() {
            let mean = data.iter().skip(axis).step_by(4).sum::<f64>() / 50.0;
            assert!((h - mean).abs() < 1e-12);
        }
        let nearest = data
            .chunks_exact(4)
            .min_by(|a, b| squared_distance(&x, a).total_cmp(&squared_distance(&x, b)))
            .unwrap();
        for sigma in [1e-2, 1e-6, 1e-100] {
            empirical.denoise(&x, sigma, &mut h).unwrap();
            assert_eq!(h, nearest);
        }
    }

    #[test]
    fn property_2_the_jacobian_is_the_derivative_of_the_score() {
        let empirical = Empirical::new(points(12, 3), 3).unwrap();
        let x = [0.2, -0.1, 0.4];
        for sigma in [0.5, 1.0, 4.0] {
            let jacobian = empirical.score_jacobian(&x, sigma).unwrap();
            let step = 0.02 * sigma;
            for axis in 0..3 {
                let score = |offset: f64| {
                    let mut x = x;
                    x[axis] += offset * step;
                    let mut out = [0.0; 3];
                    empirical.score(&x, sigma, &mut out).unwrap();
                    out
                };
                let ends: Vec<_> = (1..=4)
                    .map(|k| (score(f64::from(k)), score(-f64::from(k))))
                    .collect();
                for row in 0..3 {
                    let pair = |k: usize| ends[k - 1].0[row] - ends[k - 1].1[row];
                    let derivative = (672.0 * pair(1) - 168.0 * pair(2) + 32.0 * pair(3)
                        - 3.0 * pair(4))
                        / (840.0 * step);
                    assert!((jacobian[row * 3 + axis] - derivative).abs() < 1e-10);
                }
            }
        }
    }

    #[test]
    fn wrong_data_are_refused() {
        assert!(Empirical::new(vec![], 1).is_err());
        assert!(Empirical::new(vec![1.0; 3], 2).is_err());
        assert!(Empirical::new(vec![1.0], 0).is_err());
        assert!(Empirical::new(vec![1.0, f64::INFINITY], 1).is_err());
        let empirical = Empirical::new(vec![1.0; 4], 2).unwrap();
        assert!(empirical.covariance(&[0.0; 4], 1.0).is_err());
    }
}
