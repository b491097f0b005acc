//! Levels equal in the square root of the loss's slope.
//!
//! With an exact denoiser, E ||H(x_sigma, sigma) - H(x_sigma', sigma')||^2 = m(sigma') - m(sigma)
//! along the noising of one item. A step from sigma_i to sigma_{i+1} with H frozen therefore costs
//! ([`super::mse_dp`])
//!
//! integral of (m(sigma_i) - m(sigma)) sigma^-p d sigma ~ m'(sigma) sigma^-p (sigma_i - sigma_{i+1})^2/2
//!
//! for short steps. Of all ways to divide the range into N - 1 steps, the sum of f h^2 is least
//! where all h sqrt(f) are equal: the levels are equally far apart in the integral of
//! sqrt(m'(sigma) sigma^-p) d sigma. This project's default is p = 1, `loss-curve`.

use super::LossCurve;
use super::density::equal_parts;
use crate::error::Result;
use crate::noise::Levels;

/// `count` levels equally far apart in the integral of sqrt(m'(sigma) sigma^-p) d sigma.
pub(super) fn levels(
    curve: &LossCurve,
    sigma_max: f64,
    sigma_min: f64,
    count: usize,
    p: f64,
) -> Result<Levels> {
    // d sigma = sigma d ln sigma, and m' = dm/d ln sigma / sigma.
    equal_parts(sigma_max, sigma_min, count, |x| {
        (curve.at(x).1 * ((1.0 - p) * x).exp()).sqrt()
    })
}
