//! Inception v3 as the Frechet Inception distance has it (Szegedy et al. 2016, "Rethinking the
//! Inception Architecture for Computer Vision"; Heusel et al. 2017, "GANs Trained by a Two
//! Time-Scale Update Rule"): not a score network but a feature network, in whose space pictures are
//! compared.
//!
//! The weights are those of TensorFlow's `inception-2015-12-05`, ported to PyTorch by pytorch-fid,
//! under its names. Three things differ from torchvision's network: average pooling counts only
//! the pixels inside the image, the last block pools by the maximum, and there are 1008 classes.
//! So does the input: images are resized to 299x299 by bilinear interpolation without
//! antialiasing, as TensorFlow 1 did, and scaled to [-1, 1].

mod block;
mod conv;
mod input;
mod parameters;

use burn::tensor::{Device, Tensor};

use block::{Block, Branch, layer};
use conv::ConvNorm;
use parameters::Parameters;

use crate::data::Shape;
use crate::error::Result;
use crate::nn::ops::{self, Pool, Window};
use crate::nn::params;
use crate::weights::WeightFile;

/// The number of features: the last pooled layer, `pool_3:0`.
pub const FEATURES: usize = 2048;

/// The side of the images that the network sees.
pub const SIDE: usize = 299;

/// Halves the resolution.
const HALVING: Window = Window {
    kernel: 3,
    stride: 2,
    padding: 0,
};

/// Keeps the resolution.
const KEEPING: Window = Window {
    kernel: 3,
    stride: 1,
    padding: 1,
};

/// The network, with batch normalisation in evaluation mode folded into the convolutions.
#[derive(Debug)]
pub struct Inception {
    stem: [ConvNorm; 5],
    mixed: Vec<Block>,
    device: Device,
}

impl Inception {
    /// The network with the weights of `file`, under pytorch-fid's names. The classifying layer
    /// `fc` and the auxiliary classifier are not needed; they may be there.
    ///
    /// # Errors
    /// [`Error::Content`](crate::Error::Content) when parameters are missing, have another shape or
    /// are not finite, or there are others: the message names them.
    pub fn load(file: &WeightFile, device: &Device) -> Result<Self> {
        let mut p = Parameters::new(file, device);
        let stem = [
            ConvNorm::new(&mut p, "Conv2d_1a_3x3", 3, layer(32, [3, 3]).halving()),
            ConvNorm::new(&mut p, "Conv2d_2a_3x3", 32, layer(32, [3, 3]).inside()),
            ConvNorm::new(&mut p, "Conv2d_2b_3x3", 32, layer(64, [3, 3])),
            ConvNorm::new(&mut p, "Conv2d_3b_1x1", 64, layer(80, [1, 1])),
            ConvNorm::new(&mut p, "Conv2d_4a_3x3", 80, layer(192, [3, 3]).inside()),
        ];
        let mixed = vec![
            Block::new(&mut p, "Mixed_5b", 192, &square_factors(32)),
            Block::new(&mut p, "Mixed_5c", 256, &square_factors(64)),
            Block::new(&mut p, "Mixed_5d", 288, &square_factors(64)),
            Block::new(&mut p, "Mixed_6a", 288, &first_reduction()),
            Block::new(&mut p, "Mixed_6b", 768, &asymmetric_factors(128)),
            Block::new(&mut p, "Mixed_6c", 768, &asymmetric_factors(160)),
            Block::new(&mut p, "Mixed_6d", 768, &asymmetric_factors(160)),
            Block::new(&mut p, "Mixed_6e", 768, &asymmetric_factors(192)),
            Block::new(&mut p, "Mixed_7a", 768, &second_reduction()),
            Block::new(&mut p, "Mixed_7b", 1280, &expanded(Pool::Mean)),
            Block::new(&mut p, "Mixed_7c", 2048, &expanded(Pool::Max)),
        ];
        p.finish()?;
        Ok(Self {
            stem,
            mixed,
            device: device.clone(),
        })
    }

    /// The features of images with values in [0, 1], planar and row-major `[n, C, H, W]`: row-major
    /// `[n, 2048]`. An image's features are a function of that image alone.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for items that are not images of one or three
    /// channels; grey is repeated. [`Error::Shape`](crate::Error::Shape) for values that are not
    /// whole images.
    pub fn features(&self, images: &[f32], shape: Shape) -> Result<Vec<f32>> {
        let x = input::resized(images, shape, &self.device)?;
        Ok(params::to_vec(self.forward(x)))
    }

    /// `[N, 299, 299, 3]` in [-1, 1] to `[N, 2048]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let [first, second, third, fourth, fifth] = &self.stem;
        let x = third.forward(second.forward(first.forward(x)));
        let x = ops::pool(x, Pool::Max, HALVING);
        let x = fifth.forward(fourth.forward(x));
        let x = ops::pool(x, Pool::Max, HALVING);
        let x = self.mixed.iter().fold(x, |x, block| block.forward(x));
        // The mean of the 8x8 pixels that are left.
        let [n, side, ..] = x.dims();
        let all = Window {
            kernel: side,
            stride: 1,
            padding: 0,
        };
        ops::pool(x, Pool::Mean, all).reshape([n, FEATURES])
    }
}

/// 5x5 beside two 3x3 in its place (figure 5 of the paper).
fn square_factors(pooled: usize) -> [Branch; 4] {
    [
        Branch::default().then("branch1x1", layer(64, [1, 1])),
        Branch::default()
            .then("branch5x5_1", layer(48, [1, 1]))
            .then("branch5x5_2", layer(64, [5, 5])),
        Branch::default()
            .then("branch3x3dbl_1", layer(64, [1, 1]))
            .then("branch3x3dbl_2", layer(96, [3, 3]))
            .then("branch3x3dbl_3", layer(96, [3, 3])),
        Branch::pooled(Pool::Mean, KEEPING).then("branch_pool", layer(pooled, [1, 1])),
    ]
}

/// To 17x17 pixels (figure 10).
fn first_reduction() -> [Branch; 3] {
    [
        Branch::default().then("branch3x3", layer(384, [3, 3]).halving()),
        Branch::default()
            .then("branch3x3dbl_1", layer(64, [1, 1]))
            .then("branch3x3dbl_2", layer(96, [3, 3]))
            .then("branch3x3dbl_3", layer(96, [3, 3]).halving()),
        Branch::pooled(Pool::Max, HALVING),
    ]
}

/// 7x7 as 1x7 and 7x1 (figure 6).
fn asymmetric_factors(inner: usize) -> [Branch; 4] {
    [
        Branch::default().then("branch1x1", layer(192, [1, 1])),
        Branch::default()
            .then("branch7x7_1", layer(inner, [1, 1]))
            .then("branch7x7_2", layer(inner, [1, 7]))
            .then("branch7x7_3", layer(192, [7, 1])),
        Branch::default()
            .then("branch7x7dbl_1", layer(inner, [1, 1]))
            .then("branch7x7dbl_2", layer(inner, [7, 1]))
            .then("branch7x7dbl_3", layer(inner, [1, 7]))
            .then("branch7x7dbl_4", layer(inner, [7, 1]))
            .then("branch7x7dbl_5", layer(192, [1, 7])),
        Branch::pooled(Pool::Mean, KEEPING).then("branch_pool", layer(192, [1, 1])),
    ]
}

/// To 8x8 pixels.
fn second_reduction() -> [Branch; 3] {
    [
        Branch::default()
            .then("branch3x3_1", layer(192, [1, 1]))
            .then("branch3x3_2", layer(320, [3, 3]).halving()),
        Branch::default()
            .then("branch7x7x3_1", layer(192, [1, 1]))
            .then("branch7x7x3_2", layer(192, [1, 7]))
            .then("branch7x7x3_3", layer(192, [7, 1]))
            .then("branch7x7x3_4", layer(192, [3, 3]).halving()),
        Branch::pooled(Pool::Max, HALVING),
    ]
}

/// 1x3 beside 3x1 at the end of two branches (figure 7).
fn expanded(pool: Pool) -> [Branch; 4] {
    [
        Branch::default().then("branch1x1", layer(320, [1, 1])),
        Branch::default()
            .then("branch3x3_1", layer(384, [1, 1]))
            .beside("branch3x3_2a", layer(384, [1, 3]))
            .beside("branch3x3_2b", layer(384, [3, 1])),
        Branch::default()
            .then("branch3x3dbl_1", layer(448, [1, 1]))
            .then("branch3x3dbl_2", layer(384, [3, 3]))
            .beside("branch3x3dbl_3a", layer(384, [1, 3]))
            .beside("branch3x3dbl_3b", layer(384, [3, 1])),
        Branch::pooled(pool, KEEPING).then("branch_pool", layer(192, [1, 1])),
    ]
}
