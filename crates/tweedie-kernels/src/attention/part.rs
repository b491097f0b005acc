//! The gradients of some queries of one image, with queries as lanes.

use std::ops::Range;

use super::Shape;
use super::block::{Vectors, power, spans, turn_back};
use crate::level::by_level;
use crate::tile::{Tap, gather_add};
use crate::{Level, scratch};

/// Keys in one block of the backward pass.
const KEYS: usize = 128;

/// Blocks of lanes whose scores are kept for the sums over queries: those are the longer.
const BLOCKS: usize = 4;

/// What is known.
pub(super) struct Given<'a> {
    pub shape: &'a Shape,
    pub q: &'a [f32],
    pub k: &'a [f32],
    pub v: &'a [f32],
    /// The output's gradient.
    pub g: &'a [f32],
    /// `L`, `[N, T, heads]`.
    pub log_sums: &'a [f32],
    /// `D`, `[N, T, heads]`.
    pub dots: &'a [f32],
}

/// How the gradients of one image are computed.
pub(super) struct Part<'a> {
    level: Level,
    given: &'a Given<'a>,
    image: usize,
    /// Queries side by side.
    lanes: usize,
    /// Channels side by side in the sums over queries.
    block: usize,
}

impl<'a> Part<'a> {
    pub fn new(level: Level, given: &'a Given<'a>, image: usize) -> Self {
        let widest = level.widest();
        let half = 2 * given.shape.tokens <= widest && widest > 8;
        Self {
            level,
            given,
            image,
            lanes: if half { widest / 2 } else { widest },
            block: level.block(given.shape.width()),
        }
    }

    /// Sums of one head for `dk` or `dv`: `[d / block, T, block]`.
    fn head(&self) -> usize {
        self.wide() * self.given.shape.tokens
    }

    /// d, in whole blocks.
    fn wide(&self) -> usize {
        self.given.shape.width().next_multiple_of(self.block)
    }

    /// Sums of all heads for `dk` and `dv`, `[heads, 2, d / block, T, block]`.
    pub fn sums(&self) -> usize {
        2 * self.given.shape.heads * self.head()
    }

    /// `dq` of `queries` and what they add to `dk` and `dv`.
    pub fn run(&self, queries: Range<usize>, dq: &mut [f32], sums: &mut [f32]) {
        let Self {
            level,
            given,
            image,
            lanes,
            block,
        } = *self;
        let shape = given.shape;
        let (d, tokens, scale) = (shape.width(), shape.tokens, shape.scale());
        let keys = tokens.min(KEYS);
        sums.fill(0.0);
        // Of up to BLOCKS blocks each: queries and gradients of the output, with queries as
        // lanes and with channels as lanes; dq; p and ds.
        let [mut q, mut g, mut dq_lanes] = [d; 3].map(|d| scratch::take(BLOCKS * lanes * d));
        let [mut q_rows, mut g_rows] = [self.wide(); 2].map(|d| scratch::take(BLOCKS * lanes * d));
        let [mut p, mut ds] = [keys; 2].map(|keys| scratch::take(BLOCKS * lanes * keys));
        let mut rows = [0.0; 2 * 32];
        for (head, sums) in sums.chunks_exact_mut(2 * self.head()).enumerate() {
            let (dk, dv) = sums.split_at_mut(self.head());
            let of = |x| Vectors::of(shape, x, image, head);
            let (of_q, of_g) = (of(given.q), of(given.g));
            let together = spans(queries.len(), BLOCKS * lanes);
            for (dq, span) in dq.chunks_mut(BLOCKS * lanes * shape.channels).zip(together) {
                let (first, count) = (queries.start + span.start, span.len());
                let depth = count.next_multiple_of(lanes);
                let size = [depth, block];
                let (q_rows, g_rows) = (
                    &mut q_rows[..depth * self.wide()],
                    &mut g_rows[..depth * self.wide()],
                );
                of_q.cut(first, count, scale, size, q_rows);
                of_g.cut(first, count, 1.0, size, g_rows);
                for (b, lane) in spans(count, lanes).enumerate() {
                    let at = b * lanes * d..(b + 1) * lanes * d;
                    let (first, count) = (first + lane.start, lane.len());
                    of_q.turn(first, count, scale, lanes, &mut q[at.clone()]);
                    of_g.turn(first, count, 1.0, lanes, &mut g[at]);
                }
                dq_lanes[..depth * d].fill(0.0);
                for keys in spans(tokens, KEYS) {
                    let each = keys.len() * lanes;
                    for (b, lane) in spans(count, lanes).enumerate() {
                        let (log_sums, dots) = rows.split_at_mut(32);
                        for (k, token) in lane.clone().enumerate() {
                            let at = (image * tokens + first + token) * shape.heads + head;
                            (log_sums[k], dots[k]) = (given.log_sums[at], given.dots[at]);
                        }
                        let at = b * lanes * d..(b + 1) * lanes * d;
                        let work = Scores {
                            k: of(given.k),
                            v: of(given.v),
                            keys: keys.clone(),
                            q: &q[at.clone()],
                            g: &g[at.clone()],
                            log_sums,
                            dots,
                        };
                        let p = &mut p[b * each..][..each];
                        let ds = &mut ds[b * each..][..each];
                        match lanes {
                            32 => whole(level, &work, p, ds, &mut dq_lanes[at]),
                            16 if level.widest() == 16 => {
                                whole(level, &work, p, ds, &mut dq_lanes[at])
                            }
                            _ => half(level, &work, p, ds, &mut dq_lanes[at]),
                        }
                    }
                    for (x, weights, out) in [(&p, &*g_rows, &mut *dv), (&ds, &*q_rows, &mut *dk)] {
                        let spread = Spread {
                            x,
                            lanes,
                            weights,
                            depth,
                            keys: keys.clone(),
                            tokens,
                        };
                        match block {
                            32 => wide(level, &spread, out),
                            16 => medium(level, &spread, out),
                            _ => narrow(level, &spread, out),
                        }
                    }
                }
                for (b, dq) in dq.chunks_mut(lanes * shape.channels).enumerate() {
                    let x = &dq_lanes[b * lanes * d..][..lanes * d];
                    turn_back(shape, head, x, &[scale; 32][..lanes], dq);
                }
            }
        }
    }

    /// `dk` and `dv` of one key, all heads, from the sums of all parts.
    pub fn collect(&self, partial: &[f32], key: usize, dk: &mut [f32], dv: &mut [f32]) {
        let (d, tokens, block) = (
            self.given.shape.width(),
            self.given.shape.tokens,
            self.block,
        );
        for sums in partial.chunks_exact(self.sums()) {
            let heads = dk.chunks_exact_mut(d).zip(dv.chunks_exact_mut(d));
            for ((dk, dv), sums) in heads.zip(sums.chunks_exact(2 * self.head())) {
                let (for_k, for_v) = sums.split_at(self.head());
                for (out, sums) in [(dk, for_k), (dv, for_v)] {
                    let blocks = sums.chunks_exact(tokens * block);
                    for (out, sums) in out.chunks_mut(block).zip(blocks) {
                        let sums = &sums[key * block..];
                        out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
                    }
                }
            }
        }
    }
}

/// One block of queries and one of keys.
struct Scores<'a> {
    k: Vectors<'a>,
    v: Vectors<'a>,
    keys: Range<usize>,
    /// `[d, lanes]`.
    q: &'a [f32],
    g: &'a [f32],
    /// Of each lane.
    log_sums: &'a [f32],
    dots: &'a [f32],
}

by_level! {
    fn whole(work: &Scores, p: &mut [f32], ds: &mut [f32], dq: &mut [f32])
        = scores::<4, 8, false>, scores::<6, 16, true>, scores::<8, 32, true>
}
by_level! {
    fn half(work: &Scores, p: &mut [f32], ds: &mut [f32], dq: &mut [f32])
        = scores::<4, 8, false>, scores::<8, 8, true>, scores::<12, 16, true>
}

/// `p` and `ds`, `[keys, lanes]`, and what they add to `dq`, `[d, lanes]`.
#[inline(always)]
fn scores<const R: usize, const B: usize, const FMA: bool>(
    work: &Scores,
    p: &mut [f32],
    ds: &mut [f32],
    dq: &mut [f32],
) {
    let [p, ds, dq] = [p, ds, dq].map(|x| x.as_chunks_mut::<B>().0);
    let [q, g] = [work.q, work.g].map(|x| x.as_chunks::<B>().0);
    let [log_sums, dots] = [work.log_sums, work.dots].map(|x| x.first_chunk::<B>());
    let (Some(log_sums), Some(dots)) = (log_sums, dots) else {
        return;
    };
    let first = work.keys.start;
    work.k.products::<R, B, FMA>(first, q, p);
    work.v.products::<R, B, FMA>(first, g, ds);
    for (p, ds) in p.iter_mut().zip(ds.iter_mut()) {
        for b in 0..B {
            p[b] = power::<FMA>(p[b] - log_sums[b]);
            ds[b] = p[b] * (ds[b] - dots[b]);
        }
    }
    work.k.accumulate::<R, B, FMA>(first, ds, dq);
}

/// A sum over the queries of a few blocks of lanes.
struct Spread<'a> {
    /// `[depth / lanes, keys, lanes]`.
    x: &'a [f32],
    lanes: usize,
    /// `[d / block, depth, block]`.
    weights: &'a [f32],
    depth: usize,
    keys: Range<usize>,
    tokens: usize,
}

by_level! {
    fn wide(work: &Spread, out: &mut [f32])
        = spread::<4, 32, false>, spread::<4, 32, true>, spread::<8, 32, true>
}
by_level! {
    fn medium(work: &Spread, out: &mut [f32])
        = spread::<4, 16, false>, spread::<6, 16, true>, spread::<12, 16, true>
}
by_level! {
    fn narrow(work: &Spread, out: &mut [f32])
        = spread::<4, 8, false>, spread::<8, 8, true>, spread::<12, 8, true>
}

/// Adds `sum over i of x[i, key] weights[i, k]` to `out[key, k]`, `[d / block, T, block]`, R keys
/// at a time, then 4, then one.
#[inline(always)]
fn spread<const R: usize, const B: usize, const FMA: bool>(work: &Spread, out: &mut [f32]) {
    let each = work.keys.len() * work.lanes;
    let mut taps = [Tap { offset: 0, len: 0 }; BLOCKS];
    let taps = &mut taps[..work.depth / work.lanes];
    for (b, tap) in taps.iter_mut().enumerate() {
        *tap = Tap {
            offset: b * each,
            len: work.lanes,
        };
    }
    let blocks = out.chunks_exact_mut(work.tokens * B);
    for (out, weights) in blocks.zip(work.weights.chunks_exact(work.depth * B)) {
        let out = &mut out[work.keys.start * B..work.keys.end * B];
        let (out, weights) = (out.as_chunks_mut::<B>().0, weights.as_chunks().0);
        let corners = |at: usize| at * work.lanes;
        let (many, rest) = out.as_chunks_mut::<R>();
        let mut at = 0;
        for out in many {
            let corners = std::array::from_fn(|r| corners(at + r));
            gather_add::<R, B, FMA>(work.x, corners, taps, weights, out);
            at += R;
        }
        let (four, rest) = rest.as_chunks_mut::<4>();
        for out in four {
            let corners = std::array::from_fn(|r| corners(at + r));
            gather_add::<4, B, FMA>(work.x, corners, taps, weights, out);
            at += 4;
        }
        for out in rest.as_chunks_mut::<1>().0 {
            gather_add::<1, B, FMA>(work.x, [corners(at)], taps, weights, out);
            at += 1;
        }
    }
}
