//! InstanceNorm++ of NCSN and NCSNv2 (Song & Ermon 2019, 2020), alone or followed by an
//! activation.
//!
//! Instance normalisation removes the mean of each channel; InstanceNorm++ restores it relative
//! to the means of the other channels. For each image, with `m_c` and `v_c` the mean
//! and biased variance of channel c over the pixels, `mu` the mean of `m_c` over the channels,
//! and `s^2` their unbiased variance,
//!
//! `h = (x - m_c) / sqrt(v_c + epsilon)`, `M_c = (m_c - mu) / sqrt(s^2 + epsilon)`,
//! `t = gamma_c (h + alpha_c M_c) + beta_c`, `y = f(t)`, f being an [`Activation`].

use rayon::prelude::*;

use crate::error::{Error, Result, check};
use crate::instruction_set::by_instruction_set;
use crate::statistics::{Statistics, channel_sums, combine, several};
use crate::{Activation, Buffer, InstructionSet, activation};

/// The sizes and settings of an InstanceNorm++ over `[N, P, C]`, `P` being the pixels of an
/// image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// N.
    pub images: usize,
    /// P, H times W.
    pub pixels: usize,
    /// C, not 1: one mean has no variance.
    pub channels: usize,
    /// Added to both variances.
    pub epsilon: f64,
    /// What follows.
    pub then: Activation,
}

/// The parameters of InstanceNorm++, each `[C]` for all images or `[N, C]` for each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters<'a> {
    /// The scale.
    pub gamma: &'a [f32],
    /// How much of a channel's mean is restored.
    pub alpha: &'a [f32],
    /// The shift.
    pub beta: &'a [f32],
}

impl<'a> Parameters<'a> {
    /// Those of image n.
    fn of(&self, n: usize, c: usize) -> Self {
        let row = |values: &'a [f32]| match values.len() == c {
            true => values,
            false => &values[n * c..][..c],
        };
        Self {
            gamma: row(self.gamma),
            alpha: row(self.alpha),
            beta: row(self.beta),
        }
    }
}

impl Shape {
    fn check(&self, x: &[f32], parameters: &Parameters) -> Result<()> {
        let (n, c) = (self.images, self.channels);
        if c == 1 {
            return Err(Error::Shape("InstanceNorm++ needs more than one channel"));
        }
        check("input", x.len(), &[n, self.pixels, c])?;
        let Parameters { gamma, alpha, beta } = *parameters;
        for (what, values) in [("gamma", gamma), ("alpha", alpha), ("beta", beta)] {
            if values.len() != c {
                check(what, values.len(), &[n, c])?;
            }
        }
        Ok(())
    }

    fn image(&self) -> usize {
        self.pixels * self.channels
    }
}

/// The normalised images.
///
/// # Errors
/// When a length does not fit `shape`, or there is but one channel.
pub fn forward(
    isa: InstructionSet,
    shape: &Shape,
    x: &[f32],
    parameters: &Parameters,
) -> Result<Buffer> {
    shape.check(x, parameters)?;
    let mut out = Buffer::take(x.len());
    if out.is_empty() {
        return Ok(out);
    }
    let images = out
        .par_chunks_mut(shape.image())
        .zip(x.par_chunks(shape.image()));
    images.enumerate().for_each(|(n, (out, x))| {
        let parameters = parameters.of(n, shape.channels);
        forward_image(isa, shape, x, &parameters, out);
    });
    Ok(out)
}

/// The gradients of an InstanceNorm++.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// With respect to the input, `[N, P, C]`.
    pub input: Buffer,
    /// With respect to the scale, as long as that.
    pub gamma: Vec<f32>,
    /// With respect to alpha, as long as that.
    pub alpha: Vec<f32>,
    /// With respect to the shift, as long as that.
    pub beta: Vec<f32>,
}

/// The gradients, with `dy` that of the output. With `d = dy f'(t)`, `B = sum d` and
/// `H = sum d h` over the pixels, `r = 1 / sqrt(v + epsilon)`, `S = 1 / sqrt(s^2 + epsilon)`, and
/// the gradient `G = gamma alpha B` of `M`,
///
/// `dbeta = B`, `dgamma = H + alpha M B`, `dalpha = gamma M B`,
/// `dm = S (G - mean(G) - M sum(G M) / (C - 1))`, mean and sum over the channels,
/// `dx = gamma r (d - B / P - h H / P) + dm / P`.
///
/// # Errors
/// When a length does not fit `shape`, or there is but one channel.
pub fn backward(
    isa: InstructionSet,
    shape: &Shape,
    x: &[f32],
    parameters: &Parameters,
    dy: &[f32],
) -> Result<Gradients> {
    shape.check(x, parameters)?;
    let (n, c) = (shape.images, shape.channels);
    check("output gradient", dy.len(), &[n, shape.pixels, c])?;
    let mut input = Buffer::take(x.len());
    // Of each image, `[3, C]`: gamma, alpha, beta.
    let mut sums = vec![0.0; n * 3 * c];
    if !input.is_empty() {
        let images = input
            .par_chunks_mut(shape.image())
            .zip(sums.par_chunks_mut(3 * c));
        let given = x
            .par_chunks(shape.image())
            .zip(dy.par_chunks(shape.image()));
        let images = images.zip(given).enumerate();
        images.for_each(|(n, ((dx, sums), (x, dy)))| {
            backward_image(isa, shape, x, &parameters.of(n, c), dy, dx, sums);
        });
    }
    let gather = |which: usize, len: usize| {
        let rows = sums.chunks_exact(3 * c.max(1));
        let mut total = vec![0.0; len];
        for (n, row) in rows.enumerate() {
            // Each image adds to a row of its own, or all to one, in their order.
            let start = if len == c { 0 } else { n * c };
            let total = total[start..][..c].iter_mut();
            total
                .zip(&row[which * c..])
                .for_each(|(total, sum): (&mut f64, _)| *total += sum);
        }
        total.into_iter().map(|sum| sum as f32).collect()
    };
    Ok(Gradients {
        gamma: gather(0, parameters.gamma.len()),
        alpha: gather(1, parameters.alpha.len()),
        beta: gather(2, parameters.beta.len()),
        input,
    })
}

by_instruction_set! {
    fn forward_image(shape: &Shape, x: &[f32], parameters: &Parameters, out: &mut [f32])
        = forward_body::<false>, forward_body::<true>, forward_body::<true>
}

by_instruction_set! {
    fn backward_image(shape: &Shape, x: &[f32], parameters: &Parameters, dy: &[f32], dx: &mut [f32], sums: &mut [f64])
        = backward_body::<false>, backward_body::<true>, backward_body::<true>
}

#[inline(always)]
fn forward_body<const FMA: bool>(
    shape: &Shape,
    x: &[f32],
    parameters: &Parameters,
    out: &mut [f32],
) {
    let stats = Statistics::of(x, shape.channels, 1, shape.epsilon);
    let means = Means::of(shape, &stats);
    let (scale, shift) = affine(shape, &stats, &means, parameters);
    activation::forward::<FMA>(shape.then, x, &scale, &shift, out);
}

#[inline(always)]
fn backward_body<const FMA: bool>(
    shape: &Shape,
    x: &[f32],
    parameters: &Parameters,
    dy: &[f32],
    dx: &mut [f32],
    sums: &mut [f64],
) {
    let c = shape.channels;
    let stats = Statistics::of(x, c, 1, shape.epsilon);
    let means = Means::of(shape, &stats);
    let (scale, shift) = affine(shape, &stats, &means, parameters);

    // d, kept in dx until its sums are known.
    activation::backward::<FMA>(shape.then, x, &scale, &shift, dy, dx);

    let (mut h_sums, mut b_sums) = (vec![0.0; c], vec![0.0; c]);
    channel_sums(dx, x, &stats.mean, &mut b_sums, |d, _, _| d);
    channel_sums(dx, x, &stats.mean, &mut h_sums, |d, x, mean| d * (x - mean));
    let Parameters { gamma, alpha, .. } = *parameters;
    let mut of_means = vec![0.0; c];
    for k in 0..c {
        h_sums[k] *= f64::from(stats.rstd[k]);
        let [gamma, alpha] = [gamma, alpha].map(|values| f64::from(values[k]));
        let standard = means.standard[k];
        sums[k] = h_sums[k] + alpha * standard * b_sums[k];
        sums[c + k] = gamma * standard * b_sums[k];
        sums[2 * c + k] = b_sums[k];
        of_means[k] = gamma * alpha * b_sums[k];
    }
    let mean = of_means.iter().sum::<f64>() / c as f64;
    let along = of_means.iter().zip(&means.standard);
    let along = along.map(|(g, m)| g * m).sum::<f64>() / (c - 1) as f64;

    // dx = d first + x second + third, the formula sorted by d, x and the rest.
    let mut parts = [(); 3].map(|()| vec![0.0; c]);
    let pixels = shape.pixels as f64;
    for k in 0..c {
        let (m, r, gamma) = (
            stats.exact[k],
            f64::from(stats.rstd[k]),
            f64::from(gamma[k]),
        );
        let dm = means.rstd * (of_means[k] - mean - means.standard[k] * along);
        let slope = -gamma * r * r * h_sums[k] / pixels;
        parts[0][k] = (gamma * r) as f32;
        parts[1][k] = slope as f32;
        parts[2][k] = ((dm - gamma * r * b_sums[k]) / pixels - m * slope) as f32;
    }
    let parts = parts.map(|values| several(shape.pixels, values));
    combine::<FMA>(x, parts.each_ref().map(Vec::as_slice), dx);
}

/// The means of the channels, standardised among themselves.
struct Means {
    /// M.
    standard: Vec<f64>,
    /// S.
    rstd: f64,
}

impl Means {
    fn of(shape: &Shape, stats: &Statistics) -> Self {
        let count = shape.channels as f64;
        let mean = stats.exact.iter().sum::<f64>() / count;
        let squares = stats.exact.iter().map(|m| (m - mean).powi(2)).sum::<f64>();
        let rstd = 1.0 / (squares / (count - 1.0) + shape.epsilon).sqrt();
        let standard = stats.exact.iter().map(|m| (m - mean) * rstd).collect();
        Self { standard, rstd }
    }
}

/// `t` as `x scale + shift`, for [`several`] pixels.
fn affine(
    shape: &Shape,
    stats: &Statistics,
    means: &Means,
    parameters: &Parameters,
) -> (Vec<f32>, Vec<f32>) {
    let Parameters { gamma, alpha, beta } = *parameters;
    let scale: Vec<f32> = stats.rstd.iter().zip(gamma).map(|(r, g)| r * g).collect();
    let shift = (0..shape.channels).map(|k| {
        let [gamma, alpha, beta] = [gamma, alpha, beta].map(|values| f64::from(values[k]));
        let given_back = gamma * alpha * means.standard[k];
        (beta + given_back - stats.exact[k] * f64::from(scale[k])) as f32
    });
    let shift = shift.collect();
    (several(shape.pixels, scale), several(shape.pixels, shift))
}
