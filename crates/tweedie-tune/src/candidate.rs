//! A setting that may turn out to be the best.

use std::fmt;

use serde::{Deserialize, Serialize};
use toml::Table;
use tweedie::Result;
use tweedie::noise::Levels;
use tweedie::sample::{Sampler, SamplerKind};

use crate::Grid;

/// A sampler with all that a number of calls leaves open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The sampler.
    pub sampler: SamplerKind,
    /// How the levels spread.
    pub grid: Grid,
    /// The highest level.
    pub sigma_max: f64,
    /// The lowest level.
    pub sigma_min: f64,
    /// Whether the result is the expected denoised sample rather than the final state.
    pub denoise: bool,
    /// The sampler's own settings.
    pub settings: Table,
}

impl Candidate {
    /// The levels with which this takes at most `calls` network calls a sample.
    ///
    /// # Errors
    /// Where so few calls are not feasible.
    pub fn levels(&self, calls: usize) -> Result<Levels> {
        let count = self.sampler.levels_for(&self.settings, calls)?;
        self.grid.levels(self.sigma_max, self.sigma_min, count)
    }

    /// The sampler for at most `calls` network calls a sample.
    ///
    /// # Errors
    /// As for [`Candidate::levels`], and for settings that are not feasible on these levels.
    pub fn sampler(&self, calls: usize) -> Result<Box<dyn Sampler>> {
        self.sampler.sampler(&self.settings, &self.levels(calls)?)
    }

    /// One text for one candidate, to the last bit of its numbers.
    pub fn key(&self) -> String {
        // A table of numbers, words and flags always has a TOML form.
        toml::to_string(self).unwrap_or_else(|_| format!("{self:?}"))
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sampler.label())?;
        for (name, value) in &self.settings {
            match value.as_float() {
                Some(value) => write!(f, " {name} {value:.4}")?,
                None => write!(f, " {name} {value}")?,
            }
        }
        let (max, min) = (self.sigma_max, self.sigma_min);
        write!(f, ", {}, sigma {max:.4} to {min:.4}", self.grid)?;
        match self.denoise {
            true => Ok(()),
            false => f.write_str(", not denoised"),
        }
    }
}
