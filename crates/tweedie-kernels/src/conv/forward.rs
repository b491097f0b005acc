//! The forward pass of a convolution.

use std::ops::Range;

use rayon::prelude::*;

use super::Shape;
use super::epilogue::Epilogue;
use super::gather::{Packed, Part, Pixel, Plan, group, merge, run};
use super::pad::Border;
use super::weights::{Form, Weights};
use super::winograd::{self, Grid};
use crate::error::Result;
use crate::tile::Tap;
use crate::{Buffer, InstructionSet};

/// `y[n, i, j, o] = b[n, o] + sum over u, v, c of w[o, c, u, v] x[n, s i + u - top, s j + v - left, c]`,
/// `[N, H', W', O]`.
///
/// `weight` is `[O, I, K, L]`, `bias` `[O]` for all images or `[N, O]` for each.
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
    forward_with(
        shape,
        x,
        &Weights::new(isa, shape, weight)?,
        bias,
        None,
        false,
    )
}

/// The same with weights that were laid out in advance, plus `residual`, as long as the output;
/// of all that, if `rectify`, the ReLU.
///
/// # Errors
/// When a length does not fit `shape`, or the weights were laid out for another.
pub fn forward_with(
    shape: &Shape,
    x: &[f32],
    weights: &Weights,
    bias: &[f32],
    residual: Option<&[f32]>,
    rectify: bool,
) -> Result<Buffer> {
    let residual_len = residual.map(<[f32]>::len);
    let dims = shape.output_dims(weights.fit(shape), x.len(), bias.len(), residual_len)?;
    let [_, oh, ow, o] = dims;
    let output = [oh, ow];
    let mut out = Buffer::take(dims.iter().product());
    if out.is_empty() {
        return Ok(out);
    }
    let epilogue = Epilogue {
        outputs: o,
        bias,
        residual: residual.unwrap_or(&[]),
        rectify,
    };
    match &weights.form {
        Form::Winograd(weights, isa) => {
            let grid = Grid::new(shape.size, shape.padding[0], output);
            winograd::forward(*isa, &grid, shape.images, weights, x, &epilogue, &mut out);
        }
        Form::Direct(packed, isa) => {
            let border = border(shape);
            let width = border.width();
            let taps = taps(shape, width);
            let pixels: Vec<Pixel> = corners(shape, width, output)
                .enumerate()
                .map(|(target, corner)| Pixel { corner, target })
                .collect();
            let plan = Plan {
                taps: &taps,
                pixels: &pixels,
                padded: border.len(),
                targets: output[0] * output[1],
                outputs: o,
                weights: packed,
                epilogue,
            };
            each_part(*isa, &[plan], &border, x, &mut out);
        }
    }
    Ok(out)
}

/// The weights of the sum over taps; depth runs over (u, v, i), as the taps do.
pub(super) fn pack(isa: InstructionSet, shape: &Shape, weight: &[f32]) -> Packed {
    let (c, [rows, columns]) = (shape.inputs, shape.kernel);
    Packed::new(isa, shape.outputs, rows * columns * c, |o, k| {
        weight[shape.weight_index(o, k % c, k / c / columns, k / c % columns)]
    })
}

/// The border that a forward pass reads.
pub(super) fn border(shape: &Shape) -> Border {
    Border {
        size: shape.size,
        channels: shape.inputs,
        before: shape.padding[0],
        after: shape.padding[1],
    }
}

/// Where the window of each output pixel begins in a padded image of `width` pixels a row.
pub(super) fn corners(
    shape: &Shape,
    width: usize,
    [oh, ow]: [usize; 2],
) -> impl Iterator<Item = usize> {
    let step = shape.stride * shape.inputs;
    (0..oh * ow).map(move |p| (p / ow * width + p % ow) * step)
}

/// The kernel's positions in a padded image, row by row.
pub(super) fn taps(shape: &Shape, width: usize) -> Vec<Tap> {
    let ([rows, columns], c) = (shape.kernel, shape.inputs);
    merge((0..rows * columns).map(|t| Tap {
        offset: (t / columns * width + t % columns) * c,
        len: c,
    }))
}

/// Runs `plans` on every image of `x`: groups of images in parallel, or, of few images, parts
/// of each.
pub(super) fn each_part(
    isa: InstructionSet,
    plans: &[Plan],
    border: &Border,
    x: &[f32],
    out: &mut [f32],
) {
    let Some(&Plan {
        targets, outputs, ..
    }) = plans.first()
    else {
        return;
    };
    let image_in = border.size[0] * border.size[1] * border.channels;
    let image_out = targets * outputs;
    let images = out.len() / image_out;
    let work = |part: Part, x: &[f32], out: &mut [f32]| {
        plans.iter().for_each(|plan| run(isa, plan, &part, x, out));
    };
    // The padded images `range`, or the images themselves where there is no border.
    let padded = |range: Range<usize>| {
        let x = &x[range.start * image_in..range.end * image_in];
        (border.len() != image_in).then(|| {
            let mut padded = Buffer::take(range.len() * border.len());
            border.fill(x, &mut padded);
            padded
        })
    };
    let threads = rayon::current_num_threads();
    if images >= 2 * threads {
        let at_once = group(images, targets);
        out.par_chunks_mut(at_once * image_out)
            .enumerate()
            .for_each(|(g, out)| {
                let first = g * at_once;
                let images = first..first + out.len() / image_out;
                let plain = &x[images.start * image_in..images.end * image_in];
                let padded = padded(images.clone());
                let targets = 0..targets;
                work(
                    Part { images, targets },
                    padded.as_deref().unwrap_or(plain),
                    out,
                );
            });
        return;
    }
    for (n, out) in out.chunks_mut(image_out).enumerate() {
        let plain = &x[n * image_in..][..image_in];
        let padded = padded(n..n + 1);
        let x = padded.as_deref().unwrap_or(plain);
        let share = targets.div_ceil(4 * threads).max(PART);
        out.par_chunks_mut(share * outputs)
            .enumerate()
            .for_each(|(i, out)| {
                let targets = i * share..i * share + out.len() / outputs;
                let images = n..n + 1;
                work(Part { images, targets }, x, out);
            });
    }
}

/// Pixels worth a task of their own.
const PART: usize = 48;
