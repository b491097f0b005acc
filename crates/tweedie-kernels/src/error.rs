//! Errors of calls: shapes and lengths that do not fit.

/// A call that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A slice does not have the length that the shape asks for.
    #[error("{what} has {found} values, its shape asks for {expected}")]
    Length {
        /// Which argument.
        what: &'static str,
        /// The length that fits the shape.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// An invalid shape: a zero kernel, groups that do not divide the channels.
    #[error("{0}")]
    Shape(&'static str),
    /// Weights that are not those of the operation.
    #[error("the weights were laid out for a convolution of another shape")]
    OtherShape,
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Refuses a slice whose length is not the product of `dims`.
pub(crate) fn check(what: &'static str, found: usize, dims: &[usize]) -> Result<()> {
    let expected = product(dims)?;
    if found == expected {
        Ok(())
    } else {
        Err(Error::Length {
            what,
            expected,
            found,
        })
    }
}

/// The product of `dims`, refused where it overflows.
pub(crate) fn product(dims: &[usize]) -> Result<usize> {
    dims.iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .ok_or(Error::Shape("the shape has too many values to address"))
}
