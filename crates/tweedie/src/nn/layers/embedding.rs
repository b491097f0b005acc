//! The noise embedding: a vector for each noise level, which every block of the network sees.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Activation, Linear};
use crate::nn::init::Init;
use crate::nn::ops;

/// Sinusoidal features of `t` (Vaswani et al. 2017), `[N, channels]` row-major.
///
/// Frequency k of `half = channels / 2` is `exp(-ln(10^4) k / (half - freq_shift))`; the sines
/// come first unless `cosine_first` (diffusers' `flip_sin_to_cos`).
pub fn positional_embedding(
    t: &[f64],
    channels: usize,
    freq_shift: f64,
    cosine_first: bool,
) -> Vec<f32> {
    let half = channels / 2;
    let mut out = vec![0.0; t.len() * channels];
    for (row, &t) in out.chunks_exact_mut(channels).zip(t) {
        for k in 0..half {
            let angle = t * (-(1e4_f64.ln()) * k as f64 / (half as f64 - freq_shift)).exp();
            let (sin, cos) = (angle.sin() as f32, angle.cos() as f32);
            let (first, second) = if cosine_first { (cos, sin) } else { (sin, cos) };
            row[k] = first;
            row[half + k] = second;
        }
    }
    out
}

/// Two linear layers on top of the features, with SiLU between them.
#[derive(Module, Debug)]
pub struct TimeEmbedding {
    /// Features to embedding.
    pub linear_1: Linear,
    /// Embedding to embedding.
    pub linear_2: Linear,
}

impl TimeEmbedding {
    /// From `features` to `width`.
    pub fn new(features: usize, width: usize, init: &Init) -> Self {
        Self {
            linear_1: Linear::new(features, width, &init.at("linear_1")),
            linear_2: Linear::new(width, width, &init.at("linear_2")),
        }
    }

    /// `[N, features]` to `[N, width]`.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let layers = [&self.linear_1, &self.linear_2].map(|l| (l.weight.val(), l.bias.val()));
        ops::mlp(features, layers.into(), Activation::Silu)
    }
}
