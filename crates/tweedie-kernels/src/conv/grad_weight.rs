//! The gradients with respect to weight and bias.

use rayon::prelude::*;

use super::Shape;
use super::forward::{border, corners, taps};
use super::winograd::{self, Grid};
use crate::error::{Result, check};
use crate::instruction_set::by_instruction_set;
use crate::product::{SLACK, SPAN, Side, product};
use crate::{Buffer, InstructionSet};

/// `dw[o, c, u, v] = sum over n, i, j of dy[n, i, j, o] x[n, s i + u - top, s j + v - left, c]`,
/// `[O, I, K, L]`.
///
/// The batch is cut into parts that depend on the shape alone; each is summed by one thread, and
/// the parts are added in order.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn grad_weight(isa: InstructionSet, shape: &Shape, x: &[f32], dy: &[f32]) -> Result<Buffer> {
    let [oh, ow] = shape.output_size()?;
    let Shape {
        images,
        size: [h, w],
        inputs: c,
        outputs: o,
        kernel: [rows, columns],
        ..
    } = *shape;
    check("input", x.len(), &shape.input_dims())?;
    check("output gradient", dy.len(), &[images, oh, ow, o])?;
    let len = o * c * rows * columns;
    if len == 0 || x.is_empty() || dy.is_empty() {
        return Ok(Buffer::zeros(len));
    }
    let mut dw = Buffer::take(len);
    if winograd::pays(shape, [oh, ow]) {
        let grid = Grid::new(shape.size, shape.padding[0], [oh, ow]);
        winograd::grad_weight(isa, &grid, shape, x, dy, &mut dw);
        return Ok(dw);
    }

    let border = border(shape);
    let width = border.width();
    let taps = taps(shape, width);
    let corners: Vec<usize> = corners(shape, width, [oh, ow]).collect();
    let targets: Vec<usize> = (0..oh * ow).map(|p| p * o).collect();
    let depth = rows * columns * c;
    // All runs have one length. Sums are kept as [run, value, output], or as
    // [run, output, value] where the values fill the lanes of vectors better than the outputs.
    let run = taps[0].len;
    let lanes = |len: usize| len.next_multiple_of(isa.widest());
    let swapped = o * lanes(run) < run * lanes(o);

    let parts = (images * oh * ow).div_ceil(256).min(32).min(images);
    let share = images.div_ceil(parts);
    let parts = images.div_ceil(share);
    let mut partial = Buffer::take(parts * depth * o);
    let partial = &mut partial[..parts * depth * o];
    partial
        .par_chunks_mut(depth * o)
        .enumerate()
        .for_each(|(part, sums)| {
            sums.fill(0.0);
            let (image_x, image_dy) = (h * w * c, oh * ow * o);
            let mut padded = Buffer::take(border.len() + SLACK);
            let mut gradient = Buffer::take(image_dy + SLACK);
            for n in part * share..images.min((part + 1) * share) {
                border.fill(&x[n * image_x..][..image_x], &mut padded);
                let (start, slack) = gradient.split_at_mut(image_dy);
                start.copy_from_slice(&dy[n * image_dy..][..image_dy]);
                slack.fill(0.0);
                for span in (0..oh * ow).step_by(SPAN) {
                    let span = span..(oh * ow).min(span + SPAN);
                    let mut done = 0;
                    for tap in &taps {
                        let x = Side {
                            values: &padded[tap.offset..],
                            at: &corners[span.clone()],
                            len: tap.len,
                        };
                        let dy = Side {
                            values: &gradient,
                            at: &targets[span.clone()],
                            len: o,
                        };
                        let sums = &mut sums[done * o..][..tap.len * o];
                        if swapped {
                            product(isa, dy, x, sums);
                        } else {
                            product(isa, x, dy, sums);
                        }
                        done += tap.len;
                    }
                }
            }
        });

    let (total, others) = partial.split_at_mut(depth * o);
    total
        .par_chunks_mut(4096)
        .enumerate()
        .for_each(|(block, total)| {
            for other in others.chunks_exact(depth * o) {
                let other = &other[block * 4096..][..total.len()];
                total
                    .iter_mut()
                    .zip(other)
                    .for_each(|(sum, value)| *sum += value);
            }
        });
    let total = &*total;
    dw.par_chunks_mut(c * rows * columns)
        .enumerate()
        .for_each(|(output, dw)| {
            for (i, dw) in dw.chunks_exact_mut(rows * columns).enumerate() {
                for (t, dw) in dw.iter_mut().enumerate() {
                    let (start, value) = ((t * c + i) / run * run, (t * c + i) % run);
                    let within = if swapped {
                        output * run + value
                    } else {
                        value * o + output
                    };
                    *dw = total[start * o + within];
                }
            }
        });
    Ok(dw)
}

/// `db[n, o] = sum over i, j of dy[n, i, j, o]`: the gradient of a bias for each image, `[N, O]`;
/// its sum over images is that of a bias for all.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn grad_bias(isa: InstructionSet, shape: &Shape, dy: &[f32]) -> Result<Buffer> {
    let [oh, ow] = shape.output_size()?;
    let o = shape.outputs;
    check("output gradient", dy.len(), &[shape.images, oh, ow, o])?;
    let mut db = Buffer::zeros(shape.images * o);
    if db.is_empty() || dy.is_empty() {
        return Ok(db);
    }
    db.par_chunks_mut(o)
        .zip(dy.par_chunks(oh * ow * o))
        .for_each(|(db, dy)| sum_pixels(isa, dy, db));
    Ok(db)
}

by_instruction_set! {
    /// Adds every pixel of `dy` to `db`.
    fn sum_pixels(dy: &[f32], db: &mut [f32]) = sum_pixels_body, sum_pixels_body, sum_pixels_body
}

#[inline(always)]
fn sum_pixels_body(dy: &[f32], db: &mut [f32]) {
    let o = db.len();
    // Sums of short spans first: a long chain would lose precision.
    let mut sum = Buffer::<f32>::take(o);
    for span in dy.chunks(SPAN * o) {
        sum.fill(0.0);
        for pixel in span.chunks_exact(o) {
            for (sum, dy) in sum.iter_mut().zip(pixel) {
                *sum += dy;
            }
        }
        for (db, sum) in db.iter_mut().zip(sum.iter()) {
            *db += sum;
        }
    }
}
