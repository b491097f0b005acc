//! Training the small networks of the studies.

use crate::data::Dataset;
use crate::engine::Engine;
use crate::error::Result;
use crate::nn::{
    Network, NetworkConfig, NetworkDenoiser, Parameterisation, Preconditioning, params,
};
use crate::noise::{Levels, TrainingNoise};
use crate::train::{LossConfig, Objective, TrainConfig, Trainer};

/// A network in training, with what it takes to look at it on the way.
pub(super) struct Fit<'a> {
    pub trainer: Trainer<'a>,
    network: Network,
    form: Preconditioning,
}

impl<'a> Fit<'a> {
    /// Starts training by denoising score matching over `levels`, all equally likely.
    pub fn new(
        data: &'a Dataset,
        levels: &Levels,
        network: &NetworkConfig,
        train: &TrainConfig,
        seed: u64,
    ) -> Result<Self> {
        let device = Engine::Flex.device()?.autodiff();
        let form = network.preconditioning;
        let network = Network::new(network, data.shape(), seed, &device)?;
        let objective = Objective::new(&LossConfig::default(), Parameterisation::new(form, 1.0))?;
        let noise = TrainingNoise::Discrete(levels.clone());
        let trainer = Trainer::new(train, data, noise, objective, network.clone(), seed)?;
        Ok(Self {
            trainer,
            network,
            form,
        })
    }

    /// Updates to the end; `on` is told the number of updates made and the loss of the last.
    pub fn finish(&mut self, steps: u64, on: &mut dyn FnMut(u64, f64)) -> Result<()> {
        while self.trainer.step() < steps {
            let report = self.trainer.update()?;
            on(self.trainer.step(), report.loss);
        }
        Ok(())
    }

    /// The network as it is now.
    pub fn denoiser(&self) -> Result<NetworkDenoiser> {
        let weights = self.trainer.checkpoint().take("model")?;
        let values = params::in_order(self.trainer.parameters(), weights)?;
        Ok(self.with(&self.network.with_values(&values)?))
    }

    /// The network with the moving average of its weights.
    pub fn average(&self) -> Result<NetworkDenoiser> {
        Ok(self.with(&self.trainer.average()?))
    }

    /// How many numbers the network has.
    pub fn parameters(&self) -> usize {
        self.trainer
            .parameters()
            .iter()
            .map(|p| p.values.len())
            .sum()
    }

    fn with(&self, network: &Network) -> NetworkDenoiser {
        NetworkDenoiser::new(network, Parameterisation::new(self.form, 1.0))
    }
}
