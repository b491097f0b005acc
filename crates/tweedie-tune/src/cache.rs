//! Evaluations on disk, by what they are of: a search that was killed finds them again.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tweedie::run::RunDir;
use tweedie::{Error, Result, write_atomic};

/// A folder of arrays, each named by a hash of all that it depends on. A file is a hash of its
/// values and the values, f64 in little-endian order.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

/// Bytes of a SHA-256.
const HASH: usize = 32;

impl Cache {
    /// The cache in `folder`, which is made.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(Error::io("make", &folder))?;
        Ok(Self { folder })
    }

    /// That of the evaluations of `run`.
    ///
    /// # Errors
    /// As for [`Cache::open`].
    pub fn of_run(run: &RunDir) -> Result<Self> {
        Self::open(run.tuning_path().join("evaluations"))
    }

    /// The `count` values stored under `key`; `None` where there are none, or damaged ones, which
    /// are computed again.
    ///
    /// # Errors
    /// [`Error::Io`] where they are there and cannot be read.
    pub fn get(&self, key: &str, count: usize) -> Result<Option<Vec<f64>>> {
        let path = self.folder.join(key);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let Some((hash, values)) = bytes.split_at_checked(HASH) else {
            return Ok(None);
        };
        if values.len() != 8 * count || Sha256::digest(values)[..] != *hash {
            return Ok(None);
        }
        let values = values.as_chunks::<8>().0.iter();
        Ok(Some(
            values.map(|bytes| f64::from_le_bytes(*bytes)).collect(),
        ))
    }

    /// Stores `values` under `key`.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn put(&self, key: &str, values: &[f64]) -> Result<()> {
        let values: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let mut bytes = Sha256::digest(&values).to_vec();
        bytes.extend(values);
        write_atomic(&self.folder.join(key), &bytes)
    }
}

/// Bytes as a name.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_found_and_damage_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("a/b")).unwrap();
        assert_eq!(cache.get("k", 2).unwrap(), None);
        cache.put("k", &[1.5, -0.0]).unwrap();
        let found = cache.get("k", 2).unwrap().unwrap();
        assert_eq!(found[1].to_bits(), (-0.0f64).to_bits());
        assert_eq!(cache.get("k", 3).unwrap(), None);
        let path = dir.path().join("a/b/k");
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(cache.get("k", 2).unwrap(), None);
        fs::write(&path, [0; 5]).unwrap();
        assert_eq!(cache.get("k", 2).unwrap(), None);
    }
}
