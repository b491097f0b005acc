//! Building blocks of the forward and the backward pass: products of one head's vectors with a
//! block of lanes.

use std::ops::Range;

use super::Shape;
use crate::InstructionSet;
use crate::sigmoid::exp;
use crate::simd::Simd;
use crate::tile::{matrix, transposed};

/// Keys in one block: its scores fill a third of the L1 cache.
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

    /// `out[r, b] = sum over k of x[first + r, k] lanes[k, b]` for `count` tokens, rows of `out`
    /// being `pitch` apart.
    #[inline(always)]
    pub fn products<S: Simd, const R: usize, const N: usize>(
        &self,
        s: S,
        [first, count]: [usize; 2],
        lanes: &[f32],
        out: &mut [f32],
        pitch: usize,
    ) {
        let rows = Rows {
            values: &self.values[first * self.stride..],
            pitch: self.stride,
            depth: self.width,
            count,
        };
        multiply::<S, R, N, false>(s, rows, lanes, out, pitch);
    }

    /// `out[k, b] = out[k, b] fade[b] + sum over p of x[first + p, k] lanes[p, b]` for `count`
    /// tokens, rows of `lanes` being `pitch` apart; R channels at a time, then fewer.
    #[inline(always)]
    pub fn accumulate<S: Simd, const R: usize, const N: usize>(
        &self,
        s: S,
        [first, count]: [usize; 2],
        (lanes, pitch): (&[f32], usize),
        fade: &[f32],
        out: &mut [f32],
    ) {
        let side = N * S::LANES;
        let values = &self.values[first * self.stride..];
        let pitches = [self.stride, pitch];
        let mut at = 0;
        while at + R <= self.width {
            let (x, out) = (&values[at..], &mut out[at * side..]);
            add::<S, R, N>(s, x, lanes, pitches, count, fade, out);
            at += R;
        }
        while R > 8 && at + 8 <= self.width {
            let (x, out) = (&values[at..], &mut out[at * side..]);
            add::<S, 8, N>(s, x, lanes, pitches, count, fade, out);
            at += 8;
        }
        while at + 4 <= self.width {
            let (x, out) = (&values[at..], &mut out[at * side..]);
            add::<S, 4, N>(s, x, lanes, pitches, count, fade, out);
            at += 4;
        }
        while at < self.width {
            let (x, out) = (&values[at..], &mut out[at * side..]);
            add::<S, 1, N>(s, x, lanes, pitches, count, fade, out);
            at += 1;
        }
    }
}

#[inline(always)]
fn add<S: Simd, const R: usize, const N: usize>(
    s: S,
    x: &[f32],
    lanes: &[f32],
    pitches: [usize; 2],
    count: usize,
    fade: &[f32],
    out: &mut [f32],
) {
    let fade: [S::V; N] = std::array::from_fn(|n| s.load(&fade[n * S::LANES..]));
    let mut sums = [[s.splat(0.0); N]; R];
    for r in 0..R {
        for n in 0..N {
            let before = s.load(&out[(r * N + n) * S::LANES..]);
            sums[r][n] = s.mul(before, fade[n]);
        }
    }
    let sums = transposed::<S, R, N>(s, x, lanes, pitches, count, sums);
    for r in 0..R {
        for n in 0..N {
            s.store(sums[r][n], &mut out[(r * N + n) * S::LANES..]);
        }
    }
}

/// Rows of a matrix, `pitch` apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub values: &'a [f32],
    pub pitch: usize,
    pub depth: usize,
    pub count: usize,
}

/// The product of `rows` and `lanes`, `[depth, lanes]`, written to rows of `out` that are `pitch`
/// apart or, if `ADD`, added to them; R rows at a time, then
/// fewer.
#[inline(always)]
pub(super) fn multiply<S: Simd, const R: usize, const N: usize, const ADD: bool>(
    s: S,
    rows: Rows,
    lanes: &[f32],
    out: &mut [f32],
    pitch: usize,
) {
    let mut at = 0;
    while at + R <= rows.count {
        product::<S, R, N, ADD>(s, rows, at, lanes, &mut out[at * pitch..], pitch);
        at += R;
    }
    while R > 8 && at + 8 <= rows.count {
        product::<S, 8, N, ADD>(s, rows, at, lanes, &mut out[at * pitch..], pitch);
        at += 8;
    }
    while at + 4 <= rows.count {
        product::<S, 4, N, ADD>(s, rows, at, lanes, &mut out[at * pitch..], pitch);
        at += 4;
    }
    while at < rows.count {
        product::<S, 1, N, ADD>(s, rows, at, lanes, &mut out[at * pitch..], pitch);
        at += 1;
    }
}

#[inline(always)]
fn product<S: Simd, const R: usize, const N: usize, const ADD: bool>(
    s: S,
    rows: Rows,
    at: usize,
    lanes: &[f32],
    out: &mut [f32],
    pitch: usize,
) {
    let x = &rows.values[at * rows.pitch..];
    let mut sums = matrix::<S, R, N>(s, x, rows.pitch, rows.depth, lanes);
    for (r, sums) in sums.iter_mut().enumerate() {
        let out = &mut out[r * pitch..][..N * S::LANES];
        for (n, sum) in sums.iter_mut().enumerate() {
            let out = &mut out[n * S::LANES..];
            if ADD {
                *sum = s.add(s.load(out), *sum);
            }
            s.store(*sum, out);
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

/// `e^t` for `t <= 0`; values below -87 are clamped to -87, whose exponential is negligible beside
/// the 1 of the maximum score.
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

/// Lanes for `n` things side by side: as many as the registers hold, or half as many where those
/// hold what is left over.
pub(super) fn side(isa: InstructionSet, n: usize) -> usize {
    let widest = isa.widest();
    let half = (widest / 2).max(8);
    if (1..=half).contains(&(n % widest)) {
        half
    } else {
        widest
    }
}
