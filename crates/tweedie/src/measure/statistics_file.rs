//! Moments in npz files, as pytorch-fid keeps them: arrays `mu` `[dim]` and `sigma` `[dim, dim]`.
//!
//! pytorch-fid reads the files that are written here, and its own are read. Beside them `count`, which
//! it does not look at, is the number of rows: files that have it can be merged.

use std::path::Path;

use super::Moments;
use crate::data::{npz, npz_bytes_f64};
use crate::error::{Error, Result};
use crate::files::write_atomic;

impl Moments {
    /// Whether `path` is an npz file with arrays `mu` and `sigma`.
    ///
    /// # Errors
    /// [`Error::Io`] where it is there and cannot be read, [`Error::Content`] where it is called
    /// npz and is none.
    pub fn are_in_npz(path: &Path) -> Result<bool> {
        let is_npz = path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("npz"));
        if !is_npz || !path.is_file() {
            return Ok(false);
        }
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let names = npz::names(path, &bytes)?;
        let has = |name: &str| names.iter().any(|found| found == name);
        Ok(has("mu") && has("sigma"))
    }

    /// The moments in the npz file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Content`] where it lacks `mu` or `sigma`, or
    /// their shapes or values are not those of a mean and a covariance.
    pub fn read_npz(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let names = npz::names(path, &bytes)?;
        let array = |name: &str| match names.iter().any(|found| found == name) {
            true => npz::member_f64(path, &bytes, name),
            false => {
                let found: Vec<String> = names
                    .iter()
                    .map(|name| format!("'{}'", name.escape_debug()))
                    .collect();
                let reason = format!(
                    "statistics are arrays 'mu' and 'sigma', as pytorch-fid writes them; this file \
                     has {}",
                    found.join(", ")
                );
                Err(Error::content(path, reason))
            }
        };
        let ((mean_dims, mean), (dims, covariance)) = (array("mu")?, array("sigma")?);
        let dim = mean.len();
        if mean_dims.len() != 1 || dims != [dim, dim] {
            let reason = format!(
                "'mu' has shape {mean_dims:?} and 'sigma' {dims:?}, where [d] and [d, d] are needed"
            );
            return Err(Error::content(path, reason));
        }
        let moments = Self::new(mean, covariance);
        let moments = moments.map_err(|e| Error::content(path, e.to_string()))?;
        if !names.iter().any(|name| name == "count") {
            return Ok(moments);
        }
        match array("count")?.1[..] {
            [count] if count >= 1.0 && count.fract() == 0.0 && count < 2f64.powi(53) => {
                Ok(moments.with_count(count as u64))
            }
            _ => Err(Error::content(
                path,
                "'count' is not one whole number of rows",
            )),
        }
    }

    /// The bytes of the npz file with these moments, `count` among them where it is known.
    ///
    /// # Errors
    /// [`Error::Content`] where the archive cannot be made.
    pub fn npz_bytes(&self) -> Result<Vec<u8>> {
        let dim = self.dim();
        let count: Vec<f64> = self.count().map(|count| count as f64).into_iter().collect();
        let mut arrays: Vec<(&str, &[usize], &[f64])> =
            vec![("mu", std::slice::from_ref(&dim), self.mean())];
        let square = [dim, dim];
        arrays.push(("sigma", &square, self.covariance()));
        if !count.is_empty() {
            arrays.push(("count", &[], &count));
        }
        npz_bytes_f64(&arrays)
    }

    /// Writes [`Moments::npz_bytes`] to `path`, beside it first.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn write_npz(&self, path: &Path) -> Result<()> {
        write_atomic(path, &self.npz_bytes()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::RunningMoments;

    #[test]
    fn what_is_written_is_read_back_bit_for_bit_and_merges() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("statistics.npz");
        let rows = [0.1, 1.0 / 3.0, -7.0, 2.0, 1e-9, 0.7];
        let moments = Moments::of_rows(&rows, 2).unwrap();
        moments.write_npz(&path).unwrap();
        let read = Moments::read_npz(&path).unwrap();
        assert_eq!(read, moments);
        assert_eq!(RunningMoments::try_from(&read).unwrap().count(), 3);
        let exact = Moments::new(vec![1.0], vec![2.0]).unwrap();
        exact.write_npz(&path).unwrap();
        assert_eq!(Moments::read_npz(&path).unwrap(), exact);
    }

    #[test]
    fn other_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("statistics.npz");
        let refused = |arrays: &[(&str, &[usize], &[f64])]| {
            std::fs::write(&path, npz_bytes_f64(arrays).unwrap()).unwrap();
            Moments::read_npz(&path).unwrap_err().to_string()
        };
        let error = refused(&[("m2", &[1], &[0.0]), ("s2", &[1, 1], &[1.0])]);
        assert!(error.contains("this file has 'm2', 's2'"), "{error}");
        let error = refused(&[("mu", &[2], &[0.0; 2]), ("sigma", &[1, 1], &[1.0])]);
        assert!(error.contains("'sigma' [1, 1]"), "{error}");
        let error = refused(&[("mu", &[1], &[f64::NAN]), ("sigma", &[1, 1], &[1.0])]);
        assert!(error.contains("not finite"), "{error}");
        let whole: [(&str, &[usize], &[f64]); 2] =
            [("mu", &[1], &[0.0]), ("sigma", &[1, 1], &[1.0])];
        let error = refused(&[whole[0], whole[1], ("count", &[], &[1.5])]);
        assert!(error.contains("'count'"), "{error}");
        std::fs::write(&path, b"no archive").unwrap();
        assert!(Moments::read_npz(&path).is_err());
        assert!(Moments::read_npz(&dir.path().join("none.npz")).is_err());
    }
}
