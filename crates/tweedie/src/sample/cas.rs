//! Consistent annealed sampling (CAS).
//!
//! Algorithm 2 of Jolicoeur-Martineau et al. 2021, for any schedule: with
//! gamma_i = sigma_{i+1}/sigma_i, sigma_{L+1} = 0 and beta_i = sqrt(1 - ((1 - eta)/gamma_i)^2),
//!
//! x <- x + eta sigma_i^2 s(x, sigma_i) + beta_i sigma_{i+1} z
//!   =  (1 - eta) x + eta H(x, sigma_i) + beta_i sigma_{i+1} z.
//!
//! The noise on a point mass then follows the schedule exactly (their Proposition 2):
//! (1 - eta)^2 sigma_i^2 + beta_i^2 sigma_{i+1}^2 = sigma_{i+1}^2. That needs
//! 1 - gamma_i <= eta <= 1 (Serra et al. 2021, Eq. 6), which eta = 1 - gamma_i^eps_c with eps_c in
//! \[1, inf\] always meets (Eq. 7), with beta_i = sqrt(1 - gamma_i^(2 (eps_c - 1))). eps_c = 1 is
//! DDIM and the Euler step of the probability flow; eps_c = 2 the ancestral sampler of the
//! variance-exploding process; eps_c = inf adds fresh noise to H.
//!
//! To spend n_sigma steps a level, dilate the levels: [`Levels::dilate`].

mod coefficients;
mod settings;
#[cfg(test)]
mod tests;

pub(super) use self::settings::Settings;
use super::sampler::{Sampler, State};
use super::step_size::StepSize;
use crate::error::Result;
use crate::noise::{Level, Levels};

/// Consistent annealed sampling.
#[derive(Clone, Debug, PartialEq)]
pub struct Cas {
    steps: Vec<CasStep>,
}

impl Sampler for Cas {
    fn steps(&self) -> usize {
        self.steps.len()
    }

    fn noise(&self, i: usize) -> (Level, Level) {
        let step = &self.steps[i];
        (Level::ve(step.sigma), Level::ve(step.sigma_next))
    }

    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()> {
        let CasStep {
            sigma,
            sigma_next,
            eta,
            beta,
        } = self.steps[i];
        state.denoise(Level::ve(sigma))?;
        state.update(1.0 - eta, eta, beta * sigma_next);
        Ok(())
    }

    fn calls(&self) -> Option<usize> {
        Some(self.steps.len())
    }
}

/// One step of consistent annealed sampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CasStep {
    /// sigma_i, the noise level before.
    pub sigma: f64,
    /// sigma_{i+1}, the noise level after; 0 at the last step.
    pub sigma_next: f64,
    /// eta_i in (0, 1], the share of the way to H.
    pub eta: f64,
    /// beta_i in [0, 1], the share of the noise that is fresh; 0 at the last step, which adds
    /// none.
    pub beta: f64,
}

impl Cas {
    /// CAS down `levels`, one step a level, the last to noise 0.
    ///
    /// Under eps_c the last step has gamma = 0 and so eta = 1: it returns H. With a constant eta
    /// it goes the share eta of the way to H, as in the paper; the noise left is then
    /// (1 - eta) sigma_L, not 0.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] for an eta outside the feasible interval of any level, with the
    /// interval in the unit given and the level that is violated, and for eps_c below 1.
    pub fn new(levels: &Levels, step_size: StepSize) -> Result<Self> {
        let steps = match step_size.constant(levels) {
            Some(eta) => coefficients::constant(levels, step_size, eta?)?,
            None => coefficients::adaptive(levels, step_size)?,
        };
        Ok(Self { steps })
    }

    /// The steps with their eta and beta.
    pub fn coefficients(&self) -> &[CasStep] {
        &self.steps
    }
}
