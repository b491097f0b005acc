//! A share of items with its binomial uncertainty.

use serde::Serialize;

use super::estimate::{Estimate, Z_95};

/// So many items of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Proportion {
    /// The items that count.
    pub hits: usize,
    /// All items, at least one.
    pub of: usize,
}

impl Proportion {
    /// How many of `flags` are true.
    pub(super) fn of(flags: impl IntoIterator<Item = bool>) -> Self {
        let (mut hits, mut of) = (0, 0);
        for flag in flags {
            hits += usize::from(flag);
            of += 1;
        }
        Self { hits, of }
    }

    /// The share, with the binomial standard error.
    pub fn estimate(&self) -> Estimate {
        let share = self.hits as f64 / self.of as f64;
        Estimate {
            value: share,
            standard_error: (share * (1.0 - share) / self.of as f64).sqrt(),
        }
    }

    /// Wilson's interval of 95 % (1927), which also holds at shares of 0 and 1.
    pub fn interval(&self) -> [f64; 2] {
        let (n, share) = (self.of as f64, self.hits as f64 / self.of as f64);
        let z = Z_95 * Z_95 / n;
        let middle = (share + 0.5 * z) / (1.0 + z);
        let half = (z * (share * (1.0 - share) + 0.25 * z)).sqrt() / (1.0 + z);
        [(middle - half).max(0.0), (middle + half).min(1.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_intervals() {
        let five = Proportion { hits: 5, of: 10 };
        assert_eq!(five.estimate().value, 0.5);
        let [low, high] = five.interval();
        // Newcombe (1998) has such values; the ends solve (p - share)^2 = z^2 p (1 - p)/n.
        for end in [low, high] {
            let exact = Z_95 * Z_95 * end * (1.0 - end) / 10.0;
            assert!(((end - 0.5).powi(2) - exact).abs() < 1e-15);
        }
        let [low, high] = Proportion { hits: 0, of: 20 }.interval();
        assert!(
            low.abs() < 1e-15 && (high - 0.161_125).abs() < 1e-5,
            "{high}"
        );
        let all = Proportion { hits: 20, of: 20 }.interval();
        assert!((all[0] - (1.0 - high)).abs() < 1e-15 && (all[1] - 1.0).abs() < 1e-15);
    }
}
