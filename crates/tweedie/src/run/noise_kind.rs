//! The distributions of noise in training, by name.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Result;
use crate::noise::{Process, Schedule, TrainingNoise};

/// The distribution from which training draws its noise levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseKind {
    /// Uniform among the levels or timesteps of a schedule.
    Uniform(Schedule),
    /// The continuum: ln(sigma) uniform between the ends.
    LogUniform,
    /// ln(sigma) Gaussian (EDM).
    LogNormal,
    /// Time of the variance-preserving process uniform (score_sde).
    Vp,
    /// Time of the sub-VP process uniform (score_sde).
    SubVp,
}

impl Default for NoiseKind {
    fn default() -> Self {
        Self::Uniform(Schedule::default())
    }
}

/// Those that are no schedule.
const OTHERS: [NoiseKind; 4] = [
    NoiseKind::LogUniform,
    NoiseKind::LogNormal,
    NoiseKind::Vp,
    NoiseKind::SubVp,
];

impl NoiseKind {
    /// All distributions.
    pub fn all() -> impl Iterator<Item = Self> {
        Schedule::ALL
            .iter()
            .copied()
            .map(Self::Uniform)
            .chain(OTHERS)
    }

    /// The name in configurations: that of the schedule, if it is one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform(schedule) => schedule.name(),
            Self::LogUniform => "log-uniform",
            Self::LogNormal => "log-normal",
            Self::Vp => "vp",
            Self::SubVp => "sub-vp",
        }
    }

    /// The schedule whose levels are spread between sigma_max and sigma_min, if it is one.
    pub(super) fn by_levels(self) -> Option<Schedule> {
        match self {
            Self::Uniform(schedule) if !schedule.is_table() => Some(schedule),
            _ => None,
        }
    }

    /// The distribution of the kinds that bring their own range of noise: tables of `timesteps`,
    /// and processes, with the paper's beta.
    pub(super) fn of_own_range(self, timesteps: usize) -> Result<Option<TrainingNoise>> {
        let (beta_min, beta_max) = (0.1, 20.0);
        Ok(match self {
            Self::Uniform(schedule) if schedule.is_table() => {
                Some(TrainingNoise::Timesteps(schedule.table(timesteps)?))
            }
            Self::Uniform(_) | Self::LogUniform | Self::LogNormal => None,
            Self::Vp => Some(continuous(Process::Vp { beta_min, beta_max })),
            Self::SubVp => Some(continuous(Process::SubVp { beta_min, beta_max })),
        })
    }
}

/// Uniform in the time of `process`, from score_sde's first time on.
fn continuous(process: Process) -> TrainingNoise {
    TrainingNoise::Continuous {
        process,
        t_min: 1e-3,
    }
}

impl fmt::Display for NoiseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for NoiseKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for NoiseKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = Self::all().find(|kind| kind.name() == name);
        found.ok_or_else(|| {
            let names: Vec<String> = Self::all().map(|kind| format!("`{kind}`")).collect();
            let names = names.join(", ");
            serde::de::Error::custom(format!("unknown variant `{name}`, expected one of {names}"))
        })
    }
}
