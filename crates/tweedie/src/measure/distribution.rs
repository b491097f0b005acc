//! Wasserstein distances of a sample of numbers and a distribution known exactly.
//!
//! W_p^p = sum_i int_{(i-1)/n}^{i/n} |x_(i) - Q(u)|^p du
//!
//! over the sample in order. Each integral is by the double exponential rule (Takahasi and Mori
//! 1974), which takes the infinite ends of Q; for p = 1 it is split where the integrand has its
//! corner.

use super::wasserstein::sorted;
use crate::error::{Error, Result};

/// The Wasserstein-1 distance of a sample, each value equally likely, and the distribution whose
/// quantile function is `quantile`, on (0, 1) and not decreasing.
///
/// Where `quantile` is smooth within each of the n parts of (0, 1) the error is that of rounding;
/// a jump inside one costs about 2 % of the jump over n.
///
/// # Errors
/// As for [`super::wasserstein_1`]; [`Error::Setting`] where `quantile` gives NaN.
pub fn wasserstein_1_to_distribution(sample: &[f64], quantile: impl Fn(f64) -> f64) -> Result<f64> {
    let sample = sorted(sample)?;
    let mut sum = 0.0;
    for (i, &x) in sample.iter().enumerate() {
        let (low, high) = part(i, sample.len());
        let corner = crossing(&quantile, x, low, high);
        sum += integral(low, corner, |u| (x - quantile(u)).abs());
        sum += integral(corner, high, |u| (x - quantile(u)).abs());
    }
    finite(sum)
}

/// The Wasserstein-2 distance of a sample and a distribution; arguments and errors as for
/// [`wasserstein_1_to_distribution`]. The distribution must have a variance.
///
/// # Errors
/// As for [`wasserstein_1_to_distribution`].
pub fn wasserstein_2_to_distribution(sample: &[f64], quantile: impl Fn(f64) -> f64) -> Result<f64> {
    let sample = sorted(sample)?;
    let mut sum = 0.0;
    for (i, &x) in sample.iter().enumerate() {
        let (low, high) = part(i, sample.len());
        sum += integral(low, high, |u| (x - quantile(u)).powi(2));
    }
    finite(sum.sqrt())
}

/// The Wasserstein-1 distance of a sample and the distribution whose cumulative distribution function is `cdf`:
/// the integral of |F_n(x) - F(x)| over `[low, high]`, outside of which neither has mass to speak
/// of. For large samples, where it is much faster than [`wasserstein_1_to_distribution`].
///
/// By the trapezoidal rule between the sample's values and over pieces of at most
/// (high - low)/10 000.
///
/// # Errors
/// As for [`super::wasserstein_1`]; [`Error::Setting`] for ends that are not finite and increasing.
pub fn wasserstein_1_to_cdf(
    sample: &[f64],
    cdf: impl Fn(f64) -> f64,
    low: f64,
    high: f64,
) -> Result<f64> {
    let sample = sorted(sample)?;
    if !(low < high && (high - low).is_finite()) {
        let (value, reason) = (format!("[{low}, {high}]"), "must be finite and increasing");
        return Err(Error::setting("range", value, reason));
    }
    let (n, longest) = (sample.len() as f64, (high - low) / 10_000.0);
    let ends = sample.iter().map(|x| x.clamp(low, high)).chain([high]);
    let (mut sum, mut start, mut f) = (0.0, low, cdf(low));
    for (i, end) in ends.enumerate() {
        let below = i as f64 / n;
        let pieces = ((end - start) / longest).ceil();
        let length = (end - start) / pieces;
        for piece in 1..=pieces as usize {
            let next = cdf(start + piece as f64 * length);
            sum += 0.5 * length * ((below - f).abs() + (below - next).abs());
            f = next;
        }
        start = end;
    }
    finite(sum)
}

/// The quantile function of the distribution on `[low, high]` whose cumulative distribution
/// function is `cdf`, by
/// bisection to the last bit of f64.
///
/// Mass outside `[low, high]` is put at its ends: choose them where hardly any is left.
///
/// # Errors
/// [`Error::Setting`] for ends that are not finite and increasing.
pub fn quantile_of_cdf(
    cdf: impl Fn(f64) -> f64,
    low: f64,
    high: f64,
) -> Result<impl Fn(f64) -> f64> {
    if !(low < high && (high - low).is_finite()) {
        let (value, reason) = (format!("[{low}, {high}]"), "must be finite and increasing");
        return Err(Error::setting("range", value, reason));
    }
    Ok(move |u| bisect(low, high, |x| cdf(x) >= u))
}

/// The smallest value between `low` and `high` that is `enough`, or `high`.
fn bisect(mut low: f64, mut high: f64, enough: impl Fn(f64) -> bool) -> f64 {
    if enough(low) {
        return low;
    }
    loop {
        let middle = low + 0.5 * (high - low);
        if middle <= low || middle >= high {
            return high;
        }
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
}

/// The quantiles of value `i` of `n`.
fn part(i: usize, n: usize) -> (f64, f64) {
    (i as f64 / n as f64, (i + 1) as f64 / n as f64)
}

/// Where the quantile function reaches `x` between `low` and `high`, or the end it does not
/// leave.
fn crossing(quantile: &impl Fn(f64) -> f64, x: f64, low: f64, high: f64) -> f64 {
    bisect(low, high, |u| quantile(inside(u)) >= x)
}

/// `u` kept inside (0, 1), where quantiles are finite.
fn inside(u: f64) -> f64 {
    u.clamp(f64::MIN_POSITIVE, 1.0 - 0.5 * f64::EPSILON)
}

fn finite(value: f64) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    let reason =
        "the quantile function must be finite inside (0, 1), and the distribution have a moment";
    Err(Error::setting("the distance", value, reason))
}

/// The integral of `f` from `low` to `high` by the double exponential rule with 97 nodes.
///
/// u = 1/(1 + exp(-pi sinh t)), of the length, so that both ends are approached twice
/// exponentially; each node is computed from the end it is nearer to.
fn integral(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let length = high - low;
    if length <= 0.0 {
        return 0.0;
    }
    const STEP: f64 = 1.0 / 12.0;
    let mut sum = 0.0;
    for k in -48..=48 {
        let t = f64::from(k) * STEP;
        let e = (-std::f64::consts::PI * t.abs().sinh()).exp();
        // The distance from the nearer end, and du/dt, in units of the length.
        let near = e / (1.0 + e);
        let weight = std::f64::consts::PI * t.cosh() * e / (1.0 + e).powi(2);
        let u = if t < 0.0 {
            low + length * near
        } else {
            high - length * near
        };
        sum += weight * f(inside(u));
    }
    sum * STEP * length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{normal_cdf, normal_quantile};

    fn density(x: f64) -> f64 {
        (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
    }

    #[test]
    fn both_ways_to_the_distance_agree() {
        use crate::noise::{normal_cdf, normal_quantile};
        let sample = [-1.5, 0.2, 0.2, 0.9, 2.5];
        let by_quantile = wasserstein_1_to_distribution(&sample, normal_quantile).unwrap();
        let by_cdf = wasserstein_1_to_cdf(&sample, normal_cdf, -9.0, 9.0).unwrap();
        assert!(
            (by_quantile - by_cdf).abs() < 1e-6,
            "{by_quantile} {by_cdf}"
        );
        assert!(wasserstein_1_to_cdf(&sample, normal_cdf, 1.0, 1.0).is_err());
        assert!(wasserstein_1_to_cdf(&[], normal_cdf, 0.0, 1.0).is_err());
    }

    #[test]
    fn the_rule_integrates_what_it_should() {
        for (low, high) in [(0.0f64, 1.0f64), (0.25, 0.3), (0.0, 1e-3)] {
            let exact = (high.powi(4) - low.powi(4)) / 4.0;
            assert!((integral(low, high, |u| u.powi(3)) - exact).abs() < 1e-14);
        }
        // An infinite end: int_0^1 -ln u = 1.
        assert!((integral(0.0, 1.0, |u| -u.ln()) - 1.0).abs() < 1e-13);
        assert!((integral(0.0, 1.0, |u| -(-u).ln_1p()) - 1.0).abs() < 1e-12);
    }

    /// One value against the uniform distribution: int |x - u| = (x^2 + (1 - x)^2)/2.
    #[test]
    fn one_value_and_the_uniform_distribution() {
        for x in [0.0, 0.3, 0.5, 1.0, 1.7, -2.0] {
            let w = wasserstein_1_to_distribution(&[x], |u| u).unwrap();
            let exact = if (0.0..=1.0).contains(&x) {
                0.5 * (x * x + (1.0 - x) * (1.0 - x))
            } else {
                (x - 0.5f64).abs()
            };
            assert!((w - exact).abs() < 1e-13, "{x}: {w} {exact}");
            let w = wasserstein_2_to_distribution(&[x], |u| u).unwrap();
            let exact = ((x - 0.5f64).powi(2) + 1.0 / 12.0).sqrt();
            assert!((w - exact).abs() < 1e-13);
        }
    }

    /// Values at the middle of their parts are 1/(4n) from the uniform distribution in W_1.
    #[test]
    fn evenly_spread_values_and_the_uniform_distribution() {
        let n = 40;
        let sample: Vec<f64> = (0..n)
            .rev()
            .map(|i| (f64::from(i) + 0.5) / f64::from(n))
            .collect();
        let w = wasserstein_1_to_distribution(&sample, |u| u).unwrap();
        assert!((w - 0.25 / f64::from(n)).abs() < 1e-14);
        let w = wasserstein_2_to_distribution(&sample, |u| u).unwrap();
        assert!((w - (1.0f64 / 12.0).sqrt() / f64::from(n)).abs() < 1e-14);
    }

    /// W_2^2 = sum_i (x_i^2/n - 2 x_i int_i Q) + 1, and int Q = density(Q(low)) - density(Q(high)).
    #[test]
    fn a_sample_and_the_normal_distribution() {
        let sample: Vec<f64> = (0..25)
            .map(|i| 2.0 * (f64::from(i) * 1.7).sin() + 0.1)
            .collect();
        let sorted = sorted(&sample).unwrap();
        let (mut square, mut first) = (1.0, 0.0);
        for (i, &x) in sorted.iter().enumerate() {
            let (low, high) = part(i, sample.len());
            let (q_low, q_high) = (normal_quantile(low), normal_quantile(high));
            square += x * x / 25.0 - 2.0 * x * (density(q_low) - density(q_high));
            // int |x - z| density = (x (2 Phi(x') - Phi - Phi) + 2 density(x') ...) piece by piece,
            // cut at x kept within the part.
            let cut = x.clamp(q_low, q_high);
            let below = x * (normal_cdf(cut) - low) - (density(q_low) - density(cut));
            let above = (density(cut) - density(q_high)) - x * (high - normal_cdf(cut));
            first += below + above;
        }
        let w = wasserstein_2_to_distribution(&sample, normal_quantile).unwrap();
        assert!((w - square.sqrt()).abs() < 1e-11, "{w} {}", square.sqrt());
        let w = wasserstein_1_to_distribution(&sample, normal_quantile).unwrap();
        assert!((w - first).abs() < 1e-11, "{w} {first}");
    }

    #[test]
    fn a_distribution_by_its_cdf() {
        let quantile = quantile_of_cdf(normal_cdf, -40.0, 10.0).unwrap();
        for u in [1e-300, 1e-10, 0.1, 0.5, 0.9, 1.0 - 1e-9] {
            let exact = normal_quantile(u);
            // Above the median 1 - u is coarse.
            let slack = 1e-14 * exact.abs() + 1e-16 / density(exact).max(1e-16);
            let bound = if u < 0.5 {
                1e-13 * exact.abs()
            } else {
                4.0 * slack
            };
            assert!(
                (quantile(u) - exact).abs() <= bound,
                "{u}: {} {exact}",
                quantile(u)
            );
        }
        let sample = [-1.0, 0.2, 0.3, 2.0];
        let by_cdf = wasserstein_1_to_distribution(&sample, quantile).unwrap();
        let by_quantile = wasserstein_1_to_distribution(&sample, normal_quantile).unwrap();
        assert!((by_cdf - by_quantile).abs() < 1e-12);
        assert!(quantile_of_cdf(normal_cdf, 1.0, 1.0).is_err());
    }

    /// Against a sample as a distribution: a step function with its jumps between the parts.
    #[test]
    fn a_sample_as_a_distribution() {
        let (a, b) = ([0.3, -1.0, 2.0, 5.0], [1.0, 0.0]);
        let exact = super::super::wasserstein_1(&a, &b).unwrap();
        let steps = |u: f64| if u <= 0.5 { 0.0 } else { 1.0 };
        assert!((wasserstein_1_to_distribution(&a, steps).unwrap() - exact).abs() < 1e-13);
        let exact = super::super::wasserstein_2(&a, &b).unwrap();
        assert!((wasserstein_2_to_distribution(&a, steps).unwrap() - exact).abs() < 1e-13);
    }

    #[test]
    fn a_distribution_that_is_none_is_refused() {
        assert!(wasserstein_1_to_distribution(&[], |u| u).is_err());
        assert!(wasserstein_2_to_distribution(&[1.0], |_| f64::NAN).is_err());
        assert!(wasserstein_1_to_distribution(&[1.0], |_| f64::NAN).is_err());
    }
}
