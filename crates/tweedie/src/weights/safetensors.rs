//! safetensors, by its own crate, which checks names, shapes and places.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype as Type;

use super::Dtype;
use super::file::Stored;

/// Whether `bytes` begin as a safetensors file: the length of a header, and the header.
pub(super) fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

/// The tensors of a safetensors file.
pub(super) fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, Stored>, String> {
    let damaged = |error| format!("the safetensors file is damaged ({error})");
    let (header, about) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    // Checks that the values are all there.
    SafeTensors::deserialize(bytes).map_err(damaged)?;
    let first = header + size_of::<u64>();
    let mut found = BTreeMap::new();
    for (name, info) in about.tensors() {
        let dtype = dtype(info.dtype)
            .ok_or_else(|| format!("the tensor {name} is of the type {:?}", info.dtype))?;
        let (start, end) = info.data_offsets;
        let strides = strides(&info.shape);
        let bytes = first + start..first + end;
        let stored = Stored::of_storage(&name, dtype, bytes, 0, info.shape.clone(), strides)?;
        found.insert(name, stored);
    }
    Ok(found)
}

/// Of a contiguous tensor.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides: Vec<usize> = shape
        .iter()
        .rev()
        .scan(1_usize, |next, &side| {
            let stride = *next;
            *next = next.saturating_mul(side);
            Some(stride)
        })
        .collect();
    strides.reverse();
    strides
}

fn dtype(of: Type) -> Option<Dtype> {
    Some(match of {
        Type::F16 => Dtype::F16,
        Type::BF16 => Dtype::Bf16,
        Type::F32 => Dtype::F32,
        Type::F64 => Dtype::F64,
        Type::I64 => Dtype::I64,
        Type::I32 => Dtype::I32,
        Type::I16 => Dtype::I16,
        Type::I8 => Dtype::I8,
        Type::U8 => Dtype::U8,
        Type::BOOL => Dtype::Bool,
        _ => return None,
    })
}
