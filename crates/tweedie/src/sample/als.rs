//! Annealed Langevin sampling (ALS).
//!
//! Song and Ermon 2019, Algorithm 1 of Jolicoeur-Martineau et al. 2021: at every level,
//! alpha_i = eps sigma_i^2/sigma_L^2, and n_sigma times
//!
//! x <- x + alpha_i s(x, sigma_i) + sqrt(2 alpha_i) z
//!   =  (1 - eta) x + eta H(x, sigma_i) + sqrt(2 eta) sigma_i z, eta = eps/sigma_L^2
//!
//! (their Proposition 3). The noise variance stays above the schedule (Proposition 1): on a point
//! mass it follows v <- (1 - eta)^2 v + 2 eta sigma_i^2, whose fixed point is
//! sigma_i^2/(1 - eta/2).

use serde::{Deserialize, Serialize};

use super::description::{Scheme, levels_at};
use super::sampler::{Sampler, State};
use super::setting::{Interval, Scale, Setting, SettingValue};
use super::step_size::StepSize;
use crate::error::{Error, Result};
use crate::noise::{Level, Levels, technique_4};

/// Annealed Langevin sampling.
#[derive(Clone, Debug, PartialEq)]
pub struct Als {
    levels: Levels,
    n_sigma: usize,
    eta: f64,
    noise_first: bool,
}

impl Als {
    /// ALS down `levels` with `n_sigma` steps at each.
    ///
    /// eta must lie in (0, 2). Up to 1 a step stops short of H or reaches it; above 1 it goes
    /// beyond, which is stable but gains nothing: 2 - eta forgets as fast with less noise. From 2
    /// on the samples diverge.
    ///
    /// # Errors
    /// [`Error::Setting`] for eta outside (0, 2), in the unit given; for eps_c, which is defined
    /// for consistent annealed sampling; for `n_sigma` = 0.
    pub fn new(levels: Levels, n_sigma: usize, step_size: StepSize) -> Result<Self> {
        if n_sigma == 0 || levels.len().checked_mul(n_sigma).is_none() {
            let reason = "the number of steps at every level must be at least 1, and countable";
            return Err(Error::setting("n_sigma", n_sigma, reason));
        }
        let Some(eta) = step_size.constant(&levels) else {
            let reason = "eps_c belongs to consistent annealed sampling; give eta or eps_b";
            return Err(step_size.refuse(reason));
        };
        let eta = eta?;
        if eta >= 2.0 {
            let limit = 2.0 * step_size.unit(&levels);
            let name = step_size.name();
            let reason = format!(
                "Langevin steps diverge; {name} must lie in (0, {limit}), and above {} a step \
                 overshoots",
                0.5 * limit
            );
            return Err(step_size.refuse(reason));
        }
        Ok(Self {
            levels,
            n_sigma,
            eta,
            noise_first: false,
        })
    }

    /// The order of the reference code's `noise_first`: noise is added before the network is
    /// called, x <- x + sqrt(2 alpha_i) z, then x <- x + alpha_i s(x, sigma_i).
    ///
    /// The last draw of noise is then denoised once, so samples end with less noise: on a point
    /// mass v <- (1 - eta)^2 (v + 2 eta sigma_i^2), whose fixed point is
    /// (1 - eta)^2 sigma_i^2/(1 - eta/2).
    pub fn noise_first(mut self) -> Self {
        self.noise_first = true;
        self
    }

    /// eta = alpha_i/sigma_i^2, the step size relative to the noise variance.
    pub fn eta(&self) -> f64 {
        self.eta
    }
}

impl Sampler for Als {
    fn steps(&self) -> usize {
        self.levels.len() * self.n_sigma
    }

    /// Langevin dynamics at a level is meant to hold that level.
    fn noise(&self, i: usize) -> (Level, Level) {
        let level = Level::ve(self.levels.as_slice()[i / self.n_sigma]);
        (level, level)
    }

    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()> {
        let (level, _) = self.noise(i);
        let (eta, noise) = (self.eta, (2.0 * self.eta).sqrt() * level.sigma);
        if self.noise_first {
            state.update(1.0, 0.0, noise);
            state.denoise(level)?;
            state.mix(1.0 - eta, eta);
        } else {
            state.denoise(level)?;
            state.update(1.0 - eta, eta, noise);
        }
        Ok(())
    }

    fn calls(&self) -> Option<usize> {
        Some(self.steps())
    }
}

/// The settings of `als`: at most one of the two step sizes, Technique 4's choice without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    /// Steps at each level.
    n_sigma: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eps_b: Option<f64>,
    /// Not for this sampler; taken so that its refusal can say so.
    #[serde(skip_serializing)]
    eps_c: Option<f64>,
    noise_first: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            n_sigma: 1,
            eta: None,
            eps_b: None,
            eps_c: None,
            noise_first: false,
        }
    }
}

impl Scheme for Settings {
    const NAME: &str = "als";
    const LABEL: &str = "ALS";
    const ABOUT: &str = "Annealed Langevin sampling, n_sigma steps at each level";
    const PAPER: &str = "Song and Ermon 2019";
    const CALLS: &str = "n_sigma N";
    const LAST_STEP: &str = "with noise; take the denoised sample";
    const SETTINGS: &[Setting] = &[
        Setting::real(
            "eta",
            Interval::open(0.0, 2.0),
            (1e-3, 1.0),
            Scale::Log,
            "step size in x' = (1 - eta) x + eta H + noise; Technique 4's if not given",
        )
        .instead_of(&["eps_b"]),
        Setting::real(
            "eps_b",
            Interval::open(0.0, f64::INFINITY),
            (1e-9, 1.0),
            Scale::Log,
            "step size as the papers' eps: eta = eps_b/sigma_L^2",
        )
        .instead_of(&["eta"])
        .on_levels(|levels| Interval::open(0.0, 2.0 * levels.last() * levels.last())),
        Setting::count("n_sigma", 1, 8, "updates per level").default(SettingValue::Count(1)),
        Setting::flag(
            "noise_first",
            "add the noise before the network call instead of after",
        ),
    ];

    fn levels_for(&self, calls: usize) -> Result<usize> {
        let least = match (self.eta, self.eps_b) {
            (None, None) => LEAST_FOR_TECHNIQUE_4,
            _ => 1,
        };
        levels_at(calls, self.n_sigma, least)
    }

    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        let step_size = match StepSize::given(self.eta, self.eps_b, self.eps_c)? {
            Some(step_size) => step_size,
            None if levels.len() < LEAST_FOR_TECHNIQUE_4 => {
                let reason = "a single level does not suggest a step size for ALS; give eta, or \
                              take 2 steps or more";
                return Err(Error::setting("steps", 1, reason));
            }
            None => StepSize::Eta(technique_4(levels, self.n_sigma)?.eta),
        };
        let als = Als::new(levels.clone(), self.n_sigma, step_size)?;
        Ok(Box::new(match self.noise_first {
            true => als.noise_first(),
            false => als,
        }))
    }
}

/// Levels with a gap between them, which Technique 4 goes by.
const LEAST_FOR_TECHNIQUE_4: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_refused_in_their_own_unit() {
        let levels = Levels::geometric(2.0, 0.5, 16).unwrap();
        let refusal = |n_sigma, step_size| {
            Als::new(levels.clone(), n_sigma, step_size)
                .unwrap_err()
                .to_string()
        };
        assert!(refusal(1, StepSize::EpsC(2.0)).starts_with("eps_c = 2"));
        assert!(refusal(0, StepSize::Eta(0.1)).starts_with("n_sigma = 0"));
        assert!(refusal(1, StepSize::Eta(2.0)).contains("eta must lie in (0, 2)"));
        assert!(refusal(1, StepSize::EpsB(0.6)).contains("eps_b must lie in (0, 0.5)"));
        for eta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(refusal(1, StepSize::Eta(eta)).starts_with("eta = "));
        }
        let als = Als::new(levels, 3, StepSize::EpsB(0.05)).unwrap();
        assert!((als.eta() - 0.2).abs() < 1e-15);
        assert_eq!(als.steps(), 48);
        assert_eq!(als.noise(47), (Level::ve(0.5), Level::ve(0.5)));
        assert_eq!(als.calls(), Some(48));
    }
}
