//! Where the labels of a data set come from: the key `labels` of the `[data]` table.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::array::Array;
use super::bounded::Source;
use super::labels::Labels;
use super::{idx, npy};
use crate::error::{Error, Result};

/// Whether labels are read, and from where. In a configuration: `false`, `true` or `"auto"`, or a
/// name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum LabelSource {
    /// No labels are read.
    #[default]
    None,
    /// From where such data usually has its labels: the second of a pair of IDX files, the array
    /// `labels`, `y`, `y_train` or `arr_1` of an npz file, the sub-folders of a folder, the column
    /// `label`, `labels`, `class`, `target` or `y` of a csv file; of built-in sets, the digit or
    /// the component.
    Auto,
    /// By name: a column of a csv file (or its number, from 1), an array of an npz file, `folders`
    /// for a folder's sub-folders; for everything but csv files also the path of an IDX or npy
    /// file with one label per item.
    Named(String),
}

/// The value in a configuration.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "labels take true, \"auto\", false, or a name such as \"labels.npy\""
)]
enum Written {
    Is(bool),
    /// The number of a column: `--set data.labels=5` is a number.
    Number(i64),
    Text(String),
}

impl TryFrom<Written> for LabelSource {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Ok(match written {
            Written::Is(false) => Self::None,
            Written::Is(true) => Self::Auto,
            Written::Number(column) => Self::Named(column.to_string()),
            Written::Text(name) if name == "auto" => Self::Auto,
            Written::Text(name) if name.is_empty() => {
                return Err("labels are given an empty name; leave them out for none".into());
            }
            Written::Text(name) => Self::Named(name),
        })
    }
}

impl From<LabelSource> for Written {
    fn from(source: LabelSource) -> Self {
        match source {
            LabelSource::None => Self::Is(false),
            LabelSource::Auto => Self::Text("auto".into()),
            LabelSource::Named(name) => Self::Text(name),
        }
    }
}

impl LabelSource {
    /// Whether no labels are read.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Refuses the source for the data called `data`, with the way out.
    pub(crate) fn refuse(&self, data: &str, way_out: &str) -> Error {
        let value = match self {
            Self::None => "false".into(),
            Self::Auto => "true".into(),
            Self::Named(name) => format!("'{}'", name.escape_debug()),
        };
        Error::setting("labels", value, format!("'{data}' {way_out}"))
    }
}

/// The labels in the IDX file that belongs to the `images`: MNIST and its descendants call the
/// two `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, either of them gzipped or not.
pub(crate) fn beside_idx(images: &Path, count: usize) -> Result<Labels> {
    let name = images.file_name().unwrap_or_default().to_string_lossy();
    if !name.contains("images") {
        let reason = "its name has no \"images\" in it, to find \"labels\" in its place; name the \
                      file with the labels: labels = \"PATH\"";
        return Err(Error::content(images, reason));
    }
    let name = name.replacen("images", "labels", 1);
    let name = name.replacen("idx3", "idx1", 1);
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    let candidates = [name.clone(), plain.to_owned(), format!("{plain}.gz")];
    let candidates = candidates.map(|name| images.with_file_name(name));
    match candidates.iter().find(|path| path.exists()) {
        Some(path) => of_file(path, count),
        None => {
            let reason = format!(
                "no such file, where the labels of {} are looked for; fetch it, or name another: \
                 labels = \"PATH\"",
                images.display()
            );
            Err(Error::content(&candidates[0], reason))
        }
    }
}

/// One label per item from the IDX or npy file at `path`, for data of `count` items.
pub(crate) fn of_file(path: &Path, count: usize) -> Result<Labels> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let array = if bytes.starts_with(npy::MAGIC) {
        npy::parse(path, Source::plain(path, &bytes))?
    } else if idx::is_idx(&bytes) {
        idx::parse(path, &bytes)?
    } else {
        let reason = "labels are read from IDX files (plain or gzipped) and npy files; give one";
        return Err(Error::content(path, reason));
    };
    of_array(path, array, count)
}

/// One label per item from the array of the file at `path`, for data of `count` items.
pub(crate) fn of_array(path: &Path, array: Array, count: usize) -> Result<Labels> {
    let labels = Labels::from_array(path, array)?;
    if labels.len() == count {
        return Ok(labels);
    }
    let reason = format!(
        "there are {} labels for {count} items; give one label per item",
        labels.len()
    );
    Err(Error::content(path, reason))
}

/// The file that a name means where it is nothing else in the source: its path, if it exists.
pub(crate) fn existing(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(name);
    path.exists().then_some(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Table {
        labels: LabelSource,
    }

    #[test]
    fn it_is_written_as_users_write_it() {
        let named = |name: &str| LabelSource::Named(name.into());
        for (text, expected) in [
            ("false", LabelSource::None),
            ("true", LabelSource::Auto),
            ("'auto'", LabelSource::Auto),
            ("'species'", named("species")),
            ("5", named("5")),
        ] {
            let table: Table = toml::from_str(&format!("labels = {text}")).unwrap();
            assert_eq!(table.labels, expected);
            let again: Table = toml::from_str(&toml::to_string(&table).unwrap()).unwrap();
            assert_eq!(again, table);
        }
        for text in ["''", "1.5", "['a']"] {
            let error = toml::from_str::<Table>(&format!("labels = {text}")).unwrap_err();
            assert!(error.to_string().contains("labels"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_files_of_labels_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..100), count in 0_usize..9,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("labels");
            for start in [&[][..], &[0, 0, 8, 1, 0, 0, 0], npy::MAGIC, &idx::GZIP] {
                fs::write(&path, [start, &bytes].concat()).unwrap();
                if let Ok(labels) = of_file(&path, count) {
                    prop_assert_eq!(labels.len(), count);
                }
            }
        }
    }
}
