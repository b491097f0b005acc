//! A setting that may be one number for all noise levels, or a number for each.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One number for all levels, or one for each level from the first to the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerLevel {
    /// The same at every level.
    All(f64),
    /// One for each level.
    Each(Vec<f64>),
}

impl PerLevel {
    /// The values at `levels` levels.
    ///
    /// # Errors
    /// [`Error::Setting`], under `name`, for a list of another length.
    pub fn values(&self, name: &str, levels: usize) -> Result<Vec<f64>> {
        match self {
            Self::All(value) => Ok(vec![*value; levels]),
            Self::Each(values) if values.len() == levels => Ok(values.clone()),
            Self::Each(values) => {
                let reason = format!("as a list it needs one number for each of {levels} levels");
                let given = format!("a list of {}", values.len());
                Err(Error::setting(name, given, reason))
            }
        }
    }
}
