//! The three kinds of block a U-Net is made of.

use burn::module::Module;
use burn::tensor::Tensor;

use super::UNetConfig;
use crate::nn::init::Init;
use crate::nn::layers::{
    Attention, AttentionConfig, Downsample, ResnetBlock, ResnetConfig, Upsample,
};
use crate::nn::ops;

/// Residual blocks at one resolution, then downsampling to the next.
#[derive(Module, Debug)]
pub struct DownBlock {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<Attention>,
    downsamplers: Vec<Downsample>,
}

impl DownBlock {
    pub fn new(
        config: &UNetConfig,
        i: usize,
        shape: ResnetConfig,
        is_last: bool,
        init: &Init,
    ) -> Self {
        let mut resnets = Vec::new();
        let mut attentions = Vec::new();
        for j in 0..config.layers_per_block {
            let inputs = if j == 0 { shape.inputs } else { shape.outputs };
            let shape_here = ResnetConfig { inputs, ..shape };
            resnets.push(ResnetBlock::new(shape_here, &init.at("resnets").at(j)));
            if config.attends_down(i) {
                let init = init.at("attentions").at(j);
                attentions.push(Attention::new(attention(config, shape), &init));
            }
        }
        let downsamplers = (!is_last)
            .then(|| {
                Downsample::new(
                    shape.outputs,
                    config.downsample_padding,
                    &init.at("downsamplers").at(0),
                )
            })
            .into_iter()
            .collect();
        Self {
            resnets,
            attentions,
            downsamplers,
        }
    }

    /// Every intermediate result is pushed on `skips` for the up path.
    pub fn forward(
        &self,
        mut h: Tensor<4>,
        embedding: Option<&Tensor<2>>,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        for (j, resnet) in self.resnets.iter().enumerate() {
            h = resnet.forward(h, embedding);
            if let Some(attention) = self.attentions.get(j) {
                h = attention.forward(h);
            }
            skips.push(h.clone());
        }
        for downsample in &self.downsamplers {
            h = downsample.forward(h);
            skips.push(h.clone());
        }
        h
    }
}

/// The coarsest resolution: residual block, attention, residual block.
#[derive(Module, Debug)]
pub struct MidBlock {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<Attention>,
}

impl MidBlock {
    pub fn new(config: &UNetConfig, shape: ResnetConfig, init: &Init) -> Self {
        Self {
            resnets: [0, 1]
                .map(|j| ResnetBlock::new(shape, &init.at("resnets").at(j)))
                .into(),
            attentions: config
                .add_attention
                .then(|| Attention::new(attention(config, shape), &init.at("attentions").at(0)))
                .into_iter()
                .collect(),
        }
    }

    pub fn forward(&self, mut h: Tensor<4>, embedding: Option<&Tensor<2>>) -> Tensor<4> {
        for (j, resnet) in self.resnets.iter().enumerate() {
            h = resnet.forward(h, embedding);
            if let Some(attention) = self.attentions.get(j) {
                h = attention.forward(h);
            }
        }
        h
    }
}

/// Residual blocks that take in the skip connections, then upsampling to the next resolution.
#[derive(Module, Debug)]
pub struct UpBlock {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<Attention>,
    upsamplers: Vec<Upsample>,
}

impl UpBlock {
    /// `shape.inputs` are the channels that arrive from below, `shallower` those of the next
    /// finer resolution, whose output is the last skip taken here.
    pub fn new(
        config: &UNetConfig,
        i: usize,
        shape: ResnetConfig,
        shallower: usize,
        is_last: bool,
        init: &Init,
    ) -> Self {
        let mut resnets = Vec::new();
        let mut attentions = Vec::new();
        let layers = config.layers_per_block + 1;
        for j in 0..layers {
            let arriving = if j == 0 { shape.inputs } else { shape.outputs };
            let skip = if j + 1 == layers {
                shallower
            } else {
                shape.outputs
            };
            let inputs = arriving + skip;
            let shape_here = ResnetConfig { inputs, ..shape };
            resnets.push(ResnetBlock::new(shape_here, &init.at("resnets").at(j)));
            if config.attends_up(i) {
                let init = init.at("attentions").at(j);
                attentions.push(Attention::new(attention(config, shape), &init));
            }
        }
        let upsamplers = (!is_last)
            .then(|| Upsample::new(shape.outputs, &init.at("upsamplers").at(0)))
            .into_iter()
            .collect();
        Self {
            resnets,
            attentions,
            upsamplers,
        }
    }

    pub fn forward(
        &self,
        mut h: Tensor<4>,
        embedding: Option<&Tensor<2>>,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        for (j, resnet) in self.resnets.iter().enumerate() {
            // The down path pushed one skip for every residual block here.
            if let Some(skip) = skips.pop() {
                h = ops::concat(h, skip);
            }
            h = resnet.forward(h, embedding);
            if let Some(attention) = self.attentions.get(j) {
                h = attention.forward(h);
            }
        }
        for upsample in &self.upsamplers {
            h = upsample.forward(h);
        }
        h
    }
}

fn attention(config: &UNetConfig, shape: ResnetConfig) -> AttentionConfig {
    AttentionConfig {
        channels: shape.outputs,
        heads: config.heads(shape.outputs),
        groups: shape.groups,
        epsilon: shape.epsilon,
    }
}
