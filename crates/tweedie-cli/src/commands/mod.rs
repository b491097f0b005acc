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

use std::path::Path;

use tweedie::{Error, Result};

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
