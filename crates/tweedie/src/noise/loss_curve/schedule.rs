//! The schedules that follow from a loss curve, by name.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{LossCurve, entropic, mse_dp, square_root};
use crate::error::{Error, Result};
use crate::noise::Levels;

/// How a loss curve spreads noise levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossSchedule {
    /// Equally in the integral of sqrt(m'(sigma)/sigma) d sigma: the limit of `MseDp` with p = 1
    /// for many levels.
    LossCurve,
    /// So that the steps with H frozen cost least, by dynamic programming.
    MseDp,
    /// Equally in conditional entropy (Stancevic et al. 2025).
    Entropic,
}

impl LossSchedule {
    /// All of them.
    pub const ALL: &[Self] = &[Self::LossCurve, Self::MseDp, Self::Entropic];

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::LossCurve => "loss-curve",
            Self::MseDp => "mse-dp",
            Self::Entropic => "entropic",
        }
    }

    /// The schedule of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|schedule| schedule.name() == name)
    }

    /// `count` levels from `sigma_max` down to `sigma_min`, at least 2, by `curve`; `p` is the
    /// exponent of `mse-dp`.
    ///
    /// # Errors
    /// [`Error::Setting`] for ends, a count or a p for which there are no such levels, and where
    /// the loss is the same at both ends, so that nothing follows from it.
    pub fn levels(
        self,
        curve: &LossCurve,
        sigma_max: f64,
        sigma_min: f64,
        count: usize,
        p: f64,
    ) -> Result<Levels> {
        // Refuses impossible ends and counts.
        let ends = Levels::geometric(sigma_max, sigma_min, count)?;
        if count < 3 {
            return Ok(ends);
        }
        if !(0.0..=10.0).contains(&p) {
            return Err(Error::setting("p", p, "must be in [0, 10] (1 is usual)"));
        }
        if curve.is_flat(sigma_max, sigma_min) {
            let reason = format!(
                "the denoising loss is {:.3e} at sigma = {sigma_max} as at {sigma_min}, so no levels \
                 follow from it; take geometric or karras, and see whether the network has learned \
                 anything",
                curve.loss(sigma_max)
            );
            return Err(Error::setting("schedule", self, reason));
        }
        match self {
            Self::LossCurve => square_root::levels(curve, sigma_max, sigma_min, count, 1.0),
            Self::MseDp if count > mse_dp::MOST => {
                square_root::levels(curve, sigma_max, sigma_min, count, p)
            }
            Self::MseDp => mse_dp::levels(curve, sigma_max, sigma_min, count, p),
            Self::Entropic => entropic::levels(curve, sigma_max, sigma_min, count),
        }
    }
}

impl fmt::Display for LossSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
