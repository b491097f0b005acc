//! The denoising loss as a function of the noise level, and the noise levels that follow from it.
//!
//! m(sigma) = E ||x0 - H(x0 + sigma z, sigma)||^2, summed over the values of an item.
//!
//! One curve, measured once ([`crate::score::denoising_loss`]), gives the levels for every number
//! of steps: those of [`LossSchedule`], each in a file of its own.

mod density;
mod entropic;
mod isotonic;
mod mse_dp;
mod pchip;
mod point;
mod schedule;
mod square_root;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::isotonic::isotonic;
use self::pchip::Pchip;
use super::Levels;
use super::levels::usable;
use crate::error::{Error, Result};

pub use point::{LossPoint, Measured};
pub use schedule::LossSchedule;

/// Losses below this part of the largest are taken for it, so that ln m exists where the loss
/// vanishes. Its root, which is what levels depend on, is below what can be measured.
const FLOOR: f64 = 1e-14;

/// m(sigma) at some noise levels, and a smooth curve through them.
///
/// H at more noise is the posterior mean given less information, so the m of an exact denoiser
/// increases with sigma. Measured values, which need not, are first replaced by the increasing ones
/// that fit them best (isotonic regression, weighted by 1/standard error^2). Between levels ln m is a monotone
/// cubic of ln sigma ([PCHIP](https://doi.org/10.1137/0905021)), so power laws are exact and m' is
/// continuous and never negative. Below the smallest level m is continued in proportion to
/// sigma^2, above the largest it is constant.
///
/// Text holds the measured values and what they were measured on; the rest follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct LossCurve {
    points: Vec<LossPoint>,
    measured: Measured,
    /// Increasing losses at the levels of `points`.
    fitted: Vec<f64>,
    /// ln m as a function of ln sigma.
    ln_loss: Pchip,
}

/// A curve as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    measured: Measured,
    points: Vec<LossPoint>,
}

impl LossCurve {
    /// The curve through `points`, from the largest noise level down.
    ///
    /// # Errors
    /// [`Error::Setting`] for fewer than two points, noise levels that do not decrease strictly, or a
    /// loss or standard error that is negative or not finite.
    pub fn new(points: Vec<LossPoint>, measured: Measured) -> Result<Self> {
        if points.len() < 2 {
            let reason = "a curve needs 2 noise levels or more";
            return Err(Error::setting("loss curve", points.len(), reason));
        }
        Levels::new(points.iter().map(|point| point.sigma).collect())?;
        for LossPoint {
            sigma,
            loss,
            standard_error,
            step_error,
        } in &points
        {
            let errors = [standard_error, step_error].map(|error| error.unwrap_or(0.0));
            for (name, value) in [("loss", *loss), ("error", errors[0]), ("error", errors[1])] {
                if !(value >= 0.0 && value.is_finite()) {
                    let reason = "must be finite and not negative";
                    return Err(Error::setting(
                        format!("{name} at sigma = {sigma}"),
                        value,
                        reason,
                    ));
                }
            }
        }
        let ascending = || points.iter().rev();
        let losses: Vec<f64> = ascending().map(|point| point.loss).collect();
        let mut fitted = isotonic(&losses, &weights(ascending()));
        let floor = FLOOR * fitted[fitted.len() - 1].max(f64::MIN_POSITIVE / FLOOR);
        let x = ascending().map(|point| point.sigma.ln()).collect();
        let y = fitted.iter().map(|&loss| loss.max(floor).ln()).collect();
        fitted.reverse();
        Ok(Self {
            ln_loss: Pchip::new(x, y),
            fitted,
            points,
            measured,
        })
    }

    /// The curve of a loss that is known, `loss(sigma)` at `levels`.
    ///
    /// # Errors
    /// As for [`LossCurve::new`].
    pub fn exact(levels: &Levels, loss: impl Fn(f64) -> f64) -> Result<Self> {
        let point = |&sigma: &f64| LossPoint {
            sigma,
            loss: loss(sigma),
            standard_error: Some(0.0),
            step_error: Some(0.0),
        };
        Self::new(
            levels.as_slice().iter().map(point).collect(),
            Measured::default(),
        )
    }

    /// What was measured, from the largest noise level down.
    pub fn points(&self) -> &[LossPoint] {
        &self.points
    }

    /// The increasing losses that fit the points best, in their order.
    pub fn fitted(&self) -> &[f64] {
        &self.fitted
    }

    /// What it was measured on.
    pub fn measured(&self) -> &Measured {
        &self.measured
    }

    /// The largest noise level and the smallest.
    pub fn range(&self) -> (f64, f64) {
        (
            self.points[0].sigma,
            self.points[self.points.len() - 1].sigma,
        )
    }

    /// m(sigma).
    pub fn loss(&self, sigma: f64) -> f64 {
        self.at(sigma.ln()).0
    }

    /// m'(sigma), not negative.
    pub fn slope(&self, sigma: f64) -> f64 {
        self.at(sigma.ln()).1 / sigma
    }

    /// m and dm/d ln sigma at `ln_sigma`.
    fn at(&self, ln_sigma: f64) -> (f64, f64) {
        let (low, high) = self.ln_loss.range();
        if ln_sigma > high {
            return (self.fitted[0], 0.0);
        }
        let inside = ln_sigma.max(low);
        let (ln_loss, slope) = self.ln_loss.at(inside);
        match ln_sigma < low {
            true => {
                let loss = (ln_loss + 2.0 * (ln_sigma - low)).exp();
                (loss, 2.0 * loss)
            }
            false => (ln_loss.exp(), slope * ln_loss.exp()),
        }
    }

    /// Whether m is the same at both noise levels, so that nothing follows from it between them.
    fn is_flat(&self, sigma_max: f64, sigma_min: f64) -> bool {
        let (top, bottom) = (self.loss(sigma_max), self.loss(sigma_min));
        // Also where all losses are 0.
        top - bottom <= 1e-12 * top || self.fitted[0] == 0.0
    }
}

/// The weights of the fit, 1/standard error^2; equal ones where an error is not known, or none.
fn weights<'a>(points: impl Iterator<Item = &'a LossPoint>) -> Vec<f64> {
    let errors: Vec<f64> = points
        .map(|point| point.standard_error.unwrap_or(f64::NAN))
        .collect();
    let largest = errors.iter().copied().fold(0.0, f64::max);
    let weight = |error: &f64| (error.max(1e-6 * largest) / largest).powi(-2);
    match usable(largest) && errors.iter().all(|error| error.is_finite()) {
        true => errors.iter().map(weight).collect(),
        false => vec![1.0; errors.len()],
    }
}

impl TryFrom<Written> for LossCurve {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        Self::new(written.points, written.measured)
    }
}

impl From<LossCurve> for Written {
    fn from(curve: LossCurve) -> Self {
        Self {
            measured: curve.measured,
            points: curve.points,
        }
    }
}
