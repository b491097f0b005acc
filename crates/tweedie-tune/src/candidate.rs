//! A setting that may turn out to be the best.

use std::fmt;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};
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
    /// The weight of classifier-free guidance; the run's own where missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f64>,
    /// The sampler's own settings.
    pub settings: Table,
}

impl Candidate {
    /// `sampler` with one setting besides its defaults on `levels`, which were spread by `grid`; the
    /// result is denoised.
    pub fn with(sampler: SamplerKind, setting: (&str, f64), grid: Grid, levels: Levels) -> Self {
        let (name, value) = setting;
        Self {
            sampler,
            grid,
            levels,
            denoise: true,
            guidance: None,
            settings: Table::from_iter([(name.to_owned(), value.into())]),
        }
    }

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
            match (value.as_float(), ends(value)) {
                (Some(value), _) => write!(f, " {name} {value:.3}")?,
                (_, Some([first, last])) => write!(f, " {name} {first:.3} to {last:.3}")?,
                _ => write!(f, " {name} {value}")?,
            }
        }
        let (max, min) = (self.levels.first(), self.levels.last());
        write!(f, ", {}, sigma {max:.3} to {min:.4}", self.grid)?;
        if let Some(weight) = self.guidance {
            write!(f, ", guidance {weight:.2}")?;
        }
        match self.denoise {
            true => Ok(()),
            false => f.write_str(", not denoised"),
        }
    }
}

/// The first and the last of a list of numbers.
fn ends(value: &Value) -> Option<[f64; 2]> {
    let list = value.as_array()?;
    Some([list.first()?.as_float()?, list.last()?.as_float()?])
}
