//! The library's one error type. Every message names the thing that is wrong and the way out.

use std::path::{Path, PathBuf};

/// What the library's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong because of input, settings or the machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that is not among the values it may take.
    #[error("{name} = {value}: {reason}")]
    Setting {
        /// The setting's name, as the user writes it.
        name: String,
        /// The value it was given.
        value: String,
        /// What it accepts.
        reason: String,
    },
    /// A file whose content is not what it should be.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "write", "create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Two things whose shapes do not fit.
    #[error("{what} has shape {found:?}, but {expected:?} is needed")]
    Shape {
        /// The thing.
        what: String,
        /// The shape it should have.
        expected: Vec<usize>,
        /// The shape it has.
        found: Vec<usize>,
    },
    /// A denoiser's output, or the samples themselves, were NaN or infinite.
    #[error("values are not finite at step {step}, sigma = {sigma}: {hint}")]
    NotFinite {
        /// The sampler's step, from 0.
        step: usize,
        /// The noise level.
        sigma: f64,
        /// What it usually means.
        hint: String,
    },
    /// A training loss was NaN or infinite.
    #[error("the training loss is not finite at step {step}, sigma = {sigma}; {checkpoint}")]
    Diverged {
        /// The optimiser's step, from 0.
        step: u64,
        /// The noise level of the first offending example.
        sigma: f64,
        /// The last good checkpoint, or the advice where there is none.
        checkpoint: String,
    },
    /// A job's watcher wanted it to stop.
    #[error("stopped as asked")]
    Stopped,
}

impl Error {
    /// A setting `name` whose `value` is refused for `reason`.
    pub fn setting(
        name: impl Into<String>,
        value: impl ToString,
        reason: impl Into<String>,
    ) -> Self {
        Self::Setting {
            name: name.into(),
            value: value.to_string(),
            reason: reason.into(),
        }
    }

    /// A file at `path` whose content is wrong.
    pub fn content(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Content {
            path: path.as_ref().to_path_buf(),
            reason: reason.into(),
        }
    }

    /// A closure for `map_err`: the system refused to `action` `path`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
