//! Langevin dynamics down the levels with a step of its own at each.
//!
//! x <- x + tau_i s(x, sigma_i) + sqrt(2 tau_i) z, n times a level. Annealed Langevin sampling has
//! tau_i = eps sigma_i^2/sigma_L^2; the one-dimensional tutorial keeps tau the same at all levels.

use tweedie::noise::{Level, Levels};
use tweedie::sample::{Linear, Update};

/// `repeats` steps of size `step`(sigma) at each of `levels`.
pub(super) fn langevin(levels: &Levels, repeats: usize, step: impl Fn(f64) -> f64) -> Linear {
    let update = |&sigma: &f64| {
        let (level, tau) = (Level::ve(sigma), step(sigma));
        // s = (H - x)/sigma^2.
        let eta = tau / (sigma * sigma);
        Update {
            from: level,
            to: level,
            a: 1.0 - eta,
            b: eta,
            c: (2.0 * tau).sqrt(),
        }
    };
    let each = levels.as_slice().iter().map(update);
    Linear::new(each.flat_map(|update| vec![update; repeats]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie::random::{NoiseSource, Stream};
    use tweedie::sample::{Als, StepSize, run};
    use tweedie::score::GaussianMixture;

    #[test]
    fn steps_that_scale_with_the_variance_are_annealed_langevin_sampling() {
        let target = GaussianMixture::new(&[0.1, 0.9], vec![-3.0, 3.0], &[1.0, 1.0]).unwrap();
        let levels = Levels::geometric(2.0, 0.5, 4).unwrap();
        let source = NoiseSource::new(3, Stream::Sampling);
        let mut als = Als::new(levels.clone(), 5, StepSize::EpsB(0.0125)).unwrap();
        let mut own = langevin(&levels, 5, |sigma| 0.0125 * sigma * sigma / 0.25);
        let expected = run(&target, &mut als, &source, &[0, 1, 2], &mut ()).unwrap();
        let found = run(&target, &mut own, &source, &[0, 1, 2], &mut ()).unwrap();
        for (a, b) in found.x.iter().zip(&expected.x) {
            assert!((a - b).abs() < 1e-12);
        }
    }
}
