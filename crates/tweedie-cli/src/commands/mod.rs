//! The commands, one per file.

pub mod classifier;
pub mod demo;
pub mod evaluate;
pub mod levels;
pub mod likelihood;
pub mod loss_curve;
pub mod profile;
pub mod report;
pub mod sample;
pub mod study;
pub mod train;
pub mod tune;

use std::path::Path;

use tweedie::data::{Dataset, LabelSource};
use tweedie::run::{Config, Model, Recipe, RunDir, SampleConfig};
use tweedie::{Error, Result};

/// `--set` of a command whose keys are those of the [data] table.
fn in_data(set: &[String]) -> Vec<String> {
    set.iter().map(|change| format!("data.{change}")).collect()
}

/// The configuration of data named on the command line: the keys `set` are those of a
/// configuration's [data] table, so that the same rules apply.
///
/// # Errors
/// When a key is not one, or a value does not fit.
fn data_config(source: &str, set: &[String]) -> Result<Config> {
    let quoted = source.replace('\\', "\\\\").replace('"', "\\\"");
    let text = format!("[data]\nsource = \"{quoted}\"\n");
    Config::parse(&text, &in_data(set)).map_err(|reason| {
        let what = format!("{source} {}", set.join(" "));
        Error::setting("data", what.trim_end(), reason)
    })
}

/// The configuration of data that a model is evaluated on: its run's own, or the data `source`
/// read in the same way, changed as `set` says.
///
/// # Errors
/// When a key of `set` is not one, or a value does not fit.
fn evaluation_config(mut own: Config, source: Option<&str>, set: &[String]) -> Result<Config> {
    let source_key = source.map(|source| format!("data.source={source}"));
    let changes: Vec<String> = source_key.into_iter().chain(in_data(set)).collect();
    if source.is_some() {
        // The limit on the run's own items, and where their labels are, do not apply to other data.
        (own.data.count, own.data.limit, own.data.seed) = (None, None, 0);
        own.data.labels = LabelSource::None;
    }
    Config::parse(&own.to_toml(), &changes)
        .map_err(|reason| Error::setting("data", changes.join(" "), reason))
}

/// The data of `config` in the units of `model`.
///
/// # Errors
/// When they cannot be read.
fn open_for(model: &Model, config: &Config) -> Result<Dataset> {
    let data = config.open_data()?;
    match data.is_image() {
        true => Ok(data),
        // The network was trained on vectors mapped by the statistics of the run's own data, not of
        // these.
        false => data.remapped(model.data().map.clone()),
    }
}

/// The settings that a run's samples are drawn with: those of the recipe of this name, which comes
/// with them, or the run's own.
///
/// # Errors
/// When the recipe or the configuration cannot be read.
fn own_settings(run: &RunDir, recipe: Option<&str>) -> Result<(SampleConfig, Option<Recipe>)> {
    match recipe {
        Some(name) => {
            let recipe = Recipe::named(run, name)?;
            Ok((recipe.sample.clone(), Some(recipe)))
        }
        None => Ok((run.config()?.sample, None)),
    }
}

/// Says so where `recipe` was tuned for other weights than the `model`'s.
fn note_other_weights(recipe: &Recipe, model: &Model) {
    let tuned = &recipe.tuned;
    if model.digest() != Some(&tuned.weights) {
        note!(
            "the recipe was tuned for other weights, of step {}; these are of step {}, for which \
             another setting may be better",
            tuned.step,
            model.step()
        );
    }
}

/// Makes `folder`, which `--out` names, the place of what `command` writes.
///
/// # Errors
/// When it holds anything else, or the system refuses.
fn claim(folder: &Path, command: &str) -> Result<()> {
    tweedie::claim_folder(folder, command).map_err(|error| match error {
        Error::Content { path, reason } => Error::content(path, format!("{reason} with --out")),
        other => other,
    })
}
