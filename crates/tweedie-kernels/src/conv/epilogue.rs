//! What becomes of a convolution's sums on their way to memory.

use crate::simd::Simd;

/// Bias, residual and ReLU, so that none needs a pass of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epilogue<'a> {
    /// O.
    pub outputs: usize,
    /// `[O]` for all images, `[N, O]` for each, or nothing.
    pub bias: &'a [f32],
    /// As long as the output, or nothing.
    pub residual: &'a [f32],
    /// Whether what is negative becomes zero.
    pub rectify: bool,
}

impl<'a> Epilogue<'a> {
    /// The sums alone.
    pub fn none(outputs: usize) -> Self {
        Self {
            outputs,
            bias: &[],
            residual: &[],
            rectify: false,
        }
    }

    /// Bias and residual of one pixel, which is counted through the images.
    #[inline(always)]
    fn rows(&self, image: usize, pixel: usize) -> [&[f32]; 2] {
        let row = bias_row(self.bias, self.outputs, image);
        let of = |values: &'a [f32], row: usize| match values.is_empty() {
            true => values,
            false => &values[row * self.outputs..][..self.outputs],
        };
        [of(self.bias, row), of(self.residual, pixel)]
    }

    /// `y = sums + bias + residual`, or its ReLU, for channels from `channel` on.
    #[inline(always)]
    pub fn write(&self, image: usize, pixel: usize, channel: usize, sums: &[f32], y: &mut [f32]) {
        let count = sums.len();
        let y = &mut y[..count];
        y.copy_from_slice(sums);
        for term in self.rows(image, pixel) {
            if !term.is_empty() {
                let term = &term[channel..][..count];
                for i in 0..count {
                    y[i] += term[i];
                }
            }
        }
        if self.rectify {
            for y in y {
                // NaN stays NaN.
                *y = if *y < 0.0 { 0.0 } else { *y };
            }
        }
    }

    /// The same for a vector of channels; lanes beyond the last channel are undefined.
    #[inline(always)]
    pub fn vector<S: Simd>(
        &self,
        s: S,
        image: usize,
        pixel: usize,
        channel: usize,
        mut sums: S::V,
    ) -> S::V {
        for term in self.rows(image, pixel) {
            if !term.is_empty() {
                sums = s.add(sums, s.load_some(&term[channel..]));
            }
        }
        if self.rectify {
            sums = s.greater(s.splat(0.0), sums);
        }
        sums
    }
}

/// The row of a bias `[O]` or `[N, O]` that is an image's: one row serves every image.
#[inline(always)]
pub(super) fn bias_row(bias: &[f32], outputs: usize, image: usize) -> usize {
    if bias.len() == outputs { 0 } else { image }
}
