//! Weights in the layout that the kernels read.

use super::gather::Packed;
use super::winograd::{self, Direction, Transformed};
use super::{Shape, forward};
use crate::InstructionSet;
use crate::error::{Result, check};

/// A convolution's weights laid out for its kernel: worth keeping while they do not change.
pub struct Weights {
    pub(super) form: Form,
    dims: [usize; 4],
}

pub(super) enum Form {
    Direct(Packed, InstructionSet),
    Winograd(Transformed, InstructionSet),
}

impl Weights {
    /// Lays out `weight` `[O, I, K, L]` for `shape`, of which the number of images does not
    /// matter.
    ///
    /// # Errors
    /// When the length does not fit `shape`.
    pub fn new(isa: InstructionSet, shape: &Shape, weight: &[f32]) -> Result<Self> {
        let output = shape.output_size()?;
        check("weight", weight.len(), &shape.weight_dims())?;
        let form = if winograd::pays(shape, output) {
            let weights = Transformed::new(isa, shape, Direction::Forward, weight);
            Form::Winograd(weights, isa)
        } else {
            Form::Direct(forward::pack(isa, shape, weight), isa)
        };
        let dims = shape.weight_dims();
        Ok(Self { form, dims })
    }

    /// Whether these weights are laid out for `shape`.
    pub fn fit(&self, shape: &Shape) -> bool {
        let winograd = matches!(self.form, Form::Winograd(..));
        let same = shape
            .output_size()
            .is_ok_and(|output| winograd == winograd::pays(shape, output));
        same && self.dims == shape.weight_dims()
    }
}
