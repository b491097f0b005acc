//! A run's configuration: one TOML file, every key with a default, unknown keys refused.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::RunDir;
use super::continued::RunConfig;
use super::noise_kind::NoiseKind;
use super::sample_config::SampleConfig;
use crate::data::{DataSpec, Dataset, Shape};
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::nn::NetworkConfig;
use crate::noise::{RHO, TrainingNoise, technique_2};
use crate::run::levels::largest_distance;
use crate::train::{LossConfig, TrainConfig};

/// Everything that determines a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Determines initial weights, the order of the data, and all noise of training.
    #[serde(default)]
    pub seed: u64,
    /// The data set.
    pub data: DataSpec,
    /// The noise levels of training.
    #[serde(default)]
    pub noise: NoiseConfig,
    /// The network.
    #[serde(default)]
    pub network: NetworkConfig,
    /// The objective.
    #[serde(default)]
    pub loss: LossConfig,
    /// The optimiser and the training loop.
    #[serde(default)]
    pub train: TrainConfig,
    /// How samples are drawn unless the command line says otherwise.
    #[serde(default)]
    pub sample: SampleConfig,
}

/// The `[noise]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoiseConfig {
    /// The distribution that training draws from.
    pub distribution: NoiseKind,
    /// sigma_1, where sampling starts; Technique 1 on the data when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_max: Option<f64>,
    /// sigma_L, where sampling ends.
    pub sigma_min: f64,
    /// L, for `geometric`, `karras` and `linear`; Technique 2 when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<usize>,
    /// T, for `ddpm`, `scaled-linear`, `cosine`, `plain-cosine`, `jsd` and `sigmoid`.
    pub timesteps: usize,
    /// Mean of ln(sigma), for `log-normal`.
    pub mean: f64,
    /// Standard deviation of ln(sigma), for `log-normal`.
    pub std: f64,
}

impl Default for NoiseConfig {
    fn default() -> Self {
        Self {
            distribution: NoiseKind::default(),
            sigma_max: None,
            sigma_min: 0.01,
            levels: None,
            timesteps: 1000,
            mean: -1.2,
            std: 1.2,
        }
    }
}

impl Config {
    /// Reads a configuration file and applies `changes` of the form `key.path=value`.
    ///
    /// # Errors
    /// Names the file, the key and what it accepts.
    pub fn load(path: &Path, changes: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        Self::parse(&text, changes).map_err(|reason| Error::content(path, reason))
    }

    /// Parses a configuration; the error is a message without the file's name.
    pub fn parse(text: &str, changes: &[String]) -> Result<Self, String> {
        let mut table: Table = toml::from_str(text).map_err(|e| one_line(&e))?;
        for change in changes {
            set(&mut table, change)?;
        }
        // Parsed from text again, so that messages have line numbers.
        let config: Self = if changes.is_empty() {
            from_text(text)?
        } else {
            Self::deserialize(Value::Table(table)).map_err(|e| one_line(&e))?
        };
        config.sample.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    /// The configuration as TOML.
    pub fn to_toml(&self) -> String {
        // Tables of numbers, strings and booleans can always be written as TOML.
        toml::to_string(self).unwrap_or_default()
    }

    /// Reads the data.
    ///
    /// # Errors
    /// See [`crate::data::open`]; its options go by their keys here.
    pub fn open_data(&self) -> Result<Dataset> {
        crate::data::open(&self.data).map_err(|error| error.within("data"))
    }

    /// Fills in everything that depends on the data: sigma_max, L, sigma_data, the network.
    ///
    /// # Errors
    /// When a value is out of its range.
    pub fn resolve(mut self, data: &Dataset) -> Result<Self> {
        let distribution = self.noise.distribution.of_own_range(self.noise.timesteps)?;
        if let Some(distribution) = distribution {
            // Sampling starts where training does.
            let (smallest, largest) = (distribution.sigma(0.0), distribution.sigma(1.0));
            match self.noise.sigma_max {
                Some(max) if (max / largest - 1.0).abs() > 1e-6 || max.is_nan() => {
                    let reason = format!(
                        "this distribution has its own maximum, {largest}; leave sigma_max out"
                    );
                    return Err(Error::setting("noise.sigma_max", max, reason));
                }
                _ => self.noise.sigma_max = Some(largest),
            }
            if self.noise.sigma_min < smallest && self.noise.sigma_min > 0.0 {
                self.noise.sigma_min = smallest;
            }
        }
        if self.noise.sigma_max.is_none() {
            self.noise.sigma_max = Some(round_up(
                largest_distance(data, &mut Monitor::silent())?.sigma_1,
            ));
        }
        let (max, min) = self.sigma_range()?;
        let by_levels = self.noise.distribution.by_levels().is_some();
        if self.noise.levels.is_none() && by_levels {
            self.noise.levels = Some(level_count(max, min, data.dim())?);
        }
        if self.network.sigma_data.is_none() {
            self.network.sigma_data = Some(data.mean_std().1);
        }
        self.network = self.network.with_model_for(data.shape());
        let train = self.train.validate();
        train.map_err(|error| error.within("train"))?;
        if self.train.flip && matches!(data.shape(), Shape::Signal { .. }) {
            let reason = "mirrors images; it would reverse signals in time: leave it out";
            return Err(Error::setting("train.flip", true, reason));
        }
        self.training_noise()?;
        // A loss curve is measured of what is trained here.
        self.sample
            .clone()
            .without_curve()
            .sampler(max, min, None)?;
        self.sample.threshold(data.map().model_range())?;
        Ok(self)
    }

    /// (sigma_max, sigma_min) of a resolved configuration.
    ///
    /// # Errors
    /// When they are missing or not in order.
    pub fn sigma_range(&self) -> Result<(f64, f64)> {
        let min = self.noise.sigma_min;
        if !(min > 0.0 && min.is_finite()) {
            return Err(Error::setting(
                "noise.sigma_min",
                min,
                "must be positive, like 0.01",
            ));
        }
        match self.noise.sigma_max {
            Some(max) if max > min && max.is_finite() => Ok((max, min)),
            Some(max) => {
                let reason = format!("must be finite and larger than noise.sigma_min = {min}");
                Err(Error::setting("noise.sigma_max", max, reason))
            }
            None => Err(Error::setting(
                "noise.sigma_max",
                "missing",
                "is needed here",
            )),
        }
    }

    /// The distribution that training draws from.
    ///
    /// # Errors
    /// When a value is out of its range.
    pub fn training_noise(&self) -> Result<TrainingNoise> {
        let (max, min) = self.sigma_range()?;
        if let Some(distribution) = self.noise.distribution.of_own_range(self.noise.timesteps)? {
            return Ok(distribution);
        }
        if let Some(schedule) = self.noise.distribution.by_levels() {
            let levels = self.noise.levels.unwrap_or(0);
            if levels < 2 {
                let reason = "this distribution needs 2 levels or more";
                return Err(Error::setting("noise.levels", levels, reason));
            }
            let levels = schedule.levels(max, min, levels, RHO)?;
            return Ok(TrainingNoise::Discrete(levels));
        }
        match self.noise.distribution {
            NoiseKind::LogUniform => Ok(TrainingNoise::LogUniform {
                sigma_min: min,
                sigma_max: max,
            }),
            // LogNormal: the others were handled above.
            _ => {
                let (mean, std) = (self.noise.mean, self.noise.std);
                let noise = TrainingNoise::LogNormal { mean, std };
                noise.validate()?;
                Ok(noise)
            }
        }
    }

    /// The first key in which a resumed run would differ from the stored one, with both
    /// values; lengths, intervals, the engine and the defaults of sampling may change.
    pub fn first_difference(&self, stored: &Self) -> Option<(String, String, String)> {
        let free = |config: &Self| {
            let mut config = config.clone();
            let t = TrainConfig::default();
            config.train.log_every = t.log_every;
            config.train.checkpoint_every = t.checkpoint_every;
            config.train.checkpoint_minutes = t.checkpoint_minutes;
            config.train.samples_every = t.samples_every;
            config.train.keep = t.keep;
            config.train.engine = t.engine;
            if config.train.schedule == crate::train::LearningRateSchedule::Constant {
                config.train.steps = t.steps;
            }
            config.sample = SampleConfig::default();
            Value::try_from(config).unwrap_or(Value::Boolean(false))
        };
        difference("", &free(self), &free(stored))
    }
}

impl RunConfig for Config {
    fn check_kind(run: &RunDir) -> Result<()> {
        match run.is_classifier() {
            // It says what it is.
            Some(true) => run.config().map(drop),
            _ => Ok(()),
        }
    }

    fn of(run: &RunDir) -> Result<Self> {
        run.config()
    }

    fn to_toml(&self) -> String {
        self.to_toml()
    }

    fn first_difference(&self, stored: &Self) -> Option<(String, String, String)> {
        self.first_difference(stored)
    }
}

pub(super) fn difference(path: &str, a: &Value, b: &Value) -> Option<(String, String, String)> {
    let (Value::Table(left), Value::Table(right)) = (a, b) else {
        return (a != b).then(|| (path.to_owned(), a.to_string(), b.to_string()));
    };
    let absent = Value::String("(absent)".into());
    left.keys().chain(right.keys()).find_map(|key| {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let of = |table: &Table| table.get(key).cloned().unwrap_or_else(|| absent.clone());
        difference(&path, &of(left), &of(right))
    })
}

/// Applies one `--set key.path=value`; a value that is not TOML is taken as a string.
pub(super) fn set(table: &mut Table, change: &str) -> Result<(), String> {
    let (path, value) = change
        .split_once('=')
        .ok_or_else(|| format!("{change}: write it as key.path=value"))?;
    let value = toml::from_str::<Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let mut keys: Vec<&str> = path.trim().split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let mut table = table;
    for key in keys {
        let entry = table
            .entry(key)
            .or_insert_with(|| Value::Table(Table::new()));
        table = entry
            .as_table_mut()
            .ok_or_else(|| format!("{change}: {key} is a value, not a table"))?;
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

/// A configuration from text; the error says where, and which key.
pub(super) fn from_text<C: DeserializeOwned>(text: &str) -> Result<C, String> {
    toml::from_str(text).map_err(|error| {
        let line = one_line(&error);
        // Of text, an error knows the place and not the key; of a table it is the other way round.
        let table: Option<Table> = toml::from_str(text).ok();
        let by_key = table.and_then(|table| C::deserialize(Value::Table(table)).err());
        let by_key = by_key.map(|error| error.to_string()).unwrap_or_default();
        match by_key.lines().find(|line| line.starts_with("in `")) {
            Some(key) => format!("{line}, {key}"),
            None => line,
        }
    })
}

/// A TOML error as one line: where, and what.
pub(super) fn one_line(error: &toml::de::Error) -> String {
    let message = error.message().trim().replace('\n', ", ");
    let full = error.to_string();
    match full
        .lines()
        .next()
        .filter(|line| line.contains(" at line "))
    {
        Some(place) => format!("{}: {message}", place.trim()),
        None => full.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// Technique 2 with C = 0.5; below 5 dimensions, where it does not apply, levels a factor of
/// 1.25 apart.
pub(super) fn level_count(max: f64, min: f64, dim: usize) -> Result<usize> {
    if dim >= 5 {
        return Ok(technique_2(max, min, dim, 0.5)?.levels);
    }
    Ok((((max / min).ln() / 1.25_f64.ln()).ceil() as usize).saturating_add(1))
}

/// Rounds up to two significant digits: a noise level needs no more, and must not be smaller.
pub(super) fn round_up(sigma: f64) -> f64 {
    // Dividing by a power of ten, not multiplying by its inverse, gives 6.1 and not 6.1000...05.
    let digits = 1.0 - sigma.log10().floor();
    let scale = 10_f64.powi(digits as i32);
    (sigma * scale).ceil() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::MlpConfig;
    use crate::nn::unet::UNetConfig;

    const SMALL: &str = "[data]\nsource = \"digits\"\n";

    #[test]
    fn a_written_configuration_reads_back_the_same() {
        let mut config = Config::parse(SMALL, &[]).unwrap();
        config.sample = config.sample.with("eps_c", f64::INFINITY);
        config.network.unet = Some(UNetConfig::default());
        config.network.mlp = Some(MlpConfig::default());
        assert_eq!(Config::parse(&config.to_toml(), &[]).unwrap(), config);
    }

    #[test]
    fn an_unknown_key_is_named_with_what_is_accepted() {
        let text = format!("{SMALL}\n[train]\nstepps = 5\n");
        let error = Config::parse(&text, &[]).unwrap_err();
        assert!(
            error.contains("stepps") && error.contains("`steps`"),
            "{error}"
        );
        assert!(error.contains("line 5") && !error.contains('\n'), "{error}");
        let error = Config::parse(SMALL, &["train.stepps=5".into()]).unwrap_err();
        assert!(
            error.contains("stepps") && error.contains("`steps`"),
            "{error}"
        );
        let error = Config::parse(SMALL, &["noise.distribution=foo".into()]).unwrap_err();
        assert!(
            error.contains("foo") && error.contains("`log-uniform`"),
            "{error}"
        );
    }

    #[test]
    fn changes_on_the_command_line_win() {
        let changes = [
            "train.steps=7",
            "network.unet.block_out_channels=[32, 64]",
            "seed=3",
        ];
        let changes: Vec<String> = changes.iter().map(|s| (*s).to_owned()).collect();
        let config = Config::parse(SMALL, &changes).unwrap();
        assert_eq!((config.train.steps, config.seed), (7, 3));
        assert_eq!(config.network.unet.unwrap().block_out_channels, [32, 64]);
        assert!(
            Config::parse(SMALL, &["train".into()])
                .unwrap_err()
                .contains("key.path=value")
        );
        assert!(Config::parse(SMALL, &["seed.x=1".into(), "seed=1".into()]).is_ok());
        let error = Config::parse("seed = 1", &["seed.x=1".into()]).unwrap_err();
        assert!(error.contains("not a table"), "{error}");
    }

    #[test]
    fn what_a_continued_run_may_not_change_is_found() {
        let stored = Config::parse(SMALL, &[]).unwrap();
        let mut longer = stored.clone();
        longer.train.steps = 99;
        longer.sample.steps = 3;
        assert_eq!(longer.first_difference(&stored), None);
        longer.network.conditional = false;
        let (key, new, old) = longer.first_difference(&stored).unwrap();
        assert_eq!(
            (key.as_str(), new.as_str(), old.as_str()),
            ("network.conditional", "false", "true")
        );
    }

    #[test]
    fn every_kind_resolves_to_a_distribution_whose_range_is_that_of_sampling() {
        let data = crate::data::open(&DataSpec::new("digits")).unwrap();
        for (name, own_range) in [
            ("geometric", false),
            ("karras", false),
            ("linear", false),
            ("log-uniform", false),
            ("ddpm", true),
            ("scaled-linear", true),
            ("cosine", true),
            ("plain-cosine", true),
            ("jsd", true),
            ("sigmoid", true),
            ("vp", true),
            ("sub-vp", true),
        ] {
            let change = vec![format!("noise.distribution={name}")];
            let config = Config::parse(SMALL, &change).unwrap();
            let resolved = config.resolve(&data).unwrap();
            let (max, min) = resolved.sigma_range().unwrap();
            let target = resolved.training_noise().unwrap();
            target.validate().unwrap();
            assert!((target.sigma(1.0) / max - 1.0).abs() < 1e-12, "{name}");
            assert!(target.sigma(0.0) <= min * (1.0 + 1e-12), "{name}");
            // Read back, as in a resumed run, it is the same.
            let again = Config::parse(&resolved.to_toml(), &[]).unwrap();
            assert_eq!(again.resolve(&data).unwrap(), resolved, "{name}");
            let mut given = Config::parse(SMALL, &change).unwrap();
            given.noise.sigma_max = Some(5.0);
            assert_eq!(given.resolve(&data).is_err(), own_range, "{name}");
        }
    }

    #[test]
    fn sigma_max_is_rounded_up() {
        for (sigma, expected) in [(9.61, 9.7), (0.0123, 0.013), (20.0, 20.0), (351.0, 360.0)] {
            assert!((round_up(sigma) - expected).abs() < 1e-9 * expected);
        }
    }
}
