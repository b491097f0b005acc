//! How often something happened, with an interval.

use serde::Serialize;

use super::estimate::{Estimate, Z_95 as Z};

/// A proportion of independent trials, with Wilson's 95 % interval (Wilson 1927).
///
/// With p = `count`/n it is the set of the probabilities q with |p - q| <= z sqrt(q (1 - q)/n),
/// which stays within [0, 1] and does not shrink to a point where p is 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Proportion {
    /// How often it happened.
    pub count: u64,
    /// How often it could have.
    pub of: u64,
    /// The quotient; NaN of no trials.
    pub value: f64,
    /// The lower and the upper end of the interval; 0 and 1 of no trials.
    pub interval: [f64; 2],
}

impl Proportion {
    /// `count` of `of` trials.
    pub fn new(count: u64, of: u64) -> Self {
        let n = of as f64;
        let value = count as f64 / n;
        let interval = match of {
            0 => [0.0, 1.0],
            _ => {
                let z2 = Z * Z / n;
                let middle = value + z2 / 2.0;
                let half = (Z * Z * (value * (1.0 - value) + z2 / 4.0) / n).sqrt();
                [(middle - half) / (1.0 + z2), (middle + half) / (1.0 + z2)]
            }
        };
        Self {
            count,
            of,
            value,
            // Where all or none are counted, an end is 1 or 0 up to rounding.
            interval: interval.map(|end| end.clamp(0.0, 1.0)),
        }
    }

    /// How many of `flags` are true.
    pub(super) fn among(flags: impl IntoIterator<Item = bool>) -> Self {
        let (mut count, mut of) = (0, 0);
        for flag in flags {
            count += u64::from(flag);
            of += 1;
        }
        Self::new(count, of)
    }

    /// The quotient with the binomial standard error.
    pub fn estimate(&self) -> Estimate {
        Estimate {
            value: self.value,
            standard_error: (self.value * (1.0 - self.value) / self.of as f64).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_solve_the_equation_that_defines_them() {
        for (count, of) in [(1, 10), (50, 100), (9930, 10_000), (7, 9)] {
            let p = Proportion::new(count, of);
            for q in p.interval {
                let half = Z * (q * (1.0 - q) / of as f64).sqrt();
                assert!(((p.value - q).abs() - half).abs() < 1e-12, "{p:?}");
            }
        }
        let all = Proportion::new(20, 20);
        assert_eq!(all.interval[1], 1.0);
        assert!((all.interval[0] - 20.0 / (20.0 + Z * Z)).abs() < 1e-12);
        assert_eq!(Proportion::new(0, 0).interval, [0.0, 1.0]);
    }

    /// Of all binomial counts, those whose interval holds the true probability have 95 % between
    /// them, on average over probabilities.
    #[test]
    fn the_interval_covers_what_it_says() {
        let (n, mut coverage, mut tried) = (100_u64, 0.0, 0.0);
        for step in 5..=95 {
            let q: f64 = f64::from(step) / 100.0;
            let mut term = (1.0 - q).powi(n as i32);
            for count in 0..=n {
                let [low, high] = Proportion::new(count, n).interval;
                if (low..=high).contains(&q) {
                    coverage += term;
                }
                term *= (n - count) as f64 / (count + 1) as f64 * q / (1.0 - q);
            }
            tried += 1.0;
        }
        let coverage = coverage / tried;
        assert!((coverage - 0.95).abs() < 0.01, "{coverage}");
    }
}
