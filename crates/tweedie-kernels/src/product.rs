//! Products of two matrices with the first transposed: sums over many rows, as gradients of
//! weights are.

use crate::instruction_set::by_instruction_set;
use crate::tile::outer;

/// Values beyond the last row that a tile may read, for sums that nobody keeps.
pub(crate) const SLACK: usize = 32;

/// Rows between two additions to memory: their values fit in the L1 cache, and short
/// chains of sums lose less precision.
pub(crate) const SPAN: usize = 64;

/// One factor: `len` values at each of the places `at`, and something to read behind them.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub values: &'a [f32],
    pub at: &'a [usize],
    pub len: usize,
}

by_instruction_set! {
    /// Adds `sum over p of rows[p, r] lanes[p, b]` to `out[r, b]`.
    pub(crate) fn product(rows: Side, lanes: Side, out: &mut [f32])
        = tiles::<4, 8, false>, tiles::<6, 16, true>, tiles::<12, 32, true>
}

/// R rows at a time, or 4.
#[inline(always)]
fn tiles<const R: usize, const B: usize, const FMA: bool>(
    rows: Side,
    lanes: Side,
    out: &mut [f32],
) {
    for b in (0..lanes.len).step_by(B) {
        let mut r = 0;
        while r < rows.len {
            if rows.len - r > 4 {
                add::<R, B, FMA>(rows, lanes, [r, b], out);
                r += R;
            } else {
                add::<4, B, FMA>(rows, lanes, [r, b], out);
                r += 4;
            }
        }
    }
}

/// One tile; sums beyond the end of a side are meaningless and dropped.
#[inline(always)]
fn add<const R: usize, const B: usize, const FMA: bool>(
    rows: Side,
    lanes: Side,
    [r0, b0]: [usize; 2],
    out: &mut [f32],
) {
    let mut sums = [[0.0; B]; R];
    outer::<R, B, FMA>(
        &rows.values[r0..],
        rows.at,
        &lanes.values[b0..],
        lanes.at,
        &mut sums,
    );
    let out = out.chunks_exact_mut(lanes.len).skip(r0);
    for (out, sums) in out.zip(&sums) {
        out[b0..]
            .iter_mut()
            .zip(sums)
            .for_each(|(out, sum)| *out += sum);
    }
}
