//! The probability flow as a map: encoding to a latent and back, and the log density of a sample.
//!
//! Song et al. 2021, section 4.3 and appendix D.

mod bits;
mod density;
mod flow;

pub use bits::{bits_per_dim, dequantise};
pub use density::{Divergence, Likelihood, LikelihoodOptions, Probe, log_likelihood};
pub use flow::{decode, encode};
