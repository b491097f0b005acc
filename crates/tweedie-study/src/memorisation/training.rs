//! One network, trained on one set and measured on the way.

use super::probe::{Losses, Probe};
use super::sets::{DIM, Items, Sets};
use super::{SIGMA, Size};
use crate::fit::Fit;
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::nn::unet::UNetConfig;
use tweedie::nn::{NetworkConfig, NetworkDenoiser, Preconditioning};
use tweedie::noise::{Levels, TrainingNoise};
use tweedie::score::Empirical;
use tweedie::train::{LearningRateSchedule, LossConfig, TrainConfig, Weighting};

/// What came of a training set.
pub struct Learned {
    /// The items trained on.
    pub count: usize,
    /// The denoiser that attains the minimum of the loss.
    pub exact: Empirical,
    /// The network after all updates, averaged.
    pub network: NetworkDenoiser,
    /// Its number of parameters.
    pub parameters: usize,
    /// Updates, and the losses then by noise level.
    pub losses: Vec<(u64, Vec<Losses>)>,
}

impl Learned {
    /// Trains on `training`.
    pub fn new(
        training: &Items,
        sets: &Sets,
        levels: &Levels,
        size: &Size,
        seed: u64,
        monitor: &mut Monitor<'_>,
    ) -> Result<Self> {
        let exact = Empirical::new(training.values.clone(), DIM)?;
        let probe = Probe::new(&exact, &sets.held_out, levels, size.draws, seed)?;
        let noise = TrainingNoise::LogUniform {
            sigma_min: SIGMA.1,
            sigma_max: SIGMA.0,
        };
        let loss = LossConfig {
            weighting: Weighting::Edm,
            ..LossConfig::default()
        };
        let steps = size.marks.last().copied().unwrap_or(0);
        let mut fit = Fit::on(
            &training.data,
            noise,
            &loss,
            &network(size, sets),
            &config(size, steps),
            seed,
        )?;
        let what = format!("training on {}", training.len());
        let mut losses = Vec::new();
        for &mark in size.marks {
            fit.finish(mark, &mut |done, _| {
                monitor.step(&what, done, steps, "updates")
            })?;
            losses.push((mark, probe.losses(&fit.average()?)?));
        }
        Ok(Self {
            count: training.len(),
            exact,
            network: fit.average()?,
            parameters: fit.parameters(),
            losses,
        })
    }

    /// The losses after all updates.
    pub fn last(&self) -> &[Losses] {
        self.losses.last().map_or(&[], |(_, losses)| losses)
    }
}

/// The same for both sets: also the scale of the data is that of the larger set.
fn network(size: &Size, sets: &Sets) -> NetworkConfig {
    let scale = sets.training.last().map(|items| items.data.mean_std().1);
    NetworkConfig {
        preconditioning: Preconditioning::Edm,
        sigma_data: scale,
        unet: Some(UNetConfig {
            block_out_channels: size.widths.to_vec(),
            layers_per_block: 1,
            norm_num_groups: 8,
            attention_head_dim: 0,
            ..UNetConfig::default()
        }),
        ..NetworkConfig::default()
    }
}

fn config(size: &Size, steps: u64) -> TrainConfig {
    TrainConfig {
        steps,
        batch: size.batch,
        lr: 2e-3,
        warmup: steps.min(50),
        schedule: LearningRateSchedule::Cosine,
        // A short memory, so that the first marks do not show the initial weights.
        ema: 0.95,
        ..TrainConfig::default()
    }
}
