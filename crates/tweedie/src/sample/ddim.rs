//! Denoising diffusion implicit models (DDIM).
//!
//! Song, Meng and Ermon 2021, Eq. 12 and 16, for x = alpha x0 + sigma z in any coordinates:
//!
//! x' = alpha' H + sqrt(sigma'^2 - c^2) (x - alpha H)/sigma + c z,
//! c = eta g sigma'/sigma, g^2 = sigma^2 - (alpha/alpha')^2 sigma'^2
//!
//! (in VP coordinates g^2 = 1 - abar/abar'). eta = 0 is deterministic, the Euler step of the
//! probability flow in sigma/alpha; eta = 1 the ancestral sampler with the smaller variance. In
//! exact arithmetic the coordinates make no difference. Consistent annealed sampling is DDIM with
//! eta = beta/sqrt(1 - gamma^2).

use serde::{Deserialize, Serialize};

use super::description::{Scheme, levels_at};
use super::linear::{Linear, Update};
use super::sampler::Sampler;
use super::setting::{Interval, Scale, Setting, SettingValue};
use crate::error::{Error, Result};
use crate::noise::{Coordinates, Levels, Path, Step};

/// DDIM along `path` with `eta` in \[0, 1\].
///
/// The last step, to the data, returns H: there is no noise to add.
///
/// # Errors
/// [`Error::Setting`] for an eta outside \[0, 1\].
pub fn ddim(path: &Path, eta: f64) -> Result<Linear> {
    if !(0.0..=1.0).contains(&eta) {
        let reason = "must lie in [0, 1]: 0 is deterministic, 1 ancestral";
        return Err(Error::setting("eta", eta, reason));
    }
    let update = |step: Step| {
        let (from, to) = (step.from, step.to);
        let c = eta * step.posterior_variance().sqrt();
        // sigma'^2 - c^2 = sigma'^2 (1 - eta^2 g^2/sigma^2), where
        // 1 - g^2/sigma^2 = (a sigma'/sigma)^2 = gamma^2.
        let kept = (step.gamma().powi(2) + (1.0 - eta * eta) * step.g2() / from.sigma.powi(2))
            .min(1.0)
            .sqrt();
        let a = kept * to.sigma / from.sigma;
        Update {
            from,
            to,
            a,
            b: to.alpha - a * from.alpha,
            c,
        }
    };
    Ok(Linear::new(path.steps().map(update).collect()))
}

/// The settings of `ddim`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    eta: f64,
}

impl Scheme for Settings {
    const NAME: &str = "ddim";
    const LABEL: &str = "DDIM";
    const ABOUT: &str = "Denoising diffusion implicit models";
    const PAPER: &str = "Song, Meng and Ermon 2021";
    const CALLS: &str = "N";
    const LAST_STEP: &str = "H";
    const SETTINGS: &[Setting] = &[Setting::real(
        "eta",
        Interval::closed(0.0, 1.0),
        (0.0, 1.0),
        Scale::Linear,
        "amount of noise: 0 is deterministic, 1 ancestral",
    )
    .default(SettingValue::Real(0.0))
    .formerly(&["ddim_eta"])];

    fn levels_for(&self, calls: usize) -> Result<usize> {
        levels_at(calls, 1, 1)
    }

    /// In VE coordinates: exact arithmetic knows no difference.
    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        let path = Path::new(levels, Coordinates::Ve);
        Ok(Box::new(ddim(&path, self.eta)?))
    }
}
