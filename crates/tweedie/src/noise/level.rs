//! One noise level, in the coordinates of any process.
//!
//! A noised sample is x = alpha x0 + sigma z. Variance-exploding (VE) models have alpha = 1,
//! variance-preserving (VP) ones alpha^2 + sigma^2 = 1, sub-VP ones sigma = 1 - alpha^2 (Song et
//! al. 2021). Dividing by alpha takes any of them to VE with the relative noise sigma/alpha, and
//! the expected denoised sample is the same in all. So there is one kind of denoiser, in VE
//! coordinates, and a sampler whose paper is written in other coordinates keeps its state in
//! those: its levels say which.

use serde::{Deserialize, Serialize};

/// x = alpha x0 + sigma z, z ~ N(0, I).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The factor of the data, in (0, 1].
    pub alpha: f64,
    /// The standard deviation of the noise, not negative.
    pub sigma: f64,
}

impl Level {
    /// The data themselves.
    pub const DATA: Self = Self::ve(0.0);

    /// alpha = 1.
    pub const fn ve(sigma: f64) -> Self {
        Self { alpha: 1.0, sigma }
    }

    /// The relative noise sigma/alpha: the noise level in VE coordinates, which denoisers take.
    pub fn relative(self) -> f64 {
        self.sigma / self.alpha
    }

    /// The log signal-to-noise ratio, ln(alpha^2/sigma^2).
    pub fn log_snr(self) -> f64 {
        -2.0 * self.relative().ln()
    }
}

/// The coordinates a sampler's state is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coordinates {
    /// Variance exploding: alpha = 1.
    #[default]
    Ve,
    /// Variance preserving: alpha^2 + sigma^2 = 1.
    Vp,
    /// sigma = 1 - alpha^2.
    SubVp,
}

impl Coordinates {
    /// The level with this `relative` noise sigma/alpha, not negative.
    pub fn level(self, relative: f64) -> Level {
        let r = relative;
        let alpha = match self {
            Self::Ve => 1.0,
            Self::Vp => 1.0 / 1f64.hypot(r),
            // The root of alpha^2 + r alpha - 1 = 0, without cancellation.
            Self::SubVp => 2.0 / (r + r.hypot(2.0)),
        };
        Level {
            alpha,
            sigma: r * alpha,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_keep_the_relative_noise_and_their_constraint() {
        for r in [0.0, 1e-3, 0.5, 1.0, 40.0, 1e5] {
            let [ve, vp, sub] =
                [Coordinates::Ve, Coordinates::Vp, Coordinates::SubVp].map(|c| c.level(r));
            for level in [ve, vp, sub] {
                assert!((level.relative() - r).abs() <= 1e-14 * r);
            }
            assert_eq!(ve.alpha, 1.0);
            assert!((vp.alpha.powi(2) + vp.sigma.powi(2) - 1.0).abs() < 1e-14);
            assert!((sub.sigma + sub.alpha.powi(2) - 1.0).abs() < 1e-14);
        }
        assert_eq!(Coordinates::Vp.level(0.0), Level::DATA);
        assert!((Level::ve(0.1).log_snr() - 2.0 * 10f64.ln()).abs() < 1e-14);
    }
}
