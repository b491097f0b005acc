//! A network's turn in a round, and the report of an update.

use super::Objective;

/// A network's turn in every round.
pub struct Phase<'a> {
    /// The network that is updated.
    pub network: String,
    /// Updates per round.
    pub times: u64,
    /// Examples of an update.
    pub batch: usize,
    /// Parts that the batch is computed in, for gradient accumulation; a divisor of `batch`.
    pub accumulate: usize,
    /// The objective.
    pub objective: Box<dyn Objective + 'a>,
}

impl<'a> Phase<'a> {
    /// One update of `network` for `objective` on `batch` examples.
    pub fn new(network: &str, batch: usize, objective: impl Objective + 'a) -> Self {
        Self {
            network: network.to_owned(),
            times: 1,
            batch,
            accumulate: 1,
            objective: Box::new(objective),
        }
    }

    /// With `times` updates per round.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }

    /// With each batch computed in `parts` parts.
    #[must_use]
    pub fn accumulate(self, parts: usize) -> Self {
        Self {
            accumulate: parts,
            ..self
        }
    }
}

/// The report of an update.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateReport {
    /// The network.
    pub network: String,
    /// Which of its updates, from 0.
    pub update: u64,
    /// The mean loss of the batch.
    pub loss: f64,
    /// Each example's loss.
    pub losses: Vec<f32>,
    /// Each example's noise level; empty where there is no noise.
    pub sigmas: Vec<f64>,
    /// The gradient's norm before clipping.
    pub gradient_norm: f64,
    /// The learning rate.
    pub rate: f64,
}
