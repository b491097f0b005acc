//! Euler-Maruyama on the reverse-time stochastic differential equation.
//!
//! Song et al. 2021, Eq. 6: dx = (f x - g^2 s) dt + g dw, time running from 1 to 0. A step of
//! h = t - t' with s = (alpha H - x)/sigma^2 is
//!
//! x' = x - h f x + h g^2 s + sqrt(h) g z.
//!
//! The last step returns the mean, without its noise, as the reference code does. That code also
//! makes its steps 1/N long while its times are (1 - eps)/(N - 1) apart; here N steps lead from
//! the first time exactly to the last.

use super::linear::{Linear, Update};
use crate::error::{Error, Result};
use crate::noise::Process;

/// `steps` Euler-Maruyama steps of equal length from time `start` down to `end` >= 0.
///
/// Too few steps make x grow where h g^2 > 2 sigma^2: for VE processes below
/// ln(sigma_max/sigma_min).
///
/// # Errors
/// [`Error::Setting`] for a process that is not valid, times that are not 1 >= start > end >= 0, a
/// level without noise at `end`, or no steps.
pub fn reverse_sde(process: &Process, start: f64, end: f64, steps: usize) -> Result<Linear> {
    process.validate()?;
    if !(0.0..1.0).contains(&end) {
        return Err(Error::setting("end", end, "must lie in [0, 1)"));
    }
    if !(start > end && start <= 1.0) {
        let reason = format!("must lie above the end = {end} and be at most 1");
        return Err(Error::setting("start", start, reason));
    }
    if steps == 0 {
        return Err(Error::setting("steps", steps, "must be 1 or more"));
    }
    let h = (start - end) / steps as f64;
    let update = |i: usize| {
        let (t, next) = (start - i as f64 * h, start - (i + 1) as f64 * h);
        let last = i + 1 == steps;
        let (from, g2) = (process.level(t), process.g2(t));
        let toward = h * g2 / from.sigma.powi(2);
        Update {
            from,
            to: process.level(if last { end } else { next }),
            a: 1.0 - h * process.drift(t) - toward,
            b: toward * from.alpha,
            c: if last { 0.0 } else { (h * g2).sqrt() },
        }
    };
    Ok(Linear::new((0..steps).map(update).collect()))
}
