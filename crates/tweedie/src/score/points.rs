//! Where the points of an empirical distribution come from.

use std::ops::Range;

use crate::error::{Error, Result};

/// A set of points that is read block by block, so that it need not lie in memory as f64.
///
/// Every read of the same points must give the same values.
pub trait Points: Send + Sync {
    /// D, the number of values of a point.
    fn dim(&self) -> usize;

    /// The number of points.
    fn count(&self) -> usize;

    /// The points of `range`, row-major `[range.len(), dim]`: a view of the set itself, or
    /// written to `buffer`, whose content and length are up to the set, and returned from there.
    ///
    /// `range` is not empty and within the set.
    ///
    /// # Errors
    /// Those of the set: a file that cannot be read.
    fn read<'a>(&'a self, range: Range<usize>, buffer: &'a mut Vec<f64>) -> Result<&'a [f64]>;
}

/// Implements [`Points`] for `$pointer` by what it points to.
macro_rules! forward {
    ($pointer:ty) => {
        impl<P: Points + ?Sized> Points for $pointer {
            fn dim(&self) -> usize {
                (**self).dim()
            }

            fn count(&self) -> usize {
                (**self).count()
            }

            fn read<'a>(
                &'a self,
                range: Range<usize>,
                buffer: &'a mut Vec<f64>,
            ) -> Result<&'a [f64]> {
                (**self).read(range, buffer)
            }
        }
    };
}

forward!(&P);
forward!(Box<P>);

/// Points in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// `[n, dim]`.
    data: Vec<f64>,
    dim: usize,
}

impl Rows {
    /// The points: rows `[n, dim]`, at least one.
    ///
    /// # Errors
    /// [`Error::Shape`] where `data` is empty or not whole rows, [`Error::Setting`] for a value
    /// that is not finite.
    pub fn new(data: Vec<f64>, dim: usize) -> Result<Self> {
        if dim == 0 || data.is_empty() || !data.len().is_multiple_of(dim) {
            return Err(Error::Shape {
                what: "data".into(),
                expected: vec![(data.len() / dim.max(1)).max(1), dim],
                found: vec![data.len()],
            });
        }
        if let Some(place) = data.iter().position(|value| !value.is_finite()) {
            let reason = format!("row {} has a value that is not finite", place / dim);
            return Err(Error::setting("data", data[place], reason));
        }
        Ok(Self { data, dim })
    }

    /// The points, `[n, dim]`.
    pub fn data(&self) -> &[f64] {
        &self.data
    }
}

impl Points for Rows {
    fn dim(&self) -> usize {
        self.dim
    }

    fn count(&self) -> usize {
        self.data.len() / self.dim
    }

    fn read<'a>(&'a self, range: Range<usize>, _: &'a mut Vec<f64>) -> Result<&'a [f64]> {
        Ok(&self.data[range.start * self.dim..range.end * self.dim])
    }
}

/// [`Points::read`], checked.
pub(super) fn read<'a>(
    points: &'a impl Points,
    range: Range<usize>,
    buffer: &'a mut Vec<f64>,
) -> Result<&'a [f64]> {
    let expected = vec![range.len(), points.dim()];
    let rows = points.read(range, buffer)?;
    if rows.len() == expected[0] * expected[1] {
        return Ok(rows);
    }
    Err(Error::Shape {
        what: "a block of points as read".into(),
        expected,
        found: vec![rows.len()],
    })
}
