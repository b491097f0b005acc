//! The probability-flow ordinary differential equation, by an adaptive solver.
//!
//! Song et al. 2021, Eq. 13. Divided by alpha, the flow of every process is the same: with
//! u = ln sigma, sigma the relative noise,
//!
//! dx/du = x - H(x, e^u)  (= dx/d sigma sigma, dx/d sigma = (x - H)/sigma).
//!
//! In u the slope stays of the size of the noise at all levels. Euler's method in sigma is
//! [`super::ddim`] with eta = 0, Heun's is [`super::Heun`] without churn.

use serde::{Deserialize, Serialize};

use super::ddim::ddim;
use super::description::{Scheme, levels_at};
use super::heun::{Churn, Heun};
use super::sampler::{Sampler, State};
use super::setting::{Interval, Scale, Setting, SettingValue};
use crate::error::{Error, Result};
use crate::noise::{Coordinates, Level, Levels, Path};
use crate::ode::{DormandPrince, Memory};

/// The probability flow by Dormand and Prince's method.
///
/// Each sample has steps of its own, so it does not depend on its batch; a network call is made on
/// all samples that are still on their way.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbabilityFlow {
    levels: Levels,
    solver: DormandPrince,
    memory: Memory,
}

impl ProbabilityFlow {
    /// The flow from the first of `levels` to the last, with a stop at each between: two are
    /// enough, more let observers watch.
    ///
    /// The result is the sample at the last level, and its expected denoised sample.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] for tolerances out of range.
    pub fn new(levels: Levels, solver: DormandPrince) -> Result<Self> {
        solver.validate()?;
        Ok(Self {
            levels,
            solver,
            memory: Memory::new(0),
        })
    }
}

impl Sampler for ProbabilityFlow {
    fn steps(&self) -> usize {
        (self.levels.len() - 1).max(1)
    }

    fn noise(&self, i: usize) -> (Level, Level) {
        let sigmas = self.levels.as_slice();
        // A single level is only denoised.
        let to = sigmas[(i + 1).min(sigmas.len() - 1)];
        (Level::ve(sigmas[i]), Level::ve(to))
    }

    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()> {
        let (from, to) = self.noise(i);
        let mut x = state.x().to_vec();
        if i == 0 {
            self.memory = Memory::new(x.len() / state.dim());
        }
        let mut slopes = |rows: &[usize], u: &[f64], x: &[f64], out: &mut [f64]| {
            let sigmas: Vec<f64> = u.iter().map(|u| u.exp()).collect();
            state.denoise_rows(rows, x, &sigmas, out)?;
            out.iter_mut().zip(x).for_each(|(h, x)| *h = x - *h);
            Ok(())
        };
        let (from, to) = (from.sigma.ln(), to.sigma.ln());
        self.solver
            .solve(&mut slopes, &mut x, 0, &mut self.memory, from, to)?;
        let (state_x, denoised) = state.parts_mut();
        state_x.copy_from_slice(&x);
        for ((h, x), slope) in denoised.iter_mut().zip(&x).zip(self.memory.slopes()) {
            *h = x - slope;
        }
        Ok(())
    }

    /// Unknown: the solver takes as many as the tolerances need.
    fn calls(&self) -> Option<usize> {
        None
    }
}

/// Intervals between stops, for progress and observers, however many levels are given.
const INTERVALS: usize = 8;

/// The settings of `ode`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    method: Method,
    /// For `dormand-prince`, as `atol`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rtol: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    atol: Option<f64>,
}

/// Who solves the equation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Method {
    DormandPrince,
    Euler,
    Heun,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            method: Method::DormandPrince,
            rtol: None,
            atol: None,
        }
    }
}

impl Scheme for Settings {
    const NAME: &str = "ode";
    const LABEL: &str = "ODE";
    const ABOUT: &str =
        "The probability-flow equation, by an adaptive solver, Euler's or Heun's method";
    const PAPER: &str = "Song et al. 2021";
    const CALLS: &str = "as its tolerances need";
    const LAST_STEP: &str = "at the last level";
    const SETTINGS: &[Setting] = &[
        Setting::choice(
            "method",
            &["dormand-prince", "euler", "heun"],
            "the solver: adaptive (dormand-prince), or one step per level",
        ),
        Setting::real(
            "rtol",
            Interval::from(1e-13),
            (1e-7, 1e-1),
            Scale::Log,
            "relative tolerance",
        )
        .otherwise(SettingValue::Real(1e-5))
        .with("method", &["dormand-prince"]),
        Setting::real(
            "atol",
            Interval::open(0.0, f64::INFINITY),
            (1e-7, 1e-1),
            Scale::Log,
            "absolute tolerance",
        )
        .otherwise(SettingValue::Real(1e-5))
        .with("method", &["dormand-prince"]),
    ];

    fn levels_for(&self, calls: usize) -> Result<usize> {
        match self.method {
            Method::DormandPrince => {
                let reason = "the adaptive solver makes as many calls as its tolerances need; \
                              set rtol and atol, or method to euler or heun";
                Err(Error::setting("calls", calls, reason))
            }
            Method::Euler => levels_at(calls, 1, 1),
            Method::Heun => Churn::default().levels_for(calls),
        }
    }

    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        for (name, given) in [("rtol", self.rtol), ("atol", self.atol)] {
            if let Some(value) = given
                && self.method != Method::DormandPrince
            {
                let reason = "is for the method dormand-prince; others make the steps given";
                return Err(Error::setting(name, value, reason));
            }
        }
        Ok(match self.method {
            Method::DormandPrince => {
                let usual = DormandPrince::default();
                let solver = DormandPrince {
                    rtol: self.rtol.unwrap_or(usual.rtol),
                    atol: self.atol.unwrap_or(usual.atol),
                    ..usual
                };
                // The solver chooses its own steps, and every stop cuts one short.
                let sigmas = levels.as_slice();
                let last = sigmas.len() - 1;
                let intervals = last.clamp(1, INTERVALS);
                let mut stops: Vec<f64> = (0..=intervals)
                    .map(|i| sigmas[i * last / intervals])
                    .collect();
                stops.dedup();
                Box::new(ProbabilityFlow::new(Levels::new(stops)?, solver)?)
            }
            Method::Euler => Box::new(ddim(&Path::new(levels, Coordinates::Ve), 0.0)?),
            Method::Heun => Box::new(Heun::new(levels.clone(), Churn::default())?),
        })
    }
}
