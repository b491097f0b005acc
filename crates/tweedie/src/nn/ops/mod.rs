//! The operations that layers and losses are made of; images are `[N, H, W, C]` (channels last).
//!
//! Everything heavy in a network passes through here and nowhere else. Which code runs is
//! decided by the tensor's engine: on the CPU `flex`, the kernels of `tweedie-kernels` with
//! gradients of their own; on every other engine `generic`, burn's own operations.

mod flex;
mod generic;
#[cfg(test)]
mod tests;

use burn::tensor::{DType, Device, FloatDType, Tensor, activation};

use super::Precision;
use super::layers::Activation;

pub use flex::Kept;

/// What a normalisation's kernel may do in the same pass.
use tweedie_kernels::Activation as Fused;

/// Zero padding of the two spatial axes: `[[top, left], [bottom, right]]`.
pub type Padding = [[usize; 2]; 2];

/// The operands of a convolution.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// `[N, H, W, I]`.
    pub x: Tensor<4>,
    /// `[O, I, K, L]`.
    pub weight: Tensor<4>,
    /// `[O]`.
    pub bias: Tensor<1>,
    /// `[N, O]`: added to every pixel of an image.
    pub shift: Option<Tensor<2>>,
    /// As the output: added to it.
    pub residual: Option<Tensor<4>>,
    /// Input pixels from one output to the next.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// What follows on the sum of all that.
    pub then: Activation,
    /// The layer's laid-out weights.
    pub kept: Kept,
}

/// Cross-correlation of `x` with `weight`, plus `bias`, `shift` and `residual`, then the activation:
/// `[N, H', W', O]`. On the CPU, without gradients, ReLU takes no pass of its own.
pub fn conv2d(operands: Convolution) -> Tensor<4> {
    match flex::is_flex(&operands.x.device()) {
        true => flex::conv2d(operands),
        false => generic::conv2d(operands),
    }
}

/// GroupNorm as in [`group_norm`], with `scale` and `shift` for its weight and bias.
#[derive(Clone, Debug)]
pub struct Normalisation {
    /// `[C]`.
    pub scale: Tensor<1>,
    /// `[C]`.
    pub shift: Tensor<1>,
    /// A divisor of C.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// What follows.
    pub then: Activation,
}

/// The convolution of `operands.x` normalised: on the CPU, training keeps only the image before.
pub fn normed_conv2d(norm: Normalisation, operands: Convolution) -> Tensor<4> {
    let Normalisation {
        scale,
        shift,
        groups,
        epsilon,
        then,
    } = norm;
    if flex::is_flex(&operands.x.device()) {
        let norm = flex::Norm {
            groups,
            epsilon,
            then: fused(then),
        };
        return flex::normed_conv2d(norm, [scale, shift], operands);
    }
    let x = group_norm(operands.x.clone(), scale, shift, groups, epsilon, then);
    conv2d(Convolution { x, ..operands })
}

/// Whether a device's operations are the kernels of this project.
pub fn is_on_cpu(device: &Device) -> bool {
    flex::is_flex(device)
}

/// The numbers that an image is stored in.
pub fn precision(x: &Tensor<4>) -> Precision {
    match x.dtype() {
        DType::BF16 => Precision::Bf16,
        _ => Precision::F32,
    }
}

/// Converts images to the numbers that `precision` stores.
pub fn stored_in(x: Tensor<4>, precision: Precision) -> Tensor<4> {
    if self::precision(&x) == precision {
        return x;
    }
    if is_plain_flex(&x) {
        return flex::stored_in(x, precision);
    }
    x.cast(match precision {
        Precision::F32 => FloatDType::F32,
        Precision::Bf16 => FloatDType::BF16,
    })
}

/// `[N, C, H, W]` to `[N, H, W, C]`.
pub fn channels_last(x: Tensor<4>) -> Tensor<4> {
    match flex::is_flex(&x.device()) {
        true => flex::channels_last(x),
        false => generic::channels_last(x),
    }
}

/// `[N, H, W, C]` to `[N, C, H, W]`.
pub fn channels_first(x: Tensor<4>) -> Tensor<4> {
    match flex::is_flex(&x.device()) {
        true => flex::channels_first(x),
        false => generic::channels_first(x),
    }
}

/// GroupNorm followed by an activation: mean and (biased) variance over each of `groups` groups
/// of channels of each image `[N, H, W, C]`, then `weight` and `bias` `[C]` per channel.
pub fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
    then: Activation,
) -> Tensor<4> {
    let on = match flex::is_flex(&x.device()) {
        true => flex::group_norm,
        false => generic::group_norm,
    };
    on(x, weight, bias, groups, epsilon, fused(then))
}

/// InstanceNorm++ of NCSNv2 (Song & Ermon 2020), followed by an activation: for each image
/// `[N, H, W, C]` and channel, mean and (biased) variance over the pixels; the means, standardised
/// among the channels of the image, are restored by `alpha`; then `gamma` and `beta`. Each of
/// the three is `[1, C]`, or `[N, C]` for each image.
pub fn instance_norm_pp(
    x: Tensor<4>,
    [gamma, alpha, beta]: [Tensor<2>; 3],
    epsilon: f64,
    then: Activation,
) -> Tensor<4> {
    let on = match flex::is_flex(&x.device()) {
        true => flex::instance_norm_pp,
        false => generic::instance_norm_pp,
    };
    on(x, [gamma, alpha, beta], epsilon, fused(then))
}

/// The kernels' name of an activation.
fn fused(then: Activation) -> Fused {
    match then {
        Activation::None => Fused::None,
        Activation::Relu => Fused::Relu,
        Activation::LeakyRelu => Fused::LeakyRelu,
        Activation::Silu => Fused::Silu,
        Activation::Elu => Fused::Elu,
    }
}

/// Nearest-neighbour upsampling by two: `[N, H, W, C]` to `[N, 2H, 2W, C]`.
pub fn upsample_2x(x: Tensor<4>) -> Tensor<4> {
    match flex::is_flex(&x.device()) {
        true => flex::upsample_2x(x),
        false => generic::upsample_2x(x),
    }
}

/// The mean of every two by two pixels: `[N, H, W, C]` to `[N, H / 2, W / 2, C]`, H and W being
/// even.
pub fn avg_pool_2x(x: Tensor<4>) -> Tensor<4> {
    match flex::is_flex(&x.device()) {
        true => flex::avg_pool_2x(x),
        false => generic::avg_pool_2x(x),
    }
}

/// Square windows over an image, as PyTorch's pooling has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Pixels by which windows reach over the edges, at most half a window.
    pub padding: usize,
}

/// What pooling makes of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The greatest value.
    Max,
    /// The mean over the pixels inside the image.
    Mean,
}

/// Pooling over `window`: `[N, H, W, C]` to `[N, H', W', C]`, with
/// `H' = (H + 2 padding - kernel) / stride + 1`.
pub fn pool(x: Tensor<4>, pool: Pool, window: Window) -> Tensor<4> {
    match is_plain_flex(&x) {
        true => flex::pool(x, pool, window),
        false => generic::pool(x, pool, window),
    }
}

/// Whether a tensor is on the CPU and outside any graph: some kernels have no gradient.
fn is_plain_flex<const D: usize>(x: &Tensor<D>) -> bool {
    flex::is_flex(&x.device()) && !x.is_autodiff()
}

/// `x` `[..., I]` times the transpose of `weight` `[O, I]`, plus `bias` `[O]`.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<D> {
    let mut dims = x.dims();
    let [inputs, outputs] = [dims[D - 1], bias.dims()[0]];
    let rows = dims[..D - 1].iter().product();
    dims[D - 1] = outputs;
    let x = x.reshape([rows, inputs]);
    mlp(x, vec![(weight, bias)], Activation::None).reshape(dims)
}

/// A layer's weight `[O, I]` and bias `[O]`.
pub type LayerParameters = (Tensor<2>, Tensor<1>);

/// Linear layers on `x` `[N, I]`, with an activation after each but the last.
pub fn mlp(x: Tensor<2>, layers: Vec<LayerParameters>, activation: Activation) -> Tensor<2> {
    match flex::is_flex(&x.device()) {
        true => flex::mlp(x, layers, activation),
        false => generic::mlp(x, layers, activation),
    }
}

/// `1/2 || gain f + offset ||^2` of each row: `[N]` for `f` and `offset` `[N, D]`, `gain` `[N]`.
/// Only `f` has a gradient.
pub fn half_squares(f: Tensor<2>, gain: Tensor<1>, offset: Tensor<2>) -> Tensor<1> {
    match flex::is_flex(&f.device()) {
        true => flex::half_squares(f, gain, offset),
        false => generic::half_squares(f, gain, offset),
    }
}

/// Applies an activation element by element.
pub fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::None => x,
        Activation::Relu => activation::relu(x),
        Activation::LeakyRelu => activation::leaky_relu(x, 0.01),
        Activation::Silu => activation::silu(x),
        // The exponential of the negative part alone: that of a large value is infinite, and so
        // would be its gradient, times zero.
        Activation::Elu => activation::relu(x.clone()) + (x.clamp_max(0.0).exp() - 1.0),
    }
}

/// Concatenates the channels of two images `[N, H, W, A]` and `[N, H, W, B]`.
pub fn concat(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    match flex::is_flex(&a.device()) {
        true => flex::concat(a, b),
        false => generic::concat(a, b),
    }
}

/// Concatenates the channels of images `[N, H, W, ...]`, in order.
///
/// # Panics
/// Without an image.
pub fn concat_all(parts: Vec<Tensor<4>>) -> Tensor<4> {
    match parts.iter().all(is_plain_flex) {
        true => flex::concat_all(parts),
        false => generic::concat_all(parts),
    }
}

/// Concatenates the columns of `x` `[N, A]` and `y` `[N, B]`: `[N, A + B]`.
pub fn append(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    let ([n, a], [_, b]) = (x.dims(), y.dims());
    // Columns are the channels of images of one pixel.
    let [x, y] = [x, y].map(|part| {
        let [n, columns] = part.dims();
        part.reshape([n, 1, 1, columns])
    });
    concat(x, y).reshape([n, a + b])
}

/// Softmax attention of `heads` heads: `q`, `k`, `v` are `[N, T, C]`, scaled by
/// `(C / heads)^(-1/2)`.
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    match flex::is_flex(&q.device()) {
        true => flex::attention(q, k, v, heads),
        false => generic::attention(q, k, v, heads),
    }
}
