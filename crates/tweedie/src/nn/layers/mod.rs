//! The layers, one per file, with the parameter names and layouts of PyTorch.

mod activation;
mod attention;
mod class_embedding;
mod conv;
mod embedding;
mod instance_norm;
mod linear;
mod norm;
mod resnet;

pub use activation::Activation;
pub use attention::{Attention, AttentionConfig};
pub use class_embedding::ClassEmbedding;
pub use conv::{Conv2d, Downsample, Upsample};
pub use embedding::{TimeEmbedding, positional_embedding};
pub use instance_norm::InstanceNormPlusPlus;
pub use linear::Linear;
pub use norm::GroupNorm;
pub use resnet::{ResnetBlock, ResnetConfig};
