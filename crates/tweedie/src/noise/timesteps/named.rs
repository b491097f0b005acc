//! Tables by name, as configurations have them.

use serde::{Deserialize, Serialize};

use super::Timesteps;
use crate::error::Result;

/// A schedule of discrete timesteps with the constants of its paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimestepSchedule {
    /// beta even from 1e-4 to 0.02 (DDPM).
    Ddpm,
    /// sqrt(beta) even from sqrt(0.00085) to sqrt(0.012) (Stable Diffusion).
    ScaledLinear,
    /// The cosine schedule with offset 0.008 and clip 0.999.
    Cosine,
    /// The same without offset.
    PlainCosine,
    /// beta = 1/(T - t + 1).
    Jsd,
    /// The sigmoid schedule from -3 to 3 with tau = 1.
    Sigmoid,
}

impl TimestepSchedule {
    /// The table of `count` timesteps.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] for a number of timesteps that makes no table.
    pub fn table(self, count: usize) -> Result<Timesteps> {
        match self {
            Self::Ddpm => Timesteps::linear(1e-4, 0.02, count),
            Self::ScaledLinear => Timesteps::scaled_linear(0.00085, 0.012, count),
            Self::Cosine => Timesteps::cosine(count, 0.008, 0.999),
            Self::PlainCosine => Timesteps::cosine(count, 0.0, 0.999),
            Self::Jsd => Timesteps::jsd(count),
            Self::Sigmoid => Timesteps::sigmoid(count, -3.0, 3.0, 1.0),
        }
    }
}

/// A table by the name of its schedule and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { schedule = \"ddpm\", count = 1000 }"
)]
pub struct TimestepTable {
    /// The schedule.
    pub schedule: TimestepSchedule,
    /// T.
    #[serde(default = "usual")]
    pub count: usize,
}

/// T of DDPM and most models since.
fn usual() -> usize {
    1000
}

impl TimestepTable {
    /// The table.
    ///
    /// # Errors
    /// As for [`TimestepSchedule::table`].
    pub fn table(&self) -> Result<Timesteps> {
        self.schedule.table(self.count)
    }
}
