//! GroupNorm (Wu & He 2018), alone or followed by SiLU.
//!
//! For each image and each group of `C / groups` channels, with `m` and `v` the mean and biased
//! variance over the group's values,
//!
//! `h = (x - m) / sqrt(v + epsilon)`, `t = weight h + bias`, `y = t` or `t sigmoid(t)`.

use rayon::prelude::*;

use crate::error::{Error, Result, check};
use crate::level::{by_level, mul_add};
use crate::sigmoid::sigmoid;
use crate::{Buffer, Level};

/// Pixels whose sums are kept in `f32` before they are added up in `f64`.
const SPAN: usize = 64;

/// Channels in one vector.
const LANES: usize = 16;

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
    /// Whether SiLU follows.
    pub silu: bool,
}

impl Shape {
    fn check(&self, x: &[f32], weight: &[f32], bias: &[f32]) -> Result<()> {
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
}

/// The normalised images.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn forward(
    level: Level,
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
    images.for_each(|(out, x)| forward_image(level, shape, x, weight, bias, out));
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

/// The gradients, with `dy` that of the output. With `d = dy y'(t)`, `r = 1 / sqrt(v + epsilon)`
/// and `mean` that over a group,
///
/// `dbias = sum d`, `dweight = sum d h`,
/// `dx = r (weight d - mean(weight d) - h mean(weight d h))`.
///
/// Mean and variance are computed again: cheaper than to keep them through a network.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn backward(
    level: Level,
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
        backward_image(level, shape, x, weight, bias, dy, dx, sums);
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

by_level! {
    fn forward_image(shape: &Shape, x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32])
        = forward_body::<false>, forward_body::<true>, forward_body::<true>
}

by_level! {
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
    let stats = Statistics::of::<FMA>(shape, x);
    let (scale, shift) = stats.affine(shape, weight, bias);
    let row = scale.len();
    for (out, x) in out.chunks_mut(row).zip(x.chunks(row)) {
        for (((y, &x), &a), &b) in out.iter_mut().zip(x).zip(&scale).zip(&shift) {
            let t = mul_add::<FMA>(x, a, b);
            *y = if shape.silu { t * sigmoid::<FMA>(t) } else { t };
        }
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
    let stats = Statistics::of::<FMA>(shape, x);
    let (scale, shift) = stats.affine(shape, weight, bias);

    // d, kept in dx until its means are known.
    if shape.silu {
        let row = scale.len();
        for ((dx, x), dy) in dx.chunks_mut(row).zip(x.chunks(row)).zip(dy.chunks(row)) {
            let values = dx.iter_mut().zip(x).zip(dy).zip(&scale).zip(&shift);
            for ((((dx, &x), &dy), &a), &b) in values {
                let t = mul_add::<FMA>(x, a, b);
                let s = sigmoid::<FMA>(t);
                // (t s)' = s + t s (1 - s)
                *dx = dy * s * mul_add::<FMA>(t, 1.0 - s, 1.0);
            }
        }
    } else {
        dx.copy_from_slice(dy);
    }

    let (dweight, dbias) = sums.split_at_mut(c);
    channel_sums(dx, x, &stats.mean, dbias, |d, _, _| d);
    channel_sums(dx, x, &stats.mean, dweight, |d, x, mean| d * (x - mean));
    for (sum, &r) in dweight.iter_mut().zip(&stats.rstd) {
        *sum *= f64::from(r);
    }

    // dx = d first + x second + third, the formula sorted by d, x and the rest.
    let (mut first, mut second, mut third) = (vec![0.0; c], vec![0.0; c], vec![0.0; c]);
    let each = c / shape.groups;
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
    let [first, second, third] = [first, second, third].map(|values| several(shape, values));
    let row = first.len();
    for (dx, x) in dx.chunks_mut(row).zip(x.chunks(row)) {
        let values = dx.iter_mut().zip(x).zip(&first).zip(&second).zip(&third);
        for ((((dx, &x), &f), &s), &t) in values {
            *dx = mul_add::<FMA>(*dx, f, mul_add::<FMA>(x, s, t));
        }
    }
}

/// Mean and `1 / sqrt(variance + epsilon)` of each channel's group.
struct Statistics {
    mean: Vec<f32>,
    rstd: Vec<f32>,
}

impl Statistics {
    /// Two passes: the variance is the mean of `(x - m)^2`, which loses nothing where the mean
    /// is large.
    #[inline(always)]
    fn of<const FMA: bool>(shape: &Shape, x: &[f32]) -> Self {
        let (c, each) = (shape.channels, shape.channels / shape.groups);
        let count = (each * shape.pixels) as f64;
        let mut sums = vec![0.0; c];
        channel_sums(x, x, &vec![0.0; c], &mut sums, |x, _, _| x);
        let mean: Vec<f32> = by_group(&sums, each, |sum| sum / count);
        channel_sums(x, x, &mean, &mut sums, |x, _, mean| (x - mean) * (x - mean));
        let rstd = by_group(&sums, each, |sum| {
            1.0 / (sum / count + shape.epsilon).sqrt()
        });
        Self { mean, rstd }
    }

    /// `weight (x - mean) rstd + bias` as `x scale + shift`, for [`several`] pixels.
    #[inline(always)]
    fn affine(&self, shape: &Shape, weight: &[f32], bias: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let scale: Vec<f32> = self.rstd.iter().zip(weight).map(|(r, w)| r * w).collect();
        let shift = bias
            .iter()
            .zip(&self.mean)
            .zip(&scale)
            .map(|((b, m), s)| b - m * s);
        let shift = shift.collect();
        (several(shape, scale), several(shape, shift))
    }
}

/// One value for each channel, repeated for a few pixels: short rows make slow loops.
fn several(shape: &Shape, values: Vec<f32>) -> Vec<f32> {
    let pixels = (512 / shape.channels).clamp(1, shape.pixels);
    values.repeat(pixels)
}

/// `f` of each group's sum, given to each of its channels.
fn by_group(sums: &[f64], each: usize, f: impl Fn(f64) -> f64) -> Vec<f32> {
    sums.chunks_exact(each)
        .flat_map(|group| std::iter::repeat_n(f(group.iter().sum()) as f32, each))
        .collect()
}

/// `sums[k] = sum over pixels of f(a[p, k], b[p, k], parameter[k])`, LANES channels at a time.
#[inline(always)]
fn channel_sums(
    a: &[f32],
    b: &[f32],
    parameter: &[f32],
    sums: &mut [f64],
    f: impl Fn(f32, f32, f32) -> f32,
) {
    sums.fill(0.0);
    let c = sums.len();
    for (a, b) in a.chunks(SPAN * c).zip(b.chunks(SPAN * c)) {
        let pixels = || a.chunks_exact(c).zip(b.chunks_exact(c));
        let (blocks, rest) = sums.as_chunks_mut::<LANES>();
        for (j, sums) in blocks.iter_mut().enumerate() {
            let at = j * LANES;
            let parameter = lanes(parameter, at);
            let mut partial = [0.0; LANES];
            for (a, b) in pixels() {
                let (a, b) = (lanes(a, at), lanes(b, at));
                for k in 0..LANES {
                    partial[k] += f(a[k], b[k], parameter[k]);
                }
            }
            for (sum, part) in sums.iter_mut().zip(partial) {
                *sum += f64::from(part);
            }
        }
        for (k, sum) in (c - rest.len()..c).zip(rest) {
            let part: f32 = pixels().map(|(a, b)| f(a[k], b[k], parameter[k])).sum();
            *sum += f64::from(part);
        }
    }
}

#[inline(always)]
fn lanes(values: &[f32], at: usize) -> [f32; LANES] {
    std::array::from_fn(|k| values[at..at + LANES][k])
}
