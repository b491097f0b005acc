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

use serde::{Deserialize, Serialize};

use super::description::{Scheme, levels_at};
use super::linear::{Linear, Update};
use super::sampler::Sampler;
use super::setting::{Interval, Scale, Setting, SettingValue};
use crate::error::{Error, Result};
use crate::noise::{Coordinates, Levels, Process};

/// `steps` Euler-Maruyama steps of equal length from time `start` down to `end` >= 0.
///
/// Too few steps make x grow where h g^2 > 2 sigma^2: for VE processes below
/// ln(sigma_max/sigma_min).
///
/// # Errors
/// [`Error::Setting`] for a process that is not valid, times that are not 1 >= start > end >= 0, or
/// no steps.
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

/// The settings of `reverse-sde`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    /// `ve`, `vp` or `sub-vp`.
    process: Coordinates,
    /// beta(0), for `vp` and `sub-vp`; 0.1 when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    beta_min: Option<f64>,
    /// beta(1), for `vp` and `sub-vp`; 20 when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    beta_max: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            process: Coordinates::Ve,
            beta_min: None,
            beta_max: None,
        }
    }
}

/// What beta_max must be to reach the first level at t = 1, whatever beta_min is, up to where
/// nothing is left of the data.
fn reaching(levels: &Levels) -> Interval {
    // The integral of beta is at least beta_max/2, and must be ln(1/alpha^2); alpha is smallest
    // in sub-VP coordinates.
    let needed = -2.0 * Coordinates::SubVp.level(levels.first()).alpha.ln();
    Interval::closed(2.0 * needed, 1000.0)
}

impl Scheme for Settings {
    const NAME: &str = "reverse-sde";
    const LABEL: &str = "reverse SDE";
    const ABOUT: &str = "Euler-Maruyama on the reverse-time stochastic differential equation";
    const PAPER: &str = "Song et al. 2021";
    const CALLS: &str = "N";
    const LAST_STEP: &str = "the mean";
    const SETTINGS: &[Setting] = &[
        Setting::choice(
            "process",
            &["ve", "vp", "sub-vp"],
            "the forward process to reverse",
        ),
        Setting::real(
            "beta_min",
            Interval::open(0.0, 1200.0),
            (0.01, 1.0),
            Scale::Log,
            "beta(0)",
        )
        .otherwise(SettingValue::Real(0.1))
        .with("process", &["vp", "sub-vp"])
        .on_levels(|_| Interval::above(0.0, 20.0)),
        Setting::real(
            "beta_max",
            Interval::open(0.0, 1200.0),
            (2.0, 40.0),
            Scale::Log,
            "beta(1)",
        )
        .otherwise(SettingValue::Real(20.0))
        .with("process", &["vp", "sub-vp"])
        .at_least("beta_min")
        .on_levels(reaching),
    ];
    const SPREADS: Option<&str> = Some("steps evenly in the time of its process");

    fn levels_for(&self, calls: usize) -> Result<usize> {
        let least = match self.process {
            Coordinates::Ve => 2,
            Coordinates::Vp | Coordinates::SubVp => 1,
        };
        levels_at(calls, 1, least)
    }

    /// As many steps as there are levels, even in time, between the first level and the last.
    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        for (name, given) in [("beta_min", self.beta_min), ("beta_max", self.beta_max)] {
            if let (Some(value), Coordinates::Ve) = (given, self.process) {
                let reason = "is for the processes vp and sub-vp";
                return Err(Error::setting(name, value, reason));
            }
        }
        let beta_min = self.beta_min.unwrap_or(0.1);
        let beta_max = self.beta_max.unwrap_or(20.0);
        let process = match self.process {
            Coordinates::Ve if levels.len() == 1 => {
                let reason = "a differential equation goes from one noise level to another; take \
                              2 steps or more";
                return Err(Error::setting("steps", 1, reason));
            }
            Coordinates::Ve => Process::Ve {
                sigma_min: levels.last(),
                sigma_max: levels.first(),
            },
            Coordinates::Vp => Process::Vp { beta_min, beta_max },
            Coordinates::SubVp => Process::SubVp { beta_min, beta_max },
        };
        process.validate()?;
        let [start, end] = [levels.first(), levels.last()].map(|sigma| process.time(sigma));
        if start > 1.0 + 1e-9 {
            let reason = format!(
                "reaches a noise of {} at t = 1, less than the {} that sampling starts from; \
                 take a larger one",
                process.level(1.0).relative(),
                levels.first()
            );
            return Err(Error::setting("beta_max", beta_max, reason));
        }
        // A single level has no length: down to time 0.
        let end = if levels.len() == 1 { 0.0 } else { end.max(0.0) };
        let steps = levels.len();
        Ok(Box::new(reverse_sde(&process, start.min(1.0), end, steps)?))
    }
}
