//! A setting that may turn out to be the best.

use std::fmt;

use serde::{Deserialize, Serialize};
use toml::Table;
use tweedie::Result;
use tweedie::noise::Levels;
use tweedie::sample::{Sampler, SamplerKind};

use crate::Grid;

/// A sampler with all its settings, its levels in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The sampler.
    pub sampler: SamplerKind,
    /// How the levels were spread.
    pub grid: Grid,
    /// The levels.
    pub levels: Levels,
    /// Whether the result is the expected denoised sample rather than the final state.
    pub denoise: bool,
    /// The sampler's own settings.
    pub settings: Table,
}

impl Candidate {
    /// The sampler.
    ///
    /// # Errors
    /// For settings that are not feasible on these levels.
    pub fn sampler(&self) -> Result<Box<dyn Sampler>> {
        self.sampler.sampler(&self.settings, &self.levels)
    }

    /// One text for one candidate, to the last bit of its numbers.
    pub fn key(&self) -> String {
        // A table of numbers, words and flags always has a TOML form.
        toml::to_string(self).unwrap_or_else(|_| format!("{self:?}"))
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sampler.label())?;
        for (name, value) in &self.settings {
            match (value.as_float(), value.as_array()) {
                (Some(value), _) => write!(f, " {name} {value:.3}")?,
                (None, Some(_)) => write!(f, " {name} per step")?,
                (None, None) => write!(f, " {name} {value}")?,
            }
        }
        let (max, min) = (self.levels.first(), self.levels.last());
        write!(f, ", {}, sigma {max:.3} to {min:.4}", self.grid)?;
        match self.denoise {
            true => Ok(()),
            false => f.write_str(", not denoised"),
        }
    }
}
