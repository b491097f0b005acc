//! The gradients of some queries of one image, with queries as lanes.

use std::ops::Range;

use super::Shape;
use super::block::{Rows, Vectors, multiply, power, side, spans, turn_back};
use crate::simd::{Simd, by_simd};
use crate::{Buffer, InstructionSet};

/// Keys in one block of the backward pass.
const KEYS: usize = 128;

/// Blocks of lanes whose scores are kept for the sums over queries: those are the longer.
const BLOCKS: usize = 4;

/// Lanes of a block at most.
const MOST_LANES: usize = 32;

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
    isa: InstructionSet,
    given: &'a Given<'a>,
    image: usize,
    /// Queries side by side.
    lanes: usize,
    /// Channels side by side in the sums over queries.
    block: usize,
}

impl<'a> Part<'a> {
    pub fn new(isa: InstructionSet, given: &'a Given<'a>, image: usize) -> Self {
        Self {
            isa,
            given,
            image,
            lanes: side(isa, given.shape.tokens),
            block: side(isa, given.shape.width()),
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
        let few = BLOCKS * self.lanes;
        let mut buffers = Buffers::new(self);
        sums.fill(0.0);
        for (head, sums) in sums.chunks_exact_mut(2 * self.head()).enumerate() {
            let dq = dq.chunks_mut(few * self.given.shape.channels);
            for (dq, span) in dq.zip(spans(queries.len(), few)) {
                let queries = queries.start + span.start..queries.start + span.end;
                self.few(head, queries, &mut buffers, dq, sums);
            }
        }
    }

    /// The same for one head and a few blocks of lanes.
    fn few(
        &self,
        head: usize,
        queries: Range<usize>,
        buffers: &mut Buffers,
        dq: &mut [f32],
        sums: &mut [f32],
    ) {
        let Self { given, lanes, .. } = *self;
        let shape = given.shape;
        let (d, scale) = (shape.width(), shape.scale());
        let (first, count) = (queries.start, queries.len());
        let depth = count.next_multiple_of(lanes);
        for (x, factor, turned, cut) in [
            (given.q, scale, &mut buffers.q, &mut buffers.q_rows),
            (given.g, 1.0, &mut buffers.g, &mut buffers.g_rows),
        ] {
            let x = Vectors::of(shape, x, self.image, head);
            for (lane, out) in spans(count, lanes).zip(turned.chunks_exact_mut(lanes * d)) {
                x.turn(first + lane.start, lane.len(), factor, lanes, out);
            }
            let out = &mut cut[..depth * self.wide()];
            x.cut(first, count, factor, [depth, self.block], out);
        }
        buffers.dq.fill(0.0);
        for keys in spans(shape.tokens, KEYS) {
            self.scores(head, queries.clone(), keys.clone(), buffers);
            self.sum(depth, keys, buffers, sums);
        }
        let turned = buffers.dq.chunks_exact(lanes * d);
        for (x, dq) in turned.zip(dq.chunks_mut(lanes * shape.channels)) {
            turn_back(shape, head, x, &[scale; MOST_LANES][..lanes], dq);
        }
    }

    /// `p`, `ds` and what they add to `dq`, each block of lanes by itself.
    fn scores(
        &self,
        head: usize,
        queries: Range<usize>,
        keys: Range<usize>,
        buffers: &mut Buffers,
    ) {
        let Self {
            isa,
            given,
            image,
            lanes,
            ..
        } = *self;
        let shape = given.shape;
        let d = shape.width();
        let scores = if lanes == isa.widest() {
            whole_scores
        } else {
            half_scores
        };
        for (b, lane) in spans(queries.len(), lanes).enumerate() {
            let first = image * shape.tokens + queries.start;
            // Lanes without a query are sums times zero, which must not be infinite.
            let of = |values: &[f32]| -> [f32; MOST_LANES] {
                let value = |b: usize| values[(first + lane.start + b) * shape.heads + head];
                std::array::from_fn(|b| if b < lane.len() { value(b) } else { 0.0 })
            };
            let at = b * lanes * d..(b + 1) * lanes * d;
            let work = Scores {
                k: Vectors::of(shape, given.k, image, head),
                v: Vectors::of(shape, given.v, image, head),
                keys: [keys.start, keys.len()],
                q: &buffers.q[at.clone()],
                g: &buffers.g[at.clone()],
                log_sums: &of(given.log_sums),
                dots: &of(given.dots),
                pitch: queries.len().next_multiple_of(lanes),
            };
            let (p, ds) = (&mut buffers.p[b * lanes..], &mut buffers.ds[b * lanes..]);
            scores(isa, &work, p, ds, &mut buffers.dq[at]);
        }
    }

    /// What `p` and `ds` of `depth` lanes add to `dv` and `dk`.
    fn sum(&self, depth: usize, keys: Range<usize>, buffers: &Buffers, sums: &mut [f32]) {
        let Self { isa, block, .. } = *self;
        let multiply = if block == isa.widest() {
            whole_sums
        } else {
            half_sums
        };
        let (dk, dv) = sums.split_at_mut(self.head());
        for (x, weights, out) in [
            (&buffers.p, &buffers.g_rows, dv),
            (&buffers.ds, &buffers.q_rows, dk),
        ] {
            let rows = Rows {
                values: x,
                pitch: depth,
                depth,
                count: keys.len(),
            };
            let blocks = out.chunks_exact_mut(self.given.shape.tokens * block);
            for (out, weights) in blocks.zip(weights.chunks_exact(depth * block)) {
                multiply(isa, rows, weights, &mut out[keys.start * block..]);
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
        dk.fill(0.0);
        dv.fill(0.0);
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

/// Of a few blocks of queries and one head.
struct Buffers {
    /// Queries and gradients of the output, `[d, lanes]` for each block of lanes.
    q: Buffer,
    g: Buffer,
    /// The same, `[queries, block]` for each block of channels.
    q_rows: Buffer,
    g_rows: Buffer,
    /// As `q`.
    dq: Buffer,
    /// `[keys, queries]`.
    p: Buffer,
    ds: Buffer,
}

impl Buffers {
    fn new(part: &Part) -> Self {
        let shape = part.given.shape;
        let of = |rows: usize| Buffer::take(BLOCKS * part.lanes * rows);
        let (d, keys) = (shape.width(), shape.tokens.min(KEYS));
        Self {
            q: of(d),
            g: of(d),
            q_rows: of(part.wide()),
            g_rows: of(part.wide()),
            dq: of(d),
            p: of(keys),
            ds: of(keys),
        }
    }
}

/// One block of queries and one of keys.
struct Scores<'a> {
    k: Vectors<'a>,
    v: Vectors<'a>,
    /// The first, and how many.
    keys: [usize; 2],
    /// `[d, lanes]`.
    q: &'a [f32],
    g: &'a [f32],
    /// Of each lane.
    log_sums: &'a [f32; MOST_LANES],
    dots: &'a [f32; MOST_LANES],
    /// From a key's scores to the next one's.
    pitch: usize,
}

by_simd! {
    fn whole_scores(work: &Scores, p: &mut [f32], ds: &mut [f32], dq: &mut [f32])
        = scores::<_, 4, 1, 8, false>, scores::<_, 6, 2, 16, true>, scores::<_, 12, 2, 32, true>
}
by_simd! {
    fn half_scores(work: &Scores, p: &mut [f32], ds: &mut [f32], dq: &mut [f32])
        = scores::<_, 4, 1, 8, false>, scores::<_, 8, 1, 8, true>, scores::<_, 12, 1, 16, true>
}

/// `p` and `ds`, `[keys, lanes]`, of B lanes, N vectors, and what they add to `dq`, `[d, lanes]`.
#[inline(always)]
fn scores<S: Simd, const R: usize, const N: usize, const B: usize, const FMA: bool>(
    s: S,
    work: &Scores,
    p: &mut [f32],
    ds: &mut [f32],
    dq: &mut [f32],
) {
    let Scores { keys, pitch, .. } = *work;
    work.k.products::<S, R, N>(s, keys, work.q, p, pitch);
    work.v.products::<S, R, N>(s, keys, work.g, ds, pitch);
    let [log_sums, dots] = [work.log_sums, work.dots].map(|x| x.first_chunk::<B>());
    let (Some(log_sums), Some(dots)) = (log_sums, dots) else {
        return;
    };
    let rows = p.chunks_mut(pitch).zip(ds.chunks_mut(pitch));
    for (p, ds) in rows.take(keys[1]) {
        let (p, ds) = (&mut p[..B], &mut ds[..B]);
        for b in 0..B {
            p[b] = power::<FMA>(p[b] - log_sums[b]);
            ds[b] = p[b] * (ds[b] - dots[b]);
        }
    }
    work.k
        .accumulate::<S, R, N>(s, keys, (ds, pitch), &[1.0; B], dq);
}

by_simd! {
    /// Adds the products of `rows` and `weights` to `out`.
    fn whole_sums(rows: Rows, weights: &[f32], out: &mut [f32])
        = sums::<_, 4, 1>, sums::<_, 6, 2>, sums::<_, 12, 2>
}
by_simd! {
    /// The same, of half as many lanes.
    fn half_sums(rows: Rows, weights: &[f32], out: &mut [f32])
        = sums::<_, 4, 1>, sums::<_, 8, 1>, sums::<_, 12, 1>
}

#[inline(always)]
fn sums<S: Simd, const R: usize, const N: usize>(
    s: S,
    rows: Rows,
    weights: &[f32],
    out: &mut [f32],
) {
    multiply::<S, R, N, true>(s, rows, weights, out, N * S::LANES);
}
