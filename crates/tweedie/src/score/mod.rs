//! Denoisers: what a sampler knows of a model.
//!
//! The analytic ones are exact. They are the oracles of this library's tests, and samplers can be
//! studied with them apart from any network's error.

mod average;
mod check;
mod denoiser;
mod empirical;
mod forward;
pub mod guidance;
mod mixture;
mod points;
mod rows;
#[cfg(test)]
mod tests;
mod unconditional;

pub(crate) use check::{check, check_each, check_rows, check_vjp};
pub use denoiser::{Denoiser, Differentiable, Law};
pub use empirical::Empirical;
pub use mixture::GaussianMixture;
pub use points::{Points, Rows};
pub(crate) use rows::squared_distance;
pub use unconditional::OptimalUnconditional;
