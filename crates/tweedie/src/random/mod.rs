//! Counter-based random numbers: a draw depends on its address, not on when it is made.
//!
//! The noise of sample `k` at step `i` is a function of (seed, [`Stream`], `k`, `i`) alone, so
//! splitting a batch, reordering it or changing the number of threads changes no bit of it.

mod box_muller;
mod permutation;
mod philox;
mod source;

pub(crate) use source::rows_a_task;
pub use source::{NoiseSource, Stream};
