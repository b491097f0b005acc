//! Group normalisation (Wu & He 2018).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Activation;
use crate::nn::init::Init;
use crate::nn::ops::{self, Normalisation};

/// GroupNorm with a scale and a shift per channel, as in `torch.nn.GroupNorm`.
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// `[C]`.
    pub weight: Param<Tensor<1>>,
    /// `[C]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    groups: usize,
    #[module(skip)]
    epsilon: f64,
}

impl GroupNorm {
    /// `groups` must divide `channels`.
    pub fn new(groups: usize, channels: usize, epsilon: f64, init: &Init) -> Self {
        Self {
            weight: init.constant("weight", [channels], 1.0),
            bias: init.constant("bias", [channels], 0.0),
            groups,
            epsilon,
        }
    }

    /// The same as an operand, for a convolution that normalises its input.
    pub fn before(&self, then: Activation) -> Normalisation {
        Normalisation {
            scale: self.weight.val(),
            shift: self.bias.val(),
            groups: self.groups,
            epsilon: self.epsilon,
            then,
        }
    }

    /// Normalises `[N, H, W, C]`, then applies `then`.
    pub fn forward(&self, x: Tensor<4>, then: Activation) -> Tensor<4> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        ops::group_norm(x, weight, bias, self.groups, self.epsilon, then)
    }
}
