//! The models, one per file or folder. Each is a burn module with a [`Forward`](super::Forward)
//! pass, and the hyper-parameters that build it.

pub mod classifier;
pub mod inception;
mod mlp;
mod residual_mlp;
pub mod unet;

pub use mlp::{Mlp, MlpConfig, SigmaInput};
pub use residual_mlp::{ResidualMlp, ResidualMlpConfig};

use super::body::Body;
use super::init::Init;
use crate::data::Shape;
use crate::error::Result;
use crate::noise::TimestepTable;

/// What a score network is built for, besides its hyper-parameters.
#[derive(Clone, Copy, Debug)]
pub struct Inputs {
    /// The samples' shape.
    pub shape: Shape,
    /// Whether the network is conditioned on sigma.
    pub conditional: bool,
    /// The table of timesteps that it is conditioned on instead of sigma.
    pub timesteps: Option<TimestepTable>,
    /// How many classes it is conditioned on, one or more.
    pub classes: Option<usize>,
}

/// Hyper-parameters of a score network.
pub trait Model {
    /// The network, with parameters of `init`.
    ///
    /// # Errors
    /// When the hyper-parameters contradict each other or do not fit `inputs`.
    fn body(&self, inputs: &Inputs, init: &Init) -> Result<Box<dyn Body>>;

    /// Whether these networks can be conditioned on classes.
    fn takes_classes() -> bool
    where
        Self: Sized,
    {
        false
    }
}
