//! Predictor-corrector sampling.
//!
//! Song et al. 2021, Algorithms 2 to 5, and Serra et al. 2021, Eq. 5, for x = alpha x0 + sigma z.
//! A predictor goes from a level to the next:
//!
//! reverse diffusion: x' = (2 - a) x + g^2 s + g z, the reverse of the forward step
//!                    x = a x' + g z: in VE x' = x + (sigma^2 - sigma'^2) s + ...
//! ancestral:         the mean and variance of x' given x and x0 = H ([`super::ancestral`])
//!
//! and M corrections hold a level, with s = (alpha H - x)/sigma^2:
//!
//! Langevin: x <- x + e s + sqrt(2 e) z, e = 2 a^2 (snr ||z||/||s||)^2
//! ald:      the same with e = 2 a^2 (snr sigma)^2
//! CAS:      x <- (1 - eta) x + eta alpha H + sqrt(1 - (1 - eta)^2) sigma z, which keeps the noise
//!           exactly
//!
//! The reference code takes the norms of `Langevin` from the mean over a batch; here they are each
//! sample's own, so that a sample does not depend on its batch, and e is at most sigma^2, a step
//! to H: in few dimensions a small ||s|| would throw the sample away. The predictor's last step
//! adds no noise.

mod settings;

use serde::{Deserialize, Serialize};

pub(super) use self::settings::Settings;
use super::sampler::{Sampler, State};
use crate::error::{Error, Result};
use crate::noise::{Level, Path, Step};

/// The way from a level to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Predictor {
    /// The forward step's discretisation, reversed.
    #[default]
    ReverseDiffusion,
    /// The posterior of the forward step.
    Ancestral,
}

/// The way to stay at a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Corrector {
    /// Langevin steps by the signal-to-noise ratio `snr`; 0.16 in the paper.
    Langevin(f64),
    /// Langevin steps in proportion to the noise: eta = 2 snr^2.
    Ald(f64),
    /// Consistent steps: the share eta in \[0, 1\] of the way to H, noise kept exactly.
    Cas(f64),
}

/// Which comes first in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Corrections at the level before the predictor leaves it, as in the reference code.
    #[default]
    CorrectorFirst,
    /// Corrections at the level the predictor reaches, as in Serra et al. 2021; none at the data.
    PredictorFirst,
}

/// Predictor-corrector sampling.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictorCorrector {
    steps: Vec<Step>,
    predictor: Predictor,
    corrector: Corrector,
    corrections: usize,
    order: Order,
}

impl PredictorCorrector {
    /// A `predictor` along `path` with `corrections` steps of `corrector` at each level, which may
    /// be 0.
    ///
    /// # Errors
    /// [`Error::Setting`] for an snr outside (0, 1/sqrt 2) or an eta outside \[0, 1\].
    pub fn new(
        path: &Path,
        predictor: Predictor,
        corrector: Corrector,
        corrections: usize,
        order: Order,
    ) -> Result<Self> {
        match corrector {
            // At 1/sqrt(2) a step reaches H, eta = 1.
            Corrector::Langevin(snr) | Corrector::Ald(snr)
                if !(snr > 0.0 && 2.0 * snr * snr < 1.0) =>
            {
                let reason = "must lie in (0, 0.7071), where 2 snr^2 < 1; the paper has 0.16";
                return Err(Error::setting("snr", snr, reason));
            }
            Corrector::Cas(eta) if !(0.0..=1.0).contains(&eta) => {
                let reason = "must lie in [0, 1], from no correction to fresh noise";
                return Err(Error::setting("eta", eta, reason));
            }
            _ => {}
        }
        let steps: Vec<Step> = path.steps().collect();
        if corrections
            .checked_add(1)
            .and_then(|n| n.checked_mul(steps.len()))
            .is_none()
        {
            return Err(Error::setting(
                "corrections",
                corrections,
                "too many to count",
            ));
        }
        Ok(Self {
            steps,
            predictor,
            corrector,
            corrections,
            order,
        })
    }

    /// The predictor's step; the state's H is that at `from`.
    fn predict(&self, step: Step, state: &mut State<'_>) {
        let (a, b, variance) = match self.predictor {
            Predictor::ReverseDiffusion => {
                let toward = step.g2() / step.from.sigma.powi(2);
                let a = 2.0 - step.a() - toward;
                (a, toward * step.from.alpha, step.g2())
            }
            Predictor::Ancestral => {
                let (a, b) = step.posterior_mean();
                (a, b, step.posterior_variance())
            }
        };
        let last = step.to == Level::DATA;
        state.update(a, b, if last { 0.0 } else { variance.sqrt() });
    }

    /// The corrections at the level that `step` leaves.
    fn correct(&self, step: Step, state: &mut State<'_>) -> Result<()> {
        let Level { alpha, sigma } = step.from;
        let a2 = step.a().powi(2);
        for _ in 0..self.corrections {
            state.denoise(step.from)?;
            match self.corrector {
                Corrector::Langevin(snr) => state.update_rows(|_, x, h, z| {
                    langevin(x, h, z, step.from, |ratio| 2.0 * a2 * (snr * ratio).powi(2));
                }),
                Corrector::Ald(snr) => {
                    let eta = 2.0 * a2 * snr * snr;
                    state.update(1.0 - eta, eta * alpha, (2.0 * eta).sqrt() * sigma);
                }
                Corrector::Cas(eta) => {
                    let fresh = (eta * (2.0 - eta)).sqrt();
                    state.update(1.0 - eta, eta * alpha, fresh * sigma);
                }
            }
        }
        Ok(())
    }
}

/// One Langevin step of a sample; `size` gives e from ||z||/||s||.
fn langevin(x: &mut [f64], h: &[f64], z: &[f64], level: Level, size: impl Fn(f64) -> f64) {
    let Level { alpha, sigma } = level;
    let v = sigma * sigma;
    let square: f64 = x.iter().zip(h).map(|(x, h)| (alpha * h - x).powi(2)).sum();
    let noise: f64 = z.iter().map(|z| z * z).sum();
    // A sample that is H itself has no direction to go: the most there is.
    let e = size(v * (noise / square).sqrt()).min(v);
    for ((x, h), z) in x.iter_mut().zip(h).zip(z) {
        *x += e * (alpha * h - *x) / v + (2.0 * e).sqrt() * z;
    }
}

impl Sampler for PredictorCorrector {
    fn steps(&self) -> usize {
        self.steps.len()
    }

    fn noise(&self, i: usize) -> (Level, Level) {
        (self.steps[i].from, self.steps[i].to)
    }

    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()> {
        if self.order == Order::CorrectorFirst {
            self.correct(self.steps[i], state)?;
        }
        state.denoise(self.steps[i].from)?;
        self.predict(self.steps[i], state);
        if self.order == Order::PredictorFirst
            && let Some(&next) = self.steps.get(i + 1)
        {
            self.correct(next, state)?;
        }
        Ok(())
    }

    fn calls(&self) -> Option<usize> {
        let levels = match self.order {
            Order::CorrectorFirst => self.steps.len(),
            Order::PredictorFirst => self.steps.len() - 1,
        };
        Some(self.steps.len() + levels * self.corrections)
    }
}
