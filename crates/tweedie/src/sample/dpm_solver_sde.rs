//! DPM-Solver++ SDE-2M by name: [`DpmSolver::stochastic`], whose equations stand with the
//! deterministic form's.

use serde::{Deserialize, Serialize};

use super::description::{Scheme, levels_at};
use super::dpm_solver::DpmSolver;
use super::sampler::Sampler;
use super::setting::{Interval, Scale, Setting, SettingValue};
use crate::error::Result;
use crate::noise::Levels;

/// The settings of `dpmpp-2m-sde`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    eta: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { eta: 1.0 }
    }
}

impl Scheme for Settings {
    const NAME: &str = "dpmpp-2m-sde";
    const LABEL: &str = "DPM-Solver++ SDE-2M";
    const ABOUT: &str = "DPM-Solver++ of second order, stochastic";
    const PAPER: &str = "Lu et al. 2022";
    const CALLS: &str = "N";
    const LAST_STEP: &str = "H";
    const SETTINGS: &[Setting] = &[Setting::real(
        "eta",
        Interval::from(0.0),
        (0.0, 2.0),
        Scale::Linear,
        "amount of noise: 0 is deterministic, 1 the reverse diffusion",
    )
    .default(SettingValue::Real(1.0))
    .formerly(&["sde_eta"])];

    fn levels_for(&self, calls: usize) -> Result<usize> {
        levels_at(calls, 1, 1)
    }

    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        Ok(Box::new(DpmSolver::stochastic(levels.clone(), self.eta)?))
    }
}
