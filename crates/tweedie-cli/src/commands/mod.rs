//! The commands, one per file.

pub mod classifier;
pub mod demo;
pub mod evaluate;
pub mod levels;
pub mod likelihood;
pub mod report;
pub mod sample;
pub mod study;
pub mod train;
pub mod tune;

use std::path::Path;

use tweedie::run::Config;
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
