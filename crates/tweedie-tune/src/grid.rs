//! Where the noise levels of a candidate lie.

use std::fmt;

use serde::{Deserialize, Serialize};
use tweedie::noise::{Levels, LossCurve, LossSchedule};
use tweedie::{Error, Result};

use crate::rival::AlignYourSteps;

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
    /// A published recipe, stretched to the range at hand (Sabour et al. 2024).
    AlignYourSteps {
        /// The network it was published for.
        of: AlignYourSteps,
    },
    /// By the deviation from trajectories ([`Trajectories`](crate::rival::Trajectories)).
    Trajectory,
    /// One by one.
    Listed,
}

impl Grid {
    /// `count` levels from `sigma_max` down to `sigma_min`; one level alone is `sigma_max`. `curve`
    /// is the network's loss, which [`Grid::Loss`] takes.
    ///
    /// # Errors
    /// As for [`Levels::geometric`], [`Levels::karras`] and [`LossSchedule::levels`];
    /// [`Error::Setting`] where the curve is missing, and for grids that do not follow from their
    /// ends.
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
            (_, Self::AlignYourSteps { of }) => of.levels(sigma_max, sigma_min, count),
            (_, Self::Trajectory | Self::Listed) => Err(Error::setting(
                "grid",
                self,
                "has levels of its own, which do not follow from its ends",
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
            Self::AlignYourSteps { of } => write!(f, "align-your-steps of {}", of.name()),
            Self::Trajectory => f.write_str("trajectory"),
            Self::Listed => f.write_str("listed"),
        }
    }
}
