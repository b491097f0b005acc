//! Checkpoints: everything an exact continuation needs, in one folder a step.
//!
//! ```text
//! checkpoints/000001000/
//!     model.safetensors       raw weights, under diffusers' names
//!     ema.safetensors         their moving average
//!     optimizer.safetensors   Adam's moments: first.NAME and second.NAME
//!     state.json              the step, and the version of this layout
//! ```
//!
//! The random position is (seed, step): every draw of training is keyed by them, and so is the
//! order of the data. The folder is written under another name and renamed when complete.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nn::params::{Array, ByName};

const MODEL: &str = "model.safetensors";
const EMA: &str = "ema.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";

/// The way out of a damaged checkpoint.
const GO_BACK: &str = "remove this checkpoint's folder to use the one before it";

/// The state of training after `step` updates.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Updates made.
    pub step: u64,
    /// Names, shapes and raw values.
    pub weights: ByName<Array>,
    /// Moving averages, in the order of `weights`.
    pub ema: Vec<Vec<f32>>,
    /// Adam's first moments, likewise.
    pub first: Vec<Vec<f32>>,
    /// Adam's second moments, likewise.
    pub second: Vec<Vec<f32>>,
}

#[derive(Serialize, Deserialize)]
struct State {
    format: u32,
    step: u64,
}

/// The folder of a run's checkpoints.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// The checkpoints below `folder`, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The steps at which complete checkpoints exist, in ascending order.
    pub fn steps(&self) -> Vec<u64> {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let mut steps: Vec<u64> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let step: u64 = name.to_str()?.parse().ok()?;
                // Nothing else in the folder is ours, however it is called.
                (self.path(step).file_name() == Some(&name) && entry.path().join(STATE).is_file())
                    .then_some(step)
            })
            .collect();
        steps.sort_unstable();
        steps
    }

    /// The folder of all checkpoints.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the checkpoint of `step` lies.
    pub fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("{step:09}"))
    }

    /// Writes `checkpoint` and removes all but the `keep` latest.
    ///
    /// # Errors
    /// When the disk refuses; earlier checkpoints are then still there.
    pub fn save(&self, checkpoint: &Checkpoint, keep: usize) -> Result<()> {
        let place = self.path(checkpoint.step);
        let partial = place.with_extension("partial");
        let written = self.write(checkpoint, &partial).and_then(|()| {
            if place.exists() {
                fs::remove_dir_all(&place).map_err(Error::io("replace", &place))?;
            }
            fs::rename(&partial, &place).map_err(Error::io("write", &place))
        });
        if written.is_err() {
            // Best effort: the error that matters is the one returned.
            let _ = fs::remove_dir_all(&partial);
            return written;
        }
        let steps = self.steps();
        for old in steps.iter().rev().skip(keep.max(1)) {
            let old = self.path(*old);
            fs::remove_dir_all(&old).map_err(Error::io("remove", &old))?;
        }
        Ok(())
    }

    fn write(&self, checkpoint: &Checkpoint, folder: &Path) -> Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(Error::io("remove", folder))?;
        }
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let raw: Vec<&[f32]> = checkpoint.weights.values().map(|p| &p.values[..]).collect();
        let ema: Vec<&[f32]> = checkpoint.ema.iter().map(|v| &v[..]).collect();
        let moments: Vec<&[f32]> = checkpoint
            .first
            .iter()
            .chain(&checkpoint.second)
            .map(|v| &v[..])
            .collect();
        write_tensors(&folder.join(MODEL), &checkpoint.weights, &[""], &raw)?;
        write_tensors(&folder.join(EMA), &checkpoint.weights, &[""], &ema)?;
        let prefixes = ["first.", "second."];
        write_tensors(
            &folder.join(OPTIMIZER),
            &checkpoint.weights,
            &prefixes,
            &moments,
        )?;
        let state = State {
            format: 1,
            step: checkpoint.step,
        };
        let state = serde_json::to_vec_pretty(&state).map_err(|e| Error::Content {
            path: folder.join(STATE),
            reason: e.to_string(),
        })?;
        crate::files::write_atomic(&folder.join(STATE), &state)
    }

    /// Reads the checkpoint of `step` into the shape of a network with parameters `like`.
    ///
    /// # Errors
    /// When a file is missing, damaged, or of another network.
    pub fn load(&self, step: u64, like: &ByName<Array>) -> Result<Checkpoint> {
        let folder = self.path(step);
        let state_path = folder.join(STATE);
        let state = fs::read(&state_path).map_err(Error::io("read", &state_path))?;
        let state: State = serde_json::from_slice(&state)
            .map_err(|e| Error::content(&state_path, format!("is damaged ({e}); {GO_BACK}")))?;
        if state.format != 1 || state.step != step {
            let reason = "was not written by this version of tweedie, or was moved";
            return Err(Error::content(&state_path, reason));
        }
        let mut weights = like.clone();
        let raw = read_tensors(&folder.join(MODEL), like, "")?;
        for (parameter, values) in weights.values_mut().zip(raw) {
            parameter.values = values;
        }
        Ok(Checkpoint {
            step,
            weights,
            ema: read_tensors(&folder.join(EMA), like, "")?,
            first: read_tensors(&folder.join(OPTIMIZER), like, "first.")?,
            second: read_tensors(&folder.join(OPTIMIZER), like, "second.")?,
        })
    }

    /// Reads only the weights of `step`: the moving average, or the raw ones.
    ///
    /// # Errors
    /// When the file is missing, damaged, or of another network.
    pub fn weights(&self, step: u64, like: &ByName<Array>, ema: bool) -> Result<ByName<Vec<f32>>> {
        let name = if ema { EMA } else { MODEL };
        let values = read_tensors(&self.path(step).join(name), like, "")?;
        Ok(like.keys().cloned().zip(values).collect())
    }
}

/// Writes one tensor for each prefix and parameter, in that order, values from `values`.
fn write_tensors(
    path: &Path,
    parameters: &ByName<Array>,
    prefixes: &[&str],
    values: &[&[f32]],
) -> Result<()> {
    let bytes: Vec<Vec<u8>> = values
        .iter()
        .map(|values| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let names = prefixes.iter().flat_map(|prefix| {
        parameters
            .iter()
            .map(move |(name, p)| (format!("{prefix}{name}"), p))
    });
    let mut views = Vec::new();
    for ((name, parameter), bytes) in names.zip(&bytes) {
        let view = TensorView::new(Dtype::F32, parameter.shape.clone(), bytes)
            .map_err(|e| Error::content(path, format!("{name}: {e}")))?;
        views.push((name, view));
    }
    // PyTorch's tools ask for this entry before they accept a file.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let file = safetensors::serialize(views, Some(metadata))
        .map_err(|e| Error::content(path, e.to_string()))?;
    crate::files::write_atomic(path, &file)
}

/// Reads the tensors named `prefix` + the names of `like`, which must be there with its shapes.
fn read_tensors(path: &Path, like: &ByName<Array>, prefix: &str) -> Result<Vec<Vec<f32>>> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| {
        Error::content(
            path,
            format!("is not a complete safetensors file ({e}); {GO_BACK}"),
        )
    })?;
    let stranger = |reason: String| {
        let advice = "it belongs to another network; use the configuration it was trained with";
        Error::content(path, format!("{reason}: {advice}"))
    };
    let expected = file
        .names()
        .iter()
        .filter(|name| name.starts_with(prefix))
        .count();
    if expected != like.len() {
        return Err(stranger(format!(
            "holds {expected} tensors where the network has {}",
            like.len()
        )));
    }
    like.iter()
        .map(|(name, parameter)| {
            let name = format!("{prefix}{name}");
            let view = file
                .tensor(&name)
                .map_err(|_| stranger(format!("lacks {name}")))?;
            if view.shape() != parameter.shape || view.dtype() != Dtype::F32 {
                return Err(stranger(format!(
                    "{name} is {:?} {:?} where the network has F32 {:?}",
                    view.dtype(),
                    view.shape(),
                    parameter.shape
                )));
            }
            let words = view.data().chunks_exact(4);
            Ok(words
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(step: u64) -> Checkpoint {
        let parameter = |name: &str, shape: &[usize]| {
            let values = (0..shape.iter().product()).map(|i: usize| i as f32 + 0.1);
            let array = Array {
                shape: shape.to_vec(),
                values: values.collect(),
            };
            (name.to_owned(), array)
        };
        let weights = ByName::from([parameter("a.weight", &[2, 3]), parameter("a.bias", &[2])]);
        let array = |offset: f32| -> Vec<Vec<f32>> {
            weights
                .values()
                .map(|p| p.values.iter().map(|v| v + offset).collect())
                .collect()
        };
        Checkpoint {
            step,
            ema: array(1.0),
            first: array(2.0),
            second: array(3.0),
            weights,
        }
    }

    #[test]
    fn round_trips_and_keeps_the_latest() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(dir.path().join("checkpoints"));
        assert!(checkpoints.steps().is_empty());
        for step in [10, 20, 30] {
            checkpoints.save(&example(step), 2).unwrap();
        }
        assert_eq!(checkpoints.steps(), [20, 30]);
        let like = example(0).weights;
        assert_eq!(checkpoints.load(30, &like).unwrap(), example(30));
        assert_eq!(
            checkpoints.weights(20, &like, true).unwrap(),
            like.keys().cloned().zip(example(0).ema).collect()
        );
    }

    #[test]
    fn a_stranger_or_a_torn_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(dir.path());
        checkpoints.save(&example(5), 1).unwrap();
        let mut other = example(0).weights;
        other.get_mut("a.weight").unwrap().shape = vec![3, 2];
        let error = checkpoints.load(5, &other).unwrap_err().to_string();
        assert!(
            error.contains("a.weight") && error.contains("another network"),
            "{error}"
        );
        other.pop_first();
        let error = checkpoints.load(5, &other).unwrap_err().to_string();
        assert!(
            error.contains("holds 2 tensors where the network has 1"),
            "{error}"
        );

        let ema = checkpoints.path(5).join(EMA);
        let bytes = fs::read(&ema).unwrap();
        for length in [0, 5, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&ema, &bytes[..length]).unwrap();
            let error = checkpoints
                .load(5, &example(0).weights)
                .unwrap_err()
                .to_string();
            assert!(error.contains("ema.safetensors"), "{error}");
        }
    }
}
