//! Entropic time: Stancevic, Handke and Ambrogioni, "Entropic time schedulers for generative
//! diffusion models", 2025, arXiv 2504.13612.
//!
//! Every step removes as much of the conditional entropy of x0 given x_sigma. By the I-MMSE
//! relation (Guo, Shamai and Verdu 2005), dI/d snr = m/2 with snr = sigma^-2, its rate is
//!
//! dH\[x0 | x_sigma\]/d sigma = m(sigma)/sigma^3.

use super::LossCurve;
use super::density::equal_parts;
use crate::error::Result;
use crate::noise::Levels;

/// `count` levels equally far apart in the integral of m(sigma)/sigma^3 d sigma.
pub(super) fn levels(
    curve: &LossCurve,
    sigma_max: f64,
    sigma_min: f64,
    count: usize,
) -> Result<Levels> {
    equal_parts(sigma_max, sigma_min, count, |x| {
        curve.at(x).0 * (-2.0 * x).exp()
    })
}
