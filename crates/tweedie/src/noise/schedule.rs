//! How noise levels are spaced: the usual schedules, by name.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Levels, Timesteps};
use crate::error::{Error, Result};

/// A schedule of noise levels, with the constants of its paper. The first three space levels
/// between any two ends; the others are tables of discrete timesteps, which bring their own range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Evenly in ln sigma (NCSN).
    #[default]
    Geometric,
    /// Evenly in sigma^(1/rho) (EDM, rho = 7).
    Karras,
    /// Evenly in sigma.
    Linear,
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

/// rho of [`Schedule::Karras`] in its paper.
pub(crate) const RHO: f64 = 7.0;

/// T of the tables whose timesteps samplers follow.
const TIMESTEPS: usize = 1000;

impl Schedule {
    /// All schedules.
    pub const ALL: &[Self] = &[
        Self::Geometric,
        Self::Karras,
        Self::Linear,
        Self::Ddpm,
        Self::ScaledLinear,
        Self::Cosine,
        Self::PlainCosine,
        Self::Jsd,
        Self::Sigmoid,
    ];

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Geometric => "geometric",
            Self::Karras => "karras",
            Self::Linear => "linear",
            Self::Ddpm => "ddpm",
            Self::ScaledLinear => "scaled-linear",
            Self::Cosine => "cosine",
            Self::PlainCosine => "plain-cosine",
            Self::Jsd => "jsd",
            Self::Sigmoid => "sigmoid",
        }
    }

    /// The schedule of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|schedule| schedule.name() == name)
    }

    /// Whether it is a table of discrete timesteps, with a range of noise of its own.
    pub fn is_table(self) -> bool {
        !matches!(self, Self::Geometric | Self::Karras | Self::Linear)
    }

    /// The table of `count` timesteps.
    ///
    /// # Errors
    /// [`Error::Setting`] for an impossible number of timesteps, and for schedules that are not
    /// tables.
    pub fn table(self, count: usize) -> Result<Timesteps> {
        match self {
            Self::Geometric | Self::Karras | Self::Linear => {
                let reason = format!("has no timesteps; those that do are {}", tables());
                Err(Error::setting("schedule", self, reason))
            }
            Self::Ddpm => Timesteps::linear(1e-4, 0.02, count),
            Self::ScaledLinear => Timesteps::scaled_linear(0.00085, 0.012, count),
            Self::Cosine => Timesteps::cosine(count, 0.008, 0.999),
            Self::PlainCosine => Timesteps::cosine(count, 0.0, 0.999),
            Self::Jsd => Timesteps::jsd(count),
            Self::Sigmoid => Timesteps::sigmoid(count, -3.0, 3.0, 1.0),
        }
    }

    /// `count` levels from `sigma_max` down to `sigma_min`, at least 2; `rho` is Karras et al.'s.
    ///
    /// Those of a table are evenly spaced in its time and stay within its range of noise.
    ///
    /// # Errors
    /// [`Error::Setting`] for ends or a count for which there are no such levels.
    pub fn levels(self, sigma_max: f64, sigma_min: f64, count: usize, rho: f64) -> Result<Levels> {
        match self {
            Self::Geometric => Levels::geometric(sigma_max, sigma_min, count),
            Self::Karras => Levels::karras(sigma_max, sigma_min, count, rho),
            Self::Linear => Levels::linear(sigma_max, sigma_min, count),
            _ if count < 2 => {
                let reason = "from one end to the other it takes at least 2 levels";
                Err(Error::setting("levels", count, reason))
            }
            _ => {
                let table = self.table(TIMESTEPS)?;
                let (top, bottom) = (table.timestep(sigma_max), table.timestep(sigma_min));
                let last = (count - 1) as f64;
                let time = |i: usize| top + (bottom - top) * i as f64 / last;
                Levels::new((0..count).map(|i| table.relative(time(i))).collect())
            }
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The names of the schedules that are tables.
fn tables() -> String {
    let tables = Schedule::ALL.iter().filter(|schedule| schedule.is_table());
    let names: Vec<&str> = tables.map(|schedule| schedule.name()).collect();
    names.join(", ")
}

/// A table by the name of its schedule and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { schedule = \"ddpm\", count = 1000 }"
)]
pub struct TimestepTable {
    /// The schedule, one that is a table.
    #[serde(deserialize_with = "table_only")]
    pub schedule: Schedule,
    /// T.
    #[serde(default = "usual")]
    pub count: usize,
}

/// T of DDPM and most models since.
fn usual() -> usize {
    TIMESTEPS
}

/// Refuses the schedules that are no tables.
fn table_only<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Schedule, D::Error> {
    let schedule = Schedule::deserialize(deserializer)?;
    match schedule.is_table() {
        true => Ok(schedule),
        false => {
            let text = format!("{schedule} has no timesteps, expected one of {}", tables());
            Err(serde::de::Error::custom(text))
        }
    }
}

impl TimestepTable {
    /// The table.
    ///
    /// # Errors
    /// As for [`Schedule::table`].
    pub fn table(&self) -> Result<Timesteps> {
        self.schedule.table(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_has_a_name_that_text_reads_back() {
        for &schedule in Schedule::ALL {
            assert_eq!(Schedule::named(schedule.name()), Some(schedule));
            let text = serde_json::to_string(&schedule).unwrap();
            assert_eq!(text, format!("\"{schedule}\""));
            assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule);
        }
        let error = serde_json::from_str::<Schedule>("\"cos\"")
            .unwrap_err()
            .to_string();
        for schedule in Schedule::ALL {
            assert!(error.contains(&format!("`{schedule}`")), "{error}");
        }
    }

    #[test]
    fn tables_are_asked_for_by_schedules_that_have_them() {
        for &schedule in Schedule::ALL {
            let table = schedule.table(50);
            assert_eq!(table.is_ok(), schedule.is_table());
            let text = format!("{{\"schedule\": \"{schedule}\", \"count\": 50}}");
            let read = serde_json::from_str::<TimestepTable>(&text);
            match (table, read) {
                (Ok(table), Ok(read)) => assert_eq!(read.table().unwrap(), table),
                (Err(error), Err(read)) => {
                    for message in [error.to_string(), read.to_string()] {
                        assert!(message.contains(schedule.name()), "{message}");
                        assert!(message.contains("scaled-linear"), "{message}");
                    }
                }
                (table, read) => panic!("{table:?} {read:?}"),
            }
        }
    }

    #[test]
    fn levels_descend_between_the_ends() {
        for &schedule in Schedule::ALL {
            let levels = schedule.levels(6.0, 0.2, 9, RHO).unwrap();
            assert_eq!(levels.len(), 9);
            assert!((levels.first() / 6.0 - 1.0).abs() < 1e-9);
            assert!((levels.last() / 0.2 - 1.0).abs() < 1e-9, "{schedule}");
            let message = schedule.levels(6.0, 0.2, 1, RHO).unwrap_err().to_string();
            assert!(message.starts_with("levels = 1"), "{message}");
        }
    }
}
