//! Technique 4: the step size of annealed Langevin sampling.
//!
//! Entering level i with variance sigma_{i-1}^2 and taking T steps of Langevin dynamics on a point
//! mass, v <- (1 - eta)^2 v + 2 eta sigma_i^2 with eta = eps/sigma_L^2, gives
//!
//! s_T^2/sigma_i^2 = (1 - eta)^(2T) (g^2 - A) + A, A = 1/(1 - eta/2), g = sigma_{i-1}/sigma_i.
//!
//! The step size is chosen so that this is as close to 1 as possible (Song and Ermon 2020,
//! Proposition 3 and section 3.4).

use serde::Serialize;

use crate::error::{Error, Result};
use crate::noise::Levels;

/// What Technique 4 recommends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepChoice {
    /// The step size eps of the paper: eps = eta sigma_L^2.
    pub eps: f64,
    /// The step size relative to the noise variance.
    pub eta: f64,
    /// s_T^2/sigma_i^2 at this step size, above 1; at the widest gap where gaps differ.
    pub ratio: f64,
}

/// s_T^2/sigma_i^2, the noise variance after `n_sigma` Langevin steps of size `eta` in (0, 2)
/// divided by the right one, when level i is entered from sigma_{i-1} = `g` sigma_i.
pub fn stationarity(eta: f64, g: f64, n_sigma: usize) -> f64 {
    let fixed_point = 1.0 / (1.0 - eta / 2.0);
    // (1 - eta)^2 is not negative, so the power is defined for eta > 1 too.
    (1.0 - eta).powi(2).powf(n_sigma as f64) * (g * g - fixed_point) + fixed_point
}

/// The step size for `n_sigma` Langevin steps per level that brings s_T^2/sigma_i^2 closest to 1.
///
/// The ratio is above 1 for every step size and grows with g, so on levels that are not geometric
/// the widest gap decides: the choice is best in the worst case.
///
/// # Errors
/// [`Error::Setting`] for fewer than two levels (there is no gap to close) or `n_sigma` = 0.
pub fn technique_4(levels: &Levels, n_sigma: usize) -> Result<StepChoice> {
    if n_sigma == 0 {
        return Err(Error::setting("n_sigma", n_sigma, "must be at least 1"));
    }
    let Some(gamma) = levels.gammas().into_iter().min_by(f64::total_cmp) else {
        return Err(Error::setting(
            "levels",
            1,
            "Technique 4 needs at least two noise levels",
        ));
    };
    let g = 1.0 / gamma;
    let cost = |log_eta: f64| stationarity(log_eta.exp(), g, n_sigma);
    // The power falls and A rises, so there is one minimum. It is not beyond 1: there 2 - eta
    // contracts as fast and adds less noise. Golden section on ln eta.
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (1e-14f64.ln(), 0.0);
    for _ in 0..100 {
        let left = high - golden * (high - low);
        let right = low + golden * (high - low);
        if cost(left) < cost(right) {
            high = right;
        } else {
            low = left;
        }
    }
    let eta = (0.5 * (low + high)).exp();
    Ok(StepChoice {
        eps: eta * levels.last() * levels.last(),
        eta,
        ratio: stationarity(eta, g, n_sigma),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_9_the_closed_form_is_the_iterated_recursion() {
        for eta in [0.001, 0.02, 0.3, 0.99, 1.0, 1.7] {
            for g in [1.01, 1.037, 2.0, 30.0] {
                let mut v = g * g;
                for n_sigma in 1..=100 {
                    v = (1.0f64 - eta).powi(2) * v + 2.0 * eta;
                    let closed = stationarity(eta, g, n_sigma);
                    assert!((closed - v).abs() < 1e-10 * v, "{eta} {g} {n_sigma}");
                }
            }
        }
    }

    #[test]
    fn property_9_the_table_of_eps() {
        for (sigma_1, count, n_sigma, eps, digit) in [
            (50.0, 232, 5, 6.18e-6, 1e-8),
            (90.0, 500, 5, 3.34e-6, 1e-8),
            (140.0, 788, 4, 2.31e-6, 1e-8),
            (190.0, 1086, 3, 1.77e-6, 1e-8),
            (348.0, 2311, 3, 8.9e-7, 1e-8),
        ] {
            let levels = Levels::geometric(sigma_1, 0.01, count).unwrap();
            let choice = technique_4(&levels, n_sigma).unwrap();
            assert!((choice.eps - eps).abs() <= 0.5 * digit, "{choice:?}");
            let g = (sigma_1 / 0.01f64).powf(1.0 / (count - 1) as f64);
            for factor in [0.5, 0.9, 0.99, 1.01, 1.1, 2.0] {
                assert!(stationarity(choice.eta * factor, g, n_sigma) > choice.ratio);
            }
        }
    }

    #[test]
    fn without_a_gap_or_a_step_there_is_nothing_to_choose() {
        let one = Levels::new(vec![1.0]).unwrap();
        assert!(
            technique_4(&one, 5)
                .unwrap_err()
                .to_string()
                .starts_with("levels")
        );
        let two = Levels::geometric(1.0, 0.1, 2).unwrap();
        assert!(
            technique_4(&two, 0)
                .unwrap_err()
                .to_string()
                .starts_with("n_sigma")
        );
    }
}
