//! Which of two sets of samples is nearer to a reference.
//!
//! The sets are drawn at equal seeds, so that what their noise has in common falls out of the
//! difference of their distances (common random numbers); its standard error is that of the
//! differences row by row.

use serde::Serialize;

use super::estimate::Estimate;

/// Standard errors that a difference must have for four of five repetitions to see it at 5 %:
/// the normal quantiles of 0.975 and 0.8.
const POWER: f64 = 1.959_963_984_540_054 + 0.841_621_233_572_914_2;

/// The difference of the distances of two sets of samples to the same reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The first set's distance less the second's: below 0 where the first is nearer.
    pub difference: Estimate,
    /// n, the samples in either set.
    pub samples: usize,
    /// The part of the squared standard error that more samples do not lower: the reference's.
    pub reference_variance: f64,
}

/// What a [`Comparison`] says of the first set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Nearer to the reference than the second.
    #[serde(rename = "better")]
    Better,
    /// Further from the reference than the second.
    #[serde(rename = "worse")]
    Worse,
    /// The interval of the difference holds 0.
    #[serde(rename = "cannot tell")]
    CannotTell,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::CannotTell => "cannot tell",
        })
    }
}

impl Comparison {
    /// What the interval of 95 % says.
    pub fn verdict(&self) -> Verdict {
        match self.difference.interval() {
            [_, high] if high < 0.0 => Verdict::Better,
            [low, _] if low > 0.0 => Verdict::Worse,
            _ => Verdict::CannotTell,
        }
    }

    /// The n at which four of five repetitions would tell the sets apart, were the true difference
    /// the one found; `None` where none would: where there is no difference, or where the
    /// reference is too small for it.
    ///
    /// (d/2.80)^2 = V_x/n + V_r, V_x/n the samples' part of the squared error and V_r the
    /// reference's.
    pub fn deciding_samples(&self) -> Option<u64> {
        let Estimate {
            value,
            standard_error,
        } = self.difference;
        let room = (value / POWER).powi(2) - self.reference_variance;
        let samples = self.samples as f64 * (standard_error.powi(2) - self.reference_variance);
        (room > 0.0 && samples.is_finite()).then(|| (samples / room).ceil().max(2.0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(value: f64, standard_error: f64, reference_variance: f64) -> Comparison {
        Comparison {
            difference: Estimate {
                value,
                standard_error,
            },
            samples: 100,
            reference_variance,
        }
    }

    #[test]
    fn verdicts() {
        assert_eq!(comparison(-2.0, 1.0, 0.0).verdict(), Verdict::Better);
        assert_eq!(comparison(2.0, 1.0, 0.0).verdict(), Verdict::Worse);
        assert_eq!(comparison(-1.9, 1.0, 0.0).verdict(), Verdict::CannotTell);
        let blind = comparison(5.0, f64::NAN, 0.0);
        assert_eq!(blind.verdict(), Verdict::CannotTell);
        assert_eq!(blind.deciding_samples(), None);
        assert_eq!(Verdict::CannotTell.to_string(), "cannot tell");
    }

    #[test]
    fn what_n_would_decide() {
        // A quarter of the error needs sixteen times the samples.
        assert_eq!(comparison(0.7, 1.0, 0.0).deciding_samples(), Some(1602));
        let power = comparison(POWER * 1.000_001, 1.0, 0.0);
        assert_eq!(power.deciding_samples(), Some(100));
        assert_eq!(comparison(0.0, 1.0, 0.0).deciding_samples(), None);
        // The reference alone has an error of 0.5: no n shows a difference of less than 1.4.
        assert_eq!(comparison(1.39, 1.0, 0.25).deciding_samples(), None);
        // (2/2.8016)^2 = 0.5096 = 75/n + 0.25.
        assert_eq!(comparison(2.0, 1.0, 0.25).deciding_samples(), Some(289));
    }
}
