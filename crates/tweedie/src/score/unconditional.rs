//! The best network that is not told the noise level.
//!
//! An unconditional network has score net(x)/sigma: it predicts -z whatever sigma is. Trained on
//! data points x_i at levels sigma_l, all equally likely, its optimum averages over both:
//!
//! net(x) = sum_{l,i} w_li (x_i - x)/sigma_l, w_li ~ sigma_l^-D exp(-||x - x_i||^2/(2 sigma_l^2)).
//!
//! Jolicoeur-Martineau et al. 2021, section 2.3 and appendix D.

use super::denoiser::{Denoiser, check, for_rows, squared_distance};
use super::empirical::Empirical;
use crate::error::Result;
use crate::noise::Levels;

/// The optimal unconditional network for a data set and the levels it is trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimalUnconditional {
    empirical: Empirical,
    levels: Levels,
}

impl OptimalUnconditional {
    /// The optimum for `empirical`'s data points and training `levels`, all equally likely.
    pub fn new(empirical: Empirical, levels: Levels) -> Self {
        Self { empirical, levels }
    }

    /// net(x) at the rows of `x`, written to `out`; both `[n, dim]`.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where lengths do not fit.
    pub fn net(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        let dim = self.empirical.dim();
        check(dim, x, 1.0, out)?;
        let data = self.empirical.data();
        let work = data.len() + 16 * self.empirical.count() * self.levels.len();
        for_rows(
            dim,
            x,
            out,
            self.empirical.count(),
            work,
            |x, out, shares| {
                self.share(x, shares);
                out.fill(0.0);
                for (point, &share) in data.chunks_exact(dim).zip(shares.iter()) {
                    for ((out, x), p) in out.iter_mut().zip(x).zip(point) {
                        *out += share * (p - x);
                    }
                }
            },
        );
        Ok(())
    }

    /// sum_l w_li/sigma_l for each point i at `x`.
    fn share(&self, x: &[f64], shares: &mut [f64]) {
        let dim = self.empirical.dim();
        for (share, point) in shares
            .iter_mut()
            .zip(self.empirical.data().chunks_exact(dim))
        {
            *share = squared_distance(x, point);
        }
        let nearest = shares.iter().copied().fold(f64::INFINITY, f64::min);
        let exponent = |distance: f64, sigma: f64| {
            -(dim as f64) * sigma.ln() - 0.5 * distance / (sigma * sigma)
        };
        // Of each level's exponents that of the nearest point is the largest.
        let sigmas = self.levels.as_slice();
        let largest = sigmas
            .iter()
            .map(|&sigma| exponent(nearest, sigma))
            .fold(f64::NEG_INFINITY, f64::max);
        let mut total = 0.0;
        for share in shares.iter_mut() {
            let distance = *share;
            *share = 0.0;
            for &sigma in sigmas {
                let w = (exponent(distance, sigma) - largest).exp();
                total += w;
                *share += w / sigma;
            }
        }
        shares.iter_mut().for_each(|share| *share /= total);
    }
}

impl Denoiser for OptimalUnconditional {
    fn dim(&self) -> usize {
        self.empirical.dim()
    }

    /// H = x + sigma net(x).
    fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        check(self.dim(), x, sigma, out)?;
        self.net(x, out)?;
        for (out, x) in out.iter_mut().zip(x) {
            *out = x + sigma * *out;
        }
        Ok(())
    }

    /// s = net(x)/sigma.
    fn score(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        check(self.dim(), x, sigma, out)?;
        self.net(x, out)?;
        out.iter_mut().for_each(|out| *out /= sigma);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Vec<f64> {
        vec![-1.0, 0.3, 0.4, 2.0]
    }

    #[test]
    fn property_3_it_is_the_weighted_sum() {
        let levels = Levels::geometric(2.0, 0.3, 3).unwrap();
        let empirical = Empirical::new(data(), 2).unwrap();
        let optimum = OptimalUnconditional::new(empirical, levels.clone());
        for x in [[0.1, 0.2], [-2.0, 1.0], [3.0, 3.0]] {
            let (mut total, mut sum) = (0.0, [0.0; 2]);
            for &sigma in levels.as_slice() {
                for point in data().chunks_exact(2) {
                    let w = sigma.powi(-2)
                        * (-squared_distance(&x, point) / (2.0 * sigma * sigma)).exp();
                    total += w;
                    for axis in 0..2 {
                        sum[axis] += w * (point[axis] - x[axis]) / sigma;
                    }
                }
            }
            let (mut net, mut h, mut score) = ([0.0; 2], [0.0; 2], [0.0; 2]);
            optimum.net(&x, &mut net).unwrap();
            optimum.denoise(&x, 0.7, &mut h).unwrap();
            optimum.score(&x, 0.7, &mut score).unwrap();
            for axis in 0..2 {
                assert!((net[axis] - sum[axis] / total).abs() < 1e-10);
                assert!((h[axis] - x[axis] - 0.7 * net[axis]).abs() < 1e-14);
                assert!((score[axis] - net[axis] / 0.7).abs() < 1e-14);
            }
        }
    }

    /// At the minimum of E (net(x~) + z)^2 the residual is orthogonal to every function of x~.
    #[test]
    fn property_3_it_minimises_denoising_score_matching() {
        let levels = Levels::geometric(2.0, 0.5, 4).unwrap();
        let points = [-1.0, 0.3, 2.5];
        let empirical = Empirical::new(points.to_vec(), 1).unwrap();
        let optimum = OptimalUnconditional::new(empirical, levels.clone());
        let tests: [fn(f64) -> f64; 4] = [|_| 1.0, |x| x, f64::sin, |x| 1.0 / (1.0 + x * x)];
        for test in tests {
            let mut inner = 0.0;
            for &sigma in levels.as_slice() {
                for point in points {
                    // The trapezoidal rule over z converges exponentially for a Gaussian.
                    for i in -1000..=1000 {
                        let z = f64::from(i) * 0.01;
                        let noisy = point + sigma * z;
                        let mut net = [0.0];
                        optimum.net(&[noisy], &mut net).unwrap();
                        inner += (net[0] + z) * test(noisy) * (-0.5 * z * z).exp() * 0.01;
                    }
                }
            }
            assert!(inner.abs() < 1e-10, "{inner}");
        }
    }

    #[test]
    fn property_3_one_level_is_the_conditional_optimum() {
        let empirical = Empirical::new(data(), 2).unwrap();
        let level = Levels::new(vec![0.8]).unwrap();
        let optimum = OptimalUnconditional::new(empirical.clone(), level);
        let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
        optimum.score(&[0.5, -0.2], 0.8, &mut a).unwrap();
        empirical.score(&[0.5, -0.2], 0.8, &mut b).unwrap();
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    /// sigma^-D overflows in high dimensions unless logarithms are kept.
    #[test]
    fn high_dimensions_do_not_overflow() {
        let empirical = Empirical::new(vec![0.5; 3072], 3072).unwrap();
        let levels = Levels::geometric(50.0, 0.01, 232).unwrap();
        let optimum = OptimalUnconditional::new(empirical, levels);
        for offset in [0.0, 0.01, 50.0] {
            let mut net = vec![0.0; 3072];
            optimum.net(&vec![0.5 + offset; 3072], &mut net).unwrap();
            // Noise of this size is recognised in 3072 dimensions: net is about -z = -1.
            let expected = if offset == 0.0 { 0.0 } else { -1.0 };
            assert!((net[0] - expected).abs() < 0.05, "{offset}: {}", net[0]);
        }
    }
}
