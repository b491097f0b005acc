//! CPU kernels for convolutional networks and perceptrons: `f32` images `[N, H, W, C]` (channels
//! last) or rows `[N, D]` in plain slices, parameters as PyTorch keeps them.
//!
//! Every operation checks the length of every slice against the shape first and returns an
//! [`Error`] where they differ.
//!
//! Results are reproducible: the same inputs give the same bits with any number of threads, and
//! an image or row gives the same bits alone as within any batch. Every output is summed in an
//! order that the shape alone decides, whichever thread computes it. Instruction sets
//! ([`InstructionSet`]) may differ in the last bits.

#![deny(missing_docs)]

mod activation;
pub mod attention;
mod buffer;
pub mod channels;
pub mod conv;
mod error;
pub mod group_norm;
pub mod instance_norm;
mod instruction_set;
pub mod mlp;
pub mod pool;
mod product;
mod sigmoid;
mod simd;
pub mod squares;
mod statistics;
mod tile;
pub mod upsample;
pub mod window;

pub use activation::Activation;
pub use buffer::Buffer;
pub use error::{Error, Result};
pub use instruction_set::InstructionSet;
