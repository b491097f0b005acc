//! Convolution, batch normalisation, ReLU: one pass.

use burn::tensor::{Tensor, TensorData};

use super::parameters::Parameters;
use crate::nn::layers::Activation;
use crate::nn::ops::{self, Convolution, Kept};

/// TensorFlow's, added to the variance.
const EPSILON: f64 = 1e-3;

/// The sizes of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    pub outputs: usize,
    /// Rows and columns.
    pub kernel: [usize; 2],
    pub stride: usize,
    /// Rows above and below, columns on either side.
    pub padding: [usize; 2],
}

impl Layer {
    /// Without padding.
    pub fn inside(self) -> Self {
        Self {
            padding: [0, 0],
            ..self
        }
    }

    /// Of stride 2, without padding.
    pub fn halving(self) -> Self {
        Self {
            stride: 2,
            ..self.inside()
        }
    }
}

/// `ReLU(gamma (conv(x) - mean) / sqrt(variance + epsilon) + beta)`, mean and variance being
/// constants: a convolution with a bias.
#[derive(Debug)]
pub(super) struct ConvNorm {
    /// `[O, I, K, L]`.
    weight: Tensor<4>,
    /// `[O]`.
    bias: Tensor<1>,
    layer: Layer,
    kept: Kept,
}

impl ConvNorm {
    /// The layer with the parameters `name.conv.weight` and `name.bn.*`.
    pub fn new(p: &mut Parameters<'_>, name: &str, inputs: usize, layer: Layer) -> Self {
        let Layer {
            outputs,
            kernel: [rows, columns],
            ..
        } = layer;
        let shape = [outputs, inputs, rows, columns];
        let mut weight = p.take(&format!("{name}.conv.weight"), &shape);
        let mut of = |part: &str| p.take(&format!("{name}.bn.{part}"), &[outputs]);
        let (gamma, beta) = (of("weight"), of("bias"));
        let (mean, variance) = (of("running_mean"), of("running_var"));
        let scale: Vec<f64> = gamma
            .iter()
            .zip(&variance)
            .map(|(&gamma, &variance)| f64::from(gamma) / (f64::from(variance) + EPSILON).sqrt())
            .collect();
        for (row, scale) in weight.chunks_exact_mut(inputs * rows * columns).zip(&scale) {
            row.iter_mut()
                .for_each(|w| *w = (f64::from(*w) * scale) as f32);
        }
        let bias: Vec<f32> = beta
            .iter()
            .zip(&mean)
            .zip(&scale)
            .map(|((&beta, &mean), scale)| (f64::from(beta) - f64::from(mean) * scale) as f32)
            .collect();
        p.check_finite(name, &[&weight, &bias]);
        Self {
            weight: Tensor::from_data(TensorData::new(weight, shape), p.device()),
            bias: Tensor::from_data(TensorData::new(bias, [outputs]), p.device()),
            layer,
            kept: Kept::default(),
        }
    }

    /// `[N, H, W, I]` to `[N, H', W', O]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::conv2d(Convolution {
            x,
            weight: self.weight.clone(),
            bias: self.bias.clone(),
            shift: None,
            residual: None,
            stride: self.layer.stride,
            padding: [self.layer.padding; 2],
            then: Activation::Relu,
            kept: self.kept.share(),
        })
    }
}
