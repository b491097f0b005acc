//! Guidance: denoisers made of other denoisers.
//!
//! Each of these takes a denoiser, owned or borrowed, and is one itself, so that every sampler
//! takes it and they can be put inside each other. What changes is H, before a sampler sees it.

mod classifier;
mod classifier_free;
mod consistency;
#[cfg(test)]
mod tests;
mod threshold;

pub use classifier::{ClassifierGuided, DifferentiableLikelihood, LogLikelihood, LogRatio};
pub use classifier_free::ClassifierFree;
pub use consistency::{Consistency, Consistent, Known, LinearConsistency};
pub use threshold::{Threshold, Thresholded};

use crate::error::{Error, Result};

/// Checks that `found` is the dimension `dim`; `what` has it.
fn check_dim(what: &str, dim: usize, found: usize) -> Result<()> {
    if dim == found {
        return Ok(());
    }
    Err(Error::Shape {
        what: what.into(),
        expected: vec![dim],
        found: vec![found],
    })
}

/// Checks a weight of guidance.
fn check_weight(weight: f64) -> Result<()> {
    if weight.is_finite() {
        return Ok(());
    }
    Err(Error::setting("weight", weight, "must be finite"))
}
