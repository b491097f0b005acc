//! The sizes of a convolution.

use crate::error::{Error, Result, check, product};

/// The sizes of a convolution of `[N, H, W, I]` with `[O, I, K, L]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// N.
    pub images: usize,
    /// H and W of the input.
    pub size: [usize; 2],
    /// I.
    pub inputs: usize,
    /// O.
    pub outputs: usize,
    /// K and L.
    pub kernel: [usize; 2],
    /// Step between outputs, in input pixels.
    pub stride: usize,
    /// Zeros around the input: `[[top, left], [bottom, right]]`, each less than the kernel.
    pub padding: [[usize; 2]; 2],
}

impl Shape {
    /// H and W of the output: `(H + top + bottom - K) / stride + 1`, and so for W.
    ///
    /// # Errors
    /// When the shape is invalid, or too large to index.
    pub fn output_size(&self) -> Result<[usize; 2]> {
        let Self {
            kernel,
            stride,
            padding,
            ..
        } = *self;
        if kernel.contains(&0) || stride == 0 {
            return Err(Error::Shape(
                "kernel and stride of a convolution must be at least 1",
            ));
        }
        if (0..2).any(|axis| padding.iter().any(|side| side[axis] >= kernel[axis])) {
            return Err(Error::Shape(
                "padding of a convolution must be less than its kernel",
            ));
        }
        let mut out = [0; 2];
        for axis in 0..2 {
            let padded = self.size[axis]
                .checked_add(padding[0][axis] + padding[1][axis])
                .ok_or(Error::Shape("the image is too large to address"))?;
            let room = padded
                .checked_sub(kernel[axis])
                .ok_or(Error::Shape("the padded image is smaller than the kernel"))?;
            out[axis] = room / stride + 1;
        }
        // Tables and padded copies are counted in the same way, some with a few more pixels.
        let [h, w] = self.size;
        let channels = self.inputs.max(self.outputs).saturating_add(64);
        let [k, l] = kernel;
        let wide = |n: usize, kernel: usize| {
            let more = kernel.saturating_mul(2).saturating_add(stride);
            n.saturating_add(more)
        };
        let images = self.images.saturating_add(1);
        product(&[images, wide(h, k), wide(w, l), channels, 4])?;
        product(&[
            self.inputs.saturating_add(64),
            self.outputs.saturating_add(64),
            k,
            l,
        ])?;
        Ok(out)
    }

    /// The output's sizes, for a call with operands of these lengths and weights that `fit` or
    /// do not.
    pub(crate) fn output_dims(
        &self,
        fit: bool,
        x: usize,
        bias: usize,
        residual: Option<usize>,
    ) -> Result<[usize; 4]> {
        let [oh, ow] = self.output_size()?;
        check("input", x, &self.input_dims())?;
        if !fit {
            return Err(Error::OtherShape);
        }
        if bias != self.outputs {
            check("bias", bias, &[self.images, self.outputs])?;
        }
        let dims = [self.images, oh, ow, self.outputs];
        if let Some(residual) = residual {
            check("residual", residual, &dims)?;
        }
        Ok(dims)
    }

    pub(crate) fn input_dims(&self) -> [usize; 4] {
        [self.images, self.size[0], self.size[1], self.inputs]
    }

    pub(crate) fn weight_dims(&self) -> [usize; 4] {
        [self.outputs, self.inputs, self.kernel[0], self.kernel[1]]
    }

    /// Index of `w[o, i, u, v]`.
    pub(crate) fn weight_index(&self, o: usize, i: usize, u: usize, v: usize) -> usize {
        ((o * self.inputs + i) * self.kernel[0] + u) * self.kernel[1] + v
    }
}
