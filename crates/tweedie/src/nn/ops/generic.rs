//! The operations composed of burn's own: correct on every engine, fast on GPUs.

use burn::tensor::ops::{
    AttentionModuleOptions, AvgPoolOptions, ConvOptions, InterpolateMode, InterpolateOptions,
    MaxPoolOptions,
};
use burn::tensor::{Tensor, module};

use super::{Convolution, Fused, LayerParameters, Pool, Window, activate};
use crate::nn::layers::Activation;

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
        then,
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
    let out = match residual {
        Some(residual) => out + residual,
        None => out,
    };
    activate(out, then)
}

/// As [`super::flex::group_norm`].
pub fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
    then: Fused,
) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let x = x.reshape([n, h * w, groups, c / groups]);
    let mean = x.clone().mean_dim(1).mean_dim(3);
    let centred = x - mean;
    let variance = centred.clone().square().mean_dim(1).mean_dim(3);
    let x = (centred / (variance + epsilon).sqrt()).reshape([n, h, w, c]);
    let y = x * weight.reshape([1, 1, 1, c]) + bias.reshape([1, 1, 1, c]);
    follow(y, then)
}

/// As [`super::flex::instance_norm_pp`].
pub fn instance_norm_pp(
    x: Tensor<4>,
    [gamma, alpha, beta]: [Tensor<2>; 3],
    epsilon: f64,
    then: Fused,
) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    assert!(c != 1, "InstanceNorm++ needs more than one channel");
    let x = x.reshape([n, h * w, c]);
    let mean = x.clone().mean_dim(1);
    let centred = x - mean.clone();
    let variance = centred.clone().square().mean_dim(1);
    let x = centred / (variance + epsilon).sqrt();
    let centred = mean.clone() - mean.mean_dim(2);
    let variance = centred.clone().square().sum_dim(2) / (c as f64 - 1.0);
    let means = centred / (variance + epsilon).sqrt();
    let [gamma, alpha, beta] = [gamma, alpha, beta].map(|row| {
        let [rows, c] = row.dims();
        row.reshape([rows, 1, c])
    });
    let y = (x + alpha * means) * gamma + beta;
    follow(y.reshape([n, h, w, c]), then)
}

fn follow(y: Tensor<4>, then: Fused) -> Tensor<4> {
    let then = match then {
        Fused::None => Activation::None,
        Fused::Relu => Activation::Relu,
        Fused::LeakyRelu => Activation::LeakyRelu,
        Fused::Silu => Activation::Silu,
        Fused::Elu => Activation::Elu,
    };
    activate(y, then)
}

/// As [`super::flex::avg_pool_2x`].
pub fn avg_pool_2x(x: Tensor<4>) -> Tensor<4> {
    let [_, h, w, _] = x.dims();
    assert!(
        h.is_multiple_of(2) && w.is_multiple_of(2),
        "average pooling by two needs an even height and width"
    );
    let options = AvgPoolOptions::new([2; 2]);
    channels_last(module::avg_pool2d(channels_first(x), options))
}

/// As [`super::flex::pool`].
pub fn pool(x: Tensor<4>, pool: Pool, window: Window) -> Tensor<4> {
    let Window {
        kernel,
        stride,
        padding,
    } = window;
    let x = channels_first(x);
    channels_last(match pool {
        Pool::Max => {
            let options = MaxPoolOptions::new([kernel; 2])
                .with_stride([stride; 2])
                .with_padding([padding; 2]);
            module::max_pool2d(x, options)
        }
        Pool::Mean => {
            let options = AvgPoolOptions::new([kernel; 2])
                .with_stride([stride; 2])
                .with_padding([padding; 2])
                .with_count_include_pad(false);
            module::avg_pool2d(x, options)
        }
    })
}

/// As [`super::flex::attention`].
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let [n, t, c] = q.dims();
    let split = |x: Tensor<3>| x.reshape([n, t, heads, c / heads]).swap_dims(1, 2);
    let options = AttentionModuleOptions::default();
    let out = module::attention(split(q), split(k), split(v), None, None, options);
    out.swap_dims(1, 2).reshape([n, t, c])
}

/// As [`super::flex::upsample_2x`].
pub fn upsample_2x(x: Tensor<4>) -> Tensor<4> {
    let options = InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0; 2]);
    channels_last(module::interpolate(channels_first(x), options))
}

/// As [`super::flex::mlp`].
pub fn mlp(mut x: Tensor<2>, layers: Vec<LayerParameters>, activation: Activation) -> Tensor<2> {
    for (k, (weight, bias)) in layers.into_iter().enumerate() {
        if k > 0 {
            x = activate(x, activation);
        }
        x = module::linear(x, weight.transpose(), Some(bias));
    }
    x
}

/// As [`super::flex::half_squares`].
pub fn half_squares(f: Tensor<2>, gain: Tensor<1>, offset: Tensor<2>) -> Tensor<1> {
    let [n, _] = f.dims();
    let residual = f * gain.reshape([n, 1]) + offset;
    (residual.square().sum_dim(1) * 0.5).reshape([n])
}

/// As [`super::flex::concat`].
pub fn concat(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    Tensor::cat(vec![a, b], 3)
}

/// As [`super::flex::concat_all`].
pub fn concat_all(parts: Vec<Tensor<4>>) -> Tensor<4> {
    Tensor::cat(parts, 3)
}

/// As [`super::flex::channels_first`].
pub fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// As [`super::flex::channels_last`].
pub fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}
