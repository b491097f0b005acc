//! A network on data, as a configuration describes it.

use std::path::Path;

use serde_json::{Value, json};
use tweedie::data::{self, Dataset};
use tweedie::nn::params::{self, Array, ByName};
use tweedie::nn::{Conditioning, Network, Precision};
use tweedie::random::{NoiseSource, Stream};
use tweedie::run::Config;
use tweedie::train::{ScoreMatching, Trainer};

use crate::timing::Budget;
use crate::{Result, tensors};

/// A configuration, its data and its network.
pub struct Case {
    config: Config,
    /// Lives as long as the process, so that a trainer can stay beside it.
    data: &'static Dataset,
    network: Network,
    precision: Precision,
    /// Kept from one timing to the next.
    trainer: Option<Trainer<'static>>,
}

impl Case {
    /// The case of a configuration file with some keys changed; calls are made in `precision`.
    pub fn open(config: &Path, set: &[String], precision: Precision) -> Result<Self> {
        let config = Config::load(config, set)?;
        let data = data::open(&config.data)?;
        let config = config.resolve(&data)?;
        let device = config.train.engine.device()?.autodiff();
        let network = Network::new(&config.network, data.shape(), config.seed, &device)?;
        let parameters = network.parameters();
        let values: ByName<_> = (1..).zip(&parameters).map(random).collect();
        let case = Self {
            network: network.with_values(&values)?,
            config,
            data: Box::leak(Box::new(data)),
            precision,
            trainer: None,
        };
        // A precision that cannot be is refused here.
        case.plain()?;
        Ok(case)
    }

    /// All that the other side needs to build the same.
    pub fn describe(&self) -> Value {
        json!({
            "shape": self.data.shape(),
            "config": self.config,
            "parameters": self.network.parameters().values().map(|p| p.values.len()).sum::<usize>(),
        })
    }

    /// Writes the weights under PyTorch's names.
    pub fn write_weights(&self, file: &Path) -> Result<()> {
        let parameters = self.network.parameters().into_iter();
        let named: Vec<_> = parameters.map(|(n, p)| (n, p.shape, p.values)).collect();
        tensors::write(file, &named)
    }

    /// The network for calls without gradients.
    fn plain(&self) -> Result<Network> {
        Ok(self
            .network
            .without_gradients()
            .in_precision(self.precision)?)
    }

    /// Reads `x` `[N, ..]` and `sigma` `[N]`, writes `output` `[N, dim]`.
    pub fn call(&self, inputs: &Path, outputs: &Path) -> Result<()> {
        let mut inputs = tensors::read(inputs)?;
        let x = inputs.remove("x").ok_or("the input has no x")?;
        let sigma = inputs.remove("sigma").ok_or("the input has no sigma")?;
        let sigma: Vec<f64> = sigma.into_iter().map(f64::from).collect();
        let network = self.plain()?;
        let x = network.input(x)?;
        let output = network.forward(x, &Conditioning::on_sigmas(&sigma))?;
        let (shape, output) = (output.dims().to_vec(), params::to_vec(output));
        tensors::write(outputs, &[("output".into(), shape, output)])
    }

    /// Makes the trainer's first update and writes what it saw and found: the examples `x`, their
    /// noise `z` and levels `sigma`, each one's `loss`, and `gradient.NAME`.
    ///
    /// The examples come from the library's random numbers, addressed as the trainer does it, and
    /// the gradients from Adam's first moments: from zero, one update makes them (1 - beta1) g.
    pub fn first_update(&self, outputs: &Path) -> Result<()> {
        let train = &self.config.train;
        if train.clip != 0.0 || train.flip || train.batch > self.data.len() {
            return Err(
                "the check needs train.clip = 0, train.flip = false, and a batch of items \
                        that are all different"
                    .into(),
            );
        }
        let mut trainer = self.trainer()?;
        let report = trainer.update()?;

        let (n, dim) = (train.batch, self.data.dim());
        let order = NoiseSource::new(self.config.seed, Stream::Order);
        let order = order.permutation(0, self.data.len());
        let noise = NoiseSource::new(self.config.seed, Stream::Training);
        let mut z = vec![0.0; n * dim];
        for (slot, z) in (0..).zip(z.chunks_exact_mut(dim)) {
            noise.fill_normal(slot, 0, z);
        }
        let mut found = vec![
            ("x".into(), vec![n, dim], self.data.gather(&order[..n])),
            ("z".into(), vec![n, dim], z),
        ];
        let examples = report.examples;
        let sigma = examples.iter().map(|&(sigma, _)| sigma as f32).collect();
        let loss = examples.iter().map(|&(_, loss)| loss as f32).collect();
        found.extend([
            ("sigma".into(), vec![n], sigma),
            ("loss".into(), vec![n], loss),
        ]);
        let first = trainer.checkpoint().take("adam.first")?;
        let share = 1.0 - train.betas[0];
        for (name, first) in first {
            let gradient = first.values.iter().map(|&m| (f64::from(m) / share) as f32);
            found.push((format!("gradient.{name}"), first.shape, gradient.collect()));
        }
        tensors::write(outputs, &found)
    }

    fn trainer(&self) -> Result<Trainer<'static>> {
        let Config {
            loss,
            network,
            train,
            seed,
            ..
        } = &self.config;
        let objective = ScoreMatching::new(loss, network.parameterisation())?;
        let noise = self.config.training_noise()?;
        let network = self.network.clone();
        Ok(Trainer::new(
            train, self.data, noise, objective, network, *seed,
        )?)
    }

    /// Times calls of `batch` samples.
    pub fn time_calls(&self, batch: usize, budget: Budget) -> Result<Vec<f64>> {
        let network = self.plain()?;
        let mut x = vec![0.0; batch * network.inputs()];
        NoiseSource::new(0, Stream::Evaluation).fill_normal(0, 0, &mut x);
        let sigma = vec![1.0; batch];
        budget.measure(|| {
            let x = network.input(x.clone())?;
            let output = network.forward(x, &Conditioning::on_sigmas(&sigma))?;
            std::hint::black_box(params::to_vec(output));
            Ok(())
        })
    }

    /// Times whole updates: examples, forward, backward, Adam and the moving average.
    pub fn time_updates(&mut self, budget: Budget) -> Result<Vec<f64>> {
        let mut trainer = match self.trainer.take() {
            Some(trainer) => trainer,
            None => self.trainer()?,
        };
        let times = budget.measure(|| {
            trainer.update()?;
            Ok(())
        });
        self.trainer = Some(trainer);
        times
    }
}

/// A parameter's name and values, and random ones where they are all the same: a layer of
/// zeros would hide everything before it from the comparison.
fn random((number, (name, parameter)): (u64, (&String, &Array))) -> (String, Vec<f32>) {
    let Array { shape, values } = parameter;
    let unchanged = (name.clone(), values.clone());
    let [first, rest @ ..] = &values[..] else {
        return unchanged;
    };
    if rest.iter().any(|value| value != first) {
        return unchanged;
    }
    let scale = match shape[..] {
        [_] => 0.1,
        // As large as PyTorch's initial weights.
        _ => (shape[1..].iter().product::<usize>() as f32).powf(-0.5) * 0.6,
    };
    let mut z = vec![0.0_f32; values.len()];
    NoiseSource::new(0, Stream::Evaluation).fill_normal(number, 0, &mut z);
    let values = z.iter().map(|z| first + scale * z).collect();
    (name.clone(), values)
}
