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
//!     tweedie.lock    while a process trains: its number and host
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lock::{self, Lock};
use super::stats::StatsFile;
use super::{Config, Line, Stats};
use crate::data::{Dataset, MOST_CLASSES, Shape, ValueMap};
use crate::error::{Error, Result};
use crate::files::{is_entry, read_if_there, sweep, sync_folder, write_atomic};
use crate::train::{About, Checkpoints, digest};

/// The files that define the meaning of a run's weights.
pub(super) const CONFIG: &str = "config.toml";
pub(super) const DATA: &str = "data.json";

/// The most values that one item of a run's data may have.
const MOST_VALUES: usize = 1 << 28;

/// The description of the data that a run stores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataCard {
    /// The name the user gave it.
    pub name: String,
    /// Number of items.
    pub count: usize,
    /// The shape of an item.
    pub shape: Shape,
    /// The map between stored values and model values.
    pub map: ValueMap,
    /// Mean and standard deviation of all model values; older runs did not keep them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moments: Option<(f64, f64)>,
    /// The names of the classes, where the data was read with labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
}

impl DataCard {
    /// Whether both describe the same data. Moments are not compared: they are rounded in text, and
    /// older runs have none.
    pub fn is_like(&self, other: &Self) -> bool {
        let bare = |card: &Self| Self {
            moments: None,
            ..card.clone()
        };
        bare(self) == bare(other)
    }

    /// The card as it is stored at `path`.
    pub(super) fn to_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|e| Error::content(path, e.to_string()))
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
    /// Creates the folder of a new run, and takes its lock.
    ///
    /// # Errors
    /// When it already holds a run or other files, or cannot be created.
    pub fn create(path: &Path, config: &Config, data: &DataCard) -> Result<(Self, Lock)> {
        Self::create_with(path, &config.to_toml(), data)
    }

    /// The same with a configuration of any kind, as it is stored.
    pub(super) fn create_with(path: &Path, config: &str, data: &DataCard) -> Result<(Self, Lock)> {
        let run = Self {
            path: path.to_path_buf(),
        };
        run.refuse_if_taken()?;
        fs::create_dir_all(path).map_err(Error::io("create", path))?;
        let lock = Lock::take(path)?;
        // Another process may have been faster.
        run.refuse_if_taken()?;
        let checkpoints = run.checkpoints();
        let folder = checkpoints.folder();
        // From now on its presence shows whether there are checkpoints yet.
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        write_atomic(&run.data_path(), &data.to_bytes(&run.data_path())?)?;
        write_atomic(&run.config_path(), config.as_bytes())?;
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            sync_folder(parent)?;
        }
        Ok((run, lock))
    }

    /// Refuses a folder whose files a new run would overwrite.
    fn refuse_if_taken(&self) -> Result<()> {
        let taken = is_entry(&self.config_path())?
            || is_entry(self.statistics().path())?
            || !self.checkpoints().steps()?.is_empty()
            // An interrupted start leaves a data.json alone; one that does not parse is not ours.
            || (is_entry(&self.data_path())? && self.data().is_err());
        if taken {
            let reason = "already holds a run; continue it with --resume, or choose another \
                          folder with --out";
            return Err(Error::content(&self.path, reason));
        }
        // Other files that a run or a demo may leave.
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Error::io("list", &self.path)(e)),
        };
        let mut ours = false;
        let mut other = None;
        for entry in entries {
            let entry = entry.map_err(Error::io("list", &self.path))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            ours |= name.starts_with(".tweedie-");
            let known = [DATA, lock::NAME, "checkpoints"].contains(&name.as_str());
            if !known && !name.ends_with(".partial") {
                other = Some(name);
            }
        }
        match other {
            Some(other) if !ours => {
                let reason = format!(
                    "holds other things ({other}); choose a folder for the run alone with --out"
                );
                Err(Error::content(&self.path, reason))
            }
            _ => Ok(()),
        }
    }

    /// Opens the folder of an existing run.
    ///
    /// # Errors
    /// When there is no run.
    pub fn open(path: &Path) -> Result<Self> {
        let run = Self {
            path: path.to_path_buf(),
        };
        let found = fs::metadata(run.config_path());
        match found {
            Ok(found) if found.is_file() => return Ok(run),
            Err(e)
                if !matches!(
                    e.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(Error::io("read", run.config_path())(e));
            }
            _ => {}
        }
        let reason = "is not the folder of a run (it has no config.toml); `tweedie train` makes \
                      one";
        Err(Error::content(path, reason))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    fn data_path(&self) -> PathBuf {
        self.path.join(DATA)
    }

    fn statistics(&self) -> StatsFile {
        StatsFile::new(self.path.join("stats.jsonl"))
    }

    /// The lock that allows writing to this run.
    ///
    /// # Errors
    /// When another process has it.
    pub fn lock(&self) -> Result<Lock> {
        Lock::take(&self.path)
    }

    /// Removes what a killed process left half written or half removed, but nothing that a running
    /// process is writing.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sweep(&self, _lock: &Lock) -> Result<()> {
        self.checkpoints().sweep()?;
        for folder in ["", "samples", "report"] {
            sweep(&self.path.join(folder))?;
        }
        Ok(())
    }

    /// The resolved configuration.
    ///
    /// # Errors
    /// When it is damaged, or that of a classifier.
    pub fn config(&self) -> Result<Config> {
        Config::load(&self.config_path(), &[]).map_err(|error| {
            if self.is_classifier() != Some(true) {
                return error;
            }
            let reason = "is the run of a classifier, which has no samples; `tweedie classifier` \
                          takes it, and this needs one that `tweedie train` made";
            Error::content(&self.path, reason)
        })
    }

    /// Whether this is the run of a classifier; none where its configuration cannot be read.
    pub fn is_classifier(&self) -> Option<bool> {
        let text = fs::read_to_string(self.config_path()).ok()?;
        let table: toml::Table = toml::from_str(&text).ok()?;
        Some(table.contains_key("classifier"))
    }

    /// Refuses the run's configuration and data description unless they are those that the
    /// checkpoint of `step` was written with, as recorded in `about`; checkpoints of format 1 have
    /// no record.
    ///
    /// # Errors
    /// Names the file, and the way out.
    pub(super) fn check_files(&self, about: &About, step: u64) -> Result<()> {
        for name in [CONFIG, DATA] {
            if !self.is_of(about, name)? {
                let reason = format!(
                    "is damaged or was changed (its SHA-256 is not that recorded by the \
                     checkpoint of step {step}); restore it by `tweedie train` with the run's own \
                     configuration and --resume"
                );
                return Err(Error::content(self.path.join(name), reason));
            }
        }
        Ok(())
    }

    /// Whether the run's file `name` matches the record `about` of a checkpoint.
    pub(super) fn is_of(&self, about: &About, name: &str) -> Result<bool> {
        let path = self.path.join(name);
        let Some(known) = about.run.get(name) else {
            return Ok(true);
        };
        let bytes = read_if_there(&path)?.unwrap_or_default();
        Ok(known.contains(&digest(&bytes)))
    }

    /// The digests that checkpoints written from now on record.
    pub(super) fn about(&self) -> Result<About> {
        let mut about = About::default();
        for name in [CONFIG, DATA] {
            let path = self.path.join(name);
            let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
            about.run.insert(name.into(), vec![digest(&bytes)]);
        }
        Ok(about)
    }

    /// Replaces the stored configuration, where a resumed run may differ from it, or where it was
    /// damaged.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn replace_config(&self, config: &Config) -> Result<()> {
        self.replace_config_text(&config.to_toml())
    }

    /// The same of any kind, as it is stored.
    pub(super) fn replace_config_text(&self, text: &str) -> Result<()> {
        // First, so that the checkpoints match the file at every moment.
        let digest = digest(text.as_bytes());
        self.checkpoints().accept(CONFIG, &digest)?;
        write_atomic(&self.config_path(), text.as_bytes())
    }

    /// Rewrites the data description, where it was damaged.
    pub(super) fn replace_data(&self, card: &DataCard) -> Result<()> {
        write_atomic(&self.data_path(), &card.to_bytes(&self.data_path())?)
    }

    /// The description of the data that a run stores.
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

    /// The error where there is no checkpoint.
    pub(super) fn no_checkpoint(&self) -> Error {
        let reason = "has no checkpoint yet; let `tweedie train` reach train.checkpoint_every \
                      steps first";
        Error::content(&self.path, reason)
    }

    /// Refuses a run without checkpoints whose statistics show that there was one, instead of
    /// starting it from the beginning.
    ///
    /// # Errors
    /// When there was a checkpoint.
    pub(super) fn check_that_none_was_lost(&self, checkpoint_every: u64) -> Result<()> {
        let stats = self.stats()?;
        let Some(last) = stats.lines.iter().map(|line| line.step).max() else {
            return Ok(());
        };
        let checkpoints = self.checkpoints();
        // Every line after the first checkpoint names it.
        let lost = !is_entry(checkpoints.folder())?
            || stats.lines.iter().any(|line| line.checkpoint.is_some())
            || last > checkpoint_every;
        if lost {
            let reason = format!(
                "no checkpoint is left of a run whose statistics go to step {last}; bring the \
                 checkpoints back, or begin again in another folder with --out"
            );
            return Err(Error::content(checkpoints.folder(), reason));
        }
        Ok(())
    }

    /// Adds a line to the statistics.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&self, line: &Line) -> Result<()> {
        self.statistics().append(line)
    }

    /// Syncs the statistics to the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn sync_stats(&self) -> Result<()> {
        self.statistics().sync()?;
        sync_folder(&self.path)
    }

    /// The statistics; lines that cannot be read are counted.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        self.statistics().read()
    }

    /// Removes the statistics of steps after `step`, which a resumed run writes again.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn truncate_stats(&self, step: u64) -> Result<()> {
        self.statistics().truncate(step)
    }
}
