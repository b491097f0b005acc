//! The cosine schedule in continuous time, variance preserving, t from 0 to 1.
//!
//! ```text
//! abar(t) = cos^2(a(t))/cos^2(a(0)),  a(t) = (t + s)/(1 + s) pi/2
//! ```
//!
//! Nichol and Dhariwal, "Improved denoising diffusion probabilistic models", 2021, Eq. 17. The
//! offset s keeps the noise near t = 0 from being too fine to learn; without it the relative noise
//! is tan(pi t/2). [`Timesteps::cosine`](super::Timesteps::cosine) is its discrete form.

use std::f64::consts::FRAC_PI_2;

use super::Level;

/// The level at `t` in [0, 1], with alpha^2 = abar(t) and `offset` s >= 0 (0.008 in the paper).
///
/// At t = 0 it is [`Level::DATA`]; at t = 1 nothing of the data is left but rounding.
pub fn cosine_level(t: f64, offset: f64) -> Level {
    let [first, now] = [0.0, t].map(|t| angle(t, offset));
    Level {
        alpha: now.cos() / first.cos(),
        sigma: lost(first, now).sqrt(),
    }
}

/// a(t).
pub(super) fn angle(t: f64, offset: f64) -> f64 {
    (t + offset) / (1.0 + offset) * FRAC_PI_2
}

/// 1 - cos^2(b)/cos^2(a) = sin(b - a) sin(b + a)/cos^2(a), without cancellation.
pub(super) fn lost(a: f64, b: f64) -> f64 {
    (b - a).sin() * (b + a).sin() / a.cos().powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_17_abar_is_one_at_the_start_and_follows_its_formula() {
        for offset in [0.0, 0.008, 0.3] {
            assert_eq!(cosine_level(0.0, offset), Level::DATA);
            let f = |t: f64| (((t + offset) / (1.0 + offset)) * FRAC_PI_2).cos().powi(2);
            for i in 1..100 {
                let t = f64::from(i) / 100.0;
                let level = cosine_level(t, offset);
                let abar = f(t) / f(0.0);
                assert!((level.alpha.powi(2) - abar).abs() < 1e-15);
                assert!((level.alpha.powi(2) + level.sigma.powi(2) - 1.0).abs() < 1e-15);
            }
            let end = cosine_level(1.0, offset);
            assert!(end.alpha > 0.0 && end.alpha < 1e-15 && (end.sigma - 1.0).abs() < 1e-15);
        }
    }

    #[test]
    fn property_17_without_an_offset_the_log_snr_is_that_of_a_tangent() {
        for t in [1e-6_f64, 0.1, 0.5, 0.9] {
            let level = cosine_level(t, 0.0);
            let expected = -2.0 * (FRAC_PI_2 * t).tan().ln();
            assert!((level.log_snr() - expected).abs() < 1e-12);
        }
    }
}
