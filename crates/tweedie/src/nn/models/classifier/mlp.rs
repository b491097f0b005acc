//! A multi-layer perceptron that classifies vectors.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::ClassifierOutput;
use crate::error::{Error, Result};
use crate::nn::init::Init;
use crate::nn::layers::{Activation, Linear};
use crate::nn::{Conditioning, Forward, ops};

/// The hyper-parameters of an [`MlpClassifier`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpClassifierConfig {
    /// Width of each hidden layer; the last is the number of features.
    pub hidden: Vec<usize>,
    /// Follows every hidden layer.
    pub activation: Activation,
}

impl Default for MlpClassifierConfig {
    fn default() -> Self {
        Self {
            hidden: vec![128, 64],
            activation: Activation::Silu,
        }
    }
}

/// Bounds far beyond any network in use, so that a slip of the pen is an error and not an
/// exhausted machine.
const WIDEST: usize = 1 << 15;
const DEEPEST: usize = 256;

/// Linear layers with an activation after each; the activations of the last are the features.
#[derive(Module, Debug)]
pub struct MlpClassifier {
    layers: Vec<Linear>,
    head: Linear,
    #[module(skip)]
    config: MlpClassifierConfig,
    #[module(skip)]
    dim: usize,
    #[module(skip)]
    classes: usize,
    #[module(skip)]
    output: ClassifierOutput,
}

impl MlpClassifier {
    /// A network for vectors of `dim` values and `classes` classes.
    ///
    /// # Errors
    /// When there is no hidden layer, or one has no units.
    pub fn new(
        config: &MlpClassifierConfig,
        dim: usize,
        classes: usize,
        output: ClassifierOutput,
        init: &Init,
    ) -> Result<Self> {
        let hidden = &config.hidden;
        if !(1..=DEEPEST).contains(&hidden.len())
            || hidden.iter().any(|units| !(1..=WIDEST).contains(units))
        {
            let reason = format!("give 1 to {DEEPEST} layers of 1 to {WIDEST} units");
            return Err(Error::setting("hidden", format!("{hidden:?}"), reason));
        }
        let mut layers = Vec::new();
        let mut inputs = dim;
        for (place, &units) in hidden.iter().enumerate() {
            layers.push(Linear::new(inputs, units, &init.at("layers").at(place)));
            inputs = units;
        }
        Ok(Self {
            layers,
            head: Linear::new(inputs, classes, &init.at("head")),
            config: config.clone(),
            dim,
            classes,
            output,
        })
    }
}

impl Forward for MlpClassifier {
    fn inputs(&self) -> usize {
        self.dim
    }

    fn outputs(&self) -> usize {
        let features = self.config.hidden.last().copied().unwrap_or(0);
        self.output.width(features, self.classes)
    }

    fn forward(&self, x: Tensor<2>, _: &Conditioning<'_>) -> Tensor<2> {
        let layers = self.layers.iter().map(|l| (l.weight.val(), l.bias.val()));
        let x = ops::mlp(x, layers.collect(), self.config.activation);
        let features = ops::activate(x, self.config.activation);
        self.output.of(features, &self.head)
    }
}
