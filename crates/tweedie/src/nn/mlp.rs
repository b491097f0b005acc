//! A multi-layer perceptron for vectors: the network of the papers' toy experiments.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nn::init::Init;
use crate::nn::layers::{Activation, Linear};
use crate::nn::ops;
use crate::random::rows_a_task;

/// How a conditional MLP is told the noise level: as one more input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SigmaInput {
    /// ln(sigma).
    #[default]
    Log,
    /// sigma itself, as in the one-dimensional tutorial.
    Sigma,
}

/// The hyper-parameters of an [`Mlp`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of each hidden layer.
    pub hidden: Vec<usize>,
    /// Follows every hidden layer.
    pub activation: Activation,
    /// What a conditional network sees of sigma.
    pub sigma_input: SigmaInput,
}

/// Bounds far beyond any network in use, so that a slip of the pen is an error and not an
/// exhausted machine.
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

/// Linear layers with an activation after each but the last.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
    #[module(skip)]
    config: MlpConfig,
    #[module(skip)]
    conditional: bool,
}

impl Mlp {
    /// A network for vectors of `dim` values; unconditional if `conditional` is false.
    ///
    /// # Errors
    /// When a hidden layer has no units.
    pub fn new(config: &MlpConfig, dim: usize, conditional: bool, init: &mut Init) -> Result<Self> {
        let units = 1..=WIDEST;
        if config.hidden.len() > DEEPEST || config.hidden.iter().any(|h| !units.contains(h)) {
            let value = format!("{:?}", config.hidden);
            let reason = format!("at most {DEEPEST} layers of 1 to {WIDEST} units");
            return Err(Error::setting("network.mlp.hidden", value, reason));
        }
        let mut widths = vec![dim + usize::from(conditional)];
        widths.extend(&config.hidden);
        widths.push(dim);
        Ok(Self {
            layers: widths
                .windows(2)
                .map(|w| Linear::new(w[0], w[1], init))
                .collect(),
            config: config.clone(),
            conditional,
        })
    }

    /// What the layers see: `x` `[N, D]`, row-major, and of a conditional network one sigma a row
    /// in a column behind.
    pub fn input(&self, x: Vec<f32>, sigma: &[f64], device: &Device) -> Tensor<2> {
        let rows = sigma.len();
        let x = match self.conditional {
            true => self.with_sigma(&x, sigma),
            false => x,
        };
        let width = x.len() / rows.max(1);
        Tensor::from_data(TensorData::new(x, [rows, width]), device)
    }

    /// [`Mlp::input`] to `[N, D]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let layers = self.layers.iter().map(|l| (l.weight.val(), l.bias.val()));
        ops::mlp(x, layers.collect(), self.config.activation)
    }

    /// Each row, and what the network sees of its sigma.
    fn with_sigma(&self, x: &[f32], sigma: &[f64]) -> Vec<f32> {
        // Chosen once: inside the loop the compiler would compute both.
        let seen = match self.config.sigma_input {
            SigmaInput::Log => |sigma: f64| sigma.ln() as f32,
            SigmaInput::Sigma => |sigma: f64| sigma as f32,
        };
        let dim = x.len() / sigma.len().max(1);
        let mut out = vec![0.0; x.len() + sigma.len()];
        let task = rows_a_task(dim + 1);
        out.par_chunks_mut(task * (dim + 1))
            .zip(x.par_chunks(task * dim))
            .zip(sigma.par_chunks(task))
            .for_each(|((out, x), sigma)| {
                let rows = out.chunks_exact_mut(dim + 1).zip(x.chunks_exact(dim));
                for ((out, x), &sigma) in rows.zip(sigma) {
                    out[..dim].copy_from_slice(x);
                    out[dim] = seen(sigma);
                }
            });
        out
    }
}
