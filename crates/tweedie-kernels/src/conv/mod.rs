//! Two-dimensional convolution, of any kernel, stride and zero padding:
//!
//! `y[n, i, j, o] = b[n, o] + sum over u, v, c of w[o, c, u, v] x[n, s i + u - top, s j + v - left, c]`
//!
//! In a zero-padded copy of the image, channels last, the values that one output needs from one
//! kernel row are contiguous in memory, at a distance from the output's corner that is the same
//! for every pixel. So both passes over images are the same sum, `sum over taps and k of
//! x[corner + tap + k] w[tap, k, o]`, and one register-blocked kernel (`tile`) serves kernels
//! of any size, strides of 1 and 2, and the gradient with respect to the input. Padding is done
//! a few images at a time, so that the copy stays in the cache.
//!
//! A 3x3 kernel of stride 1 between enough channels, which is most of a network, is computed by
//! `winograd` instead, with a quarter of the products. [`mod@half`] convolves images in bf16.

pub(crate) mod epilogue;
mod forward;
pub(crate) mod gather;
mod grad_input;
mod grad_weight;
pub mod half;
mod pad;
mod shape;
mod weights;
mod winograd;

pub use forward::{forward, forward_with};
pub use grad_input::grad_input;
pub use grad_weight::{grad_bias, grad_weight};
pub use shape::Shape;
pub use weights::Weights;
