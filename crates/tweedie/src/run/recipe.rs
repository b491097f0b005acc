//! A recipe: a setting of the sampler that was found for a network and a number of calls, in
//! numbers, with where it comes from.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{RunDir, SampleConfig};
use crate::error::{Error, Result};
use crate::files::write_atomic;

/// What a recipe file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Where it comes from.
    pub tuned: RecipeOrigin,
    /// What to sample with; its levels are listed in `sigmas`.
    pub sample: SampleConfig,
}

/// Where a recipe comes from. Settings are those of the weights they were found for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeOrigin {
    /// Network calls of a sample.
    pub calls: usize,
    /// The day, as 2026-11-28.
    pub date: String,
    /// The version of this library.
    pub version: String,
    /// Training step of the weights that it was found for.
    pub step: u64,
    /// The SHA-256 of these weights.
    pub weights: String,
    /// The feature space.
    pub features: String,
    /// The data.
    pub data: String,
    /// The measure.
    pub measure: String,
    /// Its value on seeds and on items that the search did not see.
    pub distance: f64,
    /// The standard error of that.
    pub standard_error: f64,
    /// Its interval of 95 %.
    pub interval: [f64; 2],
    /// Samples behind the value.
    pub samples: usize,
    /// Items of the data behind it.
    pub items: usize,
    /// `winner` where it is better than every other setting measured, beyond doubt, otherwise `tie`.
    pub outcome: String,
    /// The settings that cannot be told from it.
    pub ties: Vec<String>,
    /// Measures by which a usual setting is better beyond doubt.
    pub worse: Vec<String>,
    /// The seed of the search.
    pub seed: u64,
}

impl Recipe {
    /// The recipe of this name: a number of calls N or `best@N` for that of `run`, otherwise a
    /// file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Content`] where it is missing from the run,
    /// with the recipes there are, or is no recipe.
    pub fn named(run: &RunDir, name: &str) -> Result<Self> {
        let number = name.strip_prefix("best@").unwrap_or(name);
        let Ok(calls) = number.parse::<usize>() else {
            return Self::read(Path::new(name));
        };
        let path = run.recipe_path(calls);
        if path.is_file() {
            return Self::read(&path);
        }
        let known = known(run)?;
        let reason = match known.is_empty() {
            true => format!(
                "is missing; `tweedie tune {}` makes recipes",
                run.path().display()
            ),
            false => format!("is missing; there are recipes for {known:?} calls"),
        };
        Err(Error::content(path, reason))
    }

    /// All recipes of `run`, from few calls to many.
    ///
    /// # Errors
    /// As for [`Recipe::read`].
    pub fn all(run: &RunDir) -> Result<Vec<Self>> {
        let calls = known(run)?.into_iter();
        calls
            .map(|calls| Self::read(&run.recipe_path(calls)))
            .collect()
    }

    /// The recipe in the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Content`] where it is no recipe.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        let recipe: Self = toml::from_str(&text).map_err(|e| {
            let reason = format!(
                "is no recipe of this version: {}",
                super::config::one_line(&e)
            );
            Error::content(path, reason)
        })?;
        let checked = recipe.sample.check();
        checked.map_err(|e| Error::content(path, e.to_string()))?;
        Ok(recipe)
    }

    /// Writes it to `path`, beside it first; the folder is made.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::io("make", folder))?;
        }
        let text = toml::to_string(self).map_err(|e| Error::content(path, e.to_string()))?;
        write_atomic(path, text.as_bytes())
    }
}

/// The numbers of calls that `run` has recipes for, ascending.
fn known(run: &RunDir) -> Result<Vec<usize>> {
    let folder = run.recipes_path();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read", &folder)(error)),
    };
    let mut known = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("read", &folder))?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if path.extension().is_some_and(|ending| ending == "toml") {
            known.extend(stem.and_then(|stem| stem.parse::<usize>().ok()));
        }
    }
    known.sort_unstable();
    Ok(known)
}

impl RunDir {
    /// Where what tuning finds is kept.
    pub fn tuning_path(&self) -> PathBuf {
        self.path().join("tune")
    }

    fn recipes_path(&self) -> PathBuf {
        self.tuning_path().join("recipes")
    }

    /// Where the recipe for `calls` network calls is kept.
    pub fn recipe_path(&self, calls: usize) -> PathBuf {
        self.recipes_path().join(format!("{calls}.toml"))
    }
}
