//! Score-based generative modelling, end to end.
//!
//! Data flows one way: noise levels -> denoiser -> sampler -> samples -> measures -> report.
//! Samplers know nothing about networks, and networks nothing about samplers; `run` connects them
//! for the program.
//!
//! ```
//! use tweedie::noise::Levels;
//! use tweedie::random::{NoiseSource, Stream};
//! use tweedie::sample::{Cas, StepSize, run};
//! use tweedie::score::GaussianMixture;
//!
//! // A sampler takes any Denoiser: an analytic one, or a network.
//! let target = GaussianMixture::new(&[0.1, 0.9], vec![-3.0, 3.0], &[1.0, 1.0])?;
//! let levels = Levels::geometric(20.0, 0.01, 100)?;
//! let mut cas = Cas::new(&levels, StepSize::EpsC(2.0))?;
//! let source = NoiseSource::new(0, Stream::Sampling);
//! let samples = run(&target, &mut cas, &source, &[0, 1, 2, 3], &mut ())?;
//! assert_eq!((samples.denoised.len(), samples.most_evaluations()), (4, 100));
//! # Ok::<(), tweedie::Error>(())
//! ```

#![deny(missing_docs)]

pub mod data;
pub mod engine;
mod error;
mod files;
pub mod job;
pub mod likelihood;
mod matrix;
pub mod measure;
pub mod memory;
pub mod nn;
pub mod noise;
pub mod ode;
pub mod random;
pub mod report;
pub mod run;
pub mod sample;
pub mod score;
pub mod train;
pub mod weights;

pub use error::{Divergence, Error, Result};
pub use files::{claim_folder, is_same_file, release_folder, write_atomic};
