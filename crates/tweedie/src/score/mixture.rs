//! The denoiser of a mixture of Gaussians.
//!
//! Data sum_k w_k N(m_k, v_k) noised by sigma follow sum_k w_k N(m_k, v_k + sigma^2), so
//!
//! s(x, sigma) = sum_k r_k (m_k - x)/(v_k + sigma^2),
//! H(x, sigma) = sum_k r_k (m_k + v_k/(v_k + sigma^2) (x - m_k)),
//!
//! with responsibilities r_k proportional to w_k N(x; m_k, v_k + sigma^2). Variances are diagonal;
//! zero variances make points.

use super::denoiser::{Denoiser, check, check_rows, for_rows};
use crate::error::{Error, Result};
use crate::random::NoiseSource;

/// A mixture of `K` Gaussians in `D` dimensions with diagonal covariances.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianMixture {
    dim: usize,
    /// ln w_k, weights summing to 1.
    log_weights: Vec<f64>,
    /// `[K, D]`.
    means: Vec<f64>,
    /// `[K, D]`.
    variances: Vec<f64>,
}

impl GaussianMixture {
    /// The mixture with `weights` `[K]`, not negative and rescaled to sum to 1, `means` `[K, D]`,
    /// and `variances` `[K]` (the same in every direction) or `[K, D]`, not negative.
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
        })
    }

    /// N(`mean`, `variance` I); with variance 0, a point.
    ///
    /// # Errors
    /// As for [`GaussianMixture::new`].
    pub fn gaussian(mean: Vec<f64>, variance: f64) -> Result<Self> {
        Self::new(&[1.0], mean, &[variance])
    }

    /// The log density of the law noised by `sigma` at the rows of `x`, `[n, D]`, written to
    /// `out`, `[n]`. With `sigma` = 0 it is the data's own, if all variances are positive.
    ///
    /// # Errors
    /// [`Error::Shape`] where lengths do not fit; [`Error::Setting`] for a `sigma` that is
    /// negative, not finite, or 0 where a variance is 0: there is no density then.
    pub fn log_density(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        check_rows(self.dim, x)?;
        if out.len() != x.len() / self.dim {
            return Err(Error::Shape {
                what: "the log densities".into(),
                expected: vec![x.len() / self.dim],
                found: vec![out.len()],
            });
        }
        let square = sigma * sigma;
        let smallest = self
            .variances
            .iter()
            .fold(f64::INFINITY, |low, v| low.min(*v));
        if !(sigma >= 0.0 && (smallest + square).is_normal()) {
            let reason = "must be finite, not negative, and positive where a variance is 0";
            return Err(Error::setting("sigma", sigma, reason));
        }
        let (peaks, mut logs) = (self.log_peaks(square), vec![0.0; self.components()]);
        for (x, out) in x.chunks_exact(self.dim).zip(out) {
            *out = self.responsibilities(x, square, &peaks, &mut logs);
        }
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
        if out.len() != samples.len() * self.dim {
            return Err(Error::Shape {
                what: "the samples".into(),
                expected: vec![samples.len(), self.dim],
                found: vec![out.len()],
            });
        }
        if !(sigma >= 0.0 && sigma.is_finite()) {
            return Err(Error::setting(
                "sigma",
                sigma,
                "must be finite and not negative",
            ));
        }
        source.fill_batch(samples, 0, out);
        for (row, &sample) in out.chunks_exact_mut(self.dim).zip(samples) {
            let k = self.component(source.uniform(sample, 0, 0));
            let (means, variances) = self.parameters(k);
            for ((z, m), v) in row.iter_mut().zip(means).zip(variances) {
                *z = m + (v + sigma * sigma).sqrt() * *z;
            }
        }
        Ok(())
    }

    fn components(&self) -> usize {
        self.log_weights.len()
    }

    /// m_k and v_k.
    fn parameters(&self, k: usize) -> (&[f64], &[f64]) {
        let place = k * self.dim..(k + 1) * self.dim;
        (&self.means[place.clone()], &self.variances[place])
    }

    /// The component at quantile `u` of the weights.
    fn component(&self, u: f64) -> usize {
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

    /// ln of w_k N(m_k; m_k, v_k + sigma^2), each component's density at its mean; `square` is
    /// sigma^2.
    fn log_peaks(&self, square: f64) -> Vec<f64> {
        let log_peak = |(k, log_weight): (usize, &f64)| {
            let totals = self.parameters(k).1.iter().map(|v| v + square);
            log_weight
                - 0.5
                    * totals
                        .map(|total| (std::f64::consts::TAU * total).ln())
                        .sum::<f64>()
        };
        self.log_weights.iter().enumerate().map(log_peak).collect()
    }

    /// Writes ln r_k to `logs` and returns the log density; `peaks` are [`Self::log_peaks`].
    fn responsibilities(&self, x: &[f64], square: f64, peaks: &[f64], logs: &mut [f64]) -> f64 {
        for (k, log) in logs.iter_mut().enumerate() {
            let (means, variances) = self.parameters(k);
            let mut sum = 0.0;
            for ((x, m), v) in x.iter().zip(means).zip(variances) {
                sum += (x - m) * (x - m) / (v + square);
            }
            *log = peaks[k] - 0.5 * sum;
        }
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_density = largest
            + logs
                .iter()
                .map(|log| (log - largest).exp())
                .sum::<f64>()
                .ln();
        logs.iter_mut().for_each(|log| *log -= log_density);
        log_density
    }

    /// Writes sum_k r_k `term`(x, m, v) to the rows of `out`.
    fn expect(
        &self,
        x: &[f64],
        sigma: f64,
        out: &mut [f64],
        term: impl Fn(f64, f64, f64) -> f64 + Sync,
    ) -> Result<()> {
        check(self.dim, x, sigma, out)?;
        let (components, square) = (self.components(), sigma * sigma);
        let peaks = self.log_peaks(square);
        for_rows(
            self.dim,
            x,
            out,
            components,
            2 * self.means.len(),
            |x, out, logs| {
                self.responsibilities(x, square, &peaks, logs);
                out.fill(0.0);
                for (k, log) in logs.iter().enumerate() {
                    let r = log.exp();
                    if r == 0.0 {
                        continue;
                    }
                    let (means, variances) = self.parameters(k);
                    for (((out, &x), &m), &v) in out.iter_mut().zip(x).zip(means).zip(variances) {
                        *out += r * term(x, m, v);
                    }
                }
            },
        );
        Ok(())
    }
}

impl Denoiser for GaussianMixture {
    fn dim(&self) -> usize {
        self.dim
    }

    fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        let square = sigma * sigma;
        self.expect(x, sigma, out, |x, m, v| m + v / (v + square) * (x - m))
    }

    /// Directly: (H - x)/sigma^2 would cancel for small sigma.
    fn score(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        let square = sigma * sigma;
        self.expect(x, sigma, out, |x, m, v| (m - x) / (v + square))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn mixture() -> GaussianMixture {
        GaussianMixture::new(
            &[1.0, 2.0, 0.5],
            vec![0.0, 1.0, -1.0, 0.5, 2.0, -0.3],
            &[0.1, 0.4, 1.0, 0.2, 0.05, 0.6],
        )
        .unwrap()
    }

    #[test]
    fn property_1_the_score_is_the_gradient_of_the_log_density() {
        let mixture = mixture();
        for sigma in [0.2, 1.0, 5.0] {
            for x in [[0.3, -0.4], [1.5, 0.2], [-2.0, 3.0], [0.0, 0.0]] {
                let (mut score, mut h) = ([0.0; 2], [0.0; 2]);
                mixture.score(&x, sigma, &mut score).unwrap();
                mixture.denoise(&x, sigma, &mut h).unwrap();
                for axis in 0..2 {
                    // The eighth-order central difference.
                    let step = 0.02 * sigma;
                    let log = |offset: f64| {
                        let mut x = x;
                        x[axis] += offset * step;
                        let mut out = [0.0];
                        mixture.log_density(&x, sigma, &mut out).unwrap();
                        out[0]
                    };
                    let pair = |k: f64| log(k) - log(-k);
                    let gradient = (672.0 * pair(1.0) - 168.0 * pair(2.0) + 32.0 * pair(3.0)
                        - 3.0 * pair(4.0))
                        / (840.0 * step);
                    assert!(
                        (score[axis] - gradient).abs() < 1e-10,
                        "{score:?} {gradient}"
                    );
                    let tweedie = x[axis] + sigma * sigma * score[axis];
                    assert!((h[axis] - tweedie).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn the_density_has_mass_one() {
        let mixture = GaussianMixture::new(&[0.1, 0.9], vec![-3.0, 3.0], &[1.0, 1.0]).unwrap();
        let x: Vec<f64> = (-2000..=2000).map(|i| f64::from(i) * 0.01).collect();
        let mut log = vec![0.0; x.len()];
        for sigma in [0.0, 0.7] {
            mixture.log_density(&x, sigma, &mut log).unwrap();
            let mass: f64 = log.iter().map(|log| log.exp() * 0.01).sum();
            assert!((mass - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn samples_have_the_law() {
        let mixture = mixture();
        let samples: Vec<u64> = (0..200_000).collect();
        let mut x = vec![0.0; 2 * samples.len()];
        let source = NoiseSource::new(0, Stream::Data);
        mixture.sample(&source, &samples, 0.5, &mut x).unwrap();
        // E score = 0 and E ||score||^2 = -E div score are hard to meet by a wrong law; the
        // standard error of the first is known from the second.
        let mut score = vec![0.0; x.len()];
        mixture.score(&x, 0.5, &mut score).unwrap();
        for axis in 0..2 {
            let values = || score.iter().skip(axis).step_by(2);
            let n = samples.len() as f64;
            let mean = values().sum::<f64>() / n;
            let square = values().map(|s| s * s).sum::<f64>() / n;
            assert!(mean.abs() < 4.0 * (square / n).sqrt());
        }
        // Mean and variance of the first axis: means 0, -1, 2, weights 2/7, 4/7, 1/7.
        let values = || x.iter().step_by(2);
        let n = samples.len() as f64;
        let mean = values().sum::<f64>() / n;
        let second = values().map(|x| x * x).sum::<f64>() / n;
        let expected_second = (2. * 0.35 + 4. * (1.0 + 1.25) + (4.0 + 0.3)) / 7.0;
        assert!((mean - -2.0 / 7.0).abs() < 4.0 * (second / n).sqrt());
        assert!((second - expected_second).abs() < 4.0 * (3.0 * second * second / n).sqrt());
    }

    #[test]
    fn wrong_parameters_are_refused() {
        let new = GaussianMixture::new;
        assert!(new(&[], vec![], &[]).is_err());
        assert!(new(&[0.0], vec![0.0], &[1.0]).is_err());
        assert!(new(&[-1.0, 3.0], vec![0.0, 0.0], &[1.0, 1.0]).is_err());
        assert!(new(&[1.0, 1.0], vec![0.0; 3], &[1.0, 1.0]).is_err());
        assert!(new(&[1.0], vec![f64::NAN], &[1.0]).is_err());
        assert!(new(&[1.0], vec![0.0, 0.0], &[1.0; 3]).is_err());
        assert!(new(&[1.0], vec![0.0], &[-1.0]).is_err());
        assert!(new(&[1.0], vec![], &[1.0]).is_err());
        let point = GaussianMixture::gaussian(vec![0.0], 0.0).unwrap();
        assert!(point.log_density(&[0.0], 0.0, &mut [0.0]).is_err());
    }

    /// A weight of zero has logarithm -inf, which must not turn into NaN.
    #[test]
    fn a_component_of_weight_zero_does_not_matter() {
        let with = GaussianMixture::new(&[1.0, 0.0], vec![1.0, 5.0], &[1.0, 1.0]).unwrap();
        let without = GaussianMixture::gaussian(vec![1.0], 1.0).unwrap();
        let (mut a, mut b) = ([0.0], [0.0]);
        with.denoise(&[4.0], 0.3, &mut a).unwrap();
        without.denoise(&[4.0], 0.3, &mut b).unwrap();
        assert_eq!(a, b);
    }
}
