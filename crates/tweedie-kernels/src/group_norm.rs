//! GroupNorm (Wu & He 2018), alone or followed by an activation.
//!
//! For each image and each group of `C / groups` channels, with `m` and `v` the mean and biased
//! variance over the group's values,
//!
//! `h = (x - m) / sqrt(v + epsilon)`, `t = weight h + bias`, `y = f(t)`, f being an [`Activation`].

use half::bf16;
use rayon::prelude::*;

use crate::channels::{round, widen};
use crate::error::{Error, Result, check};
use crate::instruction_set::by_instruction_set;
use crate::statistics::{Statistics, channel_sums, combine, several};
use crate::{Activation, Buffer, InstructionSet, activation};

/// The sizes and settings of a GroupNorm over `[N, P, C]`, `P` being the pixels of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// N.
    pub images: usize,
    /// P, H times W.
    pub pixels: usize,
    /// C.
    pub channels: usize,
    /// A divisor of C.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// What follows.
    pub then: Activation,
}

impl Shape {
    fn check<T>(&self, x: &[T], weight: &[f32], bias: &[f32]) -> Result<()> {
        if self.groups == 0 || !self.channels.is_multiple_of(self.groups) {
            return Err(Error::Shape(
                "the groups of a GroupNorm must divide its channels",
            ));
        }
        check("input", x.len(), &[self.images, self.pixels, self.channels])?;
        check("weight", weight.len(), &[self.channels])?;
        check("bias", bias.len(), &[self.channels])
    }

    fn image(&self) -> usize {
        self.pixels * self.channels
    }

    /// Channels of a group.
    fn each(&self) -> usize {
        self.channels / self.groups
    }
}

/// The normalised images.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn forward(
    isa: InstructionSet,
    shape: &Shape,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
) -> Result<Buffer> {
    shape.check(x, weight, bias)?;
    let mut out = Buffer::take(x.len());
    if out.is_empty() {
        return Ok(out);
    }
    let images = out
        .par_chunks_mut(shape.image())
        .zip(x.par_chunks(shape.image()));
    images.for_each(|(out, x)| forward_image(isa, shape, x, weight, bias, out));
    Ok(out)
}

/// The normalised images of images stored in bf16: the arithmetic is that of [`forward`], one
/// image at a time.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn forward_half(
    isa: InstructionSet,
    shape: &Shape,
    x: &[bf16],
    weight: &[f32],
    bias: &[f32],
) -> Result<Buffer<bf16>> {
    shape.check(x, weight, bias)?;
    let mut out = Buffer::take(x.len());
    if out.is_empty() {
        return Ok(out);
    }
    let images = out
        .par_chunks_mut(shape.image())
        .zip(x.par_chunks(shape.image()));
    images.for_each(|(out, x)| {
        let mut wide = Buffer::take(x.len());
        let mut normed = Buffer::take(x.len());
        half_image(isa, shape, x, weight, bias, &mut wide, &mut normed, out);
    });
    Ok(out)
}

/// The gradients of a GroupNorm.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// With respect to the input, `[N, P, C]`.
    pub input: Buffer,
    /// With respect to the weight, `[C]`.
    pub weight: Vec<f32>,
    /// With respect to the bias, `[C]`.
    pub bias: Vec<f32>,
}

/// The gradients, with `dy` that of the output. With `d = dy f'(t)`, `r = 1 / sqrt(v + epsilon)`
/// and `mean` that over a group,
///
/// `dbias = sum d`, `dweight = sum d h`,
/// `dx = r (weight d - mean(weight d) - h mean(weight d h))`.
///
/// Mean and variance are recomputed, which is cheaper than keeping them for the backward pass.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn backward(
    isa: InstructionSet,
    shape: &Shape,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    dy: &[f32],
) -> Result<Gradients> {
    shape.check(x, weight, bias)?;
    check(
        "output gradient",
        dy.len(),
        &[shape.images, shape.pixels, shape.channels],
    )?;
    let c = shape.channels;
    let mut input = Buffer::take(x.len());
    if input.is_empty() {
        return Ok(Gradients {
            input,
            weight: vec![0.0; c],
            bias: vec![0.0; c],
        });
    }
    // Of each image, `[2, C]`: added up in the order of the images afterwards.
    let mut sums = vec![0.0; shape.images * 2 * c];
    let images = input
        .par_chunks_mut(shape.image())
        .zip(sums.par_chunks_mut(2 * c));
    let given = x
        .par_chunks(shape.image())
        .zip(dy.par_chunks(shape.image()));
    images.zip(given).for_each(|((dx, sums), (x, dy))| {
        backward_image(isa, shape, x, weight, bias, dy, dx, sums);
    });
    let mut total = vec![0.0; 2 * c];
    for sums in sums.chunks_exact(2 * c) {
        total
            .iter_mut()
            .zip(sums)
            .for_each(|(total, sum)| *total += sum);
    }
    let single = |sums: &[f64]| sums.iter().map(|&sum| sum as f32).collect();
    Ok(Gradients {
        input,
        weight: single(&total[..c]),
        bias: single(&total[c..]),
    })
}

by_instruction_set! {
    fn forward_image(shape: &Shape, x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32])
        = forward_body::<false>, forward_body::<true>, forward_body::<true>
}

by_instruction_set! {
    fn half_image(shape: &Shape, x: &[bf16], weight: &[f32], bias: &[f32], wide: &mut [f32], normed: &mut [f32], out: &mut [bf16])
        = half_body::<false>, half_body::<true>, half_body::<true>
}

by_instruction_set! {
    #[allow(clippy::too_many_arguments)]
    fn backward_image(shape: &Shape, x: &[f32], weight: &[f32], bias: &[f32], dy: &[f32], dx: &mut [f32], sums: &mut [f64])
        = backward_body::<false>, backward_body::<true>, backward_body::<true>
}

#[inline(always)]
fn forward_body<const FMA: bool>(
    shape: &Shape,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    out: &mut [f32],
) {
    let stats = Statistics::of(x, shape.channels, shape.each(), shape.epsilon);
    let (scale, shift) = affine(shape, &stats, weight, bias);
    activation::forward::<FMA>(shape.then, x, &scale, &shift, out);
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn half_body<const FMA: bool>(
    shape: &Shape,
    x: &[bf16],
    weight: &[f32],
    bias: &[f32],
    wide: &mut [f32],
    normed: &mut [f32],
    out: &mut [bf16],
) {
    widen(x, wide);
    forward_body::<FMA>(shape, wide, weight, bias, normed);
    for (out, &y) in out.iter_mut().zip(&*normed) {
        *out = round(y);
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn backward_body<const FMA: bool>(
    shape: &Shape,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    sums: &mut [f64],
) {
    let c = shape.channels;
    let stats = Statistics::of(x, c, shape.each(), shape.epsilon);
    let (scale, shift) = affine(shape, &stats, weight, bias);

    // d, kept in dx until its means are known.
    activation::backward::<FMA>(shape.then, x, &scale, &shift, dy, dx);

    let (dweight, dbias) = sums.split_at_mut(c);
    channel_sums(dx, x, &stats.mean, dbias, |d, _, _| d);
    channel_sums(dx, x, &stats.mean, dweight, |d, x, mean| d * (x - mean));
    for (sum, &r) in dweight.iter_mut().zip(&stats.rstd) {
        *sum *= f64::from(r);
    }

    // dx = d first + x second + third, the formula sorted by d, x and the rest.
    let (mut first, mut second, mut third) = (vec![0.0; c], vec![0.0; c], vec![0.0; c]);
    let each = shape.each();
    let count = (each * shape.pixels) as f64;
    for group in (0..c).step_by(each) {
        let range = group..group + each;
        let mean = |sums: &[f64]| {
            range
                .clone()
                .map(|k| f64::from(weight[k]) * sums[k])
                .sum::<f64>()
                / count
        };
        let (mean_d, mean_dh) = (mean(dbias), mean(dweight));
        for k in range.clone() {
            let (m, r) = (f64::from(stats.mean[k]), f64::from(stats.rstd[k]));
            first[k] = (f64::from(weight[k]) * r) as f32;
            second[k] = (-r * r * mean_dh) as f32;
            third[k] = (-r * mean_d + m * r * r * mean_dh) as f32;
        }
    }
    let parts = [first, second, third].map(|values| several(shape.pixels, values));
    combine::<FMA>(x, parts.each_ref().map(Vec::as_slice), dx);
}

/// `weight (x - mean) rstd + bias` as `x scale + shift`, for [`several`] pixels.
fn affine(shape: &Shape, stats: &Statistics, weight: &[f32], bias: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let scale: Vec<f32> = stats.rstd.iter().zip(weight).map(|(r, w)| r * w).collect();
    let shift = bias
        .iter()
        .zip(&stats.mean)
        .zip(&scale)
        .map(|((b, m), s)| b - m * s);
    let shift = shift.collect();
    (several(shape.pixels, scale), several(shape.pixels, shift))
}
