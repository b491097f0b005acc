//! Training the small networks of the studies.

use tweedie::Result;
use tweedie::data::Dataset;
use tweedie::engine::Engine;
use tweedie::nn::{Network, NetworkConfig, NetworkDenoiser, Parameterisation};
use tweedie::noise::{Levels, TrainingNoise};
use tweedie::train::{LossConfig, ScoreMatching, TrainConfig, Trainer};

/// A network in training that can be evaluated along the way.
pub(super) struct Fit<'a> {
    pub trainer: Trainer<'a>,
    parameterisation: Parameterisation,
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
        let noise = TrainingNoise::Discrete(levels.clone());
        Self::on(data, noise, &LossConfig::default(), network, train, seed)
    }

    /// Starts training by denoising score matching at the noise levels and with the loss given.
    pub fn on(
        data: &'a Dataset,
        noise: TrainingNoise,
        loss: &LossConfig,
        network: &NetworkConfig,
        train: &TrainConfig,
        seed: u64,
    ) -> Result<Self> {
        let device = Engine::Flex.device()?.autodiff();
        let sigma_data = network.sigma_data.unwrap_or(1.0);
        let parameterisation = Parameterisation::new(network.preconditioning, sigma_data);
        let network = Network::new(network, data.shape(), seed, &device)?;
        let objective = ScoreMatching::new(loss, parameterisation)?;
        let trainer = Trainer::new(train, data, noise, objective, network, seed)?;
        Ok(Self {
            trainer,
            parameterisation,
        })
    }

    /// Trains to update `steps`; `on` is called with the number of updates and the last loss.
    pub fn finish(&mut self, steps: u64, on: &mut dyn FnMut(u64, f64) -> Result<()>) -> Result<()> {
        while self.trainer.step() < steps {
            let report = self.trainer.update()?;
            on(self.trainer.step(), report.loss)?;
        }
        Ok(())
    }

    /// The network with its current weights.
    pub fn denoiser(&self) -> Result<NetworkDenoiser> {
        Ok(self.with(self.trainer.network()?))
    }

    /// The network with the moving average of its weights.
    pub fn average(&self) -> Result<NetworkDenoiser> {
        Ok(self.with(&self.trainer.average()?))
    }

    /// The number of parameters of the network.
    pub fn parameters(&self) -> usize {
        self.trainer.parameters()
    }

    fn with(&self, network: &Network) -> NetworkDenoiser {
        NetworkDenoiser::new(network, self.parameterisation)
    }
}
