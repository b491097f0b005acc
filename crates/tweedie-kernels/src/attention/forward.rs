//! The forward pass of an attention.

use rayon::prelude::*;

use super::Shape;
use super::block::{KEYS, Vectors, power, side, spans, turn_back};
use crate::error::Result;
use crate::simd::{Simd, by_simd};
use crate::{Buffer, InstructionSet};

/// The results of an attention's forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// `o`, `[N, T, C]`.
    pub output: Buffer,
    /// `L`, `[N, T, heads]`: the log-sum-exps, from which the backward pass recomputes `p`.
    pub log_sums: Buffer,
}

impl Forward {
    /// What the gradient asks for.
    pub fn view(&self) -> View<'_> {
        View {
            output: &self.output,
            log_sums: &self.log_sums,
        }
    }
}

/// A [`Forward`] in memory of any kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View<'a> {
    /// `o`, `[N, T, C]`.
    pub output: &'a [f32],
    /// `L`, `[N, T, heads]`.
    pub log_sums: &'a [f32],
}

/// The output and the log-sum-exps of the softmax.
///
/// Blocks of keys are processed in turn with the running maximum of the scores, `m`, subtracted;
/// where a block raises it to `m'`, the sum and the output so far are multiplied by `e^(m - m')`.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn forward(
    isa: InstructionSet,
    shape: &Shape,
    q: &[f32],
    k: &[f32],
    v: &[f32],
) -> Result<Forward> {
    shape.check(&[("query", q), ("key", k), ("value", v)])?;
    let mut output = Buffer::take(q.len());
    let mut log_sums = Buffer::take(shape.images * shape.tokens * shape.heads);
    if output.is_empty() {
        return Ok(Forward { output, log_sums });
    }
    let results = blocks(isa, shape, shape.channels, &mut output)
        .into_par_iter()
        .zip(blocks(isa, shape, shape.heads, &mut log_sums));
    results
        .zip(places(isa, shape))
        .with_min_len(together(isa, shape))
        .for_each_init(
            || Buffers::new(isa, shape),
            |buffers, ((output, log_sums), place)| {
                let work = Work {
                    shape,
                    q,
                    k,
                    v,
                    place,
                };
                if side(isa, log_sums.len() / shape.heads) < isa.widest() {
                    half(isa, &work, buffers, output, log_sums);
                } else {
                    whole(isa, &work, buffers, output, log_sums);
                }
            },
        );
    Ok(Forward { output, log_sums })
}

/// A block of lanes of one image.
#[derive(Clone, Copy, Debug)]
struct Place {
    image: usize,
    /// Its first token.
    first: usize,
}

/// The blocks of lanes of all images, in order: one for each chunk of `lanes` tokens.
fn places(isa: InstructionSet, shape: &Shape) -> Vec<Place> {
    let each = (0..shape.tokens).step_by(isa.widest());
    (0..shape.images)
        .flat_map(|image| each.clone().map(move |first| Place { image, first }))
        .collect()
}

/// Cuts `[N, T, row]` at the same places.
fn blocks<'a>(
    isa: InstructionSet,
    shape: &Shape,
    row: usize,
    values: &'a mut [f32],
) -> Vec<&'a mut [f32]> {
    values
        .chunks_mut(shape.tokens * row)
        .flat_map(|image| image.chunks_mut(isa.widest() * row))
        .collect()
}

/// Blocks in one task: enough work that handing it out costs nothing.
fn together(isa: InstructionSet, shape: &Shape) -> usize {
    (1 << 18) / (shape.tokens * shape.channels * isa.widest()) + 1
}

/// One block of queries.
struct Work<'a> {
    shape: &'a Shape,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    place: Place,
}

struct Buffers {
    /// Queries, `[d, lanes]`.
    q: Buffer,
    /// Outputs, `[d, lanes]`.
    o: Buffer,
    /// Scores, then their exponentials, `[keys, lanes]`.
    p: Buffer,
}

impl Buffers {
    fn new(isa: InstructionSet, shape: &Shape) -> Self {
        let (d, keys) = (shape.width(), shape.tokens.min(KEYS));
        let of = |rows: usize| Buffer::take(rows * isa.widest());
        Self {
            q: of(d),
            o: of(d),
            p: of(keys),
        }
    }
}

by_simd! {
    fn whole(work: &Work, buffers: &mut Buffers, output: &mut [f32], log_sums: &mut [f32])
        = queries::<_, 4, 1, 8, false>, queries::<_, 6, 2, 16, true>, queries::<_, 12, 2, 32, true>
}
by_simd! {
    fn half(work: &Work, buffers: &mut Buffers, output: &mut [f32], log_sums: &mut [f32])
        = queries::<_, 4, 1, 8, false>, queries::<_, 8, 1, 8, true>, queries::<_, 12, 1, 16, true>
}

/// One block of B queries, N vectors, a head after the other.
#[inline(always)]
fn queries<S: Simd, const R: usize, const N: usize, const B: usize, const FMA: bool>(
    s: S,
    work: &Work,
    buffers: &mut Buffers,
    output: &mut [f32],
    log_sums: &mut [f32],
) {
    let Work {
        shape,
        place: Place { image, first },
        ..
    } = *work;
    let (d, heads) = (shape.width(), shape.heads);
    let count = log_sums.len() / heads;
    let (lanes, o) = (&mut buffers.q[..d * B], &mut buffers.o[..d * B]);
    for head in 0..heads {
        let [q, k, v] = [work.q, work.k, work.v].map(|x| Vectors::of(shape, x, image, head));
        q.turn(first, count, shape.scale(), B, lanes);
        o.fill(0.0);
        let (mut top, mut total) = ([f32::MIN; B], [0.0; B]);
        for span in spans(shape.tokens, KEYS) {
            let p = &mut buffers.p[..span.len() * B];
            let keys = [span.start, span.len()];
            k.products::<S, R, N>(s, keys, lanes, p, B);
            let scores = p.as_chunks_mut::<B>().0;
            let above = greatest(scores, top);
            let fade: [f32; B] = std::array::from_fn(|b| power::<FMA>(top[b] - above[b]));
            let sums = powers::<B, FMA>(scores, &above);
            for b in 0..B {
                total[b] = total[b] * fade[b] + sums[b];
            }
            v.accumulate::<S, R, N>(s, keys, (p, B), &fade, o);
            top = above;
        }
        turn_back(shape, head, o, &total.map(|sum| 1.0 / sum), output);
        for (b, token) in log_sums.chunks_exact_mut(heads).enumerate() {
            token[head] = top[b] + total[b].ln();
        }
    }
}

/// The maximum score of each lane, at least `least`.
///
/// Several rows side by side: one maximum after the other would wait.
#[inline(always)]
fn greatest<const B: usize>(scores: &[[f32; B]], least: [f32; B]) -> [f32; B] {
    let mut top = [least; 4];
    let (blocks, rest) = scores.as_chunks::<4>();
    for rows in blocks {
        for (top, row) in top.iter_mut().zip(rows) {
            larger(top, row);
        }
    }
    let [mut all, others @ ..] = top;
    others
        .iter()
        .chain(rest)
        .for_each(|row| larger(&mut all, row));
    all
}

#[inline(always)]
fn larger<const B: usize>(top: &mut [f32; B], row: &[f32; B]) {
    for b in 0..B {
        top[b] = if row[b] > top[b] { row[b] } else { top[b] };
    }
}

/// Replaces every score by `e^(s - top)` and returns the sum of each lane.
#[inline(always)]
fn powers<const B: usize, const FMA: bool>(scores: &mut [[f32; B]], top: &[f32; B]) -> [f32; B] {
    let mut sums = [0.0; B];
    for row in scores {
        for b in 0..B {
            row[b] = power::<FMA>(row[b] - top[b]);
            sums[b] += row[b];
        }
    }
    sums
}
