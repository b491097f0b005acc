//! Half the squared length of each row of a residual: the losses of a batch.

use rayon::prelude::*;

use crate::error::{Result, check};
use crate::instruction_set::{by_instruction_set, mul_add};
use crate::{Buffer, InstructionSet};

/// Values worth a task.
const TASK: usize = 1 << 13;

/// Lanes of the sum over a row.
const LANES: usize = 16;

/// `l[n] = 1/2 sum over d of (gain[n] f[n, d] + offset[n, d])^2`, `[N]`, for `f` and `offset`
/// `[N, D]`.
///
/// # Errors
/// When a length does not fit `shape` `[N, D]`.
pub fn forward(
    isa: InstructionSet,
    shape: [usize; 2],
    f: &[f32],
    gain: &[f32],
    offset: &[f32],
) -> Result<Buffer> {
    check_all(shape, f, gain, offset)?;
    let [n, d] = shape;
    let mut out = Buffer::zeros(n);
    if f.is_empty() {
        return Ok(out);
    }
    let rows = TASK.div_ceil(d);
    if n <= rows {
        losses(isa, f, gain, offset, &mut out);
        return Ok(out);
    }
    out.par_chunks_mut(rows)
        .zip(f.par_chunks(rows * d))
        .zip(gain.par_chunks(rows))
        .zip(offset.par_chunks(rows * d))
        .for_each(|(((out, f), gain), offset)| losses(isa, f, gain, offset, out));
    Ok(out)
}

/// `df[n, d] = dl[n] gain[n] (gain[n] f[n, d] + offset[n, d])`, `[N, D]`.
///
/// # Errors
/// When a length does not fit `shape` `[N, D]`.
pub fn backward(
    isa: InstructionSet,
    shape: [usize; 2],
    f: &[f32],
    gain: &[f32],
    offset: &[f32],
    dl: &[f32],
) -> Result<Buffer> {
    check_all(shape, f, gain, offset)?;
    let [n, d] = shape;
    check("loss gradient", dl.len(), &[n])?;
    let mut out = Buffer::take(n * d);
    if f.is_empty() {
        return Ok(out);
    }
    let rows = TASK.div_ceil(d);
    if n <= rows {
        gradients(isa, f, gain, offset, dl, &mut out);
        return Ok(out);
    }
    out.par_chunks_mut(rows * d)
        .zip(f.par_chunks(rows * d))
        .zip(gain.par_chunks(rows))
        .zip(offset.par_chunks(rows * d))
        .zip(dl.par_chunks(rows))
        .for_each(|((((out, f), gain), offset), dl)| {
            gradients(isa, f, gain, offset, dl, out);
        });
    Ok(out)
}

fn check_all([n, d]: [usize; 2], f: &[f32], gain: &[f32], offset: &[f32]) -> Result<()> {
    check("values", f.len(), &[n, d])?;
    check("gain", gain.len(), &[n])?;
    check("offset", offset.len(), &[n, d])
}

by_instruction_set! {
    fn losses(f: &[f32], gain: &[f32], offset: &[f32], out: &mut [f32])
        = losses_body::<false>, losses_body::<true>, losses_body::<true>
}

by_instruction_set! {
    fn gradients(f: &[f32], gain: &[f32], offset: &[f32], dl: &[f32], out: &mut [f32])
        = gradients_body::<false>, gradients_body::<true>, gradients_body::<true>
}

#[inline(always)]
fn losses_body<const FMA: bool>(f: &[f32], gain: &[f32], offset: &[f32], out: &mut [f32]) {
    let d = f.len() / out.len();
    if d == 1 {
        for (((out, &f), &gain), &offset) in out.iter_mut().zip(f).zip(gain).zip(offset) {
            let r = mul_add::<FMA>(gain, f, offset);
            *out = 0.5 * (r * r);
        }
        return;
    }
    let rows = f.chunks_exact(d).zip(offset.chunks_exact(d));
    for ((out, &gain), (f, offset)) in out.iter_mut().zip(gain).zip(rows) {
        let (f, f_rest) = f.as_chunks::<LANES>();
        let (offset, offset_rest) = offset.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for (f, offset) in f.iter().zip(offset) {
            for l in 0..LANES {
                let r = mul_add::<FMA>(gain, f[l], offset[l]);
                sums[l] = mul_add::<FMA>(r, r, sums[l]);
            }
        }
        for ((sum, &f), &offset) in sums.iter_mut().zip(f_rest).zip(offset_rest) {
            let r = mul_add::<FMA>(gain, f, offset);
            *sum = mul_add::<FMA>(r, r, *sum);
        }
        *out = 0.5 * sums.iter().sum::<f32>();
    }
}

#[inline(always)]
fn gradients_body<const FMA: bool>(
    f: &[f32],
    gain: &[f32],
    offset: &[f32],
    dl: &[f32],
    out: &mut [f32],
) {
    let d = f.len() / gain.len();
    let each =
        |f: f32, gain: f32, offset: f32, dl: f32| dl * gain * mul_add::<FMA>(gain, f, offset);
    if d == 1 {
        let values = out.iter_mut().zip(f).zip(gain).zip(offset).zip(dl);
        for ((((out, &f), &gain), &offset), &dl) in values {
            *out = each(f, gain, offset, dl);
        }
        return;
    }
    let rows = f.chunks_exact(d).zip(offset.chunks_exact(d));
    let factors = gain.iter().zip(dl);
    for ((out, (&gain, &dl)), (f, offset)) in out.chunks_exact_mut(d).zip(factors).zip(rows) {
        for ((out, &f), &offset) in out.iter_mut().zip(f).zip(offset) {
            *out = each(f, gain, offset, dl);
        }
    }
}
