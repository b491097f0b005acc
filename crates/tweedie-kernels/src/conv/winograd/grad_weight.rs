//! The gradient with respect to the weights.
//!
//! `dU[xi] = sum over tiles of V[xi]^T Z[xi]`, `dg = G^T dU G`. Some tiles at a time are
//! transformed by all threads together, then each thread adds their products to its own xi.

use std::ops::Range;

use rayon::prelude::*;

use super::tiles::{Grid, pitch, transform_gradient, transform_input};
use super::transform::{WeightBack, both};
use super::weights::LANES;
use super::{IN, XI};
use crate::conv::Shape;
use crate::simd::{Simd, by_simd};
use crate::tile::transposed;
use crate::{Buffer, InstructionSet};

/// Values of `V` and `Z` that are kept at a time: they stay in the L3 cache.
const KEPT: usize = 1 << 19;

/// Tiles that one task transforms.
const SHARE: usize = 16;

/// `dw` `[O, I, 3, 3]`, overwritten.
pub(in crate::conv) fn grad_weight(
    isa: InstructionSet,
    grid: &Grid,
    shape: &Shape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
) {
    let [inputs, outputs] = [shape.inputs, shape.outputs];
    let [of_x, of_dy] = [inputs, outputs].map(|c| c.next_multiple_of(LANES));
    let tiles = shape.images * grid.bands * grid.across;
    // Independent of the number of threads: the order of the sums depends on it.
    let at_once = (KEPT / (XI * (of_x + of_dy))).clamp(SHARE, 1024);
    let at_once = at_once.min(tiles).next_multiple_of(SHARE);
    let [slot_x, slot_dy] = [of_x, of_dy].map(|c| XI * pitch(SHARE, c));
    let slots = at_once / SHARE;
    let mut v = Buffer::take(slots * slot_x);
    let mut z = Buffer::take(slots * slot_dy);
    let mut sums = Buffer::zeros(XI * of_x * of_dy);

    for first in (0..tiles).step_by(at_once) {
        let some = first..tiles.min(first + at_once);
        let used = some.len().div_ceil(SHARE);
        v[..used * slot_x]
            .par_chunks_mut(slot_x)
            .zip(z[..used * slot_dy].par_chunks_mut(slot_dy))
            .enumerate()
            .for_each(|(slot, (v, z))| {
                let first = some.start + slot * SHARE;
                let tiles = first..some.end.min(first + SHARE);
                transform(isa, grid, [inputs, outputs], x, dy, tiles, v, z);
            });
        sums.par_chunks_mut(of_x * of_dy)
            .enumerate()
            .for_each(|(xi, sums)| {
                let product = Product {
                    v: &v,
                    z: &z,
                    xi,
                    tiles: some.len(),
                    depths: [of_x, of_dy],
                    slots: [slot_x, slot_dy],
                };
                add(isa, &product, sums);
            });
    }
    dw.par_chunks_mut(LANES * inputs * 9)
        .enumerate()
        .for_each(|(block, dw)| back(isa, &sums, [of_x, of_dy], block * LANES, inputs, dw));
}

by_simd! {
    fn transform(grid: &Grid, channels: [usize; 2], x: &[f32], dy: &[f32], tiles: Range<usize>, v: &mut [f32], z: &mut [f32])
        = transform_body, transform_body, transform_body
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn transform_body<S: Simd>(
    s: S,
    grid: &Grid,
    [inputs, outputs]: [usize; 2],
    x: &[f32],
    dy: &[f32],
    tiles: Range<usize>,
    v: &mut [f32],
    z: &mut [f32],
) {
    let apart = |channels: usize| pitch(SHARE, channels.next_multiple_of(LANES));
    transform_input(s, grid, inputs, x, tiles.clone(), apart(inputs), v);
    transform_gradient(s, grid, outputs, dy, tiles, apart(outputs), z);
}

/// The matrix product of one xi.
struct Product<'a> {
    v: &'a [f32],
    z: &'a [f32],
    xi: usize,
    tiles: usize,
    depths: [usize; 2],
    slots: [usize; 2],
}

by_simd! {
    /// Adds `V[xi]^T Z[xi]` to `sums` `[I, O]`.
    fn add(product: &Product, sums: &mut [f32])
        = add_body::<_, 4, 1>, add_body::<_, 4, 2>, add_body::<_, 8, 2>
}

#[inline(always)]
fn add_body<S: Simd, const R: usize, const N: usize>(s: S, product: &Product, sums: &mut [f32]) {
    let [of_x, of_dy] = product.depths;
    // Depths are multiples of 16: of R always, of N vectors but for a last half.
    for o in (0..of_dy).step_by(N * S::LANES) {
        for i in (0..of_x).step_by(R) {
            let sums = &mut sums[i * of_dy + o..];
            if o + N * S::LANES <= of_dy {
                tile::<S, R, N>(s, product, [i, o], sums);
            } else {
                tile::<S, R, 1>(s, product, [i, o], sums);
            }
        }
    }
}

/// R by N vectors of the product, added to memory once all tiles are summed.
#[inline(always)]
fn tile<S: Simd, const R: usize, const N: usize>(
    s: S,
    product: &Product,
    [i, o]: [usize; 2],
    sums: &mut [f32],
) {
    let Product {
        v,
        z,
        xi,
        tiles,
        depths,
        slots,
    } = *product;
    let mut products = [[s.splat(0.0); N]; R];
    for slot in 0..tiles.div_ceil(SHARE) {
        let count = SHARE.min(tiles - slot * SHARE);
        let v = &v[slot * slots[0] + xi * pitch(SHARE, depths[0]) + i..];
        let z = &z[slot * slots[1] + xi * pitch(SHARE, depths[1]) + o..];
        products = transposed::<S, R, N>(s, v, z, depths, count, products);
    }
    let pitch = depths[1];
    let sums = &mut sums[..(R - 1) * pitch + N * S::LANES];
    for r in 0..R {
        for n in 0..N {
            let at = &mut sums[r * pitch + n * S::LANES..];
            s.store(s.add(s.load(at), products[r][n]), at);
        }
    }
}

by_simd! {
    /// `G^T dU G` of some outputs from `first` on.
    fn back(sums: &[f32], depths: [usize; 2], first: usize, inputs: usize, dw: &mut [f32])
        = back_body, back_body, back_body
}

#[inline(always)]
fn back_body<S: Simd>(
    s: S,
    sums: &[f32],
    [of_x, of_dy]: [usize; 2],
    first: usize,
    inputs: usize,
    dw: &mut [f32],
) {
    let each = inputs * 9;
    let outputs = dw.len() / each;
    for o in (0..outputs).step_by(S::LANES) {
        let dw = &mut dw[o * each..];
        for i in 0..inputs {
            let mut u = [[s.splat(0.0); IN]; IN];
            for xi in 0..XI {
                u[xi / IN][xi % IN] = s.load(&sums[(xi * of_x + i) * of_dy + first + o..]);
            }
            let g = both::<WeightBack, S, IN, 3>(s, u);
            for t in 0..9 {
                let mut lanes = [0.0; LANES];
                s.store(g[t / 3][t % 3], &mut lanes);
                let places = dw[i * 9 + t..].iter_mut().step_by(each);
                places
                    .zip(&lanes[..S::LANES])
                    .for_each(|(dw, &lane)| *dw = lane);
            }
        }
    }
}
