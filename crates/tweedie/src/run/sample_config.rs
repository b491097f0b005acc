//! How samples are drawn: the `[sample]` table.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::classes::Classes;
use super::config::{one_line, set};
use crate::error::{Error, Result};
use crate::nn::Precision;
use crate::noise::{Levels, RHO, Schedule};
use crate::sample::{Description, Sampler, SamplerKind};
use crate::score::Condition;
use crate::score::guidance::Threshold;

/// Clipping of H before a sampler uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clip {
    /// Nothing.
    #[default]
    None,
    /// Clipped to the data's range of values (DDPM).
    Range,
    /// Dynamic thresholding: scaled into the range by the `quantile` of its size (Imagen).
    Dynamic,
}

/// The `[sample]` table: these keys, and those of the chosen sampler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SampleConfig {
    /// The sampler.
    pub sampler: SamplerKind,
    /// Noise levels between sigma_max and sigma_min.
    pub steps: usize,
    /// The schedule of the levels.
    pub schedule: Schedule,
    /// The exponent of `karras`.
    pub rho: f64,
    /// Clipping of the expected denoised sample before the sampler uses it.
    pub clip: Clip,
    /// The quantile of `clip = "dynamic"`.
    pub quantile: f64,
    /// The class of the samples, of a network conditioned on classes; of any class when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Classes>,
    /// The weight of classifier-free guidance towards the class: 1, as when missing, for the
    /// network's own samples of the class, more to sharpen them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f64>,
    /// Whether the result is the expected denoised sample rather than the final state.
    pub denoise: bool,
    /// Whether the moving average of the weights is used rather than the raw ones.
    pub ema: bool,
    /// How a U-Net stores its images: `f32`, or `bf16` on the CPU.
    pub precision: Precision,
    /// The sampler's own settings.
    #[serde(flatten)]
    pub settings: Table,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self {
            sampler: SamplerKind::Cas,
            steps: 64,
            schedule: Schedule::Geometric,
            rho: RHO,
            clip: Clip::None,
            quantile: 0.995,
            class: None,
            guidance: None,
            denoise: true,
            ema: true,
            precision: Precision::F32,
            settings: Table::new(),
        }
    }
}

impl SampleConfig {
    /// The same with one of the sampler's settings changed. It replaces settings that express the
    /// same quantity, as the three step sizes do.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let description = self.sampler.description();
        description.set(&mut self.settings, key, value.into());
        self
    }

    /// The same by another sampler with its default settings.
    pub fn by(mut self, sampler: SamplerKind) -> Self {
        self.sampler = sampler;
        self.settings.clear();
        self
    }

    /// The same with `changes` of the form `key=value`, to the table or the sampler's settings.
    ///
    /// # Errors
    /// Names the change, and what it accepts.
    pub fn changed(self, changes: &[String]) -> Result<Self> {
        if changes.is_empty() {
            return Ok(self);
        }
        let refuse = |reason| Error::setting("--set", changes.join(" "), reason);
        let mut table = Table::try_from(&self).map_err(|error| refuse(error.to_string()))?;
        for change in changes {
            let mut given = Table::new();
            set(&mut given, change).map_err(refuse)?;
            for (key, value) in given {
                self.sampler.description().set(&mut table, &key, value);
            }
        }
        let changed = Self::deserialize(Value::Table(table));
        let changed = changed.map_err(|error| refuse(one_line(&error)))?;
        match changed.sampler == self.sampler {
            true => Ok(changed),
            false => Err(refuse("choose another sampler with --sampler".into())),
        }
    }

    /// Checks that the sampler has the settings given.
    ///
    /// # Errors
    /// Names the key that it does not have, and the valid ones.
    pub fn check(&self) -> Result<()> {
        if self.settings.get("variance").and_then(Value::as_str) == Some("learned") {
            let reason = "networks trained here learn no variances; take fixed-small or \
                          fixed-large";
            return Err(Error::setting("variance", "learned", reason));
        }
        match self.guidance {
            Some(weight) if !weight.is_finite() => {
                return Err(Error::setting("sample.guidance", weight, "must be finite"));
            }
            Some(weight) if self.class.is_none() => {
                let reason = "guides towards a class; set sample.class (--class) as well";
                return Err(Error::setting("sample.guidance", weight, reason));
            }
            _ => {}
        }
        let theirs = self.sampler.check(&self.settings);
        theirs.map_err(|error| match in_table(error) {
            Error::Setting {
                name,
                value,
                reason,
            } => {
                let keys = KEYS.join(", ");
                let reason = format!("{reason} (for every sampler there are {keys})");
                Error::setting(name, value, reason)
            }
            other => other,
        })
    }

    /// What each sample numbered `seeds` is conditioned on, of a network that has `classes`; empty
    /// where on nothing.
    ///
    /// # Errors
    /// For a class that the network does not have.
    pub fn conditions(&self, seeds: Range<u64>, classes: Option<usize>) -> Result<Vec<Condition>> {
        match &self.class {
            None => Ok(Vec::new()),
            Some(class) => class.conditions(seeds, classes).map_err(in_table),
        }
    }

    /// The threshold on H for data whose model values lie in `range`.
    ///
    /// # Errors
    /// For data whose range is not known.
    pub fn threshold(&self, range: Option<[f64; 2]>) -> Result<Option<Threshold>> {
        let quantile = self.quantile;
        let [low, high] = match (self.clip, range) {
            (Clip::None, _) => return Ok(None),
            (_, Some(range)) => range,
            (_, None) => {
                let reason = "the data's values have no known range; it is for images";
                return Err(Error::setting("sample.clip", "range or dynamic", reason));
            }
        };
        let threshold = match self.clip {
            Clip::Dynamic => Threshold::Dynamic {
                low,
                high,
                quantile,
            },
            _ => Threshold::Clip { low, high },
        };
        threshold.check()?;
        Ok(Some(threshold))
    }

    /// The sampler on levels from `sigma_max` down to `sigma_min`.
    ///
    /// # Errors
    /// Names the setting that is not feasible, and what would be.
    pub fn sampler(&self, sigma_max: f64, sigma_min: f64) -> Result<Box<dyn Sampler>> {
        let Description { name, spreads, .. } = self.sampler.description();
        if let Some(spreads) = spreads
            && self.schedule != Schedule::default()
        {
            let usual = Schedule::default();
            let reason = format!("{name} {spreads}; set schedule={usual}, the default");
            return Err(Error::setting("sample.schedule", self.schedule, reason));
        }
        let levels = self.levels(sigma_max, sigma_min)?;
        let sampler = self.sampler.sampler(&self.settings, &levels);
        sampler.map_err(in_table)
    }

    /// The noise levels. Those of a table of timesteps stay within its range of noise.
    ///
    /// # Errors
    /// Names the setting that is not feasible, and what would be.
    pub fn levels(&self, sigma_max: f64, sigma_min: f64) -> Result<Levels> {
        let steps = self.steps;
        match steps {
            0 => return Err(Error::setting("sample.steps", 0, "must be 1 or more")),
            _ if steps > MOST_STEPS => {
                let reason = format!("at most {MOST_STEPS} are possible");
                return Err(Error::setting("sample.steps", steps, reason));
            }
            // One call from the highest level: the crudest sampler, but a legal one.
            1 => return Levels::new(vec![sigma_max]),
            _ => {}
        }
        self.schedule
            .levels(sigma_max, sigma_min, steps, self.rho)
            .map_err(in_table)
    }
}

/// A sampler's refusal of a key of this table, with the key's full name. A sampler's own
/// settings keep theirs, by which `--eta` and its like go as well.
fn in_table(error: Error) -> Error {
    match error {
        Error::Setting {
            name,
            value,
            reason,
        } if KEYS.contains(&name.as_str()) => {
            Error::setting(format!("sample.{name}"), value, reason)
        }
        other => other,
    }
}

/// The keys of the table that apply to every sampler.
const KEYS: [&str; 11] = [
    "sampler",
    "steps",
    "schedule",
    "rho",
    "clip",
    "quantile",
    "class",
    "guidance",
    "denoise",
    "ema",
    "precision",
];

/// Upper bound on the steps, so that a typing error does not exhaust the memory.
const MOST_STEPS: usize = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_and_sampler_go_together() {
        for &schedule in Schedule::ALL {
            for &sampler in SamplerKind::ALL {
                let spreads = sampler.description().spreads;
                if spreads.is_some() && schedule != Schedule::default() {
                    continue;
                }
                for steps in [1, 2, 9] {
                    let config = SampleConfig {
                        steps,
                        schedule,
                        ..SampleConfig::default().by(sampler)
                    };
                    let levels = config.levels(6.0, 0.02).unwrap();
                    assert_eq!(levels.len(), steps);
                    if steps > 1 {
                        assert!((levels.first() / 6.0 - 1.0).abs() < 1e-9);
                        // The first timestep of sigmoid and jsd is noisier than that.
                        assert!(levels.last() > 0.0199 && levels.last() < 0.11);
                    }
                    let made = config.sampler(6.0, 0.02);
                    // Some need two levels for their default settings.
                    let needs_two = [SamplerKind::Als, SamplerKind::ReverseSde];
                    if steps == 1 && needs_two.contains(&sampler) {
                        let message = made.err().unwrap().to_string();
                        assert!(message.starts_with("sample.steps = 1"), "{message}");
                    } else {
                        assert!(made.is_ok(), "{config:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn settings_of_another_sampler_are_refused() {
        let config = SampleConfig::default()
            .by(SamplerKind::Heun)
            .with("eps_c", 2.0);
        let message = config.check().unwrap_err().to_string();
        assert!(
            message.contains("eps_c") && message.contains("s_churn"),
            "{message}"
        );
        assert!(
            config
                .by(SamplerKind::Cas)
                .with("eps_c", 2.0)
                .check()
                .is_ok()
        );
    }
}
