//! The library's one error type. Every message names what is wrong and how to fix it.

use std::path::{Path, PathBuf};

/// What the library's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors caused by input, settings or the machine.
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
    /// A file with invalid content.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A checkpoint that is not what was written.
    #[error(
        "{}: {reason}; the checkpoint of step {step} is damaged; {}",
        path.display(),
        whole_before(*whole)
    )]
    Damaged {
        /// Its file that is damaged or missing.
        path: PathBuf,
        /// What is wrong with that.
        reason: String,
        /// Its step.
        step: u64,
        /// The step of the last checkpoint before it that is whole.
        whole: Option<u64>,
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
    /// A training loss, gradient or weight was NaN or infinite.
    #[error("{} at step {step}{}; {checkpoint}", found, found.place())]
    Diverged {
        /// The optimiser's step, from 0.
        step: u64,
        /// What was not finite.
        found: Divergence,
        /// The last good checkpoint, or advice where there is none.
        checkpoint: String,
    },
    /// A job's watcher wanted it to stop.
    #[error("stopped as asked")]
    Stopped,
}

/// The way out of a damaged checkpoint.
fn whole_before(whole: Option<u64>) -> String {
    match whole {
        Some(step) => format!(
            "the one before it, of step {step}, is whole: take that, or remove this one's folder"
        ),
        None => "there is no whole checkpoint before it".into(),
    }
}

/// The first quantity that was not finite in training.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Divergence {
    /// An example's loss.
    #[error("the training loss is not finite")]
    Loss {
        /// The example's noise level, where it has one.
        sigma: Option<f64>,
    },
    /// The gradient, where every loss is finite.
    #[error("the gradient of {parameter} is not finite, though every loss is,")]
    Gradient {
        /// The first parameter, by name, whose gradient is not.
        parameter: String,
    },
    /// The new weights, where the gradient is finite.
    #[error("the weights {parameter} are not finite after the update, though the gradient is,")]
    Weights {
        /// The first parameter, by name, that is not.
        parameter: String,
    },
}

impl Divergence {
    /// The noise level, as the end of a message.
    fn place(&self) -> String {
        match self {
            Self::Loss { sigma: Some(sigma) } => format!(", sigma = {sigma}"),
            _ => String::new(),
        }
    }
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

    /// The same error with the setting's name qualified by the table or
    /// struct `outer` that holds it: `timesteps` becomes `network.timesteps`.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        match self {
            Self::Setting {
                name,
                value,
                reason,
            } => Self::Setting {
                name: format!("{outer}.{name}"),
                value,
                reason,
            },
            other => other,
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
