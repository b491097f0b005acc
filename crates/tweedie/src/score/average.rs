//! Averages over points under weights that fall with the distance, in one pass.
//!
//! The largest weight is not known before the last point is seen, so sums are kept relative to
//! the largest so far and scaled down when a larger one comes (the online softmax of Milakov and
//! Gimelshein 2018). Points come in blocks, each read once for all rows of the batch; a row's
//! memory does not grow with the number of points. Blocks start at fixed points, so a row's
//! result depends neither on the other rows nor on the threads.

use rayon::prelude::*;

use super::points::{Points, read};
use super::rows::squared_distance;
use crate::error::Result;
use crate::random::rows_a_task;

/// The weights of points by their squared distance.
pub(super) trait Weigh {
    /// What weights are relative to where the nearest point lies at squared distance `nearest`.
    fn peak(&self, nearest: f64) -> f64;

    /// The factor from weights relative to the peak at `from` to those relative to that at `to`,
    /// which is nearer; 0 for an infinite `from`.
    fn decay(&self, from: f64, to: f64) -> f64;

    /// The weight of a point, and its factor in the sum.
    fn weigh(&self, distance: f64, peak: f64) -> (f64, f64);
}

/// What is known of a row's weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    /// The squared distance of the nearest point.
    pub(super) nearest: f64,
    /// The sum of all weights, relative to the peak.
    pub(super) total: f64,
    /// The sum of all factors, relative to the peak.
    pub(super) factors: f64,
}

/// Values in a block of points: they and the distances fit a core's second-level cache.
const BLOCK: usize = 1 << 15;

/// Points in a block.
pub(super) fn block(dim: usize) -> usize {
    BLOCK.div_ceil(dim + 1)
}

/// Writes sum_i f_i `term`(x, x_i)/sum_i w_i to the rows of `out`, `[n, dim]` as `x`, by blocks
/// of `block` points; `weigh` gives the weights of a row, and `term` adds f_i times the row's
/// term to what it is given.
pub(super) fn average<P: Points, W: Weigh>(
    points: &P,
    block: usize,
    x: &[f64],
    out: &mut [f64],
    weigh: impl Fn(usize) -> W + Sync,
    term: impl Fn(usize, &[f64], &[f64], f64, &mut [f64]) + Sync,
) -> Result<Vec<Sums>> {
    let dim = points.dim();
    let start = Sums {
        nearest: f64::INFINITY,
        total: 0.0,
        factors: 0.0,
    };
    let mut sums = vec![start; x.len() / dim];
    out.fill(0.0);
    each_block(points, block, x, |block| {
        out.par_chunks_exact_mut(dim)
            .zip(x.par_chunks_exact(dim))
            .zip(&mut sums)
            .enumerate()
            .with_min_len(rows_a_task(2 * block.len()))
            .for_each_init(
                || vec![0.0; block.len() / dim],
                |distances, (row, ((out, x), sums))| {
                    let weigh = weigh(row);
                    for (distance, point) in distances.iter_mut().zip(block.chunks_exact(dim)) {
                        *distance = squared_distance(x, point);
                    }
                    let nearest = distances.iter().copied().fold(sums.nearest, f64::min);
                    if nearest < sums.nearest {
                        let decay = weigh.decay(sums.nearest, nearest);
                        sums.nearest = nearest;
                        sums.total *= decay;
                        sums.factors *= decay;
                        out.iter_mut().for_each(|out| *out *= decay);
                    }
                    let peak = weigh.peak(nearest);
                    for (&distance, point) in distances.iter().zip(block.chunks_exact(dim)) {
                        let (weight, factor) = weigh.weigh(distance, peak);
                        // At small sigma nearly all weights underflow; NaN must get through.
                        if weight != 0.0 {
                            sums.total += weight;
                            sums.factors += factor;
                            term(row, x, point, factor, out);
                        }
                    }
                },
            );
    })?;
    for (out, sums) in out.chunks_exact_mut(dim).zip(&sums) {
        out.iter_mut().for_each(|out| *out /= sums.total);
    }
    Ok(sums)
}

/// Calls `visit` with every row's number, its values, each point and its squared distance, for
/// the row's part of `out`: for sums under weights that are known.
pub(super) fn each_point<P: Points>(
    points: &P,
    block: usize,
    x: &[f64],
    out: &mut [f64],
    visit: impl Fn(usize, &[f64], &[f64], f64, &mut [f64]) + Sync,
) -> Result<()> {
    let dim = points.dim();
    let width = out.len() / (x.len() / dim).max(1);
    out.fill(0.0);
    each_block(points, block, x, |block| {
        out.par_chunks_exact_mut(width)
            .zip(x.par_chunks_exact(dim))
            .enumerate()
            .with_min_len(rows_a_task(3 * block.len()))
            .for_each(|(row, (out, x))| {
                for point in block.chunks_exact(dim) {
                    visit(row, x, point, squared_distance(x, point), out);
                }
            });
    })
}

/// Hands the points to `take` block by block, unless there are no rows `x` to see them.
fn each_block<P: Points>(
    points: &P,
    block: usize,
    x: &[f64],
    mut take: impl FnMut(&[f64]),
) -> Result<()> {
    if x.is_empty() {
        return Ok(());
    }
    let (count, mut buffer) = (points.count(), Vec::new());
    for first in (0..count).step_by(block) {
        let range = first..(first + block).min(count);
        take(read(points, range, &mut buffer)?);
    }
    Ok(())
}
