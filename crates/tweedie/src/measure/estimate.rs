//! A value with its uncertainty.

use serde::Serialize;

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
    }
}
