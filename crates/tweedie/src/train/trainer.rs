//! A score network in training: one call, one update.

use super::{
    Alternation, Checkpoint, Denoising, Examples, Group, Hook, Phase, ScoreMatching, TrainConfig,
};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::nn::Network;
use crate::noise::TrainingNoise;

/// The report of one update.
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

/// The name of the network.
const SCORE: &str = "score";

/// A score network in training: an [`Alternation`] of one network, one update a round.
///
/// Every random number is keyed by (seed, step, place in the batch), so the trainer's whole
/// state is its weights, moments, moving average and step: a resumed run equals an uninterrupted
/// one bit for bit.
pub struct Trainer<'a> {
    alternation: Alternation<'a>,
}

impl<'a> Trainer<'a> {
    /// Starts at step 0. `network` must live on a device with gradients; one with classes is
    /// trained on the data's labels.
    ///
    /// # Errors
    /// When a setting is out of its range, or the network does not fit the data.
    pub fn new(
        config: &TrainConfig,
        data: &'a Dataset,
        noise: TrainingNoise,
        objective: ScoreMatching,
        network: Network,
        seed: u64,
    ) -> Result<Self> {
        let examples = Examples::new(data, noise, objective, seed).flipped(config.flip);
        let examples = match (network.classes(), data.labels()) {
            (Some(_), Some(labels)) => examples.labelled(labels.values(), config.label_dropout)?,
            _ => examples,
        };
        Self::on(config, examples, network)
    }

    /// The same with examples made by the caller: `config.flip` and `config.label_dropout` do not
    /// apply.
    ///
    /// # Errors
    /// When a setting is out of its range, or the network does not fit the examples.
    pub fn on(config: &TrainConfig, examples: Examples<'a>, network: Network) -> Result<Self> {
        config.validate()?;
        fits(&network, &examples)?;
        let objective = Denoising::score_matching(SCORE, examples);
        let phase = Phase::new(SCORE, config.batch, objective).accumulate(config.accumulate);
        let group = Group::new(network, config.group())?;
        Ok(Self {
            alternation: Alternation::new(vec![(SCORE.to_owned(), group)], vec![phase])?,
        })
    }

    /// Adds `hook`, which is called on every complete gradient before it is clipped.
    #[must_use]
    pub fn with_hook(self, hook: impl Hook + 'a) -> Self {
        Self {
            alternation: self.alternation.with_hook(hook),
        }
    }

    /// Completed updates.
    pub fn step(&self) -> u64 {
        self.alternation.step()
    }

    /// The network with its current weights.
    ///
    /// # Errors
    /// Never: there is one.
    pub fn network(&self) -> Result<&Network> {
        self.alternation.network(SCORE)
    }

    /// The network with its moving-average weights.
    ///
    /// # Errors
    /// Never in practice: the arrays come from the same network.
    pub fn average(&self) -> Result<Network> {
        self.alternation.group(SCORE)?.average()
    }

    /// Number of parameters of the network.
    pub fn parameters(&self) -> usize {
        let shapes = self.network().map(Network::shapes).unwrap_or_default();
        let counts = shapes.values().map(|shape| shape.iter().product::<usize>());
        counts.sum()
    }

    /// The state to store: sections "model", "ema", "adam.first", "adam.second".
    pub fn checkpoint(&self) -> Checkpoint {
        self.alternation.checkpoint()
    }

    /// Continues from a stored state of the same network, which is moved in.
    ///
    /// # Errors
    /// When the state belongs to another network.
    pub fn restore(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.alternation.restore(checkpoint)
    }

    /// Makes one update.
    ///
    /// # Errors
    /// [`Error::Diverged`] when the loss, the gradient or the new weights are not finite. The
    /// trainer is then of no further use; its last checkpoint is.
    pub fn update(&mut self) -> Result<StepReport> {
        let mut reports = self.alternation.update()?;
        let Some(report) = reports.pop() else {
            return Err(Error::setting("phases", 0, "must be 1 or more"));
        };
        let losses = report.losses.iter().map(|&loss| f64::from(loss));
        Ok(StepReport {
            step: report.update,
            loss: report.loss,
            examples: report.sigmas.into_iter().zip(losses).collect(),
            gradient_norm: report.gradient_norm,
            rate: report.rate,
        })
    }
}

/// A score network maps samples to samples, given classes if it has any.
fn fits(network: &Network, examples: &Examples<'_>) -> Result<()> {
    let data = examples.data();
    for width in [network.inputs(), network.outputs()] {
        if data.dim() != width {
            return Err(Error::Shape {
                what: data.name().to_owned(),
                expected: vec![width],
                found: data.shape().to_vec(),
            });
        }
    }
    match (network.classes(), examples.classes()) {
        (Some(classes), None) => {
            let reason = format!(
                "{} has no labels to train with; read it with labels, or leave this out",
                data.name()
            );
            Err(Error::setting("classes", classes, reason))
        }
        (Some(classes), Some(found)) if (found as usize) > classes => {
            let reason = format!(
                "{} has labels up to {}; give {found} or more",
                data.name(),
                found - 1
            );
            Err(Error::setting("classes", classes, reason))
        }
        (None, Some(_)) => {
            let reason = "the examples have labels, the network no classes";
            Err(Error::setting("classes", "none", reason))
        }
        _ => Ok(()),
    }
}
