//! Activations between layers.

use crate::Activation;
use crate::instruction_set::by_instruction_set;

/// Values handled at once.
const LANES: usize = 16;

by_instruction_set! {
    /// `h <- f(h)`.
    pub(super) fn forward(f: Activation, h: &mut [f32])
        = forward_body::<false>, forward_body::<true>, forward_body::<true>
}

by_instruction_set! {
    /// `d <- d f'(t)`.
    pub(super) fn backward(f: Activation, t: &[f32], d: &mut [f32])
        = backward_body::<false>, backward_body::<true>, backward_body::<true>
}

#[inline(always)]
fn forward_body<const FMA: bool>(f: Activation, h: &mut [f32]) {
    let (h, rest) = h.as_chunks_mut::<LANES>();
    for h in h {
        *h = f.values::<LANES, FMA>(*h);
    }
    for h in rest {
        [*h] = f.values::<1, FMA>([*h]);
    }
}

#[inline(always)]
fn backward_body<const FMA: bool>(f: Activation, t: &[f32], d: &mut [f32]) {
    let (d, rest) = d.as_chunks_mut::<LANES>();
    let (t, t_rest) = t.as_chunks::<LANES>();
    for (d, t) in d.iter_mut().zip(t) {
        *d = f.back::<LANES, FMA>(*t, *d);
    }
    for (d, &t) in rest.iter_mut().zip(t_rest) {
        [*d] = f.back::<1, FMA>([t], [*d]);
    }
}
