//! Files of weights from elsewhere: what `torch.save` writes, now (`torch_zip`) and before
//! PyTorch 1.6 (`torch_legacy`), and safetensors.
//!
//! Such a file comes from a stranger. A PyTorch file is a program for Python's pickle machine,
//! which can call any function; the machine in `pickle` knows tensors, plain containers and plain
//! values, refuses every other name, and calls nothing. Memory follows the bytes that are there,
//! never a number that they claim.

mod dtype;
mod file;
mod pickle;
mod safetensors;
mod state;
mod torch_legacy;
mod torch_zip;

#[cfg(test)]
mod tests;

pub use dtype::Dtype;
pub use file::{Description, WeightFile};
