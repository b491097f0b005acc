//! Activation functions by name.

use serde::{Deserialize, Serialize};

/// An activation function, applied element by element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// The identity.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0.01 x)`.
    LeakyRelu,
    /// `x sigmoid(x)`, also called swish.
    #[default]
    Silu,
    /// `x` where that is positive, else `e^x - 1`.
    Elu,
}
