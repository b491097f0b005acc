//! The folder of a run.
//!
//! ```text
//! runs/digits/
//!     config.toml     the resolved configuration
//!     data.json       name, shape, value range and classes of the data: all that sampling
//!                     needs of it
//!     stats.jsonl     one line every `log_every` steps
//!     checkpoints/    see `train::Checkpoints`
//!     samples/        grids drawn while training
//!     report/         index.html and its pictures
//! ```

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Config;
use crate::data::{Dataset, MOST_CLASSES, Shape, ValueMap};
use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::train::{Checkpoints, LevelLoss};

/// One line of `stats.jsonl`: means since the line before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Updates made.
    pub step: u64,
    /// Mean loss.
    pub loss: f64,
    /// Mean norm of the gradient, before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Mean loss by noise level.
    pub levels: Vec<LevelLoss>,
    /// Seconds of training since the run began or was resumed.
    pub seconds: f64,
    /// Training examples a second since the line before.
    pub examples_per_second: f64,
}

/// Values that one item of a run's data may have.
const MOST_VALUES: usize = 1 << 28;

/// What is remembered of the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataCard {
    /// What the user called it.
    pub name: String,
    /// Items.
    pub count: usize,
    /// One item's.
    pub shape: Shape,
    /// From model values back to the data's own.
    pub map: ValueMap,
    /// Mean and standard deviation of all model values; older runs did not keep them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moments: Option<(f64, f64)>,
    /// The names of the classes, where the data was read with labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
}

impl DataCard {
    /// Whether both are of the same data, as far as a card tells. Moments are left out: they are
    /// rounded in text, and older runs have none.
    pub fn is_like(&self, other: &Self) -> bool {
        let bare = |card: &Self| Self {
            moments: None,
            ..card.clone()
        };
        bare(self) == bare(other)
    }

    /// The card of a data set.
    pub fn new(data: &Dataset) -> Self {
        Self {
            name: data.name().to_owned(),
            count: data.len(),
            shape: data.shape(),
            map: data.map().clone(),
            moments: Some(data.mean_std()),
            classes: data.labels().map(|labels| labels.classes().to_vec()),
        }
    }
}

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes the folder of a new run.
    ///
    /// # Errors
    /// When it already holds a run, or cannot be made.
    pub fn create(path: &Path, config: &Config, data: &DataCard) -> Result<Self> {
        let run = Self {
            path: path.to_path_buf(),
        };
        let taken = run.config_path().exists()
            || run.stats_path().exists()
            || run.checkpoints().folder().exists()
            // A data.json alone is what an interrupted start leaves; a stranger's is not ours.
            || (run.data_path().exists() && run.data().is_err());
        if taken {
            let reason = "already holds a run; continue it with --resume, or choose another \
                          folder with --out";
            return Err(Error::content(path, reason));
        }
        let card = serde_json::to_vec_pretty(data)
            .map_err(|e| Error::content(run.data_path(), e.to_string()))?;
        write_atomic(&run.data_path(), &card)?;
        write_atomic(&run.config_path(), config.to_toml().as_bytes())?;
        Ok(run)
    }

    /// Opens the folder of an existing run.
    ///
    /// # Errors
    /// When there is no run.
    pub fn open(path: &Path) -> Result<Self> {
        let run = Self {
            path: path.to_path_buf(),
        };
        if run.config_path().is_file() {
            return Ok(run);
        }
        let reason = "is not the folder of a run (it has no config.toml); `tweedie train` makes \
                      one";
        Err(Error::content(path, reason))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn config_path(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    fn data_path(&self) -> PathBuf {
        self.path.join("data.json")
    }

    fn stats_path(&self) -> PathBuf {
        self.path.join("stats.jsonl")
    }

    /// The resolved configuration.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn config(&self) -> Result<Config> {
        Config::load(&self.config_path(), &[])
    }

    /// Replaces the stored configuration, where a continued run may differ from it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn replace_config(&self, config: &Config) -> Result<()> {
        write_atomic(&self.config_path(), config.to_toml().as_bytes())
    }

    /// What is remembered of the data.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn data(&self) -> Result<DataCard> {
        let path = self.data_path();
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let card: DataCard = serde_json::from_slice(&bytes)
            .map_err(|e| Error::content(&path, format!("is damaged ({e})")))?;
        if card.shape.values() > MOST_VALUES {
            let reason = format!("is damaged (shape {})", card.shape);
            return Err(Error::content(&path, reason));
        }
        let classes = card.classes.as_ref().map(Vec::len);
        if classes.is_some_and(|n| !(1..=MOST_CLASSES).contains(&n)) {
            let reason = format!("is damaged ({} classes)", classes.unwrap_or_default());
            return Err(Error::content(&path, reason));
        }
        Ok(card)
    }

    /// The run's checkpoints.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.path.join("checkpoints"))
    }

    /// The step of the latest checkpoint.
    ///
    /// # Errors
    /// When there is none.
    pub fn latest(&self) -> Result<u64> {
        self.checkpoints().steps().last().copied().ok_or_else(|| {
            let reason = "has no checkpoint yet; let `tweedie train` reach \
                          train.checkpoint_every steps first";
            Error::content(&self.path, reason)
        })
    }

    /// Adds a line to the statistics.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&self, line: &Line) -> Result<()> {
        let path = self.stats_path();
        let mut text =
            serde_json::to_string(line).map_err(|e| Error::content(&path, e.to_string()))?;
        text.push('\n');
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(Error::io("write", &path))
    }

    /// All complete lines of the statistics; a last line torn by a crash is left out.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn stats(&self) -> Result<Vec<Line>> {
        let path = self.stats_path();
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        Ok(text
            .lines()
            .map_while(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Forgets the statistics of steps after `step`, which a resumed run makes again.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn truncate_stats(&self, step: u64) -> Result<()> {
        let path = self.stats_path();
        if !path.exists() {
            return Ok(());
        }
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        // The lines themselves are kept as they are: numbers survive a rewriting only nearly.
        let kept: String = text
            .split_inclusive('\n')
            .take_while(|line| {
                // A line without its end is one that a crash cut short.
                line.ends_with('\n')
                    && serde_json::from_str::<Line>(line).is_ok_and(|line| line.step <= step)
            })
            .collect();
        write_atomic(&path, kept.as_bytes())
    }
}
