//! A value with its uncertainty.

use serde::Serialize;

/// The normal quantile of 97.5 %: an interval of 95 % is this many standard errors to either side.
pub(super) const Z_95: f64 = 1.959_963_984_540_054;

/// An estimate and its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error; NaN for a single observation.
    pub standard_error: f64,
}

impl Estimate {
    /// The mean of `values`, each an independent observation; NaN where there are none.
    pub fn mean(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let value = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - value).powi(2)).sum();
        Self {
            value,
            standard_error: (squares / (n - 1.0) / n).sqrt(),
        }
    }

    /// The ends of its interval of 95 %, 1.96 standard errors to either side.
    pub fn interval(&self) -> [f64; 2] {
        let half = Z_95 * self.standard_error;
        [self.value - half, self.value + half]
    }
}

/// The variance of `values` about their mean, over n - 1; NaN of fewer than two.
pub(super) fn variance(values: &[f64]) -> f64 {
    Estimate::mean(values).standard_error.powi(2) * values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_of_a_mean() {
        // Mean 2, sample variance (1 + 0 + 1)/2 = 1.
        let estimate = Estimate::mean(&[1.0, 2.0, 3.0]);
        assert_eq!(estimate.value, 2.0);
        assert!((estimate.standard_error - (1.0f64 / 3.0).sqrt()).abs() < 1e-15);
        assert!(Estimate::mean(&[4.0]).standard_error.is_nan());
        assert!((variance(&[1.0, 2.0, 3.0]) - 1.0).abs() < 1e-15);
        let one = Estimate {
            value: 1.0,
            standard_error: 0.5,
        };
        let [low, high] = one.interval();
        assert!((low - 0.02).abs() < 1e-4 && (high - 1.98).abs() < 1e-4);
    }
}
