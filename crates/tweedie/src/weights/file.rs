//! A file of weights: its tensors by name.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{Dtype, safetensors, torch_legacy, torch_zip};
use crate::error::{Error, Result};
use crate::nn::Array;

/// What is known of a tensor before its values are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The type of the stored values.
    pub dtype: Dtype,
    /// The shape.
    pub shape: Vec<usize>,
}

/// A tensor's place in the file: values within `bytes`, `strides` apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// In values, one for each side.
    pub strides: Vec<usize>,
    /// Of the first value to the end of its storage.
    pub bytes: Range<usize>,
}

/// A file of weights, read but not yet converted: it holds the file's bytes, and values are made
/// of them when they are asked for.
#[derive(Debug)]
pub struct WeightFile {
    path: PathBuf,
    bytes: Vec<u8>,
    tensors: BTreeMap<String, Stored>,
}

impl WeightFile {
    /// Reads the file at `path`: a `.pth`, `.pt` or `.bin` of `torch.save`, in either of its
    /// formats, or a `.safetensors`. What it is is told by its first bytes, not by its name.
    ///
    /// Tensors within dictionaries and lists are named by the path to them, joined by dots.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; [`Error::Content`] where it is none of these, is
    /// damaged, or is a PyTorch file that asks for anything but tensors, containers and plain
    /// values.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(Error::io("read", path))?;
        Self::parse(path, bytes)
    }

    /// As [`WeightFile::read`] of a file's `bytes`; `path` is for messages.
    ///
    /// # Errors
    /// As [`WeightFile::read`].
    pub fn parse(path: impl AsRef<Path>, bytes: Vec<u8>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let tensors = if bytes.starts_with(torch_zip::MAGIC) {
            torch_zip::tensors(&bytes)
        } else if torch_legacy::is_legacy(&bytes) {
            torch_legacy::tensors(&bytes)
        } else if safetensors::is_safetensors(&bytes) {
            safetensors::tensors(&bytes)
        } else {
            Err("is neither a file of torch.save nor safetensors".into())
        };
        let tensors = tensors.map_err(|reason| Error::content(&path, reason))?;
        Ok(Self {
            path,
            bytes,
            tensors,
        })
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// What is known of the tensor `name`, if there is one.
    pub fn describe(&self, name: &str) -> Option<Description> {
        self.tensors.get(name).map(|stored| Description {
            dtype: stored.dtype,
            shape: stored.shape.clone(),
        })
    }

    /// The tensor `name` with values in `f32`, if there is one.
    pub fn array(&self, name: &str) -> Option<Array> {
        self.tensors.get(name).map(|stored| Array {
            shape: stored.shape.clone(),
            values: stored.values(&self.bytes),
        })
    }
}

impl Stored {
    /// A tensor at value `offset` of a storage, which is known to lie in the file.
    ///
    /// It has at most as many values as its storage: one that repeats them (`Tensor.expand`) could
    /// claim any size.
    pub fn of_storage(
        name: &str,
        dtype: Dtype,
        storage: Range<usize>,
        offset: usize,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Result<Self, String> {
        let count = storage.len() / dtype.size();
        let refused = |reason: String| format!("the tensor {name} {shape:?} {reason}");
        if strides.len() != shape.len() {
            return Err(refused(format!("has {} strides", strides.len())));
        }
        let values = shape
            .iter()
            .try_fold(1_usize, |n, &side| n.checked_mul(side));
        let Some(values) = values.filter(|&values| values <= count) else {
            return Err(refused(format!(
                "does not fit its storage of {count} values"
            )));
        };
        // The last value's place.
        let last = shape
            .iter()
            .zip(&strides)
            .try_fold(offset, |at, (&side, &stride)| {
                at.checked_add(side.saturating_sub(1).checked_mul(stride)?)
            });
        let inside = last.is_some_and(|last| last < count);
        if values > 0 && !inside {
            return Err(refused(format!(
                "reaches beyond its storage of {count} values"
            )));
        }
        let start = match values {
            0 => storage.end,
            _ => storage.start + offset * dtype.size(),
        };
        Ok(Self {
            dtype,
            shape,
            strides,
            bytes: start..storage.end,
        })
    }

    /// The values in row-major order.
    fn values(&self, file: &[u8]) -> Vec<f32> {
        let bytes = &file[self.bytes.clone()];
        let size = self.dtype.size();
        let count = self.shape.iter().product();
        if self.is_contiguous() {
            let values = bytes.chunks_exact(size).take(count);
            return values.map(|value| self.dtype.to_f32(value)).collect();
        }
        let mut values = Vec::with_capacity(count);
        let mut place = vec![0; self.shape.len()];
        for _ in 0..count {
            let at: usize = place.iter().zip(&self.strides).map(|(i, s)| i * s).sum();
            values.push(self.dtype.to_f32(&bytes[at * size..][..size]));
            for (i, &side) in place.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < side {
                    break;
                }
                *i = 0;
            }
        }
        values
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        let sides = self.shape.iter().zip(&self.strides).rev();
        for (&side, &stride) in sides {
            if side != 1 && stride != expected {
                return false;
            }
            expected = expected.saturating_mul(side);
        }
        true
    }
}
