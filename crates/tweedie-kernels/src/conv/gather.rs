//! One sum over taps for every pixel of a group of images.

use rayon::prelude::*;

use super::epilogue::Epilogue;
use crate::instruction_set::by_instruction_set;
use crate::tile::{Tap, gather};
use crate::{Buffer, InstructionSet};
use std::ops::Range;

/// Weights from which on threads share the packing.
const SHARED: usize = 1 << 15;

/// Where the pixels of one image read and write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixel {
    /// Index of the corner in the padded image.
    pub corner: usize,
    /// Index of the pixel in the output image.
    pub target: usize,
}

/// What to compute for every image: the same for all of a batch.
pub(crate) struct Plan<'a> {
    pub taps: &'a [Tap],
    pub pixels: &'a [Pixel],
    /// Values of a padded image.
    pub padded: usize,
    /// Pixels of an output image.
    pub targets: usize,
    /// Channels out.
    pub outputs: usize,
    pub weights: &'a Packed,
    pub epilogue: Epilogue<'a>,
}

/// Weights in blocks of `block` outputs, `[outputs / block, depth, block]`, zeros at the end.
pub(crate) struct Packed {
    values: Buffer,
    block: usize,
    depth: usize,
}

impl Packed {
    /// `weight(o, k)` is that of output `o` and the k-th value of the taps.
    pub fn new(
        isa: InstructionSet,
        outputs: usize,
        depth: usize,
        weight: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        Self::fill(isa, outputs, depth, |first, block, columns| {
            for (k, row) in columns.chunks_exact_mut(block).enumerate() {
                for (b, value) in row.iter_mut().enumerate() {
                    let o = first + b;
                    *value = if o < outputs { weight(o, k) } else { 0.0 };
                }
            }
        })
    }

    /// Of a matrix `[outputs, depth]`.
    pub fn of_rows(isa: InstructionSet, [outputs, depth]: [usize; 2], weight: &[f32]) -> Self {
        Self::fill(isa, outputs, depth, |first, block, columns| {
            let count = block.min(outputs - first);
            if count < block {
                columns.fill(0.0);
            }
            // A range of columns at a time, so that what is written stays in the cache.
            for start in (0..depth).step_by(CHUNK) {
                let rows = weight[first * depth..].chunks_exact(depth).take(count);
                for (b, row) in rows.enumerate() {
                    let row = &row[start..depth.min(start + CHUNK)];
                    let columns = columns[start * block..].chunks_exact_mut(block);
                    for (column, &w) in columns.zip(row) {
                        column[b] = w;
                    }
                }
            }
        })
    }

    /// Of a matrix `[depth, outputs]`.
    pub fn of_columns(isa: InstructionSet, [depth, outputs]: [usize; 2], weight: &[f32]) -> Self {
        Self::fill(isa, outputs, depth, |first, block, columns| {
            let count = block.min(outputs - first);
            let rows = weight.chunks_exact(outputs);
            for (column, row) in columns.chunks_exact_mut(block).zip(rows) {
                column[..count].copy_from_slice(&row[first..][..count]);
                column[count..].fill(0.0);
            }
        })
    }

    /// Calls `fill` with the first output of each block, the size of blocks and the block,
    /// `[depth, block]`.
    fn fill(
        isa: InstructionSet,
        outputs: usize,
        depth: usize,
        fill: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) -> Self {
        let block = block(isa, outputs);
        let mut values = Buffer::take(outputs.div_ceil(block) * block * depth);
        let columns = depth.max(1) * block;
        let fill = |(j, columns): (usize, &mut [f32])| fill(j * block, block, columns);
        if values.len() < SHARED {
            values.chunks_exact_mut(columns).enumerate().for_each(fill);
        } else {
            values
                .par_chunks_exact_mut(columns)
                .enumerate()
                .for_each(fill);
        }
        Self {
            values,
            block,
            depth,
        }
    }
}

/// Columns of weights packed together.
const CHUNK: usize = 64;

/// Outputs computed side by side: as many as the registers hold, fewer where few are asked for.
pub(super) fn block(isa: InstructionSet, outputs: usize) -> usize {
    match isa.widest() {
        _ if outputs <= 8 => 8,
        32 if (1..=16).contains(&(outputs % 32)) => 16,
        widest => widest,
    }
}

/// One block of outputs of a group of padded images.
struct Work<'a> {
    plan: &'a Plan<'a>,
    /// The padded images.
    x: &'a [f32],
    /// How many, and the number of the first in the batch.
    images: usize,
    first: usize,
    /// The pixels to compute of each, and where the first of them would be in `out`.
    pixels: &'a [Pixel],
    offset: usize,
    /// The block's weights, `[depth, block]`, and its first output.
    weights: &'a [f32],
    start: usize,
}

/// Which part of the output a task writes.
pub(crate) struct Part {
    /// The images, by number.
    pub images: Range<usize>,
    /// The pixels of each: all where there are several images.
    pub targets: Range<usize>,
}

/// Runs `plan` on the padded images `x` of `part`, into `out`.
pub(crate) fn run(isa: InstructionSet, plan: &Plan, part: &Part, x: &[f32], out: &mut [f32]) {
    // Pixels are in the order of their targets.
    let before = |target| plan.pixels.partition_point(|p| p.target < target);
    let pixels = &plan.pixels[before(part.targets.start)..before(part.targets.end)];
    if part.images.is_empty() || pixels.is_empty() {
        return;
    }
    let Packed {
        values,
        block,
        depth,
    } = plan.weights;
    for (j, start) in (0..plan.outputs).step_by(*block).enumerate() {
        let weights = &values[j * depth * block..][..depth * block];
        let work = Work {
            plan,
            x,
            images: part.images.len(),
            first: part.images.start,
            pixels,
            offset: part.targets.start,
            weights,
            start,
        };
        match block {
            32 => wide(isa, &work, out),
            16 => half(isa, &work, out),
            _ => narrow(isa, &work, out),
        }
    }
}

// Which of these an instruction set uses is up to `block`; the others only have to be right.
by_instruction_set! {
    fn wide(work: &Work, out: &mut [f32])
        = pixels::<4, 32, false>, pixels::<4, 32, true>, pixels::<8, 32, true>
}
by_instruction_set! {
    fn half(work: &Work, out: &mut [f32])
        = pixels::<4, 16, false>, pixels::<6, 16, true>, pixels::<12, 16, true>
}
by_instruction_set! {
    fn narrow(work: &Work, out: &mut [f32])
        = pixels::<4, 8, false>, pixels::<8, 8, true>, pixels::<12, 8, true>
}

/// Every pixel, R at a time, then 4, then one.
#[inline(always)]
fn pixels<const R: usize, const B: usize, const FMA: bool>(work: &Work, out: &mut [f32]) {
    let total = work.images * work.pixels.len();
    let mut at = 0;
    while at + R <= total {
        tile::<R, B, FMA>(work, at, out);
        at += R;
    }
    while at + 4 <= total {
        tile::<4, B, FMA>(work, at, out);
        at += 4;
    }
    while at < total {
        tile::<1, B, FMA>(work, at, out);
        at += 1;
    }
}

/// One block of outputs of R pixels.
#[inline(always)]
fn tile<const R: usize, const B: usize, const FMA: bool>(work: &Work, at: usize, out: &mut [f32]) {
    let Work {
        plan,
        x,
        first,
        pixels,
        offset,
        weights,
        start,
        ..
    } = *work;
    let o = plan.outputs;
    let places = places::<R>(pixels.len(), at);
    let corners = places.map(|[image, pixel]| image * plan.padded + pixels[pixel].corner);
    let mut sums = [[0.0; B]; R];
    gather::<R, B, FMA>(x, corners, plan.taps, weights.as_chunks().0, &mut sums);
    let count = B.min(o - start);
    for (sum, [image, pixel]) in sums.iter().zip(places) {
        let target = pixels[pixel].target;
        let y = &mut out[(image * plan.targets + target - offset) * o + start..][..count];
        let (image, pixel) = (first + image, (first + image) * plan.targets + target);
        plan.epilogue.write(image, pixel, start, &sum[..count], y);
    }
}

/// Image and pixel of the R pixels from `at`, counted through images of `each` pixels.
#[inline(always)]
fn places<const R: usize>(each: usize, at: usize) -> [[usize; 2]; R] {
    let (image, pixel) = (at / each, at % each);
    std::array::from_fn(|r| {
        let (mut image, mut pixel) = (image, pixel + r);
        while pixel >= each {
            (image, pixel) = (image + 1, pixel - each);
        }
        [image, pixel]
    })
}

/// Merges taps that follow one another in memory.
pub(crate) fn merge(taps: impl IntoIterator<Item = Tap>) -> Vec<Tap> {
    let mut merged: Vec<Tap> = Vec::new();
    for tap in taps {
        match merged.last_mut() {
            Some(last) if last.offset + last.len == tap.offset => last.len += tap.len,
            _ => merged.push(tap),
        }
    }
    merged
}

/// Images in one task: enough pixels to fill tiles, few enough that every thread has work.
/// The bits of a result do not depend on it.
pub(crate) fn group(images: usize, pixels: usize) -> usize {
    let share = images.div_ceil(4 * rayon::current_num_threads());
    (512 / pixels.max(1)).clamp(1, share.max(1))
}
