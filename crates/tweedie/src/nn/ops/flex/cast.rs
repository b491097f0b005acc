//! Between `f32` and bf16 on flex, without gradients.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor, bf16};
use tweedie_kernels::channels;

use super::{dims, slice, tensor};
use crate::nn::Precision;

/// The same images in the numbers that `precision` stores.
pub fn stored_in(x: Tensor<4>, precision: Precision) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::tweedie_stored_in(x.into_dispatch(), precision))
}

/// The operation as burn routes it.
#[backend_extension(Flex)]
pub trait CastOps: Backend {
    /// Converts values.
    fn tweedie_stored_in(x: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self>;
}

impl CastOps for Flex {
    fn tweedie_stored_in(x: FlexTensor, precision: Precision) -> FlexTensor {
        let x = x.to_contiguous();
        match (x.dtype(), precision) {
            (DType::F32, Precision::Bf16) => tensor(channels::to_half(slice(&x)), dims(&x)),
            (DType::BF16, Precision::F32) => {
                tensor(channels::to_single(slice::<bf16>(&x)), dims(&x))
            }
            _ => x,
        }
    }
}
