//! What is measured of a loss curve.

use serde::{Deserialize, Serialize};

/// The denoising loss at one noise level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossPoint {
    /// The noise level.
    pub sigma: f64,
    /// m(sigma), the mean over items of the squared error summed over an item's values.
    pub loss: f64,
    /// Its standard error over items; not known of a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// The standard error of the difference from the level before, which is much smaller, as an
    /// item's noise is the same at all levels; missing at the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_error: Option<f64>,
}

/// What a loss curve was measured on; all is missing of one that is known exactly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Updates behind the network's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// The SHA-256 of their file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// What the data are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// How many items were noised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// The seed of their choice and of their noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}
