//! The convolution, tile by tile.

use std::ops::Range;

use rayon::prelude::*;

use super::tiles::{Grid, pitch, transform_input};
use super::transform::{Output, both};
use super::weights::Transformed;
use super::{IN, OUT, XI};
use crate::conv::epilogue::Epilogue;
use crate::simd::{Simd, by_simd};
use crate::tile::matrix;
use crate::{Buffer, InstructionSet};

/// Tiles whose transforms are in the L2 cache together.
const TILES: usize = 24;

/// Convolves the images `x` with `weights`; `out` has the right length and is overwritten.
pub(in crate::conv) fn forward(
    isa: InstructionSet,
    grid: &Grid,
    images: usize,
    weights: &Transformed,
    x: &[f32],
    epilogue: &Epilogue,
    out: &mut [f32],
) {
    let outputs = weights.channels[1];
    let bands = images * grid.bands;
    // Whole bands to a task.
    let each = (TILES / grid.across).max(1);
    let mut tasks = Vec::with_capacity(bands.div_ceil(each));
    let mut rest = out;
    for first in (0..bands).step_by(each) {
        let last = bands.min(first + each);
        let (part, after) = rest.split_at_mut(grid.pixels(first..last) * outputs);
        rest = after;
        tasks.push((first..last, part));
    }
    tasks.into_par_iter().for_each(|(bands, out)| {
        let task = Task {
            grid,
            weights,
            epilogue,
            start: grid.pixels(0..bands.start),
        };
        let tiles = bands.start * grid.across..bands.end * grid.across;
        let rows = tiles.len().min(TILES);
        let depth = weights.depth;
        let mut v = Buffer::take(XI * pitch(rows, depth));
        let mut m = Buffer::take(XI * pitch(rows, weights.block));
        let mut first = tiles.start;
        while first < tiles.end {
            let some = first..tiles.end.min(first + TILES);
            first = some.end;
            transform(
                isa,
                grid,
                weights.channels[0],
                x,
                some.clone(),
                pitch(rows, depth),
                &mut v,
            );
            for j in 0..outputs.div_ceil(weights.block) {
                let block = Block {
                    task: &task,
                    tiles: some.clone(),
                    rows,
                    j,
                };
                match weights.block {
                    32 => wide(isa, &block, &v, &mut m, out),
                    16 => half(isa, &block, &v, &mut m, out),
                    _ => narrow(isa, &block, &v, &mut m, out),
                }
            }
        }
    });
}

struct Task<'a> {
    grid: &'a Grid,
    weights: &'a Transformed,
    epilogue: &'a Epilogue<'a>,
    /// The output's first pixel, counted through the images.
    start: usize,
}

/// One block of outputs of some tiles.
struct Block<'a> {
    task: &'a Task<'a>,
    tiles: Range<usize>,
    /// Tiles that the buffers have room for.
    rows: usize,
    j: usize,
}

by_simd! {
    fn transform(grid: &Grid, channels: usize, x: &[f32], tiles: Range<usize>, pitch: usize, v: &mut [f32])
        = transform_input, transform_input, transform_input
}

// Which of these an instruction set uses is up to the weights' block; the others only have to be
// right.
by_simd! {
    fn wide(block: &Block, v: &[f32], m: &mut [f32], out: &mut [f32])
        = products::<_, 4, 2>, products::<_, 6, 2>, products::<_, 12, 2>
}
by_simd! {
    fn half(block: &Block, v: &[f32], m: &mut [f32], out: &mut [f32])
        = products::<_, 4, 2>, products::<_, 6, 2>, products::<_, 16, 1>
}
by_simd! {
    fn narrow(block: &Block, v: &[f32], m: &mut [f32], out: &mut [f32])
        = products::<_, 4, 1>, products::<_, 8, 1>, products::<_, 16, 1>
}

/// `M[xi] = V[xi] U[xi]`, R rows of N vectors at a time, then `A^T M A`.
#[inline(always)]
fn products<S: Simd, const R: usize, const N: usize>(
    s: S,
    block: &Block,
    v: &[f32],
    m: &mut [f32],
    out: &mut [f32],
) {
    let weights = block.task.weights;
    let (depth, width) = (weights.depth, weights.block);
    let tiles = block.tiles.len();
    let [of_v, of_m] = [depth, width].map(|depth| pitch(block.rows, depth));
    let all = &weights.values[block.j * XI * depth * width..][..XI * depth * width];
    for xi in 0..XI {
        let u = &all[xi * depth * width..][..depth * width];
        let v = &v[xi * of_v..][..tiles * depth];
        let m = &mut m[xi * of_m..][..tiles * width];
        let mut t = 0;
        while t + R <= tiles {
            rows::<S, R, N>(s, &v[t * depth..], depth, u, &mut m[t * width..]);
            t += R;
        }
        while t + 4 <= tiles {
            rows::<S, 4, N>(s, &v[t * depth..], depth, u, &mut m[t * width..]);
            t += 4;
        }
        while t < tiles {
            rows::<S, 1, N>(s, &v[t * depth..], depth, u, &mut m[t * width..]);
            t += 1;
        }
    }
    for t in 0..tiles {
        finish(s, block, t, of_m, m, out);
    }
}

#[inline(always)]
fn rows<S: Simd, const R: usize, const N: usize>(
    s: S,
    v: &[f32],
    depth: usize,
    u: &[f32],
    m: &mut [f32],
) {
    let sums = matrix::<S, R, N>(s, v, depth, depth, u);
    let m = &mut m[..R * N * S::LANES];
    for r in 0..R {
        for n in 0..N {
            s.store(sums[r][n], &mut m[(r * N + n) * S::LANES..]);
        }
    }
}

/// The 4x4 outputs of tile `t`.
#[inline(always)]
fn finish<S: Simd>(s: S, block: &Block, t: usize, pitch: usize, m: &[f32], out: &mut [f32]) {
    let Task {
        grid,
        weights,
        epilogue,
        start,
    } = *block.task;
    let tile = grid.tile(block.tiles.start + t);
    let (width, outputs) = (weights.block, weights.channels[1]);
    let [h, w] = grid.output;
    for b in (0..width).step_by(S::LANES) {
        let channel = block.j * width + b;
        if channel >= outputs {
            break;
        }
        let m = &m[t * width + b..][..(XI - 1) * pitch + S::LANES];
        let mut products = [[s.splat(0.0); IN]; IN];
        for u in 0..IN {
            for k in 0..IN {
                products[u][k] = s.load(&m[(u * IN + k) * pitch..]);
            }
        }
        let y = both::<Output, S, IN, OUT>(s, products);
        for u in 0..OUT {
            for k in 0..OUT {
                let (row, column) = (tile.row + u, tile.column + k);
                if row < h && column < w {
                    let pixel = (tile.image * h + row) * w + column;
                    let y = epilogue.vector(s, tile.image, pixel, channel, y[u][k]);
                    let out = &mut out[(pixel - start) * outputs..][..outputs];
                    s.store_some(y, &mut out[channel..]);
                }
            }
        }
    }
}
