//! The U-Net: diffusers' `UNet2DModel` with the block types of DDPM, and nothing else.
//!
//! Field names are checkpoint keys: `down_blocks.1.resnets.0.conv1.weight`.

mod blocks;
mod config;

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use self::blocks::{DownBlock, MidBlock, UpBlock};
pub use self::config::{DownBlockType, UNetConfig, UpBlockType};
use super::{Inputs, Model};
use crate::data::Shape;
use crate::error::{Error, Result};
use crate::nn::init::Init;
use crate::nn::layers::{
    Activation, ClassEmbedding, Conv2d, GroupNorm, ResnetConfig, TimeEmbedding,
    positional_embedding,
};
use crate::nn::{Body, Conditioning, Forward, Precision, ops};
use crate::noise::Timesteps;

/// The network. See [`UNetConfig`] for its hyper-parameters.
#[derive(Module, Debug)]
pub struct UNet2d {
    conv_in: Conv2d,
    time_embedding: Option<TimeEmbedding>,
    class_embedding: Option<ClassEmbedding>,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    #[module(skip)]
    config: UNetConfig,
    /// Of one image, `[C, H, W]`.
    #[module(skip)]
    shape: [usize; 3],
    /// Where the network sees sigma as a timestep.
    #[module(skip)]
    timesteps: Option<Arc<Timesteps>>,
    #[module(skip)]
    precision: Precision,
}

impl UNet2d {
    /// The network for `inputs`, whose shape is an image's.
    ///
    /// # Errors
    /// When `config` contradicts itself or does not fit the shape.
    pub fn new(config: &UNetConfig, inputs: &Inputs, init: &Init) -> Result<Self> {
        let Shape::Image {
            channels,
            height,
            width,
        } = inputs.shape
        else {
            return Err(Error::Shape {
                what: "the data (a U-Net takes images; use an MLP for the rest)".into(),
                expected: vec![1, 32, 32],
                found: inputs.shape.to_vec(),
            });
        };
        let shape = [channels, height, width];
        config.validate(shape)?;
        let timesteps = inputs.timesteps.map(|table| table.table()).transpose()?;
        let (conditional, classes) = (inputs.conditional, inputs.classes);
        let widths = &config.block_out_channels;
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let embedding = (conditional || classes.is_some()).then_some(4 * first);
        let resnet = |inputs, outputs| ResnetConfig {
            inputs,
            outputs,
            embedding,
            groups: config.norm_num_groups,
            epsilon: config.norm_eps,
        };
        let conv_in = Conv2d::new(shape[0], first, 3, &init.at("conv_in"));
        let time_embedding = embedding
            .filter(|_| conditional)
            .map(|width| TimeEmbedding::new(first, width, &init.at("time_embedding")));
        let class_embedding = embedding
            .zip(classes)
            .map(|(width, n)| ClassEmbedding::new(n, width, &init.at("class_embedding")));

        let mut down_blocks = Vec::new();
        let mut inputs = first;
        for (i, &outputs) in widths.iter().enumerate() {
            let is_last = i + 1 == widths.len();
            down_blocks.push(DownBlock::new(
                config,
                i,
                resnet(inputs, outputs),
                is_last,
                &init.at("down_blocks").at(i),
            ));
            inputs = outputs;
        }
        let mid_block = MidBlock::new(config, resnet(last, last), &init.at("mid_block"));
        let mut up_blocks = Vec::new();
        let mut previous = last;
        for (i, &outputs) in widths.iter().rev().enumerate() {
            let resolution = widths.len() - 1 - i;
            let shallower = widths[resolution.saturating_sub(1)];
            up_blocks.push(UpBlock::new(
                config,
                i,
                resnet(previous, outputs),
                shallower,
                resolution == 0,
                &init.at("up_blocks").at(i),
            ));
            previous = outputs;
        }
        Ok(Self {
            conv_in,
            time_embedding,
            class_embedding,
            down_blocks,
            mid_block,
            up_blocks,
            conv_norm_out: GroupNorm::new(
                config.norm_num_groups,
                first,
                config.norm_eps,
                &init.at("conv_norm_out"),
            ),
            conv_out: Conv2d::zeros(first, shape[0], 3, &init.at("conv_out")),
            config: config.clone(),
            shape,
            timesteps: timesteps.map(Arc::new),
            precision: Precision::F32,
        })
    }

    /// `x` `[N, C, H, W]` with one time value and one class per image (each ignored by a network
    /// that is not conditioned on it) to `[N, C, H, W]`. Missing classes mean none for every
    /// image. Inside, channels come last.
    pub fn forward_images(
        &self,
        x: Tensor<4>,
        time: &[f64],
        classes: Option<&[Option<u32>]>,
    ) -> Tensor<4> {
        let embedding = self.embed(&x, time, classes);
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

    /// The number whose sines and cosines the network sees for `sigma`.
    fn time(&self, sigma: f64) -> f64 {
        match &self.timesteps {
            Some(table) => table.timestep(sigma),
            // EDM's c_noise = ln(sigma)/4, on the scale of the 1000 steps that the frequencies of
            // a positional embedding are made for.
            None => 250.0 * sigma.ln(),
        }
    }

    /// The embeddings of noise level and class, added, with the activation that every block
    /// applies to them, computed once.
    fn embed(
        &self,
        x: &Tensor<4>,
        time: &[f64],
        classes: Option<&[Option<u32>]>,
    ) -> Option<Tensor<2>> {
        let of_time = self.time_embedding.as_ref().map(|embed| {
            let c = &self.config;
            let width = c.block_out_channels[0];
            let features = positional_embedding(time, width, c.freq_shift, c.flip_sin_to_cos);
            let data = TensorData::new(features, [time.len(), width]);
            embed.forward(Tensor::from_data(data, &x.device()))
        });
        let embed = self.class_embedding.as_ref();
        let of_class = embed.map(|embed| embed.forward(x.dims()[0], classes));
        let embedding = match (of_time, of_class) {
            (Some(time), Some(class)) => time + class,
            (time, class) => time.or(class)?,
        };
        Some(ops::activate(embedding, Activation::Silu))
    }
}

impl Forward for UNet2d {
    fn inputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn outputs(&self) -> usize {
        self.inputs()
    }

    fn needs_sigmas(&self) -> bool {
        self.time_embedding.is_some()
    }

    fn classes(&self) -> Option<usize> {
        self.class_embedding.as_ref().map(ClassEmbedding::classes)
    }

    fn preferred_batch(&self) -> usize {
        16
    }

    fn forward(&self, x: Tensor<2>, conditioning: &Conditioning<'_>) -> Tensor<2> {
        let ([n, dim], [c, h, w]) = (x.dims(), self.shape);
        let sigmas = conditioning.sigmas.unwrap_or_default();
        let time: Vec<f64> = sigmas.iter().map(|&sigma| self.time(sigma)).collect();
        self.forward_images(x.reshape([n, c, h, w]), &time, conditioning.classes)
            .reshape([n, dim])
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn set_precision(&mut self, precision: Precision) -> bool {
        self.precision = precision;
        true
    }
}

impl Model for UNetConfig {
    fn body(&self, inputs: &Inputs, init: &Init) -> Result<Box<dyn Body>> {
        Ok(Box::new(UNet2d::new(self, inputs, init)?))
    }

    fn takes_classes() -> bool {
        true
    }
}
