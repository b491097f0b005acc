//! Where the noise levels of a candidate lie.

use serde::{Deserialize, Serialize};
use tweedie::Result;
use tweedie::noise::Levels;

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
}

impl Grid {
    /// `count` levels from `sigma_max` down to `sigma_min`; one level alone is `sigma_max`.
    ///
    /// # Errors
    /// As for [`Levels::geometric`] and [`Levels::karras`].
    pub fn levels(self, sigma_max: f64, sigma_min: f64, count: usize) -> Result<Levels> {
        match (count, self) {
            (1, _) => Levels::new(vec![sigma_max]),
            (_, Self::Geometric) => Levels::geometric(sigma_max, sigma_min, count),
            (_, Self::Karras { rho }) => Levels::karras(sigma_max, sigma_min, count, rho),
        }
    }
}

impl std::fmt::Display for Grid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Geometric => f.write_str("geometric"),
            Self::Karras { rho } => write!(f, "karras rho {rho:.3}"),
        }
    }
}
