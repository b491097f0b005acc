//! Moving values about: joining and splitting channels, channels last and first, `f32` and
//! bf16. Nothing is computed but the rounding to bf16.

use bytemuck::Pod;
use half::bf16;
use rayon::prelude::*;

use crate::Buffer;
use crate::error::{Error, Result, check, product};

/// Fewest pixels worth a task of their own.
const PIXELS: usize = 1024;

/// Joins the channels of `[P, A]` and `[P, B]` to `[P, A + B]`, P being all pixels of a batch.
///
/// # Errors
/// When the lengths do not fit.
pub fn concat<T: Pod + Send + Sync>(
    pixels: usize,
    [a, b]: [usize; 2],
    first: &[T],
    second: &[T],
) -> Result<Buffer<T>> {
    check("first", first.len(), &[pixels, a])?;
    check("second", second.len(), &[pixels, b])?;
    let c = sum(a, b)?;
    let mut out = Buffer::take(product(&[pixels, c])?);
    if out.is_empty() {
        return Ok(out);
    }
    out.par_chunks_mut(PIXELS * c)
        .enumerate()
        .for_each(|(i, out)| {
            let first = &first[(i * PIXELS * a).min(first.len())..];
            let second = &second[(i * PIXELS * b).min(second.len())..];
            for (p, out) in out.chunks_exact_mut(c).enumerate() {
                copy(&mut out[..a], &first[p * a..][..a]);
                copy(&mut out[a..], &second[p * b..][..b]);
            }
        });
    Ok(out)
}

/// Joins the channels of images `[P, C]`, each with its C, in order: `[P, sum of C]`, P being all
/// pixels of a batch.
///
/// # Errors
/// When the lengths do not fit.
pub fn concat_all(pixels: usize, parts: &[(usize, &[f32])]) -> Result<Buffer> {
    let mut c = 0;
    for &(width, part) in parts {
        check("part", part.len(), &[pixels, width])?;
        c = sum(c, width)?;
    }
    let mut out = Buffer::take(product(&[pixels, c])?);
    if out.is_empty() {
        return Ok(out);
    }
    out.par_chunks_mut(PIXELS * c)
        .enumerate()
        .for_each(|(i, out)| {
            let mut rows = out.chunks_exact_mut(c);
            for p in i * PIXELS..pixels.min((i + 1) * PIXELS) {
                let Some(mut rest) = rows.next() else { break };
                for &(width, part) in parts {
                    let (out, after) = rest.split_at_mut(width);
                    copy(out, &part[p * width..][..width]);
                    rest = after;
                }
            }
        });
    Ok(out)
}

/// Copies `from` to `out`, of the same length. One or two values, as vectors with a column for the
/// noise level have them, take no call.
#[inline(always)]
fn copy<T: Pod>(out: &mut [T], from: &[T]) {
    match (&mut *out, from) {
        ([out], [from]) => *out = *from,
        ([out, second], [from, and]) => (*out, *second) = (*from, *and),
        _ => out.copy_from_slice(from),
    }
}

/// The two parts of the channels of `[P, A + B]`: the gradient of [`concat()`].
///
/// # Errors
/// When the length does not fit.
pub fn split<T: Pod + Send + Sync>(
    pixels: usize,
    [a, b]: [usize; 2],
    x: &[T],
) -> Result<[Buffer<T>; 2]> {
    let c = sum(a, b)?;
    check("input", x.len(), &[pixels, c])?;
    let part = |start: usize, width: usize| {
        let mut out = Buffer::take(pixels * width);
        if width > 0 {
            out.par_chunks_mut(PIXELS * width)
                .zip(x.par_chunks(PIXELS * c))
                .for_each(|(out, x)| {
                    for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(c)) {
                        copy(out, &x[start..start + width]);
                    }
                });
        }
        out
    };
    Ok([part(0, a), part(a, b)])
}

/// `[N, C, P]` to `[N, P, C]`, P being the pixels of an image.
///
/// # Errors
/// When the length does not fit.
pub fn last(shape: [usize; 3], x: &[f32]) -> Result<Buffer> {
    transpose(shape, x)
}

/// `[N, P, C]` to `[N, C, P]`; `shape` is `[N, C, P]`, as for [`last`].
///
/// # Errors
/// When the length does not fit.
pub fn first([n, c, p]: [usize; 3], x: &[f32]) -> Result<Buffer> {
    transpose([n, p, c], x)
}

/// `[N, A, B]` to `[N, B, A]`.
fn transpose([n, a, b]: [usize; 3], x: &[f32]) -> Result<Buffer> {
    check("input", x.len(), &[n, a, b])?;
    let mut out = Buffer::take(x.len());
    if out.is_empty() {
        return Ok(out);
    }
    out.par_chunks_mut(a * b)
        .zip(x.par_chunks(a * b))
        .for_each(|(out, x)| {
            for (i, x) in x.chunks_exact(b).enumerate() {
                for (out, &x) in out[i..].iter_mut().step_by(a).zip(x) {
                    *out = x;
                }
            }
        });
    Ok(out)
}

/// Fewest values worth a task of their own.
const VALUES: usize = 1 << 15;

/// Rounds to bf16, to even at a tie.
pub fn to_half(x: &[f32]) -> Buffer<bf16> {
    let mut out = Buffer::take(x.len());
    round_to(x, &mut out);
    out
}

/// Each value of `x` rounded to bf16.
pub(crate) fn round_to(x: &[f32], out: &mut [bf16]) {
    out.par_chunks_mut(VALUES)
        .zip(x.par_chunks(VALUES))
        .for_each(|(out, x)| {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = round(x);
            }
        });
}

/// The same values in `f32`.
pub fn to_single(x: &[bf16]) -> Buffer {
    let mut out = Buffer::take(x.len());
    out.par_chunks_mut(VALUES)
        .zip(x.par_chunks(VALUES))
        .for_each(|(out, x)| {
            widen(x, out);
        });
    out
}

/// Each value of `x` in `f32`.
#[inline(always)]
pub(crate) fn widen(x: &[bf16], out: &mut [f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = f32::from_bits(u32::from(x.to_bits()) << 16);
    }
}

/// Rounds to the nearest bf16, to even at a tie: arithmetic that the compiler turns into vector
/// instructions. NaN stays NaN.
#[inline(always)]
pub(crate) fn round(x: f32) -> bf16 {
    let bits = x.to_bits();
    let rounded = (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16;
    // A NaN's payload could be rounded away, to infinity.
    let nan = ((bits >> 16) | 0x40) as u16;
    bf16::from_bits(if x.is_nan() { nan } else { rounded })
}

fn sum(a: usize, b: usize) -> Result<usize> {
    a.checked_add(b)
        .ok_or(Error::Shape("the shape has too many values to address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| i as f32).collect()
    }

    #[test]
    fn parts_are_joined_and_split_again() {
        for (pixels, a, b) in [(1, 1, 1), (5, 3, 2), (2500, 7, 16), (3, 0, 4), (0, 2, 3)] {
            let (x, y) = (numbers(pixels * a), numbers(pixels * b));
            let joined = concat(pixels, [a, b], &x, &y).unwrap();
            for p in 0..pixels {
                let row = &joined[p * (a + b)..][..a + b];
                assert_eq!(row[..a], x[p * a..][..a]);
                assert_eq!(row[a..], y[p * b..][..b]);
            }
            let [first, second] = split(pixels, [a, b], &joined).unwrap();
            assert_eq!((&first[..], &second[..]), (&x[..], &y[..]));
        }
        assert!(concat(2, [1, 1], &[0.0_f32; 2], &[0.0; 3]).is_err());
        assert!(split(2, [1, 2], &[0.0_f32; 5]).is_err());
    }

    #[test]
    fn several_parts_are_joined_in_order() {
        for (pixels, widths) in [
            (1, [1, 1, 1]),
            (5, [3, 2, 4]),
            (2500, [7, 0, 16]),
            (0, [2, 3, 1]),
        ] {
            let parts = widths.map(|width| numbers(pixels * width));
            let given = [0, 1, 2].map(|k| (widths[k], &parts[k][..]));
            let joined = concat_all(pixels, &given).unwrap();
            let first = concat(pixels, [widths[0], widths[1]], &parts[0], &parts[1]).unwrap();
            let widths = [widths[0] + widths[1], widths[2]];
            assert_eq!(joined, concat(pixels, widths, &first, &parts[2]).unwrap());
        }
        assert!(concat_all(2, &[(1, &[0.0; 2]), (1, &[0.0; 3])]).is_err());
        assert!(concat_all(2, &[]).unwrap().is_empty());
    }

    #[test]
    fn channels_go_last_and_come_back() {
        let (n, c, p) = (3, 4, 7);
        let x = numbers(n * c * p);
        let y = last([n, c, p], &x).unwrap();
        for (i, &value) in x.iter().enumerate() {
            let (image, channel, pixel) = (i / (c * p), i / p % c, i % p);
            assert_eq!(y[(image * p + pixel) * c + channel], value);
        }
        assert_eq!(first([n, c, p], &y).unwrap()[..], x[..]);
        assert!(last([n, c, p], &x[1..]).is_err());
    }

    #[test]
    fn roundings_are_those_of_the_half_crate() {
        let values: Vec<f32> = (0..1 << 20)
            .map(|i: u32| f32::from_bits(i.wrapping_mul(0x9e37_79b9)))
            .chain([
                f32::NAN,
                f32::INFINITY,
                -0.0,
                f32::MAX,
                f32::MIN_POSITIVE / 2.0,
            ])
            .collect();
        let rounded = to_half(&values);
        for (&value, &found) in values.iter().zip(rounded.iter()) {
            let expected = bf16::from_f32(value);
            if value.is_nan() {
                assert!(found.is_nan());
            } else {
                assert_eq!(found.to_bits(), expected.to_bits(), "{value:e}");
            }
        }
        let wide = to_single(&rounded);
        for (&half, &single) in rounded.iter().zip(wide.iter()) {
            assert_eq!(half.to_f32().to_bits(), single.to_bits());
        }
    }
}
