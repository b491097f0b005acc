//! Checkpoints: everything that an exact resume needs, one folder per step.
//!
//! ```text
//! checkpoints/000001000/
//!     model.safetensors       section "model": raw weights, under diffusers' names
//!     ema.safetensors         section "ema": their moving average
//!     optimizer.safetensors   sections "adam.first" and "adam.second": first.NAME, second.NAME
//!     state.json              the step, hashes of these files and of the run's configuration
//! ```
//!
//! The state of the random numbers is (seed, step): every draw of training is keyed by them, and
//! so is the order of the data. The folder is written under another name, synced, and renamed when
//! complete; an old one is renamed before it is removed. So a folder named by its step is complete,
//! and its files are checked against their hashes when they are read.

mod read;
mod state;
mod store;
mod tensors;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::nn::params::{Array, ByName};

pub use state::{About, digest};
pub use store::Checkpoints;

/// The state of training after `step` updates, as named sections of named arrays.
///
/// One network in training has the sections "model", "ema", "adam.first" and "adam.second";
/// those of a second network are named "NAME/model" and so on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Updates made.
    pub step: u64,
    /// The arrays of each section, by name.
    pub sections: BTreeMap<String, ByName<Array>>,
}

impl Checkpoint {
    /// The section `name`.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn section(&self, name: &str) -> Result<&ByName<Array>> {
        self.sections.get(name).ok_or_else(|| lacks(name))
    }

    /// Takes the section `name` out.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn take(&mut self, name: &str) -> Result<ByName<Array>> {
        self.sections.remove(name).ok_or_else(|| lacks(name))
    }
}

fn lacks(name: &str) -> Error {
    let reason = "the checkpoint has no such section: it was written by another kind of training";
    Error::setting("section", name, reason)
}
