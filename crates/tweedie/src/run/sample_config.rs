//! How samples are drawn: the `[sample]` table.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::classes::Classes;
use super::config::{one_line, set};
use super::sampling_schedule::SamplingSchedule;
use crate::error::{Error, Result};
use crate::nn::Precision;
use crate::noise::{Levels, LossCurve, RHO, Schedule};
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
    /// Noise levels between sigma_max and sigma_min; [`SampleConfig::count`] where they are listed.
    pub steps: usize,
    /// The schedule of the levels.
    pub schedule: SamplingSchedule,
    /// The exponent of `karras`.
    pub rho: f64,
    /// The exponent of `mse-dp`.
    #[serde(skip_serializing_if = "is_usual")]
    pub p: f64,
    /// The noise levels themselves, in place of `steps` and `schedule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigmas: Option<Levels>,
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
            schedule: SamplingSchedule::default(),
            rho: RHO,
            p: P,
            sigmas: None,
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
                // A list of levels and a way to make one are rivals, as step sizes are.
                match key.as_str() {
                    "sigmas" => drop((table.remove("steps"), table.remove("schedule"))),
                    "steps" | "schedule" => drop(table.remove("sigmas")),
                    _ => {}
                }
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

    /// The same with the default schedule in place of one that takes a loss curve: for weights of
    /// which none is measured.
    pub fn without_curve(mut self) -> Self {
        if self.needs_curve() {
            self.schedule = SamplingSchedule::default();
        }
        self
    }

    /// The same with the levels that its schedule makes of `steps`, whether listed or not.
    pub fn of_steps(mut self, steps: usize) -> Self {
        (self.steps, self.sigmas) = (steps, None);
        self
    }

    /// The number of noise levels: `steps`, or those of the list.
    pub fn count(&self) -> usize {
        self.sigmas.as_ref().map_or(self.steps, Levels::len)
    }

    /// Whether the noise levels follow from a loss curve.
    pub fn needs_curve(&self) -> bool {
        self.sigmas.is_none() && matches!(self.schedule, SamplingSchedule::Loss(_))
    }

    /// Checks that the sampler has the settings given, and that they do not contradict each other.
    ///
    /// # Errors
    /// Names the key that it does not have, and the valid ones.
    pub fn check(&self) -> Result<()> {
        let usual = Self::default();
        if self.sigmas.is_some() {
            let reason = "sample.sigmas lists the noise levels; leave one of the two out";
            if self.schedule != usual.schedule {
                return Err(Error::setting("sample.schedule", self.schedule, reason));
            }
            if ![usual.steps, self.count()].contains(&self.steps) {
                return Err(Error::setting("sample.steps", self.steps, reason));
            }
        }
        if !(0.0..=10.0).contains(&self.p) {
            return Err(Error::setting(
                "sample.p",
                self.p,
                "must be in [0, 10] (1 is usual)",
            ));
        }
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

    /// The sampler on levels from `sigma_max` down to `sigma_min`; `curve` as for
    /// [`SampleConfig::levels`].
    ///
    /// # Errors
    /// Names the setting that is not feasible, and what would be.
    pub fn sampler(
        &self,
        sigma_max: f64,
        sigma_min: f64,
        curve: Option<&LossCurve>,
    ) -> Result<Box<dyn Sampler>> {
        let Description { name, spreads, .. } = self.sampler.description();
        if let Some(spreads) = spreads {
            if self.schedule != SamplingSchedule::default() {
                let usual = Schedule::default();
                let reason = format!("{name} {spreads}; set schedule={usual}, the default");
                return Err(Error::setting("sample.schedule", self.schedule, reason));
            }
            if let Some(sigmas) = &self.sigmas {
                let reason = format!("{name} {spreads}; leave sigmas out");
                let value = format!("{:?}", sigmas.as_slice());
                return Err(Error::setting("sample.sigmas", value, reason));
            }
        }
        let levels = self.levels(sigma_max, sigma_min, curve)?;
        let sampler = self.sampler.sampler(&self.settings, &levels);
        sampler.map_err(in_table)
    }

    /// The noise levels. Those of a table of timesteps stay within its range of noise; those that
    /// are listed are what they are. `curve` is for the schedules that follow from one, and may be
    /// measured of a network or known of a distribution.
    ///
    /// # Errors
    /// Names the setting that is not feasible, and what would be.
    pub fn levels(
        &self,
        sigma_max: f64,
        sigma_min: f64,
        curve: Option<&LossCurve>,
    ) -> Result<Levels> {
        if let Some(sigmas) = &self.sigmas {
            return Ok(sigmas.clone());
        }
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
        let levels = match (self.schedule, curve) {
            (SamplingSchedule::Plain(schedule), _) => {
                schedule.levels(sigma_max, sigma_min, steps, self.rho)
            }
            (SamplingSchedule::Loss(schedule), Some(curve)) => {
                schedule.levels(curve, sigma_max, sigma_min, steps, self.p)
            }
            (SamplingSchedule::Loss(schedule), None) => {
                let reason = "follows from a loss curve, and there is none";
                Err(Error::setting("schedule", schedule, reason))
            }
        };
        levels.map_err(in_table)
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
const KEYS: [&str; 13] = [
    "sampler",
    "steps",
    "schedule",
    "rho",
    "p",
    "sigmas",
    "clip",
    "quantile",
    "class",
    "guidance",
    "denoise",
    "ema",
    "precision",
];

/// p of `mse-dp` where nothing else is given.
const P: f64 = 1.0;

/// Whether p need not be written.
fn is_usual(p: &f64) -> bool {
    *p == P
}

/// Upper bound on the steps, so that a typing error does not exhaust the memory.
const MOST_STEPS: usize = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// The curve of one Gaussian.
    fn curve() -> LossCurve {
        let levels = Levels::geometric(6.0, 0.02, 30).unwrap();
        LossCurve::exact(&levels, |sigma| sigma * sigma / (1.0 + sigma * sigma)).unwrap()
    }

    #[test]
    fn every_schedule_and_sampler_go_together() {
        let curve = curve();
        for schedule in SamplingSchedule::all() {
            for &sampler in SamplerKind::ALL {
                let spreads = sampler.description().spreads;
                if spreads.is_some() && schedule != SamplingSchedule::default() {
                    continue;
                }
                for steps in [1, 2, 9] {
                    let config = SampleConfig {
                        steps,
                        schedule,
                        ..SampleConfig::default().by(sampler)
                    };
                    let levels = config.levels(6.0, 0.02, Some(&curve)).unwrap();
                    assert_eq!(levels.len(), steps);
                    if steps > 1 {
                        assert!((levels.first() / 6.0 - 1.0).abs() < 1e-9);
                        // The first timestep of sigmoid and jsd is noisier than that.
                        assert!(levels.last() > 0.0199 && levels.last() < 0.11);
                    }
                    let made = config.sampler(6.0, 0.02, Some(&curve));
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
    fn levels_from_a_curve_need_one() {
        let config = SampleConfig::default();
        let config = config
            .changed(&["schedule=loss-curve".into(), "steps=7".into()])
            .unwrap();
        assert!(config.needs_curve());
        let message = config.levels(6.0, 0.02, None).unwrap_err().to_string();
        assert!(
            message.starts_with("sample.schedule = loss-curve"),
            "{message}"
        );
        let plain = config.clone().without_curve();
        assert_eq!(
            plain.levels(6.0, 0.02, None).unwrap(),
            Levels::geometric(6.0, 0.02, 7).unwrap()
        );
        // Nothing was written by versions without p.
        let written = toml::to_string(&config).unwrap();
        assert!(
            !written.lines().any(|line| line.starts_with("p =")),
            "{written}"
        );
        let config = config
            .changed(&["schedule=mse-dp".into(), "p=2".into()])
            .unwrap();
        let read: SampleConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!((read.p, &read), (2.0, &config));
        let wrong = config
            .changed(&["p=-1".into()])
            .unwrap()
            .check()
            .unwrap_err()
            .to_string();
        assert!(wrong.starts_with("sample.p = -1"), "{wrong}");
    }

    #[test]
    fn listed_levels_are_taken_as_they_are() {
        let change = |config: SampleConfig, changes: &[&str]| {
            let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
            config.changed(&changes)
        };
        let listed = change(
            SampleConfig::default(),
            &["steps=9", "sigmas=[4, 1.5, 0.1]"],
        )
        .unwrap();
        listed.check().unwrap();
        assert_eq!((listed.count(), listed.needs_curve()), (3, false));
        let levels = listed.levels(6.0, 0.02, None).unwrap();
        assert_eq!(levels.as_slice(), [4.0, 1.5, 0.1]);
        let read: SampleConfig = toml::from_str(&toml::to_string(&listed).unwrap()).unwrap();
        assert_eq!(read, listed);
        // A way to make levels replaces the list on the command line, and contradicts it in a file.
        let made = change(listed.clone(), &["steps=5"]).unwrap();
        assert_eq!((made.count(), made.sigmas), (5, None));
        let file = |text: &str| toml::from_str::<SampleConfig>(text);
        let refused = |text: &str| file(text).unwrap().check().unwrap_err().to_string();
        let message = refused("sigmas = [2.0, 1.0]\nsteps = 5");
        assert!(message.starts_with("sample.steps = 5"), "{message}");
        let message = refused("sigmas = [2.0, 1.0]\nschedule = \"karras\"");
        assert!(message.starts_with("sample.schedule = karras"), "{message}");
        for (sigmas, word) in [
            ("[]", "at least one"),
            ("[1.0, 1.0]", "level 2 is 1 after 1"),
            ("[1.0, 2.0]", "level 2 is 2 after 1"),
            ("[1.0, -2.0]", "level 2 must be positive"),
            ("[1.0, nan]", "level 2 must be positive"),
            ("[inf, 1.0]", "level 1 must be positive"),
            ("3.0", "sequence"),
        ] {
            let message = file(&format!("sigmas = {sigmas}")).unwrap_err().to_string();
            assert!(message.contains(word), "{sigmas}: {message}");
            let set = [format!("sigmas={sigmas}")];
            let message = SampleConfig::default()
                .changed(&set)
                .unwrap_err()
                .to_string();
            assert!(
                message.contains(word) && message.starts_with("--set"),
                "{message}"
            );
        }
        let by_itself = SampleConfig {
            sampler: SamplerKind::ReverseSde,
            ..listed
        };
        let message = by_itself
            .sampler(6.0, 0.02, None)
            .err()
            .unwrap()
            .to_string();
        assert!(
            message.starts_with("sample.sigmas = [4.0, 1.5, 0.1]"),
            "{message}"
        );
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
