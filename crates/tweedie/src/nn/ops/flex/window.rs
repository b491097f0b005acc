//! Pooling over windows, and joining many images' channels, on flex, without gradients.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use tweedie_kernels::window::{self, Windows};
use tweedie_kernels::{InstructionSet, channels};

use super::tensors::Tensors;
use super::{dims, done, slice, tensor};
use crate::nn::ops::{Pool, Window};

/// The greatest value or the mean of every window, `[N, H', W', C]`.
///
/// # Panics
/// When the windows do not fit, as burn's operations do.
pub fn pool(x: Tensor<4>, pool: Pool, window: Window) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::tweedie_pool(x.into_dispatch(), pool, window))
}

/// The channels of all images in order.
///
/// # Panics
/// When the shapes do not fit, as burn's operations do.
pub fn concat_all(parts: Vec<Tensor<4>>) -> Tensor<4> {
    let parts = parts.into_iter().map(Tensor::into_dispatch).collect();
    Tensor::from_dispatch(Dispatch::tweedie_concat_all(Tensors(parts)))
}

/// The operations as burn routes them.
#[backend_extension(Flex)]
pub trait WindowOps: Backend {
    /// Pools.
    fn tweedie_pool(x: FloatTensor<Self>, pool: Pool, window: Window) -> FloatTensor<Self>;

    /// Joins channels.
    fn tweedie_concat_all(#[extension_type] parts: Tensors<Self>) -> FloatTensor<Self>;
}

impl WindowOps for Flex {
    fn tweedie_pool(x: FlexTensor, pool: Pool, window: Window) -> FlexTensor {
        let x = x.to_contiguous();
        let [images, h, w, channels] = dims(&x);
        let windows = Windows {
            images,
            size: [h, w],
            channels,
            kernel: window.kernel,
            stride: window.stride,
            padding: window.padding,
        };
        let [oh, ow] = done(windows.output_size());
        let on = match pool {
            Pool::Max => window::max_pool,
            Pool::Mean => window::mean_pool,
        };
        let y = on(InstructionSet::best(), &windows, slice(&x));
        tensor(done(y), [images, oh, ow, channels])
    }

    fn tweedie_concat_all(Tensors(parts): Tensors<Self>) -> FlexTensor {
        let parts: Vec<_> = parts.iter().map(FlexTensor::to_contiguous).collect();
        let [n, h, w, _] = dims(&parts[0]);
        let given: Vec<(usize, &[f32])> = parts
            .iter()
            .map(|part| (dims(part)[3], slice(part)))
            .collect();
        let joined = done(channels::concat_all(n * h * w, &given));
        let width = given.iter().map(|(width, _)| width).sum();
        tensor(joined, [n, h, w, width])
    }
}
