//! The step size of annealed samplers, in the three units papers give it.
//!
//! eta is the step relative to the noise variance. Song and Ermon's and Jolicoeur-Martineau et
//! al.'s eps is eps_b of Serra et al. 2021: eta = eps_b/sigma_L^2. Serra et al.'s eps_c adapts to
//! the gap between levels: eta_i = 1 - gamma_i^eps_c.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::noise::Levels;

/// A step size. Text formats without infinity (JSON) cannot hold an infinite `EpsC`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepSize {
    /// eta, the same at every level.
    Eta(f64),
    /// eps_b (the papers' eps, in squared units of the data): eta = eps_b/sigma_L^2.
    EpsB(f64),
    /// eps_c in [1, inf], infinity included: eta = 1 - gamma^eps_c. For consistent annealed
    /// sampling only.
    EpsC(f64),
}

impl StepSize {
    /// The setting's name as users write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Eta(_) => "eta",
            Self::EpsB(_) => "eps_b",
            Self::EpsC(_) => "eps_c",
        }
    }

    /// The number given, in its own unit.
    pub fn value(&self) -> f64 {
        let (Self::Eta(value) | Self::EpsB(value) | Self::EpsC(value)) = *self;
        value
    }

    /// The one of three settings that is given, if any.
    ///
    /// # Errors
    /// When more than one is given.
    pub(super) fn given(
        eta: Option<f64>,
        eps_b: Option<f64>,
        eps_c: Option<f64>,
    ) -> Result<Option<Self>> {
        match (eta, eps_b, eps_c) {
            (None, None, None) => Ok(None),
            (Some(eta), None, None) => Ok(Some(Self::Eta(eta))),
            (None, Some(eps), None) => Ok(Some(Self::EpsB(eps))),
            (None, None, Some(eps)) => Ok(Some(Self::EpsC(eps))),
            _ => Err(Error::setting(
                "step size",
                "more than one of eta, eps_b, eps_c",
                "they are three ways to say the same; give one",
            )),
        }
    }

    /// The factor from eta to the unit given: sigma_L^2 for eps_b.
    pub(super) fn unit(&self, levels: &Levels) -> f64 {
        match self {
            Self::EpsB(_) => levels.last() * levels.last(),
            Self::Eta(_) | Self::EpsC(_) => 1.0,
        }
    }

    /// A refusal of this setting.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> Error {
        Error::setting(self.name(), self.value(), reason)
    }

    /// eta of a step size that is the same at every level; `None` for eps_c.
    pub(super) fn constant(&self, levels: &Levels) -> Option<Result<f64>> {
        if let Self::EpsC(_) = self {
            return None;
        }
        let eta = self.value() / self.unit(levels);
        Some(if eta > 0.0 && eta.is_finite() {
            Ok(eta)
        } else {
            Err(self.refuse("a step size must be positive and finite"))
        })
    }
}

impl fmt::Display for StepSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.name(), self.value())
    }
}
