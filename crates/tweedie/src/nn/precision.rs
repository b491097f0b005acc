//! The precision in which a network's images are stored while it samples.

use serde::{Deserialize, Serialize};

/// The precision of images between a network's layers. Training is always in `f32`.
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
