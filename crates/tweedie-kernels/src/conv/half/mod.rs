//! Convolution of images stored in bfloat16, with sums in `f32`: for sampling.
//!
//! A bf16 number is the upper half of an `f32`. Half the bytes move, and where the processor
//! multiplies pairs of bf16 numbers in one instruction the products cost far less too. Products
//! of two bf16 numbers are exact in `f32`; what is lost is lost where an image or a weight is
//! rounded to 8 bits.
//!
//! Two ways: AMX multiplies tiles of 16 rows of 32 values with tiles of 32 rows of 16 (`amx`);
//! every other machine widens images to `f32` for the plain kernels and saves memory only.
//! (AVX-512 BF16, which multiplies pairs, was tried: it is slower than Winograd convolution in
//! `f32`.)

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
mod forward;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles;
mod unit;
mod weights;

pub use forward::forward;
pub use unit::Unit;
pub use weights::Weights;
