//! A small residual network for images, with group normalisation (He et al. 2016; Wu and He 2018).
//!
//! ```text
//! h_0      = conv_3x3(x)
//! h_k      = block_k(h_(k-1)), at half the resolution where the channels change
//! features = mean over pixels of silu(norm(h_K))
//! logits   = W features + b
//! ```
//!
//! The blocks are those of the U-Net. Normalised by groups and not by batches, an image's features
//! are a function of that image alone.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::ClassifierOutput;
use crate::data::Shape;
use crate::error::{Error, Result};
use crate::nn::init::Init;
use crate::nn::layers::{Activation, Conv2d, GroupNorm, Linear, ResnetBlock, ResnetConfig};
use crate::nn::{Conditioning, Forward, ops};

/// The hyper-parameters of a [`ConvClassifier`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConvClassifierConfig {
    /// Channels at each resolution, from that of the images on, each half the one before. The last
    /// is the number of features.
    pub channels: Vec<usize>,
    /// Residual blocks at each resolution.
    pub blocks: usize,
    /// Groups of the normalisations.
    pub groups: usize,
}

impl Default for ConvClassifierConfig {
    fn default() -> Self {
        Self {
            channels: vec![32, 64, 128],
            blocks: 1,
            groups: 8,
        }
    }
}

/// Bounds far beyond any network in use, so that a slip of the pen is an error and not an
/// exhausted machine.
const WIDEST: usize = 1 << 13;
const MOST_RESOLUTIONS: usize = 16;
const MOST_BLOCKS: usize = 256;

/// Epsilon of the normalisations.
const EPSILON: f64 = 1e-5;

impl ConvClassifierConfig {
    fn validate(&self) -> Result<()> {
        let channels = &self.channels;
        if !(1..=MOST_RESOLUTIONS).contains(&channels.len())
            || channels.iter().any(|c| !(1..=WIDEST).contains(c))
        {
            let reason = format!("give 1 to {MOST_RESOLUTIONS} numbers from 1 to {WIDEST}");
            return Err(Error::setting("channels", format!("{channels:?}"), reason));
        }
        if !(1..=MOST_BLOCKS).contains(&self.blocks) {
            let reason = format!("must be between 1 and {MOST_BLOCKS}");
            return Err(Error::setting("blocks", self.blocks, reason));
        }
        let wrong = channels
            .iter()
            .find(|c| c.checked_rem(self.groups) != Some(0));
        if let Some(c) = wrong {
            let reason = format!("must divide every number of channels, and {c} is one of them");
            return Err(Error::setting("groups", self.groups, reason));
        }
        Ok(())
    }
}

/// The network. See [`ConvClassifierConfig`] for its hyper-parameters.
#[derive(Module, Debug)]
pub struct ConvClassifier {
    conv_in: Conv2d,
    blocks: Vec<ResnetBlock>,
    norm_out: GroupNorm,
    head: Linear,
    /// Blocks at each resolution.
    #[module(skip)]
    each: usize,
    #[module(skip)]
    features: usize,
    #[module(skip)]
    classes: usize,
    /// Of one image, `[C, H, W]`.
    #[module(skip)]
    shape: [usize; 3],
    #[module(skip)]
    output: ClassifierOutput,
}

impl ConvClassifier {
    /// The network for images of `shape` and `classes` classes.
    ///
    /// # Errors
    /// When `config` contradicts itself, or the shape is no image's.
    pub fn new(
        config: &ConvClassifierConfig,
        shape: Shape,
        classes: usize,
        output: ClassifierOutput,
        init: &Init,
    ) -> Result<Self> {
        let Shape::Image {
            channels,
            height,
            width,
        } = shape
        else {
            return Err(Error::Shape {
                what: "the data (a convolutional network takes images; use mlp for the rest)"
                    .into(),
                expected: vec![1, 28, 28],
                found: shape.to_vec(),
            });
        };
        config.validate()?;
        let mut inputs = config.channels[0];
        let conv_in = Conv2d::new(channels, inputs, 3, &init.at("conv_in"));
        let mut blocks = Vec::new();
        for &outputs in &config.channels {
            for _ in 0..config.blocks {
                let block = ResnetConfig {
                    inputs,
                    outputs,
                    embedding: None,
                    groups: config.groups,
                    epsilon: EPSILON,
                };
                let init = init.at("blocks").at(blocks.len());
                blocks.push(ResnetBlock::new(block, &init));
                inputs = outputs;
            }
        }
        Ok(Self {
            conv_in,
            blocks,
            norm_out: GroupNorm::new(config.groups, inputs, EPSILON, &init.at("norm_out")),
            head: Linear::new(inputs, classes, &init.at("head")),
            each: config.blocks,
            features: inputs,
            classes,
            shape: [channels, height, width],
            output,
        })
    }
}

impl Forward for ConvClassifier {
    fn inputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn outputs(&self) -> usize {
        self.output.width(self.features, self.classes)
    }

    fn preferred_batch(&self) -> usize {
        128
    }

    fn forward(&self, x: Tensor<2>, _: &Conditioning<'_>) -> Tensor<2> {
        let ([rows, _], [c, h, w]) = (x.dims(), self.shape);
        let x = ops::channels_last(x.reshape([rows, c, h, w]));
        let mut x = self.conv_in.forward(x);
        for (place, block) in self.blocks.iter().enumerate() {
            if place > 0 && place.is_multiple_of(self.each) {
                x = halved(x);
            }
            x = block.forward(x, None);
        }
        let x = self.norm_out.forward(x, Activation::Silu);
        let [n, h, w, c] = x.dims();
        let features = x.reshape([n, h * w, c]).mean_dim(1).reshape([n, c]);
        self.output.of(features, &self.head)
    }
}

/// The mean of every two by two pixels; the last row and column of an odd number count twice.
fn halved(mut x: Tensor<4>) -> Tensor<4> {
    for side in [1, 2] {
        let length = x.dims()[side];
        if !length.is_multiple_of(2) {
            let last = x.clone().narrow(side, length - 1, 1);
            x = Tensor::cat(vec![x, last], side);
        }
    }
    ops::avg_pool_2x(x)
}
