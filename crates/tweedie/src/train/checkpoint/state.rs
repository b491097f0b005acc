//! `state.json`: the parts of a checkpoint, with hashes that reveal damage.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The version of the layout that is written. Folders of format 1 have no hashes, and the three
/// files of one network.
pub(super) const FORMAT: u32 = 2;

/// The file's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub format: u32,
    pub step: u64,
    /// The folder's other files.
    #[serde(default)]
    pub files: BTreeMap<String, Seal>,
    /// Where each section lies.
    #[serde(default)]
    pub sections: BTreeMap<String, Place>,
    /// What the checkpoint belongs to.
    #[serde(default, flatten)]
    pub about: About,
    /// The SHA-256 of everything above, written with this field empty.
    #[serde(default)]
    pub seal: String,
}

/// The length and hash of a file as it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Seal {
    pub sha256: String,
    pub bytes: u64,
}

/// A section's file, and the prefix of its arrays' names there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    pub file: String,
    #[serde(default)]
    pub prefix: String,
}

/// What a checkpoint stores beside the trainer's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The run's files that define the meaning of the weights (`config.toml`, `data.json`): the
    /// [`digest`]s of every content that is compatible with the checkpoint. The first is the
    /// content at the time of writing; others are added when a resumed run changes settings that
    /// may change.
    #[serde(default)]
    pub run: BTreeMap<String, Vec<String>>,
    /// The sums of losses since the last line of statistics, where the checkpoint lies between two
    /// lines; only their writer interprets them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub window: Vec<u64>,
}

impl State {
    /// The file's bytes, sealed.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut state = self.clone();
        state.seal = state.sealed()?;
        serde_json::to_vec_pretty(&state)
    }

    /// Reads a file of format 1 or 2.
    pub fn parse(bytes: &[u8], step: u64) -> Result<Self, String> {
        let mut state: Self =
            serde_json::from_slice(bytes).map_err(|e| format!("is not a state ({e})"))?;
        if state.format > FORMAT {
            return Err(format!(
                "is of format {}, which a later version of tweedie wrote; use that version",
                state.format
            ));
        }
        if state.format == 1 {
            state.sections = usual_places();
        } else if state.sealed().ok().as_ref() != Some(&state.seal) {
            return Err("has changed since it was written (its SHA-256 differs)".into());
        }
        if state.format == 0 || state.step != step {
            return Err(format!(
                "says step {} of format {}",
                state.step, state.format
            ));
        }
        let places = state.sections.values().map(|place| &place.file);
        match places.chain(state.files.keys()).find(|name| !is_safe(name)) {
            Some(name) => Err(format!("names the file {name:?}, which no checkpoint has")),
            None => Ok(state),
        }
    }

    fn sealed(&self) -> serde_json::Result<String> {
        let mut state = self.clone();
        state.seal.clear();
        Ok(digest(&serde_json::to_vec(&state)?))
    }
}

/// The SHA-256 of `bytes`, in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The sections of one network in format 1.
fn usual_places() -> BTreeMap<String, Place> {
    ["model", "ema", "adam.first", "adam.second"]
        .into_iter()
        .filter_map(|section| Some((section.to_owned(), place(section)?)))
        .collect()
}

/// The file of `section`; none where the name is not one: parts of small letters, digits, `-`, `_`
/// and `.`, joined by `/`.
///
/// "model" is in model.safetensors, "adam.first" and "adam.second" share optimizer.safetensors,
/// "critic/model" is in critic.model.safetensors.
pub(super) fn place(section: &str) -> Option<Place> {
    let (network, part) = match section.rsplit_once('/') {
        Some((network, part)) => (format!("{}.", network.replace('/', ".")), part),
        None => (String::new(), section),
    };
    let (stem, prefix) = match part {
        "adam.first" => ("optimizer", "first."),
        "adam.second" => ("optimizer", "second."),
        part => (part, ""),
    };
    let file = format!("{network}{stem}.safetensors");
    let whole = section.split('/').all(|part| !part.is_empty());
    (whole && is_safe(&file)).then(|| Place {
        file,
        prefix: prefix.into(),
    })
}

/// Whether a file of this name lies in the folder itself, on every system.
fn is_safe(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    name.len() <= 200
        && name.ends_with(".safetensors")
        && !name.starts_with('.')
        && name.bytes().all(known)
}
