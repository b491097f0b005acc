//! The exponential integrator of two steps with an amount of noise and a multistep weight of its
//! own at each level: the family that CAS, DDIM and DPM-Solver++ 2M and SDE-2M are members of.
//!
//! The variance-controlled diffusion dx = (1 + tau^2)(H - x) dl + tau sqrt(2) sigma dW in
//! l = -ln sigma (Xue et al., "SA-Solver", 2023, Eq. 6, in VE coordinates) has the same marginal
//! distributions for every tau(l). With H replaced over step i by the extrapolation
//! D = H_i + c_i (H_i - H_{i-1}) it is solved exactly: with gamma_i = sigma_{i+1}/sigma_i and
//! eps_c = 1 + tau_i^2,
//!
//! x' = gamma_i^eps_c x + (1 - gamma_i^eps_c) D + sigma_{i+1} sqrt(1 - gamma_i^(2(eps_c - 1))) z.
//!
//! c = 0 is CAS (and eps_c = 1 then DDIM, 2 ancestral sampling). With h_i = -ln gamma_i,
//! c_i = h_i/(2 h_{i-1}) is DPM-Solver++ SDE-2M with eta = eps_c - 1 (Lu et al. 2022), and its 2M at
//! eps_c = 1. The first step has no step before, and the last, to 0, returns H: c has no effect on
//! either. On a point mass the noise follows the schedule exactly, whatever eps_c and c are.

use serde::{Deserialize, Serialize};

use super::description::{Scheme, levels_at};
use super::per_level::PerLevel;
use super::sampler::{Sampler, State};
use super::setting::{Interval, Scale, Setting, SettingValue};
use crate::error::{Error, Result};
use crate::noise::{Coordinates, Level, Levels, Path};

/// The exponential integrator with its own eps_c and c at each level.
#[derive(Clone, Debug, PartialEq)]
pub struct Exponential {
    steps: Vec<ExponentialStep>,
    /// H of the step before, `[n, dim]`.
    before: Vec<f64>,
}

/// One step of [`Exponential`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExponentialStep {
    /// sigma_i, the noise level before.
    pub sigma: f64,
    /// sigma_{i+1}, the noise level after; 0 at the last step.
    pub sigma_next: f64,
    /// gamma_i^eps_c, the share of x that is kept.
    pub kept: f64,
    /// c_i, the weight of H - H_before; 0 at the first step and the last.
    pub multistep: f64,
    /// The standard deviation of the noise added.
    pub noise: f64,
}

impl Exponential {
    /// The integrator down `levels` and on to 0, with `eps_c` in \[1, inf\] and `c`, one for each
    /// level.
    ///
    /// # Errors
    /// [`Error::Setting`] for an eps_c below 1, a c that is not finite, and lists that do not have
    /// one number for each level.
    pub fn new(levels: &Levels, eps_c: &[f64], c: &[f64]) -> Result<Self> {
        for (name, list) in [("eps_c", eps_c), ("c", c)] {
            if list.len() != levels.len() {
                let reason = format!("must be {} numbers, one for each level", levels.len());
                return Err(Error::setting(
                    name,
                    format!("{} numbers", list.len()),
                    reason,
                ));
            }
        }
        if let Some(low) = eps_c.iter().find(|value| value.is_nan() || **value < 1.0) {
            let reason = "must lie in [1, inf]; below 1 a step leaves more noise than the next \
                          level has";
            return Err(Error::setting("eps_c", low, reason));
        }
        if let Some(wild) = c.iter().find(|value| !value.is_finite()) {
            return Err(Error::setting("c", wild, "must be finite"));
        }
        let path = Path::new(levels, Coordinates::Ve);
        let steps = path.steps().zip(eps_c).zip(c).enumerate();
        let steps = steps.map(|(i, ((step, &eps_c), &c))| {
            let (sigma, sigma_next) = (step.from.sigma, step.to.sigma);
            if sigma_next == 0.0 {
                let (kept, multistep, noise) = (0.0, 0.0, 0.0);
                return ExponentialStep {
                    sigma,
                    sigma_next,
                    kept,
                    multistep,
                    noise,
                };
            }
            let log_gamma = (sigma_next / sigma).ln();
            ExponentialStep {
                sigma,
                sigma_next,
                kept: (eps_c * log_gamma).exp(),
                multistep: if i == 0 { 0.0 } else { c },
                noise: sigma_next * (-(2.0 * (eps_c - 1.0) * log_gamma).exp_m1()).sqrt(),
            }
        });
        Ok(Self {
            steps: steps.collect(),
            before: Vec::new(),
        })
    }

    /// c of DPM-Solver++ 2M at each of `levels`: h_i/(2 h_{i-1}); 0 at the first and the last.
    pub fn second_order(levels: &Levels) -> Vec<f64> {
        let h: Vec<f64> = levels.gammas().iter().map(|gamma| -gamma.ln()).collect();
        let inner = h.windows(2).map(|pair| 0.5 * pair[1] / pair[0]);
        let mut c: Vec<f64> = [0.0].into_iter().chain(inner).collect();
        c.resize(levels.len(), 0.0);
        c
    }

    /// The steps with their coefficients.
    pub fn coefficients(&self) -> &[ExponentialStep] {
        &self.steps
    }
}

impl Sampler for Exponential {
    fn steps(&self) -> usize {
        self.steps.len()
    }

    fn noise(&self, i: usize) -> (Level, Level) {
        let step = &self.steps[i];
        (Level::ve(step.sigma), Level::ve(step.sigma_next))
    }

    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()> {
        let ExponentialStep {
            sigma,
            kept,
            multistep,
            noise,
            ..
        } = self.steps[i];
        state.denoise(Level::ve(sigma))?;
        // x' = kept x + (1 - kept)(H + c (H - H_before)) + noise z
        let toward = 1.0 - kept;
        state.update(kept, toward * (1.0 + multistep), noise);
        let (x, h) = state.parts();
        if multistep != 0.0 {
            for (x, before) in x.iter_mut().zip(&self.before) {
                *x -= toward * multistep * before;
            }
        }
        self.before.clear();
        self.before.extend(h);
        Ok(())
    }

    fn calls(&self) -> Option<usize> {
        Some(self.steps.len())
    }
}

/// The settings of `exponential`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    eps_c: PerLevel,
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<PerLevel>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            eps_c: PerLevel::All(1.0),
            c: None,
        }
    }
}

impl Scheme for Settings {
    const NAME: &str = "exponential";
    const LABEL: &str = "Exponential";
    const ABOUT: &str =
        "Exponential integrator with its own noise and multistep weight at each level";
    const PAPER: &str = "Xue et al. 2023, Lu et al. 2022, Serra et al. 2021";
    const CALLS: &str = "N";
    const LAST_STEP: &str = "H";
    const SETTINGS: &[Setting] = &[
        Setting::real_per_level(
            "eps_c",
            Interval::closed(1.0, f64::INFINITY),
            (1.0, 16.0),
            Scale::Log,
            "amount of noise, 1 + tau^2: 1 is deterministic, 2 ancestral",
        )
        .default(SettingValue::Real(1.0)),
        Setting::real_per_level(
            "c",
            Interval::open(f64::NEG_INFINITY, f64::INFINITY),
            (-0.5, 1.5),
            Scale::Linear,
            "weight of H - H_before: 0 is first order; without, that of DPM-Solver++ 2M",
        ),
    ];

    fn levels_for(&self, calls: usize) -> Result<usize> {
        levels_at(calls, 1, 1)
    }

    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        let eps_c = self.eps_c.values("eps_c", levels.len())?;
        let c = match &self.c {
            Some(c) => c.values("c", levels.len())?,
            None => Exponential::second_order(levels),
        };
        Ok(Box::new(Exponential::new(levels, &eps_c, &c)?))
    }
}
