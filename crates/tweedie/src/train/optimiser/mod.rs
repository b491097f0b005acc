//! Adam (Kingma & Ba 2015) and the moving average of the weights: on the host in one pass over
//! plain arrays, on another engine by its own operations.

mod device;
mod host;
#[cfg(test)]
mod tests;

pub use device::DeviceAdam;
pub(super) use device::not_finite;
pub use host::Adam;

use crate::error::{Error, Result};

/// Adam's constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConfig {
    /// Decay of the first moment, in (-1, 1). Adversarial training uses 0 and even -0.5.
    pub beta1: f64,
    /// Decay of the second moment, in [0, 1).
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }
}

impl AdamConfig {
    /// Checks the constants.
    ///
    /// # Errors
    /// Names the one that is out of its range, as `betas` and `adam_eps` of a configuration.
    pub fn validate(&self) -> Result<()> {
        if !(self.beta1 > -1.0 && self.beta1 < 1.0) {
            return Err(Error::setting(
                "betas[0]",
                self.beta1,
                "must lie in (-1, 1)",
            ));
        }
        if !(0.0..1.0).contains(&self.beta2) {
            return Err(Error::setting("betas[1]", self.beta2, "must lie in [0, 1)"));
        }
        if !(self.epsilon as f32 > 0.0 && self.epsilon.is_finite()) {
            return Err(Error::setting("adam_eps", self.epsilon, "must be positive"));
        }
        Ok(())
    }

    /// The bias corrections 1 - beta1^t and 1 - beta2^t at t = `step` + 1, for moments that start
    /// at zero.
    fn corrections(&self, step: u64) -> [f64; 2] {
        // A whole number, for which powf also takes a negative base.
        let t = (step + 1) as f64;
        [1.0 - self.beta1.powf(t), 1.0 - self.beta2.powf(t)]
    }
}

/// What an update needs besides the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateNumbers {
    /// The update's number, from 0.
    pub step: u64,
    /// The learning rate.
    pub rate: f64,
    /// What the gradient is multiplied by first: less than 1 where it is clipped.
    pub gradient_scale: f64,
    /// The decay of the moving average.
    pub decay: f64,
}
