//! How a sampler's noise levels are spread, by name.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::noise::{LossSchedule, Schedule};

/// How a sampler's noise levels are spread: by a schedule, or by the loss of the network itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SamplingSchedule {
    /// By a schedule, which knows nothing of the network.
    Plain(Schedule),
    /// By the network's loss curve.
    Loss(LossSchedule),
}

impl SamplingSchedule {
    /// All schedules.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = Schedule::ALL.iter().copied().map(Self::Plain);
        plain.chain(LossSchedule::ALL.iter().copied().map(Self::Loss))
    }

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain(schedule) => schedule.name(),
            Self::Loss(schedule) => schedule.name(),
        }
    }
}

impl Default for SamplingSchedule {
    fn default() -> Self {
        Schedule::default().into()
    }
}

impl From<Schedule> for SamplingSchedule {
    fn from(schedule: Schedule) -> Self {
        Self::Plain(schedule)
    }
}

impl From<LossSchedule> for SamplingSchedule {
    fn from(schedule: LossSchedule) -> Self {
        Self::Loss(schedule)
    }
}

impl fmt::Display for SamplingSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for SamplingSchedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for SamplingSchedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = Self::all().find(|schedule| schedule.name() == name);
        found.ok_or_else(|| {
            let names: Vec<String> = Self::all().map(|one| format!("`{one}`")).collect();
            let names = names.join(", ");
            serde::de::Error::custom(format!("unknown variant `{name}`, expected one of {names}"))
        })
    }
}
