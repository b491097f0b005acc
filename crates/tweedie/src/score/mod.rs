//! Denoisers: what a sampler knows of a model.
//!
//! The analytic ones are exact. They are the oracles of this library's tests, and samplers can be
//! studied with them apart from any network's error.

mod average;
mod check;
mod class_conditional;
mod denoiser;
mod denoising_loss;
mod empirical;
mod forward;
pub mod guidance;
mod mixture;
mod points;
mod posterior;
mod query;
mod rows;
#[cfg(test)]
mod tests;
mod unconditional;

pub(crate) use check::{check_rows, check_vjp};
pub use class_conditional::ClassConditional;
pub use denoiser::{Denoiser, Differentiable, Distribution};
pub use denoising_loss::denoising_loss;
pub use empirical::Empirical;
pub use mixture::GaussianMixture;
pub use points::{Points, Rows};
pub use posterior::Posterior;
pub(crate) use posterior::add_counts;
pub use query::{Batch, Condition, Query};
pub use rows::by_level;
pub(crate) use rows::{denoise_rows, squared_distance};
pub use unconditional::OptimalUnconditional;
