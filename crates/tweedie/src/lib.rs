//! Score-based generative modelling, end to end.
//!
//! Data flows one way: noise levels -> denoiser -> sampler -> samples -> report. Samplers know
//! nothing of networks, networks nothing of samplers; `run` ties them together for the program.

#![deny(missing_docs)]

pub mod data;
pub mod engine;
mod error;
mod files;
pub mod memory;
pub mod nn;
pub mod noise;
pub mod random;
pub mod report;
pub mod run;
pub mod sample;
pub mod score;
pub mod train;

pub use error::{Error, Result};
pub use files::write_atomic;
