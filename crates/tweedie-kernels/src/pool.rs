//! Average pooling by two.

use rayon::prelude::*;

use crate::Buffer;
use crate::error::{Error, Result, check};

/// `y[n, i, j, c] = 1/4 sum over a, b in {0, 1} of x[n, 2i + a, 2j + b, c]`: `[N, H, W, C]` to
/// `[N, H / 2, W / 2, C]`.
///
/// # Errors
/// When H or W is odd, or the length of `x` is not that of `shape` `[N, H, W, C]`.
pub fn forward(shape: [usize; 4], x: &[f32]) -> Result<Buffer> {
    check_even(shape)?;
    check("input", x.len(), &shape)?;
    let [_, _, w, c] = shape;
    let mut out = Buffer::take(x.len() / 4);
    if out.is_empty() {
        return Ok(out);
    }
    // Two rows of input for each row of output.
    let rows = out
        .par_chunks_mut(w / 2 * c)
        .zip(x.par_chunks(2 * w * c))
        .with_min_len(8);
    rows.for_each(|(out, x)| {
        let (upper, lower) = x.split_at(w * c);
        let pairs = upper.chunks_exact(2 * c).zip(lower.chunks_exact(2 * c));
        for (y, (upper, lower)) in out.chunks_exact_mut(c).zip(pairs) {
            let (a, b) = upper.split_at(c);
            let (d, e) = lower.split_at(c);
            for (k, y) in y.iter_mut().enumerate() {
                *y = 0.25 * ((a[k] + b[k]) + (d[k] + e[k]));
            }
        }
    });
    Ok(out)
}

/// `dx[n, i, j, c] = 1/4 dy[n, i / 2, j / 2, c]`.
///
/// # Errors
/// When H or W is odd, or the length of `dy` is not a quarter of that of `shape`, the input's
/// `[N, H, W, C]`.
pub fn backward(shape: [usize; 4], dy: &[f32]) -> Result<Buffer> {
    check_even(shape)?;
    let [n, h, w, c] = shape;
    check("output gradient", dy.len(), &[n, h / 2, w / 2, c])?;
    check("input", 4 * dy.len(), &shape)?;
    let mut dx = Buffer::take(4 * dy.len());
    if dx.is_empty() {
        return Ok(dx);
    }
    let rows = dx
        .par_chunks_mut(2 * w * c)
        .zip(dy.par_chunks(w / 2 * c))
        .with_min_len(8);
    rows.for_each(|(dx, dy)| {
        let (upper, lower) = dx.split_at_mut(w * c);
        for (pair, pixel) in upper.chunks_exact_mut(2 * c).zip(dy.chunks_exact(c)) {
            let (a, b) = pair.split_at_mut(c);
            a.iter_mut().zip(pixel).for_each(|(a, dy)| *a = 0.25 * dy);
            b.copy_from_slice(a);
        }
        lower.copy_from_slice(upper);
    });
    Ok(dx)
}

fn check_even([_, h, w, _]: [usize; 4]) -> Result<()> {
    if h.is_multiple_of(2) && w.is_multiple_of(2) {
        Ok(())
    } else {
        Err(Error::Shape(
            "average pooling by two needs an even height and width",
        ))
    }
}
