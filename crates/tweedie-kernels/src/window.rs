//! Pooling over square windows, with stride and padding as in PyTorch's `max_pool2d` and
//! `avg_pool2d` with `count_include_pad=False`: what lies outside the image is not there. Forward
//! only.

use std::ops::Range;

use rayon::prelude::*;

use crate::error::{Error, Result, check, product};
use crate::instruction_set::by_instruction_set;
use crate::{Buffer, InstructionSet};

/// Square windows over images `[N, H, W, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// N.
    pub images: usize,
    /// H and W.
    pub size: [usize; 2],
    /// C.
    pub channels: usize,
    /// Rows and columns of a window.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Pixels by which the first and the last windows may reach over each edge: at most half a
    /// window, so that none is empty.
    pub padding: usize,
}

impl Windows {
    /// H and W of the output: `(H + 2 padding - kernel) / stride + 1`.
    ///
    /// # Errors
    /// When the windows are invalid or do not fit into the image.
    pub fn output_size(&self) -> Result<[usize; 2]> {
        if self.kernel == 0 || self.stride == 0 {
            return Err(Error::Shape("a window and its stride must be at least 1"));
        }
        if self.padding > self.kernel / 2 {
            return Err(Error::Shape("a window's padding is at most half of it"));
        }
        let mut out = [0; 2];
        for (out, side) in out.iter_mut().zip(self.size) {
            let room = side
                .checked_add(2 * self.padding)
                .and_then(|padded| padded.checked_sub(self.kernel))
                .ok_or(Error::Shape("the padded image is smaller than the window"))?;
            *out = room / self.stride + 1;
        }
        Ok(out)
    }

    /// The pixels of window `i` on an axis of `side` pixels.
    fn range(&self, i: usize, side: usize) -> Range<usize> {
        let start = i * self.stride;
        let end = (start + self.kernel).saturating_sub(self.padding).min(side);
        start.saturating_sub(self.padding)..end
    }
}

/// The greatest value of each window and channel, `[N, H', W', C]`; NaN where there is one.
///
/// # Errors
/// When the windows are invalid, or the length of `x` is not that of the images.
pub fn max_pool(isa: InstructionSet, windows: &Windows, x: &[f32]) -> Result<Buffer> {
    pool(windows, x, |x, places, y| greatest(isa, x, places, y))
}

/// The mean of each window and channel, `[N, H', W', C]`, over the pixels inside the image.
///
/// # Errors
/// When the windows are invalid, or the length of `x` is not that of the images.
pub fn mean_pool(isa: InstructionSet, windows: &Windows, x: &[f32]) -> Result<Buffer> {
    pool(windows, x, |x, places, y| mean(isa, x, places, y))
}

/// Calls `each` with an image, the places of a window's pixels in it, and its output.
fn pool(
    windows: &Windows,
    x: &[f32],
    each: impl Fn(&[f32], &[usize], &mut [f32]) + Sync,
) -> Result<Buffer> {
    let [oh, ow] = windows.output_size()?;
    let Windows {
        images,
        size: [h, w],
        channels: c,
        ..
    } = *windows;
    check("input", x.len(), &[images, h, w, c])?;
    let mut out = Buffer::take(product(&[images, oh, ow, c])?);
    if out.is_empty() {
        return Ok(out);
    }
    out.par_chunks_mut(ow * c)
        .enumerate()
        .for_each(|(row, out)| {
            let image = &x[row / oh * (h * w * c)..][..h * w * c];
            let rows = windows.range(row % oh, h);
            let mut places = Vec::with_capacity(windows.kernel * windows.kernel);
            for (j, y) in out.chunks_exact_mut(c).enumerate() {
                let columns = windows.range(j, w);
                let pixels = rows
                    .clone()
                    .flat_map(|row| columns.clone().map(move |column| (row * w + column) * c));
                places.clear();
                places.extend(pixels);
                each(image, &places, y);
            }
        });
    Ok(out)
}

by_instruction_set! {
    fn greatest(x: &[f32], places: &[usize], y: &mut [f32])
        = greatest_body, greatest_body, greatest_body
}
by_instruction_set! {
    fn mean(x: &[f32], places: &[usize], y: &mut [f32]) = mean_body, mean_body, mean_body
}

#[inline(always)]
fn greatest_body(x: &[f32], places: &[usize], y: &mut [f32]) {
    y.copy_from_slice(&x[places[0]..][..y.len()]);
    for &place in &places[1..] {
        for (y, &x) in y.iter_mut().zip(&x[place..]) {
            *y = if *y >= x || y.is_nan() { *y } else { x };
        }
    }
}

#[inline(always)]
fn mean_body(x: &[f32], places: &[usize], y: &mut [f32]) {
    y.copy_from_slice(&x[places[0]..][..y.len()]);
    for &place in &places[1..] {
        for (y, &x) in y.iter_mut().zip(&x[place..]) {
            *y += x;
        }
    }
    let share = 1.0 / places.len() as f32;
    y.iter_mut().for_each(|y| *y *= share);
}
