//! A fully connected layer.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::nn::init::Init;
use crate::nn::ops;

/// `y = x W^T + b`, `weight` `[O, I]` and `bias` `[O]` as in `torch.nn.Linear`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[O, I]`.
    pub weight: Param<Tensor<2>>,
    /// `[O]`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// A layer from `inputs` to `outputs` features, with PyTorch's initial weights.
    pub fn new(inputs: usize, outputs: usize, init: &mut Init) -> Self {
        let bound = (inputs as f64).powf(-0.5);
        Self {
            weight: init.uniform([outputs, inputs], bound),
            bias: init.uniform([outputs], bound),
        }
    }

    /// `[..., I]` to `[..., O]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::linear(x, self.weight.val(), self.bias.val())
    }
}
