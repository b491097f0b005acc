//! Arrays of f32 by name, as safetensors files.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::Result;

/// A name, a shape, and row-major values.
pub type Named = (String, Vec<usize>, Vec<f32>);

/// Writes `tensors` to `file`.
pub fn write(file: &Path, tensors: &[Named]) -> Result<()> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let mut views = Vec::new();
    for ((name, shape, _), bytes) in tensors.iter().zip(&bytes) {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?));
    }
    Ok(std::fs::write(file, safetensors::serialize(views, None)?)?)
}

/// The values of all tensors in `file`, by name.
pub fn read(file: &Path) -> Result<HashMap<String, Vec<f32>>> {
    let bytes = std::fs::read(file)?;
    let mut found = HashMap::new();
    for (name, view) in SafeTensors::deserialize(&bytes)?.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(format!("{}: {name} is not f32", file.display()).into());
        }
        let words = view.data().chunks_exact(4);
        let values = words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        found.insert(name, values.collect());
    }
    Ok(found)
}
