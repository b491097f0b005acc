//! What both directions are made of: products of the vectors of one head with a block of lanes.

use std::ops::Range;

use super::Shape;
use crate::sigmoid::exp;
use crate::tile::{Tap, gather, outer_rows};

/// Keys in one block: its scores fill a third of the first-level cache.
pub(super) const KEYS: usize = 512;

/// The vectors of one head of one image: token t's is `values[t * stride..][..width]`.
#[derive(Clone, Copy)]
pub(super) struct Vectors<'a> {
    values: &'a [f32],
    stride: usize,
    width: usize,
}

impl<'a> Vectors<'a> {
    /// Of one head of one image of `x` `[N, T, C]`.
    #[inline(always)]
    pub fn of(shape: &Shape, x: &'a [f32], image: usize, head: usize) -> Self {
        let (stride, width) = (shape.channels, shape.width());
        let each = shape.tokens * stride;
        Self {
            values: &x[image * each..][..each][head * width..],
            stride,
            width,
        }
    }

    /// `out[k, b] = factor x[first + b, k]`, `[d, lanes]`, zero in lanes beyond `count`.
    #[inline(always)]
    pub fn turn(&self, first: usize, count: usize, factor: f32, lanes: usize, out: &mut [f32]) {
        if count < lanes {
            out.fill(0.0);
        }
        // A few channels at a time: neither side runs out of the cache's sets.
        for (j, out) in out.chunks_mut(CHANNELS * lanes).enumerate() {
            for b in 0..count {
                let x = &self.values[(first + b) * self.stride + j * CHANNELS..];
                for (out, x) in out.chunks_exact_mut(lanes).zip(x) {
                    out[b] = factor * x;
                }
            }
        }
    }

    /// `out[j, b, k] = factor x[first + b, j block + k]`: blocks of channels, for `lanes` tokens
    /// of which `count` exist; zero beyond them and beyond the channels.
    pub fn cut(
        &self,
        first: usize,
        count: usize,
        factor: f32,
        [lanes, block]: [usize; 2],
        out: &mut [f32],
    ) {
        out.fill(0.0);
        for (j, out) in out.chunks_exact_mut(lanes * block).enumerate() {
            let channels = block.min(self.width - j * block);
            for (b, out) in out.chunks_exact_mut(block).take(count).enumerate() {
                let x = &self.values[(first + b) * self.stride + j * block..][..channels];
                out.iter_mut().zip(x).for_each(|(out, x)| *out = factor * x);
            }
        }
    }

    /// `out[r, b] = sum over k of x[first + r, k] lanes[k, b]`, R tokens at a time, then 4, then
    /// one.
    #[inline(always)]
    pub fn products<const R: usize, const B: usize, const FMA: bool>(
        &self,
        first: usize,
        lanes: &[[f32; B]],
        out: &mut [[f32; B]],
    ) {
        let (blocks, rest) = out.as_chunks_mut::<R>();
        let mut at = first;
        for out in blocks {
            self.product::<R, B, FMA>(at, lanes, out);
            at += R;
        }
        let (blocks, rest) = rest.as_chunks_mut::<4>();
        for out in blocks {
            self.product::<4, B, FMA>(at, lanes, out);
            at += 4;
        }
        for out in rest.as_chunks_mut::<1>().0 {
            self.product::<1, B, FMA>(at, lanes, out);
            at += 1;
        }
    }

    #[inline(always)]
    fn product<const R: usize, const B: usize, const FMA: bool>(
        &self,
        at: usize,
        lanes: &[[f32; B]],
        out: &mut [[f32; B]; R],
    ) {
        let corners = std::array::from_fn(|r| (at + r) * self.stride);
        let tap = Tap {
            offset: 0,
            len: self.width,
        };
        gather::<R, B, FMA>(self.values, corners, &[tap], lanes, out);
    }

    /// Adds `sum over p of x[first + p, k] lanes[p, b]` to `out[k, b]`, R channels at a time, then
    /// 4, then one.
    #[inline(always)]
    pub fn accumulate<const R: usize, const B: usize, const FMA: bool>(
        &self,
        first: usize,
        lanes: &[[f32; B]],
        out: &mut [[f32; B]],
    ) {
        let values = &self.values[first * self.stride..];
        let (blocks, rest) = out.as_chunks_mut::<R>();
        let mut at = 0;
        for out in blocks {
            outer_rows::<R, B, FMA>(&values[at..], self.stride, lanes, out);
            at += R;
        }
        let (blocks, rest) = rest.as_chunks_mut::<4>();
        for out in blocks {
            outer_rows::<4, B, FMA>(&values[at..], self.stride, lanes, out);
            at += 4;
        }
        for out in rest.as_chunks_mut::<1>().0 {
            outer_rows::<1, B, FMA>(&values[at..], self.stride, lanes, out);
            at += 1;
        }
    }
}

/// Channels that [`Vectors::turn`] and [`turn_back`] take at once.
const CHANNELS: usize = 16;

/// `out[b, head's k] = factor[b] x[k, b]`, `x` being `[d, lanes]` and `out` whole tokens.
#[inline(always)]
pub(super) fn turn_back(shape: &Shape, head: usize, x: &[f32], factor: &[f32], out: &mut [f32]) {
    let (width, lanes) = (shape.width(), factor.len());
    for (j, x) in x.chunks(CHANNELS * lanes).enumerate() {
        let tokens = out.chunks_exact_mut(shape.channels);
        for (b, (token, factor)) in tokens.zip(factor).enumerate() {
            let out = &mut token[head * width + j * CHANNELS..];
            for (out, x) in out.iter_mut().zip(x.chunks_exact(lanes)) {
                *out = factor * x[b];
            }
        }
    }
}

/// `e^t` for `t` that should not be positive; what is below -87 counts as -87, whose power is
/// nothing beside the 1 of a greatest score.
#[inline(always)]
pub(super) fn power<const FMA: bool>(t: f32) -> f32 {
    exp::<FMA>(t.clamp(-87.0, 87.0))
}

/// The tokens of an image, `step` at a time.
pub(super) fn spans(tokens: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..tokens)
        .step_by(step)
        .map(move |start| start..tokens.min(start + step))
}
