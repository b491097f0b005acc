//! Where the noise levels of a candidate lie.

use std::fmt;

use serde::{Deserialize, Serialize};
use tweedie::noise::{Levels, LossCurve, LossSchedule};
use tweedie::{Error, Result};

/// How levels spread between sigma_max and sigma_min.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Grid {
    /// Even in ln sigma.
    Geometric,
    /// Even in sigma^(1/rho) (Karras et al. 2022).
    Karras {
        /// The exponent: 1 is linear, large ones are nearly geometric.
        rho: f64,
    },
    /// By the denoising loss of the network itself.
    Loss {
        /// How.
        schedule: LossSchedule,
        /// The exponent of `mse-dp`.
        p: f64,
    },
    /// Each level by itself.
    PerStep,
}

impl Grid {
    /// `count` levels from `sigma_max` down to `sigma_min`; one level alone is `sigma_max`. `curve`
    /// is the network's loss, which [`Grid::Loss`] takes.
    ///
    /// # Errors
    /// As for [`Levels::geometric`], [`Levels::karras`] and [`LossSchedule::levels`];
    /// [`Error::Setting`] where the curve is missing.
    pub fn levels(
        self,
        sigma_max: f64,
        sigma_min: f64,
        count: usize,
        curve: Option<&LossCurve>,
    ) -> Result<Levels> {
        match (count, self) {
            (1, _) => Levels::new(vec![sigma_max]),
            (_, Self::Geometric) => Levels::geometric(sigma_max, sigma_min, count),
            (_, Self::Karras { rho }) => Levels::karras(sigma_max, sigma_min, count, rho),
            (_, Self::Loss { schedule, p }) => match curve {
                Some(curve) => schedule.levels(curve, sigma_max, sigma_min, count, p),
                None => Err(Error::setting(
                    "grid",
                    self,
                    "needs the denoising loss measured",
                )),
            },
            (_, Self::PerStep) => Err(Error::setting(
                "grid",
                self,
                "is found level by level, not spread between two",
            )),
        }
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Geometric => f.write_str("geometric"),
            Self::Karras { rho } => write!(f, "karras rho {rho:.2}"),
            Self::Loss {
                schedule: LossSchedule::MseDp,
                p,
            } => write!(f, "mse-dp p {p:.2}"),
            Self::Loss { schedule, .. } => schedule.fmt(f),
            Self::PerStep => f.write_str("per step"),
        }
    }
}
