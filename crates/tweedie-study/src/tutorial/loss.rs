//! The expected loss under the data distribution, without sampling error.
//!
//! The loss of denoising score matching is its minimum, which the exact score attains, plus the
//! error of the score (Vincent 2011):
//!
//! 1/2 E |sigma s^ + z|^2 = 1/2 (1 - sigma^2 E s^2) + 1/2 sigma^2 E (s^ - s)^2,
//!
//! s the score of the noised distribution. On the line both are integrals, computed on a grid.

use tweedie::Result;
use tweedie::measure::Estimate;
use tweedie::noise::Levels;
use tweedie::random::{NoiseSource, Stream};
use tweedie::score::{Denoiser, Distribution, GaussianMixture};

/// The grid: beyond it the noised distribution has less than 1e-9 of its mass.
const REACH: f64 = 16.0;
const POINTS: usize = 1281;

/// The exact losses under one distribution at some noise levels.
pub struct ExactLoss {
    grid: Vec<f64>,
    levels: Vec<Noised>,
}

/// The distribution under one noise level, on the grid.
struct Noised {
    sigma: f64,
    /// Density times the grid's step.
    weights: Vec<f64>,
    score: Vec<f64>,
    optimum: f64,
}

impl ExactLoss {
    /// Prepares the integrals.
    pub fn new(target: &GaussianMixture, levels: &Levels) -> Result<Self> {
        let step = 2.0 * REACH / (POINTS - 1) as f64;
        let grid: Vec<f64> = (0..POINTS).map(|i| -REACH + step * i as f64).collect();
        let level = |&sigma: &f64| {
            let (mut weights, mut score) = (vec![0.0; POINTS], vec![0.0; POINTS]);
            target.log_density_at(&grid, sigma, &mut weights)?;
            weights.iter_mut().for_each(|w| *w = step * w.exp());
            target.score_at(&grid, sigma, &mut score)?;
            let squares: f64 = weights.iter().zip(&score).map(|(w, s)| w * s * s).sum();
            Ok(Noised {
                sigma,
                weights,
                score,
                optimum: 0.5 * (1.0 - sigma * sigma * squares),
            })
        };
        let levels = levels.as_slice().iter().map(level).collect::<Result<_>>()?;
        Ok(Self { grid, levels })
    }

    /// The minimum of the loss at each level.
    pub fn optima(&self) -> Vec<f64> {
        self.levels.iter().map(|level| level.optimum).collect()
    }

    /// The minimum of the loss over all levels.
    pub fn optimum(&self) -> f64 {
        Estimate::mean(&self.optima()).value
    }

    /// The loss of `denoiser` over all levels.
    pub fn of(&self, denoiser: &dyn Denoiser) -> Result<f64> {
        let mut score = vec![0.0; POINTS];
        let mut total = 0.0;
        for level in &self.levels {
            denoiser.score_at(&self.grid, level.sigma, &mut score)?;
            let pairs = score.iter().zip(&level.score).zip(&level.weights);
            let missed: f64 = pairs.map(|((a, b), w)| w * (a - b) * (a - b)).sum();
            total += level.optimum + 0.5 * level.sigma * level.sigma * missed;
        }
        Ok(total / self.levels.len() as f64)
    }
}

/// The loss of `denoiser` on `count` fresh points of the distribution, each under fresh noise at
/// every level.
pub fn held_out(
    denoiser: &dyn Denoiser,
    target: &GaussianMixture,
    levels: &Levels,
    count: usize,
    seed: u64,
) -> Result<Estimate> {
    let source = NoiseSource::new(seed, Stream::Evaluation);
    let seeds: Vec<u64> = (0..count as u64).collect();
    let mut x = vec![0.0; count];
    target.sample(&source, &seeds, 0.0, &mut x)?;
    let (mut z, mut score, mut losses) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
    for (i, &sigma) in levels.as_slice().iter().enumerate() {
        // Draw 0 made the points.
        source.fill_batch(&seeds, i as u32 + 1, &mut z);
        let noisy: Vec<f64> = x.iter().zip(&z).map(|(x, z)| x + sigma * z).collect();
        denoiser.score_at(&noisy, sigma, &mut score)?;
        for ((loss, s), z) in losses.iter_mut().zip(&score).zip(&z) {
            *loss += 0.5 * (sigma * s + z).powi(2) / levels.len() as f64;
        }
    }
    Ok(Estimate::mean(&losses))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture;

    #[test]
    fn property_4_the_minimum_loss_of_the_tutorial() {
        let levels = Levels::geometric(2.0, 0.5, 16).unwrap();
        let target = mixture("tutorial").unwrap();
        let loss = ExactLoss::new(&target, &levels).unwrap();
        assert!(
            (loss.optimum() - 0.29022).abs() < 5e-6,
            "{}",
            loss.optimum()
        );
        assert!((loss.optima()[0] - 0.1952).abs() < 5e-5);
        assert!((loss.optima()[15] - 0.4045).abs() < 5e-5);
        // The exact score attains the minimum.
        assert!((loss.of(&target).unwrap() - loss.optimum()).abs() < 1e-12);
    }

    #[test]
    fn fresh_draws_agree_with_the_integrals() {
        let levels = Levels::geometric(2.0, 0.5, 5).unwrap();
        let truth = mixture("tutorial").unwrap();
        let wrong = GaussianMixture::new(&[0.3, 0.7], vec![-2.5, 3.0], &[1.5, 0.8]).unwrap();
        let exact = ExactLoss::new(&truth, &levels).unwrap();
        for denoiser in [&truth, &wrong] {
            let Estimate {
                value: loss,
                standard_error: error,
            } = held_out(denoiser, &truth, &levels, 20_000, 7).unwrap();
            let expected = exact.of(denoiser).unwrap();
            assert!(
                (loss - expected).abs() < 4.5 * error,
                "{loss} {error} {expected}"
            );
        }
    }
}
