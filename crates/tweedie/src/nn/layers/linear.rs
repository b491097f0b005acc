//! A fully connected layer.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Activation;
use crate::nn::init::Init;
use crate::nn::ops::{self, Convolution, Kept};

/// `y = x W^T + b`, `weight` `[O, I]` and `bias` `[O]` as in `torch.nn.Linear`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[O, I]`.
    pub weight: Param<Tensor<2>>,
    /// `[O]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    kept: Kept,
}

impl Linear {
    /// A layer from `inputs` to `outputs` features, with PyTorch's initial weights.
    pub fn new(inputs: usize, outputs: usize, init: &Init) -> Self {
        let bound = (inputs as f64).powf(-0.5);
        Self {
            weight: init.uniform("weight", [outputs, inputs], bound),
            bias: init.uniform("bias", [outputs], bound),
            kept: Kept::default(),
        }
    }

    /// `[..., I]` to `[..., O]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::linear(x, self.weight.val(), self.bias.val())
    }

    /// `[N, H, W, I]` to `[N, H, W, O]`, plus `residual`: at every pixel, which is what a
    /// convolution with a kernel of one pixel does.
    pub fn forward_pixels(&self, x: Tensor<4>, residual: Option<Tensor<4>>) -> Tensor<4> {
        let weight = self.weight.val();
        let [o, i] = weight.dims();
        ops::conv2d(Convolution {
            x,
            weight: weight.reshape([o, i, 1, 1]),
            bias: self.bias.val(),
            shift: None,
            residual,
            stride: 1,
            padding: [[0; 2]; 2],
            then: Activation::None,
            kept: self.kept.share(),
        })
    }
}
