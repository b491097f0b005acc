//! How samples are drawn: the `[sample]` table.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::config::{one_line, set};
use crate::error::{Error, Result};
use crate::nn::Precision;
use crate::noise::{Levels, TimestepSchedule};
use crate::sample::{Sampler, SamplerKind};
use crate::score::guidance::Threshold;

/// How noise levels are spread between sigma_max and sigma_min.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Evenly in ln sigma.
    #[default]
    Geometric,
    /// Evenly in sigma^(1/rho) (EDM).
    Karras,
    /// Evenly in sigma.
    Linear,
    /// Evenly in time of DDPM's linear beta.
    Ddpm,
    /// Evenly in time of Stable Diffusion's beta, linear in its root.
    ScaledLinear,
    /// Evenly in time of the cosine schedule, with its offset and clip.
    Cosine,
    /// The same without offset.
    PlainCosine,
    /// Evenly in time of beta = 1/(T - t + 1).
    Jsd,
    /// Evenly in time of the sigmoid schedule.
    Sigmoid,
}

impl Schedule {
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

    /// The timesteps it follows; none for those given in sigma.
    pub fn timesteps(self) -> Option<TimestepSchedule> {
        match self {
            Self::Geometric | Self::Karras | Self::Linear => None,
            Self::Ddpm => Some(TimestepSchedule::Ddpm),
            Self::ScaledLinear => Some(TimestepSchedule::ScaledLinear),
            Self::Cosine => Some(TimestepSchedule::Cosine),
            Self::PlainCosine => Some(TimestepSchedule::PlainCosine),
            Self::Jsd => Some(TimestepSchedule::Jsd),
            Self::Sigmoid => Some(TimestepSchedule::Sigmoid),
        }
    }
}

/// What is done to H before a sampler sees it.
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
    /// The scheme.
    pub sampler: SamplerKind,
    /// Noise levels between sigma_max and sigma_min.
    pub steps: usize,
    /// How they are spread.
    pub schedule: Schedule,
    /// The exponent of `karras`.
    pub rho: f64,
    /// What is done to the expected denoised sample before the sampler sees it.
    pub clip: Clip,
    /// The quantile of `clip = "dynamic"`.
    pub quantile: f64,
    /// Whether the result is the expected denoised sample rather than the last state.
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
            rho: 7.0,
            clip: Clip::None,
            quantile: 0.995,
            denoise: true,
            ema: true,
            precision: Precision::F32,
            settings: Table::new(),
        }
    }
}

impl SampleConfig {
    /// The same with one of the sampler's settings changed. The three step sizes are one setting:
    /// the one given now counts.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        make_way(&mut self.settings, key);
        self.settings.insert(key.into(), value.into());
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
            let key = change.split('=').next().unwrap_or_default().trim();
            make_way(&mut table, key);
            set(&mut table, change).map_err(refuse)?;
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
    /// Names the key that it does not have, and those there are.
    pub fn check(&self) -> Result<()> {
        if self.settings.get("variance").and_then(Value::as_str) == Some("learned") {
            let reason = "networks trained here learn no variances; take fixed-small or \
                          fixed-large";
            return Err(Error::setting("variance", "learned", reason));
        }
        let theirs = self.sampler.check(&self.settings);
        theirs.map_err(|error| match error {
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
        if self.sampler == SamplerKind::ReverseSde && self.schedule != Schedule::Geometric {
            let reason = "reverse-sde steps evenly in the time of its process; set schedule=geometric, the default";
            return Err(Error::setting(
                "sample.schedule",
                self.schedule.name(),
                reason,
            ));
        }
        let levels = self.levels(sigma_max, sigma_min)?;
        self.sampler.sampler(&self.settings, &levels)
    }

    /// The noise levels. Those of a table of timesteps keep to the noise the table has.
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
        if let Some(schedule) = self.schedule.timesteps() {
            let table = schedule.table(TIMESTEPS)?;
            let (top, bottom) = (table.timestep(sigma_max), table.timestep(sigma_min));
            let last = (steps - 1) as f64;
            let time = |i: usize| top + (bottom - top) * i as f64 / last;
            return Levels::new((0..steps).map(|i| table.relative(time(i))).collect());
        }
        match self.schedule {
            Schedule::Karras => Levels::karras(sigma_max, sigma_min, steps, self.rho),
            Schedule::Linear => Levels::linear(sigma_max, sigma_min, steps),
            _ => Levels::geometric(sigma_max, sigma_min, steps),
        }
    }
}

/// The keys of the table that every sampler has.
const KEYS: [&str; 9] = [
    "sampler",
    "steps",
    "schedule",
    "rho",
    "clip",
    "quantile",
    "denoise",
    "ema",
    "precision",
];

/// The settings that are the step size: three ways to say the same.
const STEP_SIZES: [&str; 3] = ["eta", "eps_b", "eps_c"];

/// Removes the settings that a new value of `key` takes the place of.
fn make_way(settings: &mut Table, key: &str) {
    if STEP_SIZES.contains(&key) {
        settings.retain(|key, _| !STEP_SIZES.contains(&key));
    }
}

/// More steps than any sampler is given; it keeps a slip from exhausting the memory.
const MOST_STEPS: usize = 10_000_000;

/// Timesteps of the tables that sampling follows.
const TIMESTEPS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_and_sampler_go_together() {
        for schedule in [
            Schedule::Geometric,
            Schedule::Karras,
            Schedule::Linear,
            Schedule::Ddpm,
            Schedule::ScaledLinear,
            Schedule::Cosine,
            Schedule::PlainCosine,
            Schedule::Jsd,
            Schedule::Sigmoid,
        ] {
            for &sampler in SamplerKind::ALL {
                if sampler == SamplerKind::ReverseSde && schedule != Schedule::Geometric {
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
                    let sampler = config.sampler(6.0, 0.02);
                    match (steps, config.sampler) {
                        (1, SamplerKind::Als | SamplerKind::ReverseSde) => {
                            let message = sampler.err().unwrap().to_string();
                            assert!(message.starts_with("sample.steps = 1"), "{message}");
                        }
                        _ => assert!(sampler.is_ok(), "{config:?}"),
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
