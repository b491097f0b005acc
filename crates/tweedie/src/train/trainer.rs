//! The training loop's body: one call, one update.
//!
//! Every random number is keyed by (seed, step, place in the batch), so the trainer's whole
//! state is its weights, moments, moving average and step: a resumed run equals an uninterrupted
//! one bit for bit.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::adam::global_norm;
use super::batch::Examples;
use super::sums::sum;
use super::{Adam, AdamConfig, Checkpoint, LearningRate, Objective, Schedule, ema_decay};
use crate::data::Dataset;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::nn::params::{Array, ByName, Parameter};
use crate::nn::{Network, ops, params};
use crate::noise::TrainingNoise;

/// The `[train]` table of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Updates to make.
    pub steps: u64,
    /// Examples in one update.
    pub batch: usize,
    /// Adam's learning rate after the warm-up.
    pub lr: f64,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// What the learning rate does after the warm-up.
    pub schedule: Schedule,
    /// Adam's decays; the first may be negative.
    pub betas: [f64; 2],
    /// Adam's epsilon.
    pub adam_eps: f64,
    /// Largest norm of the gradient; 0 leaves it as it is.
    pub clip: f64,
    /// Decay of the moving average of the weights.
    pub ema: f64,
    /// Mirrors each image left to right with probability 1/2.
    pub flip: bool,
    /// Steps between two lines of `stats.jsonl`.
    pub log_every: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// Minutes after which there is a checkpoint in any case, which a kill or a crash costs at
    /// most; 0 for none.
    pub checkpoint_minutes: f64,
    /// How many checkpoints to keep.
    pub keep: usize,
    /// Steps between two grids of samples; 0 draws none while training.
    pub samples_every: u64,
    /// Who computes.
    pub engine: Engine,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 10_000,
            batch: 128,
            lr: 1e-4,
            warmup: 0,
            schedule: Schedule::Constant,
            betas: [0.9, 0.999],
            adam_eps: 1e-8,
            clip: 0.0,
            ema: 0.999,
            flip: false,
            log_every: 50,
            checkpoint_every: 500,
            checkpoint_minutes: 5.0,
            keep: 2,
            samples_every: 1000,
            engine: Engine::Flex,
        }
    }
}

impl TrainConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// Names the first one that is out of its range.
    pub fn validate(&self) -> Result<()> {
        let at_least_one = [
            ("train.steps", self.steps),
            ("train.batch", self.batch as u64),
            ("train.log_every", self.log_every),
            ("train.checkpoint_every", self.checkpoint_every),
            ("train.keep", self.keep as u64),
        ];
        if let Some((name, value)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(Error::setting(name, value, "must be 1 or more"));
        }
        if self.batch > LARGEST_BATCH {
            let reason = format!("must be at most {LARGEST_BATCH}");
            return Err(Error::setting("train.batch", self.batch, reason));
        }
        if self.steps > u64::from(u32::MAX) {
            let reason = format!("must be at most {}", u32::MAX);
            return Err(Error::setting("train.steps", self.steps, reason));
        }
        if !(self.lr > 0.0 && (self.lr as f32).is_finite()) {
            return Err(Error::setting(
                "train.lr",
                self.lr,
                "must be positive, for example 1e-4",
            ));
        }
        if !(self.clip >= 0.0 && self.clip.is_finite()) {
            return Err(Error::setting(
                "train.clip",
                self.clip,
                "must be 0 (off) or positive",
            ));
        }
        if self.checkpoint_minutes.is_nan() || self.checkpoint_minutes < 0.0 {
            let reason = "must be 0 (off) or positive";
            let value = self.checkpoint_minutes;
            return Err(Error::setting("train.checkpoint_minutes", value, reason));
        }
        if !(0.0..1.0).contains(&self.ema) {
            return Err(Error::setting("train.ema", self.ema, "must lie in [0, 1)"));
        }
        Ok(())
    }
}

/// Examples of an update: more would overflow memory long before they help.
const LARGEST_BATCH: usize = 1 << 20;

/// What one update did.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The update's number, from 0.
    pub step: u64,
    /// The mean loss of the batch.
    pub loss: f64,
    /// Each example's noise level and loss.
    pub examples: Vec<(f64, f64)>,
    /// The gradient's norm before clipping.
    pub gradient_norm: f64,
    /// The learning rate.
    pub rate: f64,
}

/// A network in training.
pub struct Trainer<'a> {
    config: TrainConfig,
    examples: Examples<'a>,
    network: Network,
    parameters: Vec<Parameter>,
    weights: Vec<Vec<f32>>,
    adam: Adam,
    step: u64,
}

impl<'a> Trainer<'a> {
    /// Starts at step 0. `network` must live on a device with gradients.
    ///
    /// # Errors
    /// When a setting is out of its range, or the network does not fit the data.
    pub fn new(
        config: &TrainConfig,
        data: &'a Dataset,
        noise: TrainingNoise,
        objective: Objective,
        network: Network,
        seed: u64,
    ) -> Result<Self> {
        config.validate()?;
        if data.dim() != network.dim() {
            return Err(Error::Shape {
                what: data.name().to_owned(),
                expected: vec![network.dim()],
                found: data.shape().to_vec(),
            });
        }
        let parameters = network.parameters();
        let weights: Vec<Vec<f32>> = parameters.iter().map(|p| p.values.clone()).collect();
        let constants = AdamConfig {
            beta1: config.betas[0],
            beta2: config.betas[1],
            epsilon: config.adam_eps,
        };
        let (size, flip) = (config.batch, config.flip);
        Ok(Self {
            adam: Adam::new(constants, &weights)?,
            config: config.clone(),
            examples: Examples::new(data, noise, objective, size, flip, seed),
            network,
            parameters,
            weights,
            step: 0,
        })
    }

    /// Updates made so far.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The network's parameters at the start; names and shapes hold throughout.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The network with its moving-average weights.
    ///
    /// # Errors
    /// Never in practice: the arrays come from the same network.
    pub fn average(&self) -> Result<Network> {
        self.network.with_values(&self.adam.ema)
    }

    /// The state to store.
    pub fn checkpoint(&self) -> Checkpoint {
        let section = |values: &[Vec<f32>]| -> ByName<Array> {
            let arrays = self.parameters.iter().zip(values);
            arrays
                .map(|(parameter, values)| {
                    let (shape, values) = (parameter.shape.clone(), values.clone());
                    (parameter.name.clone(), Array { shape, values })
                })
                .collect()
        };
        Checkpoint {
            step: self.step,
            sections: BTreeMap::from([
                ("model".into(), section(&self.weights)),
                ("ema".into(), section(&self.adam.ema)),
                ("adam.first".into(), section(&self.adam.first)),
                ("adam.second".into(), section(&self.adam.second)),
            ]),
        }
    }

    /// Continues from a stored state of the same network.
    ///
    /// # Errors
    /// When the state belongs to another network.
    pub fn restore(&mut self, mut checkpoint: Checkpoint) -> Result<()> {
        let mut section = |name| params::in_order(&self.parameters, checkpoint.take(name)?);
        let weights = section("model")?;
        let (ema, first, second) = (
            section("ema")?,
            section("adam.first")?,
            section("adam.second")?,
        );
        self.network = self.network.with_values(&weights)?;
        self.weights = weights;
        (self.adam.ema, self.adam.first, self.adam.second) = (ema, first, second);
        self.step = checkpoint.step;
        Ok(())
    }

    /// Makes one update.
    ///
    /// # Errors
    /// [`Error::Diverged`] when the loss, the gradient or the new weights are not finite. The
    /// trainer is then of no further use; its last checkpoint is.
    pub fn update(&mut self) -> Result<StepReport> {
        // On a thread of the pool, so that no parallel loop has to wake one up to begin.
        rayon::scope(|_| self.step_forward())
    }

    fn step_forward(&mut self) -> Result<StepReport> {
        let batch = self.examples.draw(self.step);
        let n = batch.sigma.len();

        // 1/2 || gain F + offset ||^2, summed over dimensions.
        let raw = self.network.forward(batch.input, &batch.sigma);
        let device = raw.device();
        let gain = Tensor::<1>::from_data(TensorData::new(batch.gain, [n]), &device);
        let offset = TensorData::new(batch.offset, [n, self.network.dim()]);
        let offset = Tensor::<2>::from_data(offset, &device);
        let each = ops::half_squares(raw, gain, offset);
        let losses = params::to_vec(each.clone().inner());
        if let Some(place) = losses.iter().position(|loss| !loss.is_finite()) {
            return Err(self.diverged(batch.sigma[place]));
        }

        let mut gradients = each.mean().backward();
        let gradients = self.network.gradients(&mut gradients);
        let norm = global_norm(&gradients);
        if !norm.is_finite() {
            return Err(self.diverged(batch.sigma[0]));
        }
        let clipped = self.config.clip > 0.0 && norm > self.config.clip;
        let scale = if clipped {
            self.config.clip / norm
        } else {
            1.0
        };
        let rate = self.rate();
        let decay = ema_decay(self.config.ema, self.step);
        let finite = self
            .adam
            .update(&mut self.weights, &gradients, scale, rate, decay, self.step);
        // Checked here, so that no checkpoint ever holds them.
        if !finite {
            return Err(self.diverged(batch.sigma[0]));
        }
        self.network = self.network.with_values(&self.weights)?;
        self.step += 1;
        let examples = batch.sigma.iter().zip(&losses);
        Ok(StepReport {
            step: self.step - 1,
            loss: sum(&losses, |loss| loss) / n as f64,
            examples: examples.map(|(&s, &loss)| (s, f64::from(loss))).collect(),
            gradient_norm: norm,
            rate,
        })
    }

    fn diverged(&self, sigma: f64) -> Error {
        Error::Diverged {
            step: self.step,
            sigma,
            checkpoint: "lower train.lr, or set train.clip = 1".into(),
        }
    }

    fn rate(&self) -> f64 {
        let rate = LearningRate {
            peak: self.config.lr,
            warmup: self.config.warmup,
            schedule: self.config.schedule,
            steps: self.config.steps,
        };
        rate.at(self.step)
    }
}
