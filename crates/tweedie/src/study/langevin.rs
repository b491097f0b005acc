//! Langevin dynamics down the levels with a step of its own at each.
//!
//! x <- x + tau_i s(x, sigma_i) + sqrt(2 tau_i) z, n times a level. Annealed Langevin sampling has
//! tau_i = eps sigma_i^2/sigma_L^2; the one-dimensional tutorial keeps tau the same at all levels.

use crate::error::Result;
use crate::noise::{Level, Levels};
use crate::sample::{Sampler, State};

/// Langevin dynamics with given steps, from a start of its own.
#[derive(Clone, Debug)]
pub(super) struct Langevin {
    levels: Levels,
    steps: Vec<f64>,
    repeats: usize,
    start: f64,
}

impl Langevin {
    /// `repeats` steps of size `step`(sigma) at each of `levels`, from `start` N(0, 1).
    pub fn new(levels: &Levels, repeats: usize, start: f64, step: impl Fn(f64) -> f64) -> Self {
        Self {
            steps: levels.as_slice().iter().map(|&sigma| step(sigma)).collect(),
            levels: levels.clone(),
            repeats,
            start,
        }
    }

    /// sigma and the factors of x, H and z, for each level in turn.
    pub fn updates(&self) -> impl Iterator<Item = (f64, [f64; 3])> + '_ {
        let sigmas = self.levels.as_slice().iter();
        sigmas.zip(&self.steps).map(|(&sigma, &tau)| {
            // s = (H - x)/sigma^2.
            let eta = tau / (sigma * sigma);
            (sigma, [1.0 - eta, eta, (2.0 * tau).sqrt()])
        })
    }

    /// Steps at each level.
    pub fn repeats(&self) -> usize {
        self.repeats
    }

    fn sigma(&self, i: usize) -> f64 {
        self.levels.as_slice()[i / self.repeats]
    }
}

impl Sampler for Langevin {
    fn steps(&self) -> usize {
        self.levels.len() * self.repeats
    }

    fn noise(&self, i: usize) -> (Level, Level) {
        let sigma = self.sigma(i);
        // The run starts where step 0 says, whatever noise is there in truth.
        let from = if i == 0 { self.start } else { sigma };
        (Level::ve(from), Level::ve(sigma))
    }

    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()> {
        let (sigma, tau) = (self.sigma(i), self.steps[i / self.repeats]);
        let eta = tau / (sigma * sigma);
        state.denoise(Level::ve(sigma))?;
        state.update(1.0 - eta, eta, (2.0 * tau).sqrt());
        Ok(())
    }

    fn calls(&self) -> Option<usize> {
        Some(self.steps())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{NoiseSource, Stream};
    use crate::sample::{Als, StepSize, run};
    use crate::score::GaussianMixture;

    #[test]
    fn steps_that_scale_with_the_variance_are_annealed_langevin_sampling() {
        let law = GaussianMixture::new(&[0.1, 0.9], vec![-3.0, 3.0], &[1.0, 1.0]).unwrap();
        let levels = Levels::geometric(2.0, 0.5, 4).unwrap();
        let source = NoiseSource::new(3, Stream::Sampling);
        let mut als = Als::new(levels.clone(), 5, StepSize::EpsB(0.0125)).unwrap();
        let mut own = Langevin::new(&levels, 5, 2.0, |sigma| 0.0125 * sigma * sigma / 0.25);
        let expected = run(&law, &mut als, &source, &[0, 1, 2], &mut ()).unwrap();
        let found = run(&law, &mut own, &source, &[0, 1, 2], &mut ()).unwrap();
        for (a, b) in found.x.iter().zip(&expected.x) {
            assert!((a - b).abs() < 1e-12);
        }
    }
}
