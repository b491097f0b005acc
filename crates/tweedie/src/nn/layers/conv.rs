//! Convolutions, and the two layers that change resolution.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Activation;
use crate::nn::init::Init;
use crate::nn::ops::{self, Convolution, Kept, Normalisation, Padding};

/// A 2-D convolution, `weight` `[O, I, K, K]` and `bias` `[O]` as in `torch.nn.Conv2d`.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[O, I, K, K]`.
    pub weight: Param<Tensor<4>>,
    /// `[O]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    stride: usize,
    #[module(skip)]
    padding: Padding,
    #[module(skip)]
    kept: Kept,
}

impl Conv2d {
    /// A `kernel` x `kernel` convolution (1 or 3) that keeps the resolution.
    pub fn new(inputs: usize, outputs: usize, kernel: usize, init: &Init) -> Self {
        Self::strided(inputs, outputs, kernel, 1, [[kernel / 2; 2]; 2], init)
    }

    /// The same with initial weights of zero, so that the residual block it ends starts as the
    /// identity.
    pub fn zeros(inputs: usize, outputs: usize, kernel: usize, init: &Init) -> Self {
        Self {
            weight: init.constant("weight", [outputs, inputs, kernel, kernel], 0.0),
            bias: init.constant("bias", [outputs], 0.0),
            stride: 1,
            padding: [[kernel / 2; 2]; 2],
            kept: Kept::default(),
        }
    }

    fn strided(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: Padding,
        init: &Init,
    ) -> Self {
        let bound = ((inputs * kernel * kernel) as f64).powf(-0.5);
        Self {
            weight: init.uniform("weight", [outputs, inputs, kernel, kernel], bound),
            bias: init.uniform("bias", [outputs], bound),
            stride,
            padding,
            kept: Kept::default(),
        }
    }

    /// `[N, H, W, I]` to `[N, H / stride, W / stride, O]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::conv2d(self.operands(x))
    }

    /// The convolution of `x` normalised as `norm` says, plus `shift` `[N, O]` for each image
    /// and channel, plus `residual`.
    pub fn forward_normed(
        &self,
        norm: Normalisation,
        x: Tensor<4>,
        shift: Option<Tensor<2>>,
        residual: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let operands = Convolution {
            shift,
            residual,
            ..self.operands(x)
        };
        ops::normed_conv2d(norm, operands)
    }

    fn operands(&self, x: Tensor<4>) -> Convolution {
        Convolution {
            x,
            weight: self.weight.val(),
            bias: self.bias.val(),
            shift: None,
            residual: None,
            stride: self.stride,
            padding: self.padding,
            then: Activation::None,
            kept: self.kept.share(),
        }
    }
}

/// Halves the resolution by a 3x3 convolution of stride 2.
#[derive(Module, Debug)]
pub struct Downsample {
    /// The convolution.
    pub conv: Conv2d,
}

impl Downsample {
    /// `padding` 1 pads every side; 0 pads right and bottom only, as in DDPM's TensorFlow code.
    pub fn new(channels: usize, padding: usize, init: &Init) -> Self {
        let padding = [[padding; 2], [1; 2]];
        Self {
            conv: Conv2d::strided(channels, channels, 3, 2, padding, &init.at("conv")),
        }
    }

    /// `[N, H, W, C]` to `[N, H / 2, W / 2, C]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.conv.forward(x)
    }
}

/// Doubles the resolution by nearest-neighbour upsampling and a 3x3 convolution.
#[derive(Module, Debug)]
pub struct Upsample {
    /// The convolution.
    pub conv: Conv2d,
}

impl Upsample {
    /// Keeps the number of channels.
    pub fn new(channels: usize, init: &Init) -> Self {
        Self {
            conv: Conv2d::new(channels, channels, 3, &init.at("conv")),
        }
    }

    /// `[N, H, W, C]` to `[N, 2H, 2W, C]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.conv.forward(ops::upsample_2x(x))
    }
}
