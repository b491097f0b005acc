//! The backward pass of an attention.

use rayon::prelude::*;

use super::block::spans;
use super::part::{Given, Part};
use super::{Shape, View};
use crate::error::{Result, check};
use crate::{Buffer, InstructionSet};

/// Parts that the queries of an image are cut into, at most: each holds sums for all keys.
const PARTS: usize = 8;

/// Queries in one part, at least.
const QUERIES: usize = 256;

/// The gradients of an attention, each `[N, T, C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// With respect to the queries.
    pub q: Buffer,
    /// With respect to the keys.
    pub k: Buffer,
    /// With respect to the values.
    pub v: Buffer,
}

/// The gradients, with `g` that of the output and `D_i = g_i . o_i`:
///
/// `ds_ij = p_ij (g_i . v_j - D_i)`, `dq_i = d^(-1/2) sum over j of ds_ij k_j`,
/// `dk_j = d^(-1/2) sum over i of ds_ij q_i`, `dv_j = sum over i of p_ij g_i`.
///
/// `p` is recomputed from the log-sum-exps that [`forward`](super::forward) returned. The queries
/// of an image are cut into parts that depend on T alone; each gives its `dq`, and sums of `dk`
/// and `dv` that are added in the order of the parts.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn backward(
    isa: InstructionSet,
    shape: &Shape,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    forward: View,
    g: &[f32],
) -> Result<Gradients> {
    let View { output, log_sums } = forward;
    let inputs: [(_, &[f32]); 5] = [
        ("query", q),
        ("key", k),
        ("value", v),
        ("output", output),
        ("output gradient", g),
    ];
    shape.check(&inputs)?;
    let Shape {
        images,
        tokens,
        channels,
        heads,
    } = *shape;
    check(
        "logarithm of sums",
        log_sums.len(),
        &[images, tokens, heads],
    )?;
    let [mut dq, mut dk, mut dv] = [q, k, v].map(|x| Buffer::take(x.len()));
    let image = tokens * channels;
    if dq.is_empty() {
        return Ok(Gradients {
            q: dq,
            k: dk,
            v: dv,
        });
    }

    let mut dots = Buffer::take(log_sums.len());
    dots.par_iter_mut()
        .zip(g.par_chunks(shape.width()))
        .zip(output.par_chunks(shape.width()))
        .with_min_len(1024)
        .for_each(|((dot, g), o)| *dot = inner(g, o));
    let given = Given {
        shape,
        q,
        k,
        v,
        g,
        log_sums,
        dots: &dots,
    };
    let share = tokens.div_ceil(PARTS).max(QUERIES);
    let gradients = dq
        .par_chunks_mut(image)
        .zip(dk.par_chunks_mut(image).zip(dv.par_chunks_mut(image)));
    gradients.enumerate().for_each(|(n, (dq, (dk, dv)))| {
        let part = Part::new(isa, &given, n);
        let sums = part.sums();
        let mut partial = Buffer::take(tokens.div_ceil(share) * sums);
        dq.par_chunks_mut(share * channels)
            .zip(partial.par_chunks_mut(sums))
            .zip(spans(tokens, share).collect::<Vec<_>>())
            .for_each(|((dq, sums), queries)| part.run(queries, dq, sums));
        let keys = dk
            .par_chunks_mut(channels)
            .zip(dv.par_chunks_mut(channels))
            .with_min_len(64);
        keys.enumerate()
            .for_each(|(key, (dk, dv))| part.collect(&partial, key, dk, dv));
    });
    Ok(Gradients {
        q: dq,
        k: dk,
        v: dv,
    })
}

/// `g . o`, several sums side by side.
fn inner(g: &[f32], o: &[f32]) -> f32 {
    let ((g, g_rest), (o, o_rest)) = (g.as_chunks::<16>(), o.as_chunks::<16>());
    let mut sums = [0.0; 16];
    for (g, o) in g.iter().zip(o) {
        for k in 0..16 {
            sums[k] += g[k] * o[k];
        }
    }
    let rest = g_rest.iter().zip(o_rest).map(|(g, o)| g * o);
    sums.into_iter().chain(rest).sum()
}
