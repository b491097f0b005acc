//! The sizes of a perceptron.

use crate::Activation;
use crate::error::{Error, Result, check, product};

/// The sizes of a perceptron on `[N, I]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// N.
    pub rows: usize,
    /// Values of a row before the first layer and after each: I, the hidden ones, O.
    pub widths: Vec<usize>,
    /// Follows every layer but the last.
    pub activation: Activation,
}

/// A layer's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// `[O, I]`.
    pub weight: &'a [f32],
    /// `[O]`.
    pub bias: &'a [f32],
}

impl Shape {
    pub(super) fn check(&self, x: &[f32], layers: &[Layer]) -> Result<()> {
        if self.widths.len() < 2 || self.widths.len() != layers.len() + 1 {
            return Err(Error::Shape(
                "a perceptron needs a layer or more, and one width more than layers",
            ));
        }
        // Tables and buffers hold several times the rows of all layers together.
        let all = self
            .widths
            .iter()
            .try_fold(64usize, |n, &w| n.checked_add(w));
        let all = all.ok_or(Error::Shape("the shape has too many values to address"))?;
        product(&[self.rows.saturating_add(64), all, 16])?;
        check("input", x.len(), &[self.rows, self.inputs()])?;
        for (layer, width) in layers.iter().zip(self.widths.windows(2)) {
            check("weight", layer.weight.len(), width)?;
            check("bias", layer.bias.len(), &width[1..])?;
        }
        Ok(())
    }

    pub(super) fn check_output(&self, dy: &[f32]) -> Result<()> {
        check("output gradient", dy.len(), &[self.rows, self.outputs()])
    }

    pub(super) fn inputs(&self) -> usize {
        self.widths.first().copied().unwrap_or(0)
    }

    pub(super) fn outputs(&self) -> usize {
        self.widths.last().copied().unwrap_or(0)
    }
}
