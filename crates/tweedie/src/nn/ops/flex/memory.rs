//! Tensors whose memory belongs to the kernels' pool and returns to it.

use std::mem::MaybeUninit;

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{AllocationProperty, Bytes, DType, Shape};
use burn_std::{AccessError, AccessPolicy, AllocationController};
use tweedie_kernels::Buffer;

/// A contiguous tensor of the values of `buffer`.
pub fn tensor<const D: usize>(buffer: Buffer, dims: [usize; D]) -> FlexTensor {
    let len = size_of_val(&buffer[..]);
    // SAFETY: the length is that of the buffer's values, all of which are initialised.
    let bytes = unsafe { Bytes::from_controller(Box::new(Pooled(buffer)), len) };
    FlexTensor::new(bytes, Layout::contiguous(Shape::new(dims)), DType::F32)
}

/// A buffer as burn sees memory.
struct Pooled(Buffer);

impl AllocationController for Pooled {
    fn alloc_align(&self) -> usize {
        // What burn's own tensors of f32 have; the pool's is a multiple.
        align_of::<f32>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Native
    }

    unsafe fn memory_mut(
        &mut self,
        _: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.0);
        // SAFETY: the layouts are the same, and by this method's contract the caller writes
        // nothing that is not initialised.
        Ok(unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let bytes: &[u8] = bytemuck::cast_slice(&self.0);
        // SAFETY: the layouts are the same, and initialised values may be read as if they might
        // not be.
        Ok(unsafe { &*(std::ptr::from_ref(bytes) as *const [MaybeUninit<u8>]) })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;

    #[test]
    fn burn_reads_writes_copies_and_drops_pooled_tensors() {
        let mut buffer = Buffer::take(1000);
        let values: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        buffer.copy_from_slice(&values);
        let mut pooled = tensor(buffer, [10, 100]);
        assert_eq!(pooled.storage::<f32>(), &values[..]);
        // Shared: written to a copy. Alone: in place.
        let other = pooled.clone();
        pooled.storage_mut::<f32>()[0] = -1.0;
        assert_eq!(other.storage::<f32>()[0], 0.0);
        drop(other);
        pooled.storage_mut::<f32>()[1] = -2.0;
        let data = pooled.into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(data[..3], [-1.0, -2.0, 2.0]);
        assert_eq!(data[3..], values[3..]);
    }

    #[test]
    fn burns_own_operations_take_pooled_tensors() {
        let device = burn::tensor::Device::flex();
        let x = Tensor::<4>::ones([2, 3, 4, 5], &device);
        let y = super::super::upsample_2x(x);
        let sum = (y.clone() + y).sum().into_scalar::<f32>();
        assert_eq!(sum, 2.0 * 4.0 * 120.0);
    }
}
