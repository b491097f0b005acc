//! The `[train]` table of a configuration.

use serde::{Deserialize, Serialize};

use super::{AdamConfig, GroupConfig, LearningRate, LearningRateSchedule};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// The optimiser, the batches and the loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Number of updates.
    pub steps: u64,
    /// Examples in one update.
    pub batch: usize,
    /// Gradient accumulation: the number of parts that a batch is computed in, one after another,
    /// to save memory. Divides `batch`.
    pub accumulate: usize,
    /// Adam's learning rate after the warm-up.
    pub lr: f64,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// What the learning rate does after the warm-up.
    pub schedule: LearningRateSchedule,
    /// Adam's decay rates beta1 and beta2; beta1 may be negative.
    pub betas: [f64; 2],
    /// Adam's epsilon.
    pub adam_eps: f64,
    /// Largest norm of the gradient; 0 turns clipping off.
    pub clip: f64,
    /// Decay of the moving average of the weights.
    pub ema: f64,
    /// Mirrors each image left to right with probability 1/2.
    pub flip: bool,
    /// Where the network has classes: the probability of withholding an example's label, so that
    /// the network also learns the unconditional score (Ho & Salimans 2022).
    pub label_dropout: f64,
    /// Steps between two lines of `stats.jsonl`.
    pub log_every: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// Longest time between two checkpoints in minutes, and so the most that a crash costs; 0 for
    /// no limit.
    pub checkpoint_minutes: f64,
    /// How many checkpoints to keep.
    pub keep: usize,
    /// Steps between two sample grids; 0 draws none while training.
    pub samples_every: u64,
    /// The engine that computes.
    pub engine: Engine,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 10_000,
            batch: 128,
            accumulate: 1,
            lr: 1e-4,
            warmup: 0,
            schedule: LearningRateSchedule::Constant,
            betas: [0.9, 0.999],
            adam_eps: 1e-8,
            clip: 0.0,
            ema: 0.999,
            flip: false,
            label_dropout: 0.1,
            log_every: 50,
            checkpoint_every: 500,
            checkpoint_minutes: 5.0,
            keep: 2,
            samples_every: 1000,
            engine: Engine::Flex,
        }
    }
}

/// Upper bound on the batch: more would exhaust the memory long before it helps.
const LARGEST_BATCH: usize = 1 << 20;

impl TrainConfig {
    /// How the network's parameters are updated.
    pub fn group(&self) -> GroupConfig {
        GroupConfig {
            adam: AdamConfig {
                beta1: self.betas[0],
                beta2: self.betas[1],
                epsilon: self.adam_eps,
            },
            rate: LearningRate {
                peak: self.lr,
                warmup: self.warmup,
                schedule: self.schedule,
                steps: self.steps,
            },
            clip: (self.clip != 0.0).then_some(self.clip),
            ema: Some(self.ema),
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// Names the first one that is out of its range.
    pub fn validate(&self) -> Result<()> {
        let at_least_one = [
            ("steps", self.steps),
            ("batch", self.batch as u64),
            ("accumulate", self.accumulate as u64),
            ("log_every", self.log_every),
            ("checkpoint_every", self.checkpoint_every),
            ("keep", self.keep as u64),
        ];
        if let Some((name, value)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(Error::setting(name, value, "must be 1 or more"));
        }
        if self.batch > LARGEST_BATCH {
            let reason = format!("must be at most {LARGEST_BATCH}");
            return Err(Error::setting("batch", self.batch, reason));
        }
        if !self.batch.is_multiple_of(self.accumulate) {
            let reason = format!("must divide batch = {}", self.batch);
            return Err(Error::setting("accumulate", self.accumulate, reason));
        }
        if self.steps > u64::from(u32::MAX) {
            let reason = format!("must be at most {}", u32::MAX);
            return Err(Error::setting("steps", self.steps, reason));
        }
        if !(0.0..=1.0).contains(&self.label_dropout) {
            let reason = "must lie in [0, 1]";
            return Err(Error::setting("label_dropout", self.label_dropout, reason));
        }
        if self.checkpoint_minutes.is_nan() || self.checkpoint_minutes < 0.0 {
            let (value, reason) = (self.checkpoint_minutes, "must be 0 (off) or positive");
            return Err(Error::setting("checkpoint_minutes", value, reason));
        }
        self.group().validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let usual = TrainConfig::default;
        usual().validate().unwrap();
        #[rustfmt::skip]
        let cases = [
            ("steps", TrainConfig { steps: 0, ..usual() }),
            ("steps", TrainConfig { steps: 1 << 32, ..usual() }),
            ("batch", TrainConfig { batch: 0, ..usual() }),
            ("batch", TrainConfig { batch: LARGEST_BATCH + 1, ..usual() }),
            ("accumulate", TrainConfig { accumulate: 0, ..usual() }),
            ("accumulate", TrainConfig { batch: 10, accumulate: 3, ..usual() }),
            ("lr", TrainConfig { lr: 0.0, ..usual() }),
            ("lr", TrainConfig { lr: 1e39, ..usual() }),
            ("betas[0]", TrainConfig { betas: [-1.0, 0.9], ..usual() }),
            ("betas[1]", TrainConfig { betas: [0.9, 1.0], ..usual() }),
            ("adam_eps", TrainConfig { adam_eps: 0.0, ..usual() }),
            ("clip", TrainConfig { clip: -1.0, ..usual() }),
            ("clip", TrainConfig { clip: f64::NAN, ..usual() }),
            ("ema", TrainConfig { ema: 1.0, ..usual() }),
            ("label_dropout", TrainConfig { label_dropout: 1.1, ..usual() }),
            ("checkpoint_minutes", TrainConfig { checkpoint_minutes: -1.0, ..usual() }),
            ("keep", TrainConfig { keep: 0, ..usual() }),
            ("log_every", TrainConfig { log_every: 0, ..usual() }),
            ("checkpoint_every", TrainConfig { checkpoint_every: 0, ..usual() }),
        ];
        for (name, config) in cases {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} = ")), "{name}: {error}");
        }
    }
}
