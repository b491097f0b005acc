//! Denoisers: what a sampler knows of a model.
//!
//! The analytic ones are exact. They are the oracles of this library's tests, and samplers can be
//! studied with them apart from any network's error.

mod denoiser;
mod empirical;
mod mixture;
mod unconditional;

pub use denoiser::{Denoiser, Differentiable, Law};
pub(crate) use denoiser::{check, check_each, check_rows};
pub use empirical::Empirical;
pub use mixture::GaussianMixture;
pub use unconditional::OptimalUnconditional;
