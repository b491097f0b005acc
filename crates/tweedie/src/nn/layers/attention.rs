//! Self-attention over the pixels of an image.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Activation, GroupNorm, Linear};
use crate::nn::init::Init;
use crate::nn::{Precision, ops};

/// The hyper-parameters of an [`Attention`] layer.
#[derive(Clone, Copy, Debug)]
pub struct AttentionConfig {
    /// Channels in and out.
    pub channels: usize,
    /// Heads; a divisor of `channels`.
    pub heads: usize,
    /// Groups of the normalisation.
    pub groups: usize,
    /// Its epsilon.
    pub epsilon: f64,
}

/// GroupNorm, then softmax attention among the H W positions, then the residual.
#[derive(Module, Debug)]
pub struct Attention {
    /// The normalisation.
    pub group_norm: GroupNorm,
    /// Queries.
    pub to_q: Linear,
    /// Keys.
    pub to_k: Linear,
    /// Values.
    pub to_v: Linear,
    /// The output projection, the only element (diffusers' name is `to_out.0`).
    pub to_out: Vec<Linear>,
    #[module(skip)]
    heads: usize,
}

impl Attention {
    /// A layer of the given shape.
    pub fn new(config: AttentionConfig, init: &Init) -> Self {
        let AttentionConfig {
            channels: c,
            heads,
            groups,
            epsilon,
        } = config;
        Self {
            group_norm: GroupNorm::new(groups, c, epsilon, &init.at("group_norm")),
            to_q: Linear::new(c, c, &init.at("to_q")),
            to_k: Linear::new(c, c, &init.at("to_k")),
            to_v: Linear::new(c, c, &init.at("to_v")),
            to_out: vec![Linear::new(c, c, &init.at("to_out").at(0))],
            heads,
        }
    }

    /// `[N, H, W, C]` to the same shape.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, h, w, c] = x.dims();
        let precision = ops::precision(&x);
        let normed = self.group_norm.forward(x.clone(), Activation::None);
        // Whatever precision images are stored in, scores and their softmax are in f32.
        let tokens = |project: &Linear| {
            let projected = project.forward_pixels(normed.clone(), None);
            ops::stored_in(projected, Precision::F32).reshape([n, h * w, c])
        };
        let [q, k, v] = [&self.to_q, &self.to_k, &self.to_v].map(tokens);
        let out = ops::attention(q, k, v, self.heads).reshape([n, h, w, c]);
        let out = ops::stored_in(out, precision);
        match &self.to_out[..] {
            [project] => project.forward_pixels(out, Some(x)),
            _ => x + out,
        }
    }
}
