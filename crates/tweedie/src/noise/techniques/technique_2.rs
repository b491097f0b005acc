//! Technique 2: how many noise levels.
//!
//! Neighbouring levels must overlap. In D dimensions the norm of sigma z is about
//! N(sqrt(D) sigma, sigma^2/2), so the shell of level i lies within 3 standard deviations of that
//! of level i - 1 with probability
//!
//! C = Phi(sqrt(2D) (g - 1) + 3g) - Phi(sqrt(2D) (g - 1) - 3g), g = sigma_{i-1}/sigma_i,
//!
//! and g follows from the C wanted (Song and Ermon 2020, section 3.2, who aim at 0.5).

use serde::Serialize;

use crate::error::{Error, Result};
use crate::noise::normal_cdf;

/// sqrt(2D) must exceed 3 for the shells to separate at all.
const SMALLEST_DIM: usize = 5;

/// What Technique 2 recommends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LevelCount {
    /// The ratio g = sigma_{i-1}/sigma_i > 1 at which the overlap is the one asked for.
    pub ratio: f64,
    /// The number of geometric levels whose ratio is nearest to it, at least 2.
    pub levels: usize,
}

/// The number of geometric levels from `sigma_1` to `sigma_l` for data of `dim` values whose
/// neighbouring levels `overlap` with probability C (0.5 in the paper).
///
/// # Errors
/// [`Error::Setting`] unless sigma_1 > sigma_l > 0, `dim` >= 5 and `overlap` lies between 0 and
/// 0.997, about where levels coincide.
pub fn technique_2(sigma_1: f64, sigma_l: f64, dim: usize, overlap: f64) -> Result<LevelCount> {
    if !(sigma_l > 0.0 && sigma_l.is_finite()) {
        return Err(Error::setting(
            "sigma_L",
            sigma_l,
            "must be positive and finite",
        ));
    }
    if !(sigma_1 > sigma_l && sigma_1.is_finite()) {
        let reason = format!("must be finite and above sigma_L = {sigma_l}");
        return Err(Error::setting("sigma_1", sigma_1, reason));
    }
    if dim < SMALLEST_DIM {
        let reason = "Technique 2 is for high dimensions: below 5 the overlap never falls, however \
                      far apart the levels are; choose the number of levels by hand";
        return Err(Error::setting("dim", dim, reason));
    }
    if !(overlap > 0.0 && overlap < 0.997) {
        let reason = "the probability C must lie in (0, 0.997); the paper takes 0.5";
        return Err(Error::setting("overlap", overlap, reason));
    }
    // With 2D > 9 the overlap starts at 0.9973 at excess = g - 1 = 0 and ends at 0, crossing each
    // value below once: doubling brackets the root.
    let mut low = 0.0;
    let mut high = 1e-6;
    while overlap_of(high, dim) > overlap {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if overlap_of(middle, dim) > overlap {
            low = middle;
        } else {
            high = middle;
        }
    }
    let excess = 0.5 * (low + high);
    let steps = (sigma_1 / sigma_l).ln() / excess.ln_1p();
    // A cast of a float saturates.
    Ok(LevelCount {
        ratio: 1.0 + excess,
        levels: (steps.round() as usize).max(1).saturating_add(1),
    })
}

/// C at g = 1 + `excess`, by upper tails: they do not cancel.
fn overlap_of(excess: f64, dim: usize) -> f64 {
    let shift = (2.0 * dim as f64).sqrt() * excess;
    let width = 3.0 * (1.0 + excess);
    normal_cdf(-(shift - width)) - normal_cdf(-(shift + width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_9_the_table_of_l() {
        for (sigma_1, dim, levels) in [
            (50.0, 32 * 32 * 3, 219),
            (90.0, 64 * 64 * 3, 472),
            (140.0, 64 * 64 * 3, 495),
            (190.0, 128 * 128 * 3, 1026),
            (348.0, 256 * 256 * 3, 2182),
        ] {
            let found = technique_2(sigma_1, 0.01, dim, 0.5).unwrap();
            assert_eq!(found.levels, levels);
            assert!((overlap_of(found.ratio - 1.0, dim) - 0.5).abs() < 1e-10);
        }
    }

    #[test]
    fn the_smallest_dimension_has_a_solution_for_every_overlap() {
        for overlap in [1e-6, 0.5, 0.99, 0.9969] {
            let found = technique_2(1.0, 0.01, SMALLEST_DIM, overlap).unwrap();
            assert!((overlap_of(found.ratio - 1.0, SMALLEST_DIM) - overlap).abs() < 1e-10);
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        for (sigma_1, sigma_l, dim, overlap, name) in [
            (1.0, 0.0, 5, 0.5, "sigma_L"),
            (1.0, 1.0, 5, 0.5, "sigma_1"),
            (f64::NAN, 1.0, 5, 0.5, "sigma_1"),
            (1.0, 0.1, 4, 0.5, "dim"),
            (1.0, 0.1, 5, 0.998, "overlap"),
            (1.0, 0.1, 5, f64::NAN, "overlap"),
        ] {
            let error = technique_2(sigma_1, sigma_l, dim, overlap).unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
    }
}
