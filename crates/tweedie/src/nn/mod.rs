//! Networks: layers, the models made of them, and the preconditioning that makes denoisers of them.
//!
//! Parameter names and layouts are those of PyTorch's diffusers, so that weights can be exchanged
//! in both directions. A network knows layers, never samplers or noise schedules.

mod body;
mod config;
mod denoiser;
pub mod init;
pub mod layers;
pub mod models;
mod network;
pub mod ops;
pub mod params;
mod precision;
mod precondition;
pub(crate) mod values;

pub use body::{Body, Conditioning, Forward};
pub use config::NetworkConfig;
pub use denoiser::{DifferentiableNetwork, NetworkDenoiser};
pub use models::{Mlp, MlpConfig, SigmaInput, classifier, inception, unet};
pub use network::Network;
pub use params::{Array, ByName};
pub use precision::Precision;
pub use precondition::{Coefficients, InputScaling, Parameterisation, Preconditioning};
pub use values::Values;
