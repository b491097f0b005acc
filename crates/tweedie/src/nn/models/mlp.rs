//! A multi-layer perceptron for vectors: the network of the papers' toy experiments.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{Inputs, Model};
use crate::error::{Error, Result};
use crate::nn::init::Init;
use crate::nn::layers::{Activation, Linear};
use crate::nn::{Body, Conditioning, Forward, ops};

/// How a conditional MLP sees the noise level: as one more input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SigmaInput {
    /// ln(sigma).
    #[default]
    Log,
    /// sigma itself, as in the one-dimensional tutorial.
    Sigma,
}

impl SigmaInput {
    /// The network's input for `sigma`.
    pub fn of(self, sigma: f64) -> f32 {
        match self {
            Self::Log => sigma.ln() as f32,
            Self::Sigma => sigma as f32,
        }
    }
}

/// The hyper-parameters of an [`Mlp`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of each hidden layer.
    pub hidden: Vec<usize>,
    /// Follows every hidden layer.
    pub activation: Activation,
    /// How a conditional network sees sigma.
    pub sigma_input: SigmaInput,
}

/// Bounds far beyond any network in use, so that a typing error is refused instead of exhausting
/// the memory.
const WIDEST: usize = 1 << 15;
const DEEPEST: usize = 256;

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            hidden: vec![512, 512, 512],
            activation: Activation::LeakyRelu,
            sigma_input: SigmaInput::Log,
        }
    }
}

impl Model for MlpConfig {
    fn body(&self, inputs: &Inputs, init: &Init) -> Result<Box<dyn Body>> {
        if let Some(table) = inputs.timesteps {
            let reason = "is for U-Nets; an MLP sees sigma itself";
            let value = format!("{:?}", table.schedule);
            return Err(Error::setting("timesteps", value, reason));
        }
        Ok(Box::new(Mlp::new(
            self,
            inputs.shape.values(),
            inputs.conditional,
            init,
        )?))
    }
}

/// Linear layers with an activation after each but the last.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
    #[module(skip)]
    config: MlpConfig,
    #[module(skip)]
    dim: usize,
    #[module(skip)]
    conditional: bool,
}

impl Mlp {
    /// A network for vectors of `dim` values; unconditional if `conditional` is false.
    ///
    /// # Errors
    /// When a hidden layer has no units.
    pub fn new(config: &MlpConfig, dim: usize, conditional: bool, init: &Init) -> Result<Self> {
        let units = 1..=WIDEST;
        if config.hidden.len() > DEEPEST || config.hidden.iter().any(|h| !units.contains(h)) {
            let value = format!("{:?}", config.hidden);
            let reason = format!("at most {DEEPEST} layers of 1 to {WIDEST} units");
            return Err(Error::setting("hidden", value, reason));
        }
        let mut widths = vec![dim + usize::from(conditional)];
        widths.extend(&config.hidden);
        widths.push(dim);
        let init = init.at("layers");
        let layers = widths.windows(2).enumerate();
        Ok(Self {
            layers: layers
                .map(|(i, w)| Linear::new(w[0], w[1], &init.at(i)))
                .collect(),
            config: config.clone(),
            dim,
            conditional,
        })
    }
}

impl Forward for Mlp {
    fn inputs(&self) -> usize {
        self.dim
    }

    fn outputs(&self) -> usize {
        self.dim
    }

    fn needs_sigmas(&self) -> bool {
        self.conditional
    }

    /// A conditional network takes sigma in one more column behind `x`.
    fn forward(&self, x: Tensor<2>, conditioning: &Conditioning<'_>) -> Tensor<2> {
        let x = match conditioning.sigmas {
            Some(sigmas) if self.conditional => {
                let seen = sigmas
                    .iter()
                    .map(|&sigma| self.config.sigma_input.of(sigma));
                let column = TensorData::new(seen.collect(), [sigmas.len(), 1]);
                let column = Tensor::from_data(column, &x.device());
                ops::append(x, column)
            }
            _ => x,
        };
        let layers = self.layers.iter().map(|l| (l.weight.val(), l.bias.val()));
        ops::mlp(x, layers.collect(), self.config.activation)
    }
}
