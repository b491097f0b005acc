//! The residual block of DDPM (Ho et al. 2020).

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Activation, Conv2d, GroupNorm, Linear};
use crate::nn::init::Init;

/// The hyper-parameters of a [`ResnetBlock`].
#[derive(Clone, Copy, Debug)]
pub struct ResnetConfig {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Width of the embedding of noise level and class; `None` for an unconditional network.
    pub embedding: Option<usize>,
    /// Groups of both normalisations.
    pub groups: usize,
    /// Their epsilon.
    pub epsilon: f64,
}

/// `shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x))) + proj(silu(embedding)))))`.
#[derive(Module, Debug)]
pub struct ResnetBlock {
    /// First normalisation, over the input's channels.
    pub norm1: GroupNorm,
    /// First convolution, 3x3.
    pub conv1: Conv2d,
    /// That embedding to a shift per channel; absent in an unconditional network.
    pub time_emb_proj: Option<Linear>,
    /// Second normalisation.
    pub norm2: GroupNorm,
    /// Second convolution, 3x3, zero at first so that the block starts as its shortcut.
    pub conv2: Conv2d,
    /// 1x1, where the number of channels changes.
    pub conv_shortcut: Option<Conv2d>,
}

impl ResnetBlock {
    /// A block of the given shape.
    pub fn new(config: ResnetConfig, init: &Init) -> Self {
        let ResnetConfig {
            inputs,
            outputs,
            embedding,
            groups,
            epsilon,
        } = config;
        Self {
            norm1: GroupNorm::new(groups, inputs, epsilon, &init.at("norm1")),
            conv1: Conv2d::new(inputs, outputs, 3, &init.at("conv1")),
            time_emb_proj: embedding
                .map(|width| Linear::new(width, outputs, &init.at("time_emb_proj"))),
            norm2: GroupNorm::new(groups, outputs, epsilon, &init.at("norm2")),
            conv2: Conv2d::zeros(outputs, outputs, 3, &init.at("conv2")),
            conv_shortcut: (inputs != outputs)
                .then(|| Conv2d::new(inputs, outputs, 1, &init.at("conv_shortcut"))),
        }
    }

    /// `[N, H, W, inputs]` to `[N, H, W, outputs]`; `embedding` `[N, width]` is already
    /// activated.
    pub fn forward(&self, x: Tensor<4>, embedding: Option<&Tensor<2>>) -> Tensor<4> {
        let shift = match (&self.time_emb_proj, embedding) {
            (Some(project), Some(embedding)) => Some(project.forward(embedding.clone())),
            _ => None,
        };
        let norm = self.norm1.before(Activation::Silu);
        let h = self.conv1.forward_normed(norm, x.clone(), shift, None);
        let shortcut = match &self.conv_shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        let norm = self.norm2.before(Activation::Silu);
        self.conv2.forward_normed(norm, h, None, Some(shortcut))
    }
}
