//! A density on a grid, propagated through a sampler's steps without sampling.
//!
//! A step x' = a x + b H(x, sigma) + c z takes the density p to
//!
//! p'(y) = integral p(x) N(y; a x + b H(x, sigma), c^2) dx,
//!
//! the Chapman-Kolmogorov equation of the chain. The integral is computed by the trapezoidal rule
//! on a uniform grid, whose error for functions as smooth as these falls faster than any power of
//! the grid's step: the distribution of a sampler's output on the line is known to near machine
//! precision.

use rayon::prelude::*;

use tweedie::score::Denoiser;
use tweedie::{Error, Result};

/// A kernel is truncated this many standard deviations from its mean, where it is 1e-18 of its
/// peak.
const REACH: f64 = 9.0;

/// Fewest grid steps per standard deviation of a kernel: below, the error of the trapezoidal rule
/// exceeds 1e-8.
const FINEST: f64 = 1.0;

/// A density on uniformly spaced points of the line, zero beyond them.
#[derive(Clone, Debug, PartialEq)]
pub struct GridDensity {
    low: f64,
    step: f64,
    values: Vec<f64>,
}

impl GridDensity {
    /// `density` at `count` points from `low` to `high`.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `low` < `high` are finite, `count` is at least 2, and the
    /// density is finite and not negative.
    pub fn new(low: f64, high: f64, count: usize, density: impl Fn(f64) -> f64) -> Result<Self> {
        if !(low.is_finite() && high.is_finite() && low < high) {
            let reason = "must be finite, the first below the second";
            return Err(Error::setting("range", format!("({low}, {high})"), reason));
        }
        if count < 2 {
            return Err(Error::setting("count", count, "must be at least 2"));
        }
        let step = (high - low) / (count - 1) as f64;
        let values: Vec<f64> = (0..count).map(|i| density(low + step * i as f64)).collect();
        if let Some(bad) = values.iter().find(|v| !(**v >= 0.0 && v.is_finite())) {
            let reason = "must be finite and not negative";
            return Err(Error::setting("density", bad, reason));
        }
        Ok(Self { low, step, values })
    }

    /// The points of the grid.
    pub fn grid(&self) -> Vec<f64> {
        let at = |i| self.low + self.step * i as f64;
        (0..self.values.len()).map(at).collect()
    }

    /// The density at the points of the grid.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Pairs of a point and the density there.
    pub fn points(&self) -> Vec<(f64, f64)> {
        self.grid()
            .into_iter()
            .zip(self.values.iter().copied())
            .collect()
    }

    /// The integral of f(x) p(x).
    pub fn expect(&self, f: impl Fn(f64) -> f64) -> f64 {
        let terms = self.points().into_iter().map(|(x, p)| f(x) * p);
        let ends = [0, self.values.len() - 1].map(|i| {
            let x = self.low + self.step * i as f64;
            f(x) * self.values[i]
        });
        self.step * (terms.sum::<f64>() - 0.5 * (ends[0] + ends[1]))
    }

    /// The integral: 1 for a probability distribution that lies within the grid.
    pub fn mass(&self) -> f64 {
        self.expect(|_| 1.0)
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.expect(|x| x)
    }

    /// The variance.
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        self.expect(|x| (x - mean) * (x - mean))
    }

    /// P(x < `bound`): the trapezoidal rule, with its first correction for an end where the density
    /// does not vanish. Best at a point of the grid; between points the density is taken as linear.
    pub fn below(&self, bound: f64) -> f64 {
        let place = ((bound - self.low) / self.step).clamp(0.0, (self.values.len() - 1) as f64);
        let (i, share) = (place.floor() as usize, place.fract());
        let whole: f64 = (0..i)
            .map(|k| 0.5 * (self.values[k] + self.values[k + 1]))
            .sum();
        let value = |k: usize| self.values.get(k).copied().unwrap_or(0.0);
        // The cell that the bound falls into, the density being linear in it.
        let part = share * (value(i) + 0.5 * share * (value(i + 1) - value(i)));
        // The first term of the Euler-Maclaurin formula.
        let before = if i > 0 { value(i - 1) } else { 0.0 };
        let slope = 0.5 * (value(i + 1) - before);
        self.step * (whole + part - slope / 12.0)
    }

    /// The same density, scaled to integrate to 1.
    pub fn normalised(mut self) -> Self {
        let mass = self.mass();
        if mass > 0.0 {
            self.values.iter_mut().for_each(|v| *v /= mass);
        }
        self
    }

    /// Half the integral of |p - q|: the total variation distance from a density on the same grid,
    /// between 0 and 1 for probability distributions.
    pub fn distance(&self, other: &Self) -> f64 {
        let pairs = self.values.iter().zip(&other.values);
        0.5 * self.step * pairs.map(|(p, q)| (p - q).abs()).sum::<f64>()
    }

    /// Makes `count` steps x' = `a` x + `b` H(x, `sigma`) + `c` z. Mass that leaves the grid is
    /// lost: [`GridDensity::mass`] gives what is left.
    ///
    /// # Errors
    /// [`Error::Setting`] for a `c` below the grid's step, too narrow a kernel for the grid;
    /// [`Error::Shape`] for a denoiser of another dimension than 1; those of the denoiser.
    pub fn advance(
        &mut self,
        denoiser: &dyn Denoiser,
        sigma: f64,
        [a, b, c]: [f64; 3],
        count: usize,
    ) -> Result<()> {
        if denoiser.dim() != 1 {
            return Err(Error::Shape {
                what: "the denoiser of a density on the line".into(),
                expected: vec![1],
                found: vec![denoiser.dim()],
            });
        }
        if !(c >= FINEST * self.step && c.is_finite()) {
            let reason = format!(
                "the noise of a step must be at least the grid's {}",
                self.step
            );
            return Err(Error::setting("c", c, reason));
        }
        let grid = self.grid();
        let mut denoised = vec![0.0; grid.len()];
        denoiser.denoise_at(&grid, sigma, &mut denoised)?;
        // Each point's kernel: where it begins on the grid, and its weights.
        let kernels: Vec<(usize, Vec<f64>)> = grid
            .par_iter()
            .zip(&denoised)
            .map(|(x, h)| self.kernel(a * x + b * h, c))
            .collect();
        for _ in 0..count {
            let mut next = vec![0.0; grid.len()];
            for (p, (start, weights)) in self.values.iter().zip(&kernels) {
                for (next, weight) in next[*start..].iter_mut().zip(weights) {
                    *next += p * weight;
                }
            }
            self.values = next;
        }
        Ok(())
    }

    /// N(y; `mean`, `std`^2) times the grid's step, at the points y within reach.
    fn kernel(&self, mean: f64, std: f64) -> (usize, Vec<f64>) {
        let last = (self.values.len() - 1) as f64;
        let place = |y: f64| ((y - self.low) / self.step).clamp(0.0, last) as usize;
        let (from, to) = (place(mean - REACH * std), place(mean + REACH * std));
        let peak = self.step / (std * std::f64::consts::TAU.sqrt());
        let weight = |i: usize| {
            let off = (self.low + self.step * i as f64 - mean) / std;
            peak * (-0.5 * off * off).exp()
        };
        (from, (from..=to).map(weight).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie::noise::normal_cdf;
    use tweedie::score::GaussianMixture;

    fn normal(mean: f64, std: f64) -> impl Fn(f64) -> f64 {
        move |x| (-0.5 * ((x - mean) / std).powi(2)).exp() / (std * std::f64::consts::TAU.sqrt())
    }

    #[test]
    fn moments_and_tails_of_a_gaussian() {
        let density = GridDensity::new(-12.0, 14.0, 1041, normal(0.7, 1.3)).unwrap();
        assert!((density.mass() - 1.0).abs() < 1e-13);
        assert!((density.mean() - 0.7).abs() < 1e-13);
        assert!((density.variance() - 1.69).abs() < 1e-12);
        for bound in [-3.0, 0.0, 0.7, 0.709, 2.0] {
            let exact = normal_cdf((bound - 0.7) / 1.3);
            assert!((density.below(bound) - exact).abs() < 3e-5, "{bound}");
        }
        // At points of the grid the correction removes nearly all of the error.
        assert!((density.below(0.0) - normal_cdf(-0.7 / 1.3)).abs() < 1e-8);
        let moved = GridDensity::new(-12.0, 14.0, 1041, normal(-20.0, 0.1)).unwrap();
        assert!((moved.distance(&density) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_linear_chain_moves_a_gaussian_as_its_moments_predict() {
        // Data N(m, v): H = x + sigma^2/(v + sigma^2) (m - x).
        let (m, v, sigma) = (1.5, 0.8, 0.6);
        let target = GaussianMixture::gaussian(vec![m], v).unwrap();
        let [a, b, c] = [0.7, 0.25, 0.3];
        let mut density = GridDensity::new(-10.0, 10.0, 401, normal(-2.0, 1.0)).unwrap();
        density.advance(&target, sigma, [a, b, c], 5).unwrap();
        let pull = sigma * sigma / (v + sigma * sigma);
        let (mut mean, mut variance) = (-2.0, 1.0);
        for _ in 0..5 {
            mean = (a + b * (1.0 - pull)) * mean + b * pull * m;
            variance = (a + b * (1.0 - pull)).powi(2) * variance + c * c;
        }
        assert!((density.mass() - 1.0).abs() < 1e-12);
        assert!((density.mean() - mean).abs() < 1e-12);
        assert!((density.variance() - variance).abs() < 1e-11);
    }

    #[test]
    fn wrong_settings_are_refused() {
        assert!(GridDensity::new(1.0, 1.0, 9, |_| 0.0).is_err());
        assert!(GridDensity::new(0.0, 1.0, 1, |_| 0.0).is_err());
        assert!(GridDensity::new(0.0, 1.0, 9, |_| f64::NAN).is_err());
        let mut density = GridDensity::new(0.0, 1.0, 11, |_| 1.0).unwrap();
        let target = GaussianMixture::gaussian(vec![0.0], 1.0).unwrap();
        let message = density
            .advance(&target, 1.0, [1.0, 0.0, 0.01], 1)
            .unwrap_err();
        assert!(message.to_string().starts_with("c = 0.01"), "{message}");
        let plane = GaussianMixture::gaussian(vec![0.0; 2], 1.0).unwrap();
        assert!(density.advance(&plane, 1.0, [1.0, 0.0, 1.0], 1).is_err());
    }
}
