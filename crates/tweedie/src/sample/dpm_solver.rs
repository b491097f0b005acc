//! DPM-Solver++ of second order with one call a step: 2M and SDE-2M.
//!
//! Lu et al., "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models",
//! 2022, Algorithm 2 and appendix D, in VE coordinates: lambda = -ln sigma, h = lambda' - lambda,
//! r = (the step before)/h. With D = H + (H - H_before)/(2r), or H at the first step,
//!
//! 2M:      x' = sigma'/sigma x + (1 - e^-h) D
//! SDE-2M:  x' = sigma'/sigma e^(-eta h) x + (1 - e^(-(1 + eta) h)) D
//!               + sigma' sqrt(1 - e^(-2 eta h)) z
//!
//! The second with eta = 0 is the first. With eta = 1 and first-order steps it is the ancestral
//! sampler (eps_c = 2); first-order steps of the first are DDIM. The last step, to 0, returns H.

use serde::{Deserialize, Serialize};

use super::description::{Scheme, levels_at};
use super::sampler::{Sampler, State};
use super::setting::Setting;
use crate::error::{Error, Result};
use crate::noise::{Coordinates, Level, Levels, Path, Step};

/// DPM-Solver++ 2M, deterministic or stochastic.
#[derive(Clone, Debug, PartialEq)]
pub struct DpmSolver {
    steps: Vec<Step>,
    eta: f64,
    /// H of the step before, `[n, dim]`.
    before: Vec<f64>,
}

impl DpmSolver {
    /// DPM-Solver++ 2M down `levels` and on to 0.
    pub fn new(levels: Levels) -> Self {
        Self {
            steps: Path::new(&levels, Coordinates::Ve).steps().collect(),
            eta: 0.0,
            before: Vec::new(),
        }
    }

    /// DPM-Solver++ SDE-2M, with noise in proportion to `eta` >= 0; 1 is the reverse diffusion's.
    ///
    /// # Errors
    /// [`Error::Setting`] for an eta that is negative or not finite.
    pub fn stochastic(levels: Levels, eta: f64) -> Result<Self> {
        if !(eta >= 0.0 && eta.is_finite()) {
            let reason = "must be finite and not negative; 1 is usual";
            return Err(Error::setting("eta", eta, reason));
        }
        Ok(Self {
            eta,
            ..Self::new(levels)
        })
    }
}

impl Sampler for DpmSolver {
    fn steps(&self) -> usize {
        self.steps.len()
    }

    fn noise(&self, i: usize) -> (Level, Level) {
        (self.steps[i].from, self.steps[i].to)
    }

    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()> {
        let (from, to) = self.noise(i);
        state.denoise(from)?;
        if to.sigma == 0.0 {
            state.update(0.0, 1.0, 0.0);
            return Ok(());
        }
        let h = (from.sigma / to.sigma).ln();
        let toward = -(-(1.0 + self.eta) * h).exp_m1();
        let noise = to.sigma * (-(-2.0 * self.eta * h).exp_m1()).sqrt();
        let kept = to.sigma / from.sigma * (-self.eta * h).exp();
        // x' = kept x + toward (H + (H - H_before)/(2r)) + noise z
        let mut share = 0.0;
        if i > 0 {
            let last = (self.steps[i - 1].from.sigma / from.sigma).ln();
            share = 0.5 * h / last;
        }
        state.update(kept, toward * (1.0 + share), noise);
        let (x, h) = state.parts();
        if i > 0 {
            for (x, before) in x.iter_mut().zip(&self.before) {
                *x -= toward * share * before;
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

/// The settings of `dpmpp-2m`: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {}

impl Scheme for Settings {
    const NAME: &str = "dpmpp-2m";
    const LABEL: &str = "DPM-Solver++ 2M";
    const ABOUT: &str = "DPM-Solver++ of second order, deterministic";
    const PAPER: &str = "Lu et al. 2022";
    const CALLS: &str = "N";
    const LAST_STEP: &str = "H";
    const SETTINGS: &[Setting] = &[];

    fn levels_for(&self, calls: usize) -> Result<usize> {
        levels_at(calls, 1, 1)
    }

    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        Ok(Box::new(DpmSolver::new(levels.clone())))
    }
}
