//! Nearest-neighbour upsampling by two.

use bytemuck::Pod;
use rayon::prelude::*;

use crate::Buffer;
use crate::error::{Result, check};

/// `y[n, i, j, c] = x[n, i / 2, j / 2, c]`: `[N, H, W, C]` to `[N, 2H, 2W, C]`.
///
/// # Errors
/// When the length of `x` is not that of `shape` `[N, H, W, C]`.
pub fn forward<T: Pod + Send + Sync>(shape: [usize; 4], x: &[T]) -> Result<Buffer<T>> {
    let [n, h, w, c] = shape;
    check("input", x.len(), &shape)?;
    check("output", 4 * x.len(), &[n, h, w, c, 4])?;
    let mut out = Buffer::take(4 * x.len());
    if out.is_empty() {
        return Ok(out);
    }
    // Two rows of output for each row of input.
    let rows = out
        .par_chunks_mut(4 * w * c)
        .zip(x.par_chunks(w * c))
        .with_min_len(8);
    rows.for_each(|(out, x)| {
        let (upper, lower) = out.split_at_mut(2 * w * c);
        for (pair, pixel) in upper.chunks_exact_mut(2 * c).zip(x.chunks_exact(c)) {
            pair[..c].copy_from_slice(pixel);
            pair[c..].copy_from_slice(pixel);
        }
        lower.copy_from_slice(upper);
    });
    Ok(out)
}

/// `dx[n, i, j, c] = sum over a, b in {0, 1} of dy[n, 2i + a, 2j + b, c]`.
///
/// # Errors
/// When the length of `dy` is not four times that of `shape`, the input's `[N, H, W, C]`.
pub fn backward(shape: [usize; 4], dy: &[f32]) -> Result<Buffer> {
    let [n, h, w, c] = shape;
    check("output gradient", dy.len(), &[n, h, w, c, 4])?;
    let mut dx = Buffer::take(dy.len() / 4);
    if dx.is_empty() {
        return Ok(dx);
    }
    let rows = dx
        .par_chunks_mut(w * c)
        .zip(dy.par_chunks(4 * w * c))
        .with_min_len(8);
    rows.for_each(|(dx, dy)| {
        let (upper, lower) = dy.split_at(2 * w * c);
        let pairs = upper.chunks_exact(2 * c).zip(lower.chunks_exact(2 * c));
        for (dx, (upper, lower)) in dx.chunks_exact_mut(c).zip(pairs) {
            let (a, b) = upper.split_at(c);
            let (d, e) = lower.split_at(c);
            for (k, dx) in dx.iter_mut().enumerate() {
                *dx = (a[k] + b[k]) + (d[k] + e[k]);
            }
        }
    });
    Ok(dx)
}
