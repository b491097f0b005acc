//! The operations on burn's CPU engine, `flex`, by the kernels of `tweedie-kernels`.
//!
//! One operation per file: the call, the trait by which burn routes it, the kernel behind it, and
//! the backward pass. burn routes each call by the tensor's engine: to the kernels on flex, and on
//! flex with gradients to a wrapper that records the backward pass. On any other engine a call
//! panics, so ask [`is_flex`] first. Second derivatives are not provided.

mod attention;
mod cast;
mod concat;
mod conv;
mod instance_norm;
mod layout;
mod memory;
mod mlp;
mod norm;
mod normed_conv;
mod pool;
mod squares;
mod tensors;
mod upsample;
mod window;

use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Element};
use bytemuck::Pod;

use memory::tensor;

pub use attention::attention;
pub use cast::stored_in;
pub use concat::concat;
pub use conv::{Kept, conv2d};
pub use instance_norm::instance_norm_pp;
pub use layout::{channels_first, channels_last};
pub use mlp::mlp;
pub use norm::group_norm;
pub use normed_conv::{Norm, normed_conv2d};
pub use pool::avg_pool_2x;
pub use squares::half_squares;
pub use upsample::upsample_2x;
pub use window::{concat_all, pool};

/// Whether a device is the engine of these operations, with or without gradients.
pub fn is_flex(device: &Device) -> bool {
    // Devices are equal by hardware, whatever their gradients.
    *device == Device::flex()
}

/// The sizes of an image tensor.
fn dims(tensor: &FlexTensor) -> [usize; 4] {
    sizes(tensor)
}

/// The sizes of any tensor.
fn sizes<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    tensor.layout().shape().dims()
}

/// The values of a contiguous tensor of `T`s.
fn slice<T: Element + Pod>(tensor: &FlexTensor) -> &[T] {
    assert_eq!(tensor.dtype(), T::dtype(), "the type of a tensor's values");
    tensor.as_slice().expect("the tensor was made contiguous")
}

/// An operation's result; burn's operations have no error to return, they panic.
fn done<T>(result: tweedie_kernels::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
