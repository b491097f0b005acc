//! The two register-blocked kernels: R x B sums held in vector registers while the depth
//! streams past. `B` is a whole number of vectors, and the compiler turns the loops over it
//! into vector instructions.
//!
//! The sums are kept in an array of their own and copied out at the end, in unrolled loops: an
//! array that anyone indexes by a variable stays in memory, at twice the time.

use crate::level::mul_add;

/// A run of the input, relative to a pixel's corner, that meets consecutive rows of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tap {
    pub offset: usize,
    pub len: usize,
}

/// `sum over taps t and k < t.len of x[corner[r] + t.offset + k] w[t, k, b]` for R corners.
///
/// The order of the sum depends on the taps alone, not on R: a pixel's result has the same bits
/// in whatever company it is computed.
#[inline(always)]
pub(crate) fn gather<const R: usize, const B: usize, const FMA: bool>(
    x: &[f32],
    corners: [usize; R],
    taps: &[Tap],
    weights: &[[f32; B]],
    out: &mut [[f32; B]; R],
) {
    *out = [[0.0; B]; R];
    gather_add::<R, B, FMA>(x, corners, taps, weights, out);
}

/// The same sum, continued from what `out` holds.
#[inline(always)]
pub(crate) fn gather_add<const R: usize, const B: usize, const FMA: bool>(
    x: &[f32],
    corners: [usize; R],
    taps: &[Tap],
    mut weights: &[[f32; B]],
    out: &mut [[f32; B]; R],
) {
    let mut sums = *out;
    for &Tap { offset, len } in taps {
        let runs: [&[f32]; R] = std::array::from_fn(|r| &x[corners[r] + offset..][..len]);
        let now = &weights[..len];
        weights = &weights[len..];
        // One counter below one known length: no checks are left in the loop.
        for k in 0..len {
            let w = now[k];
            for r in 0..R {
                let a = runs[r][k];
                for b in 0..B {
                    sums[r][b] = mul_add::<FMA>(a, w[b], sums[r][b]);
                }
            }
        }
    }
    *out = sums;
}

/// `sum over p of rows[row_at[p] + r] lanes[lane_at[p] + b]`: a product of two matrices with the
/// first transposed.
#[inline(always)]
pub(crate) fn outer<const R: usize, const B: usize, const FMA: bool>(
    rows: &[f32],
    row_at: &[usize],
    lanes: &[f32],
    lane_at: &[usize],
    out: &mut [[f32; B]; R],
) {
    let mut sums = [[0.0; B]; R];
    for (&i, &j) in row_at.iter().zip(lane_at) {
        let (row, lane) = (&rows[i..][..R], &lanes[j..][..B]);
        for r in 0..R {
            for b in 0..B {
                sums[r][b] = mul_add::<FMA>(row[r], lane[b], sums[r][b]);
            }
        }
    }
    *out = sums;
}

/// Adds `sum over p of rows[p stride + r] lanes[p, b]` to `out`: [`outer`] where both sides lie
/// evenly.
#[inline(always)]
pub(crate) fn outer_rows<const R: usize, const B: usize, const FMA: bool>(
    rows: &[f32],
    stride: usize,
    lanes: &[[f32; B]],
    out: &mut [[f32; B]; R],
) {
    let mut sums = *out;
    for (p, lane) in lanes.iter().enumerate() {
        let row = &rows[p * stride..][..R];
        // An array of the row's values makes the compiler unroll the loop over it; where R is a
        // power of two it would rather make that the vectors' direction.
        let row: [&[f32]; R] = std::array::from_fn(|r| &row[r..=r]);
        for r in 0..R {
            let a = row[r][0];
            for b in 0..B {
                sums[r][b] = mul_add::<FMA>(a, lane[b], sums[r][b]);
            }
        }
    }
    *out = sums;
}
