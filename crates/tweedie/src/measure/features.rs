//! The rows that a measure is of.

use super::check_rows;
use crate::error::{Error, Result};

/// A set of items as `[n, dim]` features, n at least 2, all finite: pixels, coordinates, or what a
/// network makes of images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Features<'a> {
    values: &'a [f64],
    dim: usize,
}

impl<'a> Features<'a> {
    /// The rows of `values`, `[n, dim]`; `what` is what an error calls them: "the samples".
    ///
    /// # Errors
    /// [`Error::Shape`] where `values` is not whole rows, [`Error::Setting`] for fewer than two
    /// rows or a value that is not finite.
    pub fn new(what: &str, values: &'a [f64], dim: usize) -> Result<Self> {
        check_rows(what, values, dim)?;
        if values.len() < 2 * dim {
            let reason = "a measure and its uncertainty need at least two";
            return Err(Error::setting(what, "one row", reason));
        }
        Ok(Self { values, dim })
    }

    /// n, the number of rows.
    #[expect(clippy::len_without_is_empty, reason = "there are at least two")]
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// The number of features.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, row-major.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// The rows, in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'a, f64> {
        self.values.chunks_exact(self.dim)
    }

    /// Row `i`.
    pub(super) fn row(&self, i: usize) -> &'a [f64] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// The values of the rows `indices`.
    pub(super) fn gather(&self, indices: &[usize]) -> Vec<f64> {
        indices.iter().flat_map(|&i| self.row(i)).copied().collect()
    }

    /// The mean of the rows.
    pub(super) fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.dim];
        for row in self.rows() {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
        }
        let n = self.len() as f64;
        mean.iter_mut().for_each(|mean| *mean /= n);
        mean
    }

    /// That `other`, called `what`, has the same features.
    pub(super) fn check_same_dim(&self, what: &str, other: &Features) -> Result<()> {
        if self.dim == other.dim {
            return Ok(());
        }
        Err(Error::Shape {
            what: what.into(),
            expected: vec![other.len(), self.dim],
            found: vec![other.len(), other.dim],
        })
    }

    /// That `other`, called `what`, has the same features and as many rows.
    pub(super) fn check_paired(&self, what: &str, other: &Features) -> Result<()> {
        self.check_same_dim(what, other)?;
        if self.len() == other.len() {
            return Ok(());
        }
        Err(Error::Shape {
            what: format!("{what}, row by row with the first at equal seeds,"),
            expected: vec![self.len(), self.dim],
            found: vec![other.len(), other.dim],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_one_clear_error() {
        let message = |values: &[f64], dim| {
            let error = Features::new("the samples", values, dim).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            message(&[1.0, 2.0, 3.0, f64::NAN], 2),
            "the samples = NaN: row 1 has a value that is not finite"
        );
        assert_eq!(
            message(&[1.0, 2.0], 2),
            "the samples = one row: a measure and its uncertainty need at least two"
        );
        assert_eq!(
            message(&[1.0; 5], 2),
            "the samples has shape [5], but [2, 2] is needed"
        );
        assert!(Features::new("the samples", &[], 2).is_err());
        assert!(Features::new("the samples", &[1.0], 0).is_err());
        let a = Features::new("the samples", &[1.0; 6], 2).unwrap();
        let b = Features::new("the reference", &[1.0; 6], 3).unwrap();
        let error = a.check_same_dim("the reference", &b).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the reference has shape [2, 3], but [2, 2] is needed"
        );
        let c = Features::new("the others", &[1.0; 4], 2).unwrap();
        assert!(a.check_paired("the others", &c).is_err());
        assert!(a.check_paired("the others", &a).is_ok());
    }
}
