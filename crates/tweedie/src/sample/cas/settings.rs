//! The settings of consistent annealed sampling.

use serde::{Deserialize, Serialize};

use super::{Cas, coefficients};
use crate::error::{Error, Result};
use crate::noise::Levels;
use crate::sample::description::Scheme;
use crate::sample::sampler::Sampler;
use crate::sample::setting::{Interval, Scale, Setting, SettingValue};
use crate::sample::step_size::StepSize;

/// The settings of `cas`: at most one of the three step sizes, eps_c = 2 without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::sample) struct Settings {
    /// Steps for each level: the levels are dilated.
    n_sigma: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eps_b: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eps_c: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            n_sigma: 1,
            eta: None,
            eps_b: None,
            eps_c: None,
        }
    }
}

impl Scheme for Settings {
    const NAME: &str = "cas";
    const LABEL: &str = "CAS";
    const ABOUT: &str =
        "Consistent annealed sampling: keeps exactly the noise that is scheduled; the default";
    const PAPER: &str = "Jolicoeur-Martineau et al. 2021, Serra et al. 2021";
    const CALLS: &str = "(N - 1) n_sigma + 1";
    const LAST_STEP: &str = "no noise; H under eps_c";
    const SETTINGS: &[Setting] = &[
        Setting::real(
            "eps_c",
            Interval::closed(1.0, f64::INFINITY),
            (1.0, 16.0),
            Scale::Log,
            "step size by eta = 1 - gamma^eps_c: 1 is DDIM, 2 ancestral",
        )
        .otherwise(SettingValue::Real(2.0))
        .instead_of(&["eta", "eps_b"]),
        Setting::real(
            "eta",
            Interval::above(0.0, 1.0),
            (1e-3, 1.0),
            Scale::Log,
            "step size in x' = (1 - eta) x + eta H + noise; at least 1 - gamma",
        )
        .instead_of(&["eps_c", "eps_b"])
        .on_levels(|levels| coefficients::feasible(levels, 1.0)),
        Setting::real(
            "eps_b",
            Interval::open(0.0, f64::INFINITY),
            (1e-9, 1.0),
            Scale::Log,
            "step size as the papers' eps: eta = eps_b/sigma_L^2",
        )
        .instead_of(&["eps_c", "eta"])
        .on_levels(|levels| coefficients::feasible(levels, levels.last() * levels.last())),
        Setting::count("n_sigma", 1, 8, "updates per level: the levels are dilated")
            .default(SettingValue::Count(1)),
    ];

    fn levels_for(&self, calls: usize) -> Result<usize> {
        // N levels are dilated to (N - 1) n_sigma + 1.
        match calls.saturating_sub(1).checked_div(self.n_sigma) {
            Some(gaps) => Ok(gaps + 1),
            None => Err(Error::setting("n_sigma", 0, "must be at least 1")),
        }
    }

    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        let given = StepSize::given(self.eta, self.eps_b, self.eps_c)?;
        let step_size = given.unwrap_or(StepSize::EpsC(2.0));
        Ok(Box::new(Cas::new(
            &levels.dilate(self.n_sigma)?,
            step_size,
        )?))
    }
}
