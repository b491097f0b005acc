//! The configuration of a classifier: one TOML file, every key but `data` with a default, unknown
//! keys refused.

use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::super::RunDir;
use super::super::config::{difference, from_text, one_line, set};
use super::super::continued::RunConfig;
use crate::data::{DataSpec, Dataset};
use crate::error::{Error, Result};
use crate::nn::classifier::{ClassifierNetworkConfig, ConvClassifierConfig, MlpClassifierConfig};
use crate::train::{Augmentation, LearningRateSchedule, TrainConfig};

/// The `[train]` table where a classifier's differs from a score network's.
const DEFAULTS: &str = include_str!("defaults.toml");

/// Everything that determines a classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierConfig {
    /// Determines initial weights, which items are held out, the order of the others, and their
    /// augmentation.
    #[serde(default)]
    pub seed: u64,
    /// The source of labelled data that the classifier is tested on when it is trained; what is
    /// held out when missing. All else is as `data` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// What to learn from, with labels.
    pub data: DataSpec,
    /// The network and its examples.
    #[serde(default)]
    pub classifier: ClassifierTable,
    /// The optimiser and the loop.
    #[serde(default)]
    pub train: TrainConfig,
}

/// The `[classifier]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierTable {
    /// The part of the data that is held out of training, for the statistics and the temperature.
    pub held_out: f64,
    /// The probability that label smoothing spreads over all classes.
    pub label_smoothing: f64,
    /// The most pixels that images are shifted by in each direction; 2 when missing, and 0 for
    /// other data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<usize>,
    /// A convolutional network; the default for images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conv: Option<ConvClassifierConfig>,
    /// An MLP; the default for all else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlp: Option<MlpClassifierConfig>,
}

impl Default for ClassifierTable {
    fn default() -> Self {
        Self {
            held_out: 0.1,
            label_smoothing: 0.0,
            shift: None,
            conv: None,
            mlp: None,
        }
    }
}

impl ClassifierTable {
    /// The network's part.
    pub fn network(&self) -> ClassifierNetworkConfig {
        ClassifierNetworkConfig {
            conv: self.conv.clone(),
            mlp: self.mlp.clone(),
        }
    }
}

impl ClassifierConfig {
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
        if changes.is_empty() {
            // For the message, which can say where.
            from_text::<Self>(text)?;
        }
        for change in changes {
            set(&mut table, change)?;
        }
        let defaults: Table = toml::from_str(DEFAULTS).map_err(|e| one_line(&e))?;
        for (name, defaults) in defaults {
            let own = table.entry(name).or_insert_with(|| Table::new().into());
            if let (Some(own), Value::Table(defaults)) = (own.as_table_mut(), defaults) {
                for (key, value) in defaults {
                    own.entry(key).or_insert(value);
                }
            }
        }
        Self::deserialize(Value::Table(table)).map_err(|e| one_line(&e))
    }

    /// The configuration as TOML.
    pub fn to_toml(&self) -> String {
        // Tables of numbers, strings and booleans always have a TOML form.
        toml::to_string(self).unwrap_or_default()
    }

    /// Reads the data.
    ///
    /// # Errors
    /// When they have no labels, and see [`crate::data::open`]; its options go by their keys here.
    pub fn open_data(&self) -> Result<Dataset> {
        if self.data.labels.is_none() {
            let reason = "a classifier is trained on labels; set data.labels = true, or name where \
                          they are";
            return Err(Error::setting("data.labels", "false", reason));
        }
        crate::data::open(&self.data).map_err(|error| error.within("data"))
    }

    /// The spec of other data, read as these are: `source` in place of their own, all of its
    /// items.
    pub fn data_from(&self, source: &str) -> DataSpec {
        DataSpec {
            source: source.to_owned(),
            // How many of these items there are says nothing of others.
            count: None,
            limit: None,
            seed: 0,
            ..self.data.clone()
        }
    }

    /// Reads the test data; none where no source is named.
    ///
    /// # Errors
    /// As [`ClassifierConfig::open_data`].
    pub fn open_test(&self) -> Result<Option<Dataset>> {
        let Some(source) = &self.test else {
            return Ok(None);
        };
        crate::data::open(&self.data_from(source))
            .map(Some)
            .map_err(|error| error.within("test"))
    }

    /// Fills in what depends on the data, and checks everything but the network.
    ///
    /// # Errors
    /// When a value is out of its range, or there are no two classes to tell apart.
    pub fn resolve(mut self, data: &Dataset) -> Result<Self> {
        let Some(labels) = data.labels() else {
            let reason = format!("{} was read without labels", data.name());
            return Err(Error::setting("data.labels", "false", reason));
        };
        let occurring = labels.counts().iter().filter(|&&count| count > 0).count();
        if occurring < 2 {
            let reason = format!(
                "{} has items of one class only; a classifier tells 2 or more apart",
                data.name()
            );
            return Err(Error::setting("data.labels", "given", reason));
        }
        let table = &mut self.classifier;
        let network = table.network().with_model_for(data.shape());
        (table.conv, table.mlp) = (network.conv, network.mlp);
        let shift = *table.shift.get_or_insert(match data.is_image() {
            true => 2,
            false => 0,
        });
        if shift > 0 && !data.is_image() {
            let reason = "moves images; leave it out for other data";
            return Err(Error::setting("classifier.shift", shift, reason));
        }
        if let crate::data::Shape::Image { height, width, .. } = data.shape()
            && shift >= height.max(width)
        {
            let reason = format!("must be less than the sides of the images, {width}x{height}");
            return Err(Error::setting("classifier.shift", shift, reason));
        }
        if !(0.0..1.0).contains(&table.label_smoothing) {
            let reason = "must lie in [0, 1)";
            let value = table.label_smoothing;
            return Err(Error::setting("classifier.label_smoothing", value, reason));
        }
        if !(table.held_out > 0.0 && table.held_out < 1.0) {
            let reason = "must lie between 0 and 1, like 0.1";
            let value = table.held_out;
            return Err(Error::setting("classifier.held_out", value, reason));
        }
        self.train
            .validate()
            .map_err(|error| error.within("train"))?;
        if self.train.flip && !data.is_image() {
            let reason = "mirrors images; leave it out for other data";
            return Err(Error::setting("train.flip", true, reason));
        }
        // What a classifier knows nothing of may stand there, but not say anything.
        let usual = TrainConfig::default();
        if self.train.label_dropout != usual.label_dropout {
            let reason = "is for score networks with classes; leave it out";
            let value = self.train.label_dropout;
            return Err(Error::setting("train.label_dropout", value, reason));
        }
        if self.train.samples_every != usual.samples_every {
            let reason = "a classifier draws no samples; leave it out";
            let value = self.train.samples_every;
            return Err(Error::setting("train.samples_every", value, reason));
        }
        Ok(self)
    }

    /// What is done to the images of a resolved configuration.
    pub fn augmentation(&self) -> Augmentation {
        Augmentation {
            shift: self.classifier.shift.unwrap_or(0),
            flip: self.train.flip,
        }
    }
}

impl RunConfig for ClassifierConfig {
    fn check_kind(run: &RunDir) -> Result<()> {
        if run.is_classifier() == Some(false) {
            let reason = "is not the run of a classifier; `tweedie classifier train` makes one";
            return Err(Error::content(run.path(), reason));
        }
        Ok(())
    }

    fn of(run: &RunDir) -> Result<Self> {
        Self::check_kind(run)?;
        Self::load(&run.config_path(), &[])
    }

    fn to_toml(&self) -> String {
        self.to_toml()
    }

    /// Lengths, intervals, the engine and the test data may change.
    fn first_difference(&self, stored: &Self) -> Option<(String, String, String)> {
        let free = |config: &Self| {
            let mut config = config.clone();
            let t = TrainConfig::default();
            config.train.log_every = t.log_every;
            config.train.checkpoint_every = t.checkpoint_every;
            config.train.checkpoint_minutes = t.checkpoint_minutes;
            config.train.keep = t.keep;
            config.train.engine = t.engine;
            if config.train.schedule == LearningRateSchedule::Constant {
                config.train.steps = t.steps;
            }
            config.test = None;
            Value::try_from(config).unwrap_or(Value::Boolean(false))
        };
        difference("", &free(self), &free(stored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[data]\nsource = \"digits\"\nlabels = true\n";

    #[test]
    fn a_written_configuration_reads_back_the_same() {
        let config = ClassifierConfig::parse(SMALL, &["train.lr=0.5".into()]).unwrap();
        assert_eq!(config.train.lr, 0.5);
        assert_eq!(config.train.schedule, LearningRateSchedule::Cosine);
        let data = config.open_data().unwrap();
        let config = config.resolve(&data).unwrap();
        assert_eq!(config.classifier.shift, Some(2));
        let again = ClassifierConfig::parse(&config.to_toml(), &[]).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let refused = |change: &str, words: &str| {
            let config = ClassifierConfig::parse(SMALL, &[change.into()]).unwrap();
            let data = config.open_data().unwrap();
            let error = config.resolve(&data).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        };
        refused("classifier.held_out=0", "classifier.held_out = 0:");
        refused("classifier.held_out=nan", "classifier.held_out = NaN:");
        refused(
            "classifier.label_smoothing=1",
            "classifier.label_smoothing = 1:",
        );
        refused("classifier.shift=8", "classifier.shift = 8:");
        refused("train.lr=0", "train.lr = 0:");
        refused("train.label_dropout=0.2", "train.label_dropout = 0.2:");
        refused("train.samples_every=7", "train.samples_every = 7:");
        let wrong = ClassifierConfig::parse(SMALL, &["classifier.held=1".into()]).unwrap_err();
        assert!(
            wrong.contains("held") && wrong.contains("`held_out`"),
            "{wrong}"
        );
        let wrong = ClassifierConfig::parse(&format!("{SMALL}\n[noise]\n"), &[]).unwrap_err();
        assert!(
            wrong.contains("noise") && wrong.contains("line 5"),
            "{wrong}"
        );
    }

    #[test]
    fn only_a_changed_meaning_is_a_difference() {
        let config = |changes: &[&str]| {
            let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
            ClassifierConfig::parse(SMALL, &changes).unwrap()
        };
        let stored = config(&[]);
        assert_eq!(
            config(&["train.keep=7", "test=x"]).first_difference(&stored),
            None
        );
        let found = config(&["classifier.held_out=0.2"]).first_difference(&stored);
        assert_eq!(found.unwrap().0, "classifier.held_out");
    }
}
