//! The convolution itself.

use rayon::prelude::*;

use super::Shape;
use super::gather::{Packed, Pixel, Plan, group, merge, run};
use super::pad::Border;
use crate::error::{Result, check};
use crate::tile::Tap;
use crate::{Level, scratch};

/// `y[n, i, j, o] = b[n, o] + sum over u, v, c of w[o, c, u, v] x[n, s i + u - top, s j + v - left, c]`,
/// `[N, H', W', O]`.
///
/// `bias` is `[O]` for all images or `[N, O]` for each.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn forward(
    level: Level,
    shape: &Shape,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
) -> Result<Vec<f32>> {
    let [oh, ow] = shape.output_size()?;
    let Shape {
        images,
        inputs: c,
        outputs: o,
        kernel,
        ..
    } = *shape;
    check("input", x.len(), &shape.input_dims())?;
    check("weight", weight.len(), &shape.weight_dims())?;
    if bias.len() != o {
        check("bias", bias.len(), &[images, o])?;
    }
    let mut out = vec![0.0; images * oh * ow * o];
    if out.is_empty() {
        return Ok(out);
    }

    let border = border(shape);
    let width = border.width();
    let taps = taps(shape, width);
    let pixels: Vec<Pixel> = corners(shape, width, [oh, ow])
        .enumerate()
        .map(|(target, corner)| Pixel { corner, target })
        .collect();
    // Depth runs over (u, v, i), as the taps do.
    let weights = Packed::new(level, o, kernel * kernel * c, |o, k| {
        weight[shape.weight_index(o, k % c, k / c / kernel, k / c % kernel)]
    });
    let plan = Plan {
        taps: &taps,
        pixels: &pixels,
        padded: border.len(),
        targets: oh * ow,
        outputs: o,
        weights: &weights,
        bias,
    };
    each_group(level, &[plan], &border, x, &mut out);
    Ok(out)
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
    let (k, c) = (shape.kernel, shape.inputs);
    merge((0..k * k).map(|t| Tap {
        offset: (t / k * width + t % k) * c,
        len: c,
    }))
}

/// Runs `plans` on every image of `x`, groups of images in parallel.
pub(super) fn each_group(
    level: Level,
    plans: &[Plan],
    border: &Border,
    x: &[f32],
    out: &mut [f32],
) {
    let Some(Plan {
        targets, outputs, ..
    }) = plans.first()
    else {
        return;
    };
    let (image_in, image_out) = (
        border.size[0] * border.size[1] * border.channels,
        targets * outputs,
    );
    let at_once = group(out.len() / image_out, *targets);
    out.par_chunks_mut(at_once * image_out)
        .enumerate()
        .for_each(|(g, out)| {
            let (first, images) = (g * at_once, out.len() / image_out);
            let x = &x[first * image_in..][..images * image_in];
            if border.len() == image_in {
                plans
                    .iter()
                    .for_each(|plan| run(level, plan, first, x, out));
            } else {
                let mut padded = scratch::take(images * border.len());
                border.fill(x, &mut padded);
                plans
                    .iter()
                    .for_each(|plan| run(level, plan, first, &padded, out));
            }
        });
}
