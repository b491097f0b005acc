//! The U-Net: diffusers' `UNet2DModel` with the block types of DDPM, and nothing else.
//!
//! Field names are checkpoint keys: `down_blocks.1.resnets.0.conv1.weight`.

mod blocks;
mod config;

use burn::module::Module;
use burn::tensor::Tensor;

use self::blocks::{DownBlock, MidBlock, UpBlock};
pub use self::config::{DownBlockType, UNetConfig, UpBlockType};
use crate::error::Result;
use crate::nn::init::Init;
use crate::nn::layers::{
    Activation, Conv2d, GroupNorm, ResnetConfig, TimeEmbedding, positional_embedding,
};
use crate::nn::{Precision, ops};

/// The network. See [`UNetConfig`] for its hyper-parameters.
#[derive(Module, Debug)]
pub struct UNet2d {
    conv_in: Conv2d,
    time_embedding: Option<TimeEmbedding>,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    #[module(skip)]
    config: UNetConfig,
    #[module(skip)]
    precision: Precision,
}

impl UNet2d {
    /// A network for images of `shape` `[C, H, W]`; unconditional if `conditional` is false.
    ///
    /// # Errors
    /// When `config` contradicts itself or does not fit the shape.
    pub fn new(
        config: &UNetConfig,
        shape: [usize; 3],
        conditional: bool,
        init: &mut Init,
    ) -> Result<Self> {
        config.validate(shape)?;
        let widths = &config.block_out_channels;
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let embedding = conditional.then_some(4 * first);
        let resnet = |inputs, outputs| ResnetConfig {
            inputs,
            outputs,
            embedding,
            groups: config.norm_num_groups,
            epsilon: config.norm_eps,
        };
        let conv_in = Conv2d::new(shape[0], first, 3, init);
        let time_embedding = embedding.map(|width| TimeEmbedding::new(first, width, init));

        let mut down_blocks = Vec::new();
        let mut inputs = first;
        for (i, &outputs) in widths.iter().enumerate() {
            let is_last = i + 1 == widths.len();
            down_blocks.push(DownBlock::new(
                config,
                i,
                resnet(inputs, outputs),
                is_last,
                init,
            ));
            inputs = outputs;
        }
        let mid_block = MidBlock::new(config, resnet(last, last), init);
        let mut up_blocks = Vec::new();
        let mut previous = last;
        for (i, &outputs) in widths.iter().rev().enumerate() {
            let level = widths.len() - 1 - i;
            let shallower = widths[level.saturating_sub(1)];
            let shape = resnet(previous, outputs);
            up_blocks.push(UpBlock::new(config, i, shape, shallower, level == 0, init));
            previous = outputs;
        }
        Ok(Self {
            conv_in,
            time_embedding,
            down_blocks,
            mid_block,
            up_blocks,
            conv_norm_out: GroupNorm::new(config.norm_num_groups, first, config.norm_eps, init),
            conv_out: Conv2d::zeros(first, shape[0], 3, init),
            config: config.clone(),
            precision: Precision::F32,
        })
    }

    /// `x` `[N, C, H, W]` and one time value per image (ignored by an unconditional network) to
    /// `[N, C, H, W]`. Inside, channels come last.
    pub fn forward(&self, x: Tensor<4>, time: &[f64]) -> Tensor<4> {
        let embedding = self.embed(time, &x);
        let embedding = embedding.as_ref();
        let x = ops::channels_last(x);
        // The first and the last convolution are in f32: they see the sample itself.
        let mut h = ops::stored_in(self.conv_in.forward(x), self.precision);
        let mut skips = vec![h.clone()];
        for block in &self.down_blocks {
            h = block.forward(h, embedding, &mut skips);
        }
        h = self.mid_block.forward(h, embedding);
        for block in &self.up_blocks {
            h = block.forward(h, embedding, &mut skips);
        }
        let h = ops::stored_in(h, Precision::F32);
        let norm = self.conv_norm_out.before(Activation::Silu);
        ops::channels_first(self.conv_out.forward_normed(norm, h, None, None))
    }

    /// How images are stored between the layers.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Stores images between the layers in `precision` from now on.
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// The noise embedding with the activation that every block applies to it, computed once.
    fn embed(&self, time: &[f64], x: &Tensor<4>) -> Option<Tensor<2>> {
        let embed = self.time_embedding.as_ref()?;
        let c = &self.config;
        let width = c.block_out_channels[0];
        let features = positional_embedding(time, width, c.freq_shift, c.flip_sin_to_cos);
        let data = burn::tensor::TensorData::new(features, [time.len(), width]);
        let features = Tensor::from_data(data, &x.device());
        Some(ops::activate(embed.forward(features), Activation::Silu))
    }
}
