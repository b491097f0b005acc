//! Sections as safetensors files, the format that PyTorch's tools read.

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::nn::params::{Array, ByName};

/// The file of several sections, each with the prefix of its names. The error is a reason.
pub(super) fn to_bytes(sections: &[(String, &ByName<Array>)]) -> Result<Vec<u8>, String> {
    let arrays: Vec<(String, &Array, Cow<'_, [u8]>)> = sections
        .iter()
        .flat_map(|(prefix, arrays)| {
            arrays
                .iter()
                .map(move |(name, array)| (format!("{prefix}{name}"), array))
        })
        .map(|(name, array)| (name, array, little_endian(&array.values)))
        .collect();
    let mut views = Vec::with_capacity(arrays.len());
    for (name, array, bytes) in &arrays {
        if let Some(place) = array.values.iter().position(|v| !v.is_finite()) {
            return Err(not_finite(name, array.values[place]));
        }
        let view = TensorView::new(Dtype::F32, array.shape.clone(), bytes)
            .map_err(|e| format!("{name}: {e}"))?;
        views.push((name.as_str(), view));
    }
    // PyTorch's tools ask for this entry before they accept a file.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())
}

/// The section whose names begin with `prefix`, without it. The error is a reason.
pub(super) fn parse(bytes: &[u8], prefix: &str) -> Result<ByName<Array>, String> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| format!("is not a complete safetensors file ({e})"))?;
    let mut found = ByName::new();
    for (name, view) in file.iter() {
        let Some(name) = name.strip_prefix(prefix) else {
            continue;
        };
        if view.dtype() != Dtype::F32 {
            return Err(format!("{name} holds {:?} and not F32", view.dtype()));
        }
        let words = view.data().chunks_exact(4);
        let values: Vec<f32> = words
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        if let Some(place) = values.iter().position(|v| !v.is_finite()) {
            return Err(not_finite(name, values[place]));
        }
        let shape = view.shape().to_vec();
        found.insert(name.to_owned(), Array { shape, values });
    }
    Ok(found)
}

fn not_finite(name: &str, value: f32) -> String {
    format!("{name} holds {value}, which is no number to go on from")
}

fn little_endian(values: &[f32]) -> Cow<'_, [u8]> {
    match cfg!(target_endian = "little") {
        true => Cow::Borrowed(bytemuck::cast_slice(values)),
        false => Cow::Owned(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
    }
}
