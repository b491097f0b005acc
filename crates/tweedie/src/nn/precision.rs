//! The numbers that a network's images are stored in while it samples.

use serde::{Deserialize, Serialize};

/// How images are stored between a network's layers. Training is in `f32` always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 24 bits of precision.
    #[default]
    F32,
    /// bfloat16, 8 bits of precision, with sums in `f32`: half the memory, and several times as
    /// fast where the processor multiplies bf16 numbers.
    Bf16,
}
