//! AVX-512 BF16: `vdpbf16ps` adds the products of two neighbouring channels, for 16 outputs at
//! a time.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
};
use std::mem::transmute;

use half::bf16;

use super::forward::{Job, ROWS, Sums};
use super::weights::{BLOCK, DEPTH};

/// Pixels whose sums are in registers together, each in two vectors.
const R: usize = 8;

/// A row of weights: pairs of channels for 16 outputs.
#[inline(always)]
fn load(row: &[bf16]) -> __m512bh {
    let row = &row[..DEPTH];
    // SAFETY: 32 values of two bytes are what a vector holds, and any bits are bf16.
    unsafe { row.as_ptr().cast::<__m512bh>().read_unaligned() }
}

/// The sums of a checked job, on a machine with the unit `Pairs`.
pub(super) fn sums(job: &Job, sums: &mut Sums) {
    // SAFETY: the unit is found only where the machine has these instructions.
    unsafe { body(job, sums) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn body(job: &Job, sums: &mut Sums) {
    // Corners and steps are multiples of 32 values, and buffers are aligned.
    let x: &[u32] = bytemuck::cast_slice(&job.x[..job.x.len() / 2 * 2]);
    let step = job.step / 2;
    for (corner, sums) in job.corners.into_iter().zip(sums) {
        for first in (0..ROWS).step_by(R) {
            let mut all = [[_mm512_setzero_ps(); 2]; R];
            let tiles = job.weights.chunks_exact(BLOCK * DEPTH);
            for (&tap, tiles) in job.steps.iter().zip(tiles) {
                let at = (corner + tap) / 2 + first * step;
                let mut rows = [&x[..0]; R];
                for r in 0..R {
                    rows[r] = &x[at + r * step..][..DEPTH / 2];
                }
                for k in 0..DEPTH / 2 {
                    // The outputs' two halves.
                    let w = [
                        load(&tiles[k * DEPTH..]),
                        load(&tiles[(DEPTH / 2 + k) * DEPTH..]),
                    ];
                    for r in 0..R {
                        let x = _mm512_set1_epi32(rows[r][k] as i32);
                        // SAFETY: a vector of 512 bits either way, and any bits are bf16.
                        let x = unsafe { transmute::<__m512i, __m512bh>(x) };
                        for n in 0..2 {
                            all[r][n] = _mm512_dpbf16_ps(all[r][n], x, w[n]);
                        }
                    }
                }
            }
            for r in 0..R {
                for n in 0..2 {
                    let out = &mut sums[first + r][n * 16..][..16];
                    // SAFETY: 16 values of four bytes are what the instruction writes.
                    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), all[r][n]) };
                }
            }
        }
    }
}

const _: () = assert!(BLOCK == 32 && ROWS.is_multiple_of(R));
