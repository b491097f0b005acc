//! Writing one checkpoint.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::state::{FORMAT, Seal, State, place};
use super::store::{STATE, discard};
use super::{About, Checkpoint, digest, tensors};
use crate::error::{Error, Result};
use crate::files::{sync_folder, write_atomic};
use crate::nn::params::{Array, ByName};

/// Writes `checkpoint` to `folder`, which is made anew, and syncs it.
pub(super) fn write(checkpoint: &Checkpoint, about: &About, folder: &Path) -> Result<()> {
    let mut state = State {
        format: FORMAT,
        step: checkpoint.step,
        files: BTreeMap::new(),
        sections: BTreeMap::new(),
        about: about.clone(),
        seal: String::new(),
    };
    // Sections by file, each with the prefix of its names.
    let mut files: BTreeMap<String, Vec<(String, &ByName<Array>)>> = BTreeMap::new();
    for (name, arrays) in &checkpoint.sections {
        let refused = |reason| Error::setting("section", name, reason);
        let place = place(name)
            .ok_or_else(|| refused("must be small letters, digits and - _ . with / between"))?;
        if state.sections.values().any(|other| *other == place) {
            return Err(refused("would share a file with another section"));
        }
        let sections = files.entry(place.file.clone()).or_default();
        sections.push((place.prefix.clone(), arrays));
        state.sections.insert(name.clone(), place);
    }
    discard(folder)?;
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    for (file, sections) in files {
        let path = folder.join(&file);
        // Named by its final path: the folder being written is temporary.
        let bytes = tensors::to_bytes(&sections)
            .map_err(|reason| Error::content(folder.with_extension("").join(&file), reason))?;
        write_atomic(&path, &bytes)?;
        let seal = Seal {
            sha256: digest(&bytes),
            bytes: bytes.len() as u64,
        };
        state.files.insert(file, seal);
    }
    let path = folder.join(STATE);
    write_atomic(&path, &to_bytes(&state, &path)?)?;
    sync_folder(folder)
}

pub(super) fn to_bytes(state: &State, path: &Path) -> Result<Vec<u8>> {
    state
        .to_bytes()
        .map_err(|e| Error::content(path, e.to_string()))
}
