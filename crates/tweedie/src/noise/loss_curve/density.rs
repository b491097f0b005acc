//! Noise levels that are equally far apart in the integral of a density.

use crate::error::Result;
use crate::noise::Levels;

/// Intervals of the trapezoidal rule: the error of a level is far below the measurement's.
const INTERVALS: usize = 4096;

/// `count` levels from `sigma_max` down to `sigma_min`, with
///
/// integral from sigma_{i+1} to sigma_i of f d ln sigma
///
/// the same for all i; `density` is f as a function of ln sigma, not negative and not 0
/// everywhere.
pub(super) fn equal_parts(
    sigma_max: f64,
    sigma_min: f64,
    count: usize,
    density: impl Fn(f64) -> f64,
) -> Result<Levels> {
    // Refuses impossible ends and counts.
    let Ok(even) = Levels::geometric(sigma_max, sigma_min, INTERVALS + 1) else {
        return Levels::geometric(sigma_max, sigma_min, count);
    };
    let even: Vec<f64> = even.as_slice().iter().map(|sigma| sigma.ln()).collect();
    let values: Vec<f64> = even.iter().map(|&x| density(x)).collect();
    // From sigma_max down to each of the even levels.
    let mut integrals = vec![0.0];
    for (x, f) in even.windows(2).zip(values.windows(2)) {
        let before = integrals[integrals.len() - 1];
        integrals.push(before + (x[0] - x[1]) * (f[0] + f[1]) / 2.0);
    }
    let whole = integrals[INTERVALS];
    Levels::between(sigma_max, sigma_min, count, |t| {
        let part = whole * t;
        let after = integrals.partition_point(|&integral| integral <= part);
        let i = after.clamp(1, INTERVALS) - 1;
        let within = (part - integrals[i]) / (integrals[i + 1] - integrals[i]);
        (even[i] + (even[i + 1] - even[i]) * within).exp()
    })
}
