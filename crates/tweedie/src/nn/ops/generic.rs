//! The operations composed of burn's own: right on every engine, fast on GPUs.

use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, activation, module};

use super::Convolution;

/// The convolution, then its terms one by one.
pub fn conv2d(operands: Convolution) -> Tensor<4> {
    let Convolution {
        x,
        weight,
        bias,
        shift,
        residual,
        stride,
        padding,
        kept: _,
    } = operands;
    let mut x = channels_first(x);
    let [[top, left], [bottom, right]] = padding;
    let mut symmetric = padding[0];
    if padding[0] != padding[1] {
        x = x.pad((left, right, top, bottom), 0.0);
        symmetric = [0, 0];
    }
    let options = ConvOptions::new([stride; 2], symmetric, [1, 1], 1);
    let mut out = channels_last(module::conv2d(x, weight, Some(bias), options));
    if let Some(shift) = shift {
        let [n, c] = shift.dims();
        out = out + shift.reshape([n, 1, 1, c]);
    }
    match residual {
        Some(residual) => out + residual,
        None => out,
    }
}

/// As [`super::flex::group_norm`].
pub fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
    silu: bool,
) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let x = x.reshape([n, h * w, groups, c / groups]);
    let mean = x.clone().mean_dim(1).mean_dim(3);
    let centred = x - mean;
    let variance = centred.clone().square().mean_dim(1).mean_dim(3);
    let x = (centred / (variance + epsilon).sqrt()).reshape([n, h, w, c]);
    let y = x * weight.reshape([1, 1, 1, c]) + bias.reshape([1, 1, 1, c]);
    if silu { activation::silu(y) } else { y }
}

/// As [`super::flex::upsample_2x`].
pub fn upsample_2x(x: Tensor<4>) -> Tensor<4> {
    let options = InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0; 2]);
    channels_last(module::interpolate(channels_first(x), options))
}

/// As [`super::flex::concat`].
pub fn concat(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    Tensor::cat(vec![a, b], 3)
}

/// As [`super::flex::channels_first`].
pub fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// As [`super::flex::channels_last`].
pub fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}
