//! Heun's method with churn, of EDM.
//!
//! Karras et al. 2022, Algorithm 2, in sigma:
//!
//! 1. sigma^ = sigma + gamma sigma, gamma = min(S_churn/N, sqrt 2 - 1) for sigma in
//!    \[S_min, S_max\], else 0; x^ = x + sqrt(sigma^^2 - sigma^2) S_noise z
//! 2. d = (x^ - H(x^, sigma^))/sigma^; x' = x^ + (sigma' - sigma^) d
//! 3. unless sigma' = 0: d' = (x' - H(x', sigma'))/sigma'; x' = x^ + (sigma' - sigma^)(d + d')/2
//!
//! N steps make 2N - 1 network calls. Without churn it is deterministic and of second order; this
//! gamma is not the ratio of noise levels.

use serde::{Deserialize, Serialize};

use super::description::Scheme;
use super::sampler::{Sampler, State};
use super::setting::{Interval, Scale, Setting, SettingValue};
use crate::error::{Error, Result};
use crate::noise::{Coordinates, Level, Levels, Path, Step};

/// How much noise is added back before a step; none by default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Churn {
    /// S_churn: the noise added back over all steps, from 0.
    pub s_churn: f64,
    /// S_min: the lowest level at which noise is added.
    pub s_min: f64,
    /// S_max: the highest level at which noise is added.
    pub s_max: f64,
    /// S_noise: the factor of that noise, positive; slightly above 1 makes up for a network that
    /// removes too much.
    pub s_noise: f64,
}

impl Default for Churn {
    fn default() -> Self {
        Self {
            s_churn: 0.0,
            s_min: 0.0,
            s_max: f64::INFINITY,
            s_noise: 1.0,
        }
    }
}

/// Heun's method.
#[derive(Clone, Debug, PartialEq)]
pub struct Heun {
    steps: Vec<Step>,
    churn: Churn,
    /// x^ and d of the step, `[n, dim]`.
    before: Vec<f64>,
    slope: Vec<f64>,
}

impl Heun {
    /// Heun's method down `levels` and on to 0.
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting of `churn` that is out of its range.
    pub fn new(levels: Levels, churn: Churn) -> Result<Self> {
        let Churn {
            s_churn,
            s_min,
            s_max,
            s_noise,
        } = churn;
        let settings = [
            ("s_churn", s_churn, s_churn >= 0.0 && s_churn.is_finite()),
            ("s_min", s_min, s_min >= 0.0),
            ("s_max", s_max, s_max >= s_min),
            ("s_noise", s_noise, s_noise > 0.0 && s_noise.is_finite()),
        ];
        for (name, value, fits) in settings {
            if !fits {
                let reason = "needs s_churn >= 0, 0 <= s_min <= s_max and s_noise > 0";
                return Err(Error::setting(name, value, reason));
            }
        }
        Ok(Self {
            steps: Path::new(&levels, Coordinates::Ve).steps().collect(),
            churn,
            before: Vec::new(),
            slope: Vec::new(),
        })
    }

    /// sigma^ for the step from `sigma`.
    fn raised(&self, sigma: f64) -> f64 {
        let churn = &self.churn;
        if sigma < churn.s_min || sigma > churn.s_max {
            return sigma;
        }
        let gamma = (churn.s_churn / self.steps.len() as f64).min(2f64.sqrt() - 1.0);
        sigma + gamma * sigma
    }
}

impl Sampler for Heun {
    fn steps(&self) -> usize {
        self.steps.len()
    }

    fn noise(&self, i: usize) -> (Level, Level) {
        (self.steps[i].from, self.steps[i].to)
    }

    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()> {
        let (Level { sigma, .. }, Level { sigma: next, .. }) = self.noise(i);
        let hat = self.raised(sigma);
        let added = ((hat - sigma) * (hat + sigma)).sqrt();
        state.update(1.0, 0.0, added * self.churn.s_noise);
        // Euler step.
        state.denoise(Level::ve(hat))?;
        self.before.clear();
        self.before.extend(state.x());
        self.slope.clear();
        let values = state.x().iter().zip(state.denoised());
        self.slope.extend(values.map(|(x, h)| (x - h) / hat));
        if next == 0.0 {
            // x + (0 - sigma) (x - H)/sigma, without the rounding.
            state.mix(0.0, 1.0);
            return Ok(());
        }
        state.mix(next / hat, 1.0 - next / hat);
        // Second-order correction.
        state.denoise(Level::ve(next))?;
        let (x, h) = state.parts();
        let slopes = self.before.iter().zip(&self.slope);
        for ((x, h), (before, d)) in x.iter_mut().zip(h).zip(slopes) {
            let end = (*x - h) / next;
            *x = before + (next - hat) * 0.5 * (d + end);
        }
        Ok(())
    }

    fn calls(&self) -> Option<usize> {
        Some(2 * self.steps.len() - 1)
    }
}

/// The settings of `heun`.
pub(super) type Settings = Churn;

impl Scheme for Churn {
    const NAME: &str = "heun";
    const LABEL: &str = "Heun";
    const ABOUT: &str = "Heun's method of EDM, with churn if asked for";
    const PAPER: &str = "Karras et al. 2022";
    const CALLS: &str = "2N - 1";
    const LAST_STEP: &str = "Euler's, to H";
    const SETTINGS: &[Setting] = &[
        Setting::real(
            "s_churn",
            Interval::from(0.0),
            (0.0, 100.0),
            Scale::Linear,
            "S_churn, the amount of noise added back over all steps",
        )
        .default(SettingValue::Real(0.0)),
        Setting::real(
            "s_min",
            Interval::closed(0.0, f64::INFINITY),
            (0.0, 1.0),
            Scale::Linear,
            "S_min, the lowest noise level with churn",
        )
        .default(SettingValue::Real(0.0)),
        Setting::real(
            "s_max",
            Interval::closed(0.0, f64::INFINITY),
            (0.0, 100.0),
            Scale::Linear,
            "S_max, the highest noise level with churn",
        )
        .default(SettingValue::Real(f64::INFINITY))
        .at_least("s_min"),
        Setting::real(
            "s_noise",
            Interval::open(0.0, f64::INFINITY),
            (0.9, 1.1),
            Scale::Linear,
            "S_noise, the factor of the added noise; slightly above 1 compensates for a network \
             that removes too much",
        )
        .default(SettingValue::Real(1.0)),
    ];

    fn levels_for(&self, calls: usize) -> Result<usize> {
        // N levels make 2N - 1 calls.
        Ok(calls.div_ceil(2))
    }

    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        Ok(Box::new(Heun::new(levels.clone(), *self)?))
    }
}
