//! Networks: layers, the U-Net and the MLP, and what turns them into a denoiser.
//!
//! Parameter names and layouts are those of PyTorch's diffusers, so that weights travel both
//! ways. A network knows layers, never samplers or noise schedules.

mod denoiser;
pub mod init;
pub mod layers;
mod mlp;
mod network;
pub mod ops;
pub mod params;
mod precision;
mod precondition;
pub mod unet;

pub use denoiser::{DifferentiableNetwork, NetworkDenoiser};
pub use mlp::{Mlp, MlpConfig, SigmaInput};
pub use network::{Network, NetworkConfig};
pub use precision::Precision;
pub use precondition::{Coefficients, InputScaling, Parameterisation, Preconditioning};
