//! The gradient with respect to the input.

use super::Shape;
use super::epilogue::Epilogue;
use super::forward::each_part;
use super::gather::{Packed, Pixel, Plan, merge};
use super::pad::Border;
use super::winograd::{self, Direction, Grid, Transformed};
use crate::error::{Result, check};
use crate::tile::Tap;
use crate::{Buffer, InstructionSet};

/// `dx[n, y, x, c] = sum over u, v, o of w[o, c, u, v] dy[n, (y + top - u) / s, (x + left - v) / s, o]`,
/// over the `u`, `v` for which both divisions are exact and the pixel exists.
///
/// Pixels with the same remainders `(y + top) mod s`, `(x + left) mod s` meet the same kernel
/// positions, so each of the `s^2` classes is a convolution of `dy`, of stride 1, with a part of
/// the flipped kernel. No product is spent on the zeros that a transposed convolution would
/// insert.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn grad_input(
    isa: InstructionSet,
    shape: &Shape,
    weight: &[f32],
    dy: &[f32],
) -> Result<Buffer> {
    let [oh, ow] = shape.output_size()?;
    let Shape {
        images,
        size: [h, w],
        inputs: c,
        outputs: o,
        kernel,
        stride,
        padding,
    } = *shape;
    check("weight", weight.len(), &shape.weight_dims())?;
    check("output gradient", dy.len(), &[images, oh, ow, o])?;
    let len = images * h * w * c;
    if len == 0 || dy.is_empty() {
        return Ok(Buffer::zeros(len));
    }
    if winograd::pays(shape, [h, w]) {
        let mut dx = Buffer::take(len);
        let weights = Transformed::new(isa, shape, Direction::Back, weight);
        let grid = Grid::new(
            [oh, ow],
            [0, 1].map(|axis| kernel[axis] - 1 - padding[0][axis]),
            [h, w],
        );
        let nothing = Epilogue::none(c);
        winograd::forward(isa, &grid, images, &weights, dy, &nothing, &mut dx);
        return Ok(dx);
    }

    let before = [0, 1].map(|axis| (kernel[axis] - 1 - padding[0][axis]).div_ceil(stride));
    let after = [0, 1].map(|axis| {
        let last = (shape.size[axis] - 1 + padding[0][axis]) / stride;
        last.saturating_sub([oh, ow][axis] - 1)
    });
    let border = Border {
        size: [oh, ow],
        channels: o,
        before,
        after,
    };
    let width = border.width();

    // A class without taps (stride beyond the kernel) keeps its zeros.
    let mut dx = if kernel.iter().any(|&k| stride > k) {
        Buffer::zeros(len)
    } else {
        Buffer::take(len)
    };
    let classes: Vec<Class> = (0..stride * stride)
        .map(|class| Class::new(shape, [class / stride, class % stride], before, width))
        .filter(|class| !class.taps.is_empty() && !class.pixels.is_empty())
        .collect();
    let packed: Vec<Packed> = classes
        .iter()
        .map(|class| {
            Packed::new(isa, c, class.positions.len() * o, |i, k| {
                let [u, v] = class.positions[k / o];
                weight[shape.weight_index(k % o, i, u, v)]
            })
        })
        .collect();
    let plans: Vec<Plan> = classes
        .iter()
        .zip(&packed)
        .map(|(class, weights)| Plan {
            taps: &class.taps,
            pixels: &class.pixels,
            padded: border.len(),
            targets: h * w,
            outputs: c,
            weights,
            epilogue: Epilogue::none(c),
        })
        .collect();
    each_part(isa, &plans, &border, dy, &mut dx);
    Ok(dx)
}

/// The pixels of one pair of remainders, and the kernel positions that they meet.
struct Class {
    /// Kernel positions `(u, v)`, in the order in which `dy` lies in memory.
    positions: Vec<[usize; 2]>,
    taps: Vec<Tap>,
    pixels: Vec<Pixel>,
}

impl Class {
    fn new(shape: &Shape, rest: [usize; 2], before: [usize; 2], width: usize) -> Self {
        let Shape {
            size: [h, w],
            outputs: o,
            kernel,
            stride,
            padding,
            ..
        } = *shape;
        // Positions rest, rest + s, ... below the kernel on each axis.
        let counts = [0, 1].map(|axis| kernel[axis].saturating_sub(rest[axis]).div_ceil(stride));
        let steps =
            |rest: usize, count: usize| (0..count).map(move |t| rest + stride * (count - 1 - t));
        let positions: Vec<[usize; 2]> = steps(rest[0], counts[0])
            .flat_map(|u| steps(rest[1], counts[1]).map(move |v| [u, v]))
            .collect();
        let taps = merge((0..counts[0] * counts[1]).map(|t| Tap {
            offset: (t / counts[1] * width + t % counts[1]) * o,
            len: o,
        }));
        // The padded row of the first tap; `positions` being empty, nothing is read there.
        let corner = |i: usize, axis: usize| {
            (i + padding[0][axis] - rest[axis]) / stride + before[axis] + 1 - counts[axis].max(1)
        };
        let belongs = |i: usize, axis: usize| (i + padding[0][axis]) % stride == rest[axis];
        let pixels = (0..h)
            .filter(|&y| belongs(y, 0))
            .flat_map(|y| (0..w).filter(|&x| belongs(x, 1)).map(move |x| [y, x]))
            .map(|[y, x]| Pixel {
                corner: (corner(y, 0) * width + corner(x, 1)) * o,
                target: y * w + x,
            })
            .collect();
        Self {
            positions,
            taps,
            pixels,
        }
    }
}
