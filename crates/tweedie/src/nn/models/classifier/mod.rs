//! Classifiers: networks whose outputs are the logits of classes.
//!
//! What stands before the last linear layer, the penultimate layer, is a space of features in
//! which samples and data can be compared, as FID does in Inception's.

mod conv;
mod mlp;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

pub use conv::{ConvClassifier, ConvClassifierConfig};
pub use mlp::{MlpClassifier, MlpClassifierConfig};

use crate::data::{MOST_CLASSES, Shape};
use crate::error::{Error, Result};
use crate::nn::init::Init;
use crate::nn::layers::Linear;
use crate::nn::{Body, ops};

/// What a classifier is: one of the two tables, or by default a convolutional network for images
/// and an MLP for other samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierNetworkConfig {
    /// A convolutional network, for images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conv: Option<ConvClassifierConfig>,
    /// An MLP, for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlp: Option<MlpClassifierConfig>,
}

/// What a row of a classifier's output holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassifierOutput {
    /// The logits: for training.
    #[default]
    Logits,
    /// The features of the penultimate layer, then the logits.
    FeaturesAndLogits,
}

impl ClassifierOutput {
    /// Values in a row.
    fn width(self, features: usize, classes: usize) -> usize {
        match self {
            Self::Logits => classes,
            Self::FeaturesAndLogits => features + classes,
        }
    }

    /// The output for `features` `[N, D]`, of which `head` makes the logits.
    fn of(self, features: Tensor<2>, head: &Linear) -> Tensor<2> {
        let logits = head.forward(features.clone());
        match self {
            Self::Logits => logits,
            Self::FeaturesAndLogits => ops::append(features, logits),
        }
    }
}

impl ClassifierNetworkConfig {
    /// The same with a model: where it names none, the usual one for samples of `shape`.
    #[must_use]
    pub fn with_model_for(mut self, shape: Shape) -> Self {
        if self.conv.is_none() && self.mlp.is_none() {
            match shape.is_image() {
                true => self.conv = Some(ConvClassifierConfig::default()),
                false => self.mlp = Some(MlpClassifierConfig::default()),
            }
        }
        self
    }

    /// The network's body, for samples of `shape` and `classes` classes.
    ///
    /// # Errors
    /// When the tables name no model or both, or the model does not fit the shape.
    pub fn body(
        &self,
        shape: Shape,
        classes: usize,
        output: ClassifierOutput,
        init: &Init,
    ) -> Result<Box<dyn Body>> {
        if !(2..=MOST_CLASSES).contains(&classes) {
            let reason = format!("a classifier tells 2 to {MOST_CLASSES} classes apart");
            return Err(Error::setting("classes", classes, reason));
        }
        match (&self.conv, &self.mlp) {
            (Some(conv), None) => {
                let net = ConvClassifier::new(conv, shape, classes, output, init);
                Ok(Box::new(net.map_err(|error| error.within("conv"))?))
            }
            (None, Some(mlp)) => {
                let net = MlpClassifier::new(mlp, shape.values(), classes, output, init);
                Ok(Box::new(net.map_err(|error| error.within("mlp"))?))
            }
            (found, _) => {
                let found = found.as_ref().map_or("none", |_| "conv and mlp");
                let reason = "needs exactly one of the tables conv and mlp";
                Err(Error::setting("model", found, reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::nn::{Conditioning, Network, params};

    fn networks(config: &ClassifierNetworkConfig, sides: &[usize]) -> [Network; 2] {
        let device = Engine::Flex.device().unwrap();
        let shape = Shape::from_sides(sides).unwrap();
        [
            ClassifierOutput::Logits,
            ClassifierOutput::FeaturesAndLogits,
        ]
        .map(|output| {
            let init = Init::new(3, &device);
            let config = config.clone().with_model_for(shape);
            Network::from_body(config.body(shape, 5, output, &init).unwrap(), &device)
        })
    }

    fn call(network: &Network, rows: &[f32]) -> Vec<f32> {
        let x = network.input(rows.to_vec()).unwrap();
        params::to_vec(network.forward(x, &Conditioning::default()).unwrap())
    }

    #[test]
    fn features_come_before_the_same_logits_whatever_the_batch() {
        for sides in [&[7][..], &[2, 9], &[1, 8, 8], &[3, 9, 5], &[1, 1, 2]] {
            let [logits, both] = networks(&ClassifierNetworkConfig::default(), sides);
            let dim: usize = sides.iter().product();
            let rows: Vec<f32> = (0..6 * dim).map(|i| ((i * i) as f32).sin()).collect();
            let (z, all) = (call(&logits, &rows), call(&both, &rows));
            let width = both.outputs();
            for (row, (z, all)) in z.chunks(5).zip(all.chunks(width)).enumerate() {
                assert_eq!(*z, all[width - 5..]);
                let alone = call(&both, &rows[row * dim..(row + 1) * dim]);
                assert_eq!(alone, all, "row {row} of {sides:?}");
            }
            assert_eq!(logits.shapes(), both.shapes());
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let device = Engine::Flex.device().unwrap();
        let refused = |text: &str, sides: &[usize], classes, words: &str| {
            let config: ClassifierNetworkConfig = toml::from_str(text).unwrap();
            let shape = Shape::from_sides(sides).unwrap();
            let output = ClassifierOutput::Logits;
            let body = config.body(shape, classes, output, &Init::blank(&device));
            let error = body.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        refused("", &[2], 2, "model = none");
        refused("[conv]\n[mlp]", &[2], 2, "model = conv and mlp");
        refused("[mlp]", &[2], 1, "classes = 1");
        refused("[conv]", &[2], 2, "takes images");
        refused("[conv]\nchannels = []", &[1, 8, 8], 2, "conv.channels = []");
        refused("[conv]\nblocks = 0", &[1, 8, 8], 2, "conv.blocks = 0");
        refused("[conv]\ngroups = 7", &[1, 8, 8], 2, "conv.groups = 7");
        refused("[mlp]\nhidden = []", &[2], 2, "mlp.hidden = []");
        refused("[mlp]\nhidden = [0]", &[2], 2, "mlp.hidden = [0]");
    }
}
