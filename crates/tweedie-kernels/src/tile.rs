//! The two register-blocked kernels: R x B sums held in vector registers while the depth
//! streams past. `B` is a whole number of vectors, and the compiler turns the loops over it
//! into vector instructions.
//!
//! The sums are kept in an array of their own and copied out at the end, in unrolled loops: an
//! array that is indexed by a variable stays in memory, at twice the time.

use crate::instruction_set::mul_add;
use crate::simd::Simd;

/// A run of the input, relative to a pixel's corner, that meets consecutive rows of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tap {
    pub offset: usize,
    pub len: usize,
}

/// `sum over taps t and k < t.len of x[corner[r] + t.offset + k] w[t, k, b]` for R corners.
///
/// The order of the sum depends on the taps alone, not on R: a pixel's result has the same bits
/// whichever pixels it is computed beside.
#[inline(always)]
pub(crate) fn gather<const R: usize, const B: usize, const FMA: bool>(
    x: &[f32],
    corners: [usize; R],
    taps: &[Tap],
    mut weights: &[[f32; B]],
    out: &mut [[f32; B]; R],
) {
    let mut sums = [[0.0; B]; R];
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

/// `sum over k of x[r pitch + k] w[k][b]` for R rows, `B` being `N` vectors: a product of two
/// matrices. The order of the sum does not depend on R.
#[inline(always)]
pub(crate) fn matrix<S: Simd, const R: usize, const N: usize>(
    s: S,
    x: &[f32],
    pitch: usize,
    depth: usize,
    weights: &[f32],
) -> [[S::V; N]; R] {
    let mut sums = [[s.splat(0.0); N]; R];
    let rows: [&[f32]; R] = std::array::from_fn(|r| &x[r * pitch..][..depth]);
    let weights = &weights[..depth * N * S::LANES];
    for (k, w) in weights.chunks_exact(N * S::LANES).enumerate().take(depth) {
        let w: [S::V; N] = std::array::from_fn(|n| s.load(&w[n * S::LANES..]));
        for r in 0..R {
            let a = s.splat(rows[r][k]);
            for n in 0..N {
                sums[r][n] = s.mul_add(a, w[n], sums[r][n]);
            }
        }
    }
    sums
}

/// `sum over p < count of x[p][r] y[p][b]`, rows of `x` and `y` being `pitches` apart: a product
/// of two matrices with the first transposed.
#[inline(always)]
pub(crate) fn transposed<S: Simd, const R: usize, const N: usize>(
    s: S,
    x: &[f32],
    y: &[f32],
    pitches: [usize; 2],
    count: usize,
    mut sums: [[S::V; N]; R],
) -> [[S::V; N]; R] {
    for p in 0..count {
        let (x, y) = (
            &x[p * pitches[0]..][..R],
            &y[p * pitches[1]..][..N * S::LANES],
        );
        let y: [S::V; N] = std::array::from_fn(|n| s.load(&y[n * S::LANES..]));
        for r in 0..R {
            let a = s.splat(x[r]);
            for n in 0..N {
                sums[r][n] = s.mul_add(a, y[n], sums[r][n]);
            }
        }
    }
    sums
}
