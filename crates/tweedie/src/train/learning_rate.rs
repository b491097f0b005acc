//! The learning rate, and the decay of the moving average, at each step.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How the learning rate changes after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LearningRateSchedule {
    /// Constant.
    #[default]
    Constant,
    /// Half a cosine, down to zero at the last step (cosine annealing).
    Cosine,
}

/// The learning rate at each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRate {
    /// The rate after the warm-up.
    pub peak: f64,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// The schedule after the warm-up.
    pub schedule: LearningRateSchedule,
    /// The last step, where `cosine` reaches zero.
    pub steps: u64,
}

impl LearningRate {
    /// The same rate at every step.
    pub fn constant(rate: f64) -> Self {
        Self {
            peak: rate,
            warmup: 0,
            schedule: LearningRateSchedule::Constant,
            steps: 0,
        }
    }

    /// Checks the peak.
    ///
    /// # Errors
    /// When it is not positive and finite in f32.
    pub fn validate(&self) -> Result<()> {
        if self.peak > 0.0 && (self.peak as f32).is_finite() {
            return Ok(());
        }
        let reason = "must be positive, for example 1e-4";
        Err(Error::setting("lr", self.peak, reason))
    }

    /// The rate of step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        match self.schedule {
            LearningRateSchedule::Constant => self.peak,
            LearningRateSchedule::Cosine => {
                let length = self.steps.saturating_sub(self.warmup).max(1) as f64;
                let done = ((step - self.warmup) as f64 / length).min(1.0);
                self.peak * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
    }
}

/// The decay of the moving average at `step`: `min(decay, (1 + step)/(10 + step))`.
///
/// Without this warm-up the average is dominated by the initial weights for the first
/// 1/(1 - decay) steps, and samples drawn from it are noise.
pub fn ema_decay(decay: f64, step: u64) -> f64 {
    decay.min((1 + step) as f64 / (10 + step) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_warms_up_and_falls() {
        let rate = LearningRate {
            peak: 2.0,
            warmup: 4,
            schedule: LearningRateSchedule::Cosine,
            steps: 104,
        };
        assert_eq!([rate.at(0), rate.at(3), rate.at(4)], [0.5, 2.0, 2.0]);
        assert!((rate.at(54) - 1.0).abs() < 1e-12);
        assert!(rate.at(104).abs() < 1e-12);
        let constant = LearningRate {
            schedule: LearningRateSchedule::Constant,
            ..rate
        };
        assert_eq!(constant.at(1000), 2.0);
    }

    #[test]
    fn the_averages_decay_warms_up() {
        assert_eq!(ema_decay(0.999, 0), 0.1);
        assert_eq!(ema_decay(0.999, 1_000_000), 0.999);
    }
}
