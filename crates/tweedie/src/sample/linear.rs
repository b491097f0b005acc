//! Samplers whose steps are x' = a x + b H + c z, with coefficients known beforehand.
//!
//! Such a sampler is nothing but a list of coefficients, so its file holds one function, the
//! paper's equation.

use super::sampler::{Sampler, State};
use crate::error::Result;
use crate::noise::Level;

/// One step, x' = a x + b H(x) + c z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// The level before the step, where H is computed.
    pub from: Level,
    /// The level after it.
    pub to: Level,
    /// The factor of the state.
    pub a: f64,
    /// The factor of the expected denoised sample.
    pub b: f64,
    /// The factor of the fresh noise.
    pub c: f64,
}

/// A sampler of one network call a step, linear in state, denoised sample and noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear(Vec<Update>);

impl Linear {
    /// The sampler that makes these steps.
    pub fn new(updates: Vec<Update>) -> Self {
        Self(updates)
    }

    /// The steps.
    pub fn updates(&self) -> &[Update] {
        &self.0
    }
}

impl Sampler for Linear {
    fn steps(&self) -> usize {
        self.0.len()
    }

    fn noise(&self, i: usize) -> (Level, Level) {
        (self.0[i].from, self.0[i].to)
    }

    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()> {
        let Update { from, a, b, c, .. } = self.0[i];
        state.denoise(from)?;
        state.update(a, b, c);
        Ok(())
    }

    fn calls(&self) -> Option<usize> {
        Some(self.0.len())
    }
}
