//! Dense matrices in f64: products and decompositions, by faer.
//!
//! Everything runs on the thread that calls, so that no figure depends on the number of threads;
//! whoever calls spreads independent work over threads.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par, Side};

use crate::error::{Error, Result};

/// A matrix, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

/// A matrix that is looked at, transposed or not.
pub(crate) type View<'a> = MatRef<'a, f64>;

/// The row-major `values` as a matrix of `columns` columns.
pub(crate) fn view(values: &[f64], columns: usize) -> View<'_> {
    MatRef::from_row_major_slice(values, values.len() / columns.max(1), columns)
}

/// a b.
pub(crate) fn product(a: View<'_>, b: View<'_>) -> Matrix {
    let mut out = Matrix::zeros(a.nrows(), b.ncols());
    matmul(out.view_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    out
}

impl Matrix {
    pub(crate) fn zeros(rows: usize, columns: usize) -> Self {
        Self {
            rows,
            columns,
            values: vec![0.0; rows * columns],
        }
    }

    /// That with the row-major `values`.
    pub(crate) fn from_values(rows: usize, columns: usize, values: Vec<f64>) -> Self {
        assert_eq!(values.len(), rows * columns);
        Self {
            rows,
            columns,
            values,
        }
    }

    fn of(matrix: View<'_>) -> Self {
        let (rows, columns) = (matrix.nrows(), matrix.ncols());
        let places = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
        Self::from_values(rows, columns, places.map(|(i, j)| matrix[(i, j)]).collect())
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Row-major.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    pub(crate) fn into_values(self) -> Vec<f64> {
        self.values
    }

    pub(crate) fn view(&self) -> View<'_> {
        MatRef::from_row_major_slice(&self.values, self.rows, self.columns)
    }

    fn view_mut(&mut self) -> MatMut<'_, f64> {
        MatMut::from_row_major_slice_mut(&mut self.values, self.rows, self.columns)
    }

    /// Multiplies column j by `factors[j]`.
    #[must_use]
    pub(crate) fn scale_columns(mut self, factors: &[f64]) -> Self {
        for row in self.values.chunks_exact_mut(self.columns.max(1)) {
            row.iter_mut().zip(factors).for_each(|(x, f)| *x *= f);
        }
        self
    }
}

/// A symmetric matrix V diag(values) V^T.
pub(crate) struct Eigen {
    /// In increasing order.
    pub(crate) values: Vec<f64>,
    /// V: column j is the vector of value j.
    pub(crate) vectors: Matrix,
}

/// The eigenvalues and vectors of a symmetric matrix, of which the lower triangle is read.
///
/// # Errors
/// [`Error::Setting`] where the iteration does not converge: for values that are not finite.
pub(crate) fn eigen(symmetric: View<'_>) -> Result<Eigen> {
    let found = symmetric.self_adjoint_eigen(Side::Lower);
    let found = found.map_err(|_| no_decomposition("eigenvalues"))?;
    Ok(Eigen {
        values: finite("eigenvalues", found.S().column_vector().iter().copied())?,
        vectors: Matrix::of(found.U()),
    })
}

/// A matrix U diag(values) V^T.
pub(crate) struct Svd {
    pub(crate) u: Matrix,
    /// In decreasing order.
    pub(crate) values: Vec<f64>,
    pub(crate) v: Matrix,
}

/// The singular values and vectors.
///
/// # Errors
/// As for [`eigen`].
pub(crate) fn svd(matrix: View<'_>) -> Result<Svd> {
    let found = matrix.thin_svd();
    let found = found.map_err(|_| no_decomposition("singular values"))?;
    Ok(Svd {
        u: Matrix::of(found.U()),
        values: finite("singular values", found.S().column_vector().iter().copied())?,
        v: Matrix::of(found.V()),
    })
}

/// The singular values alone.
///
/// # Errors
/// As for [`eigen`].
pub(crate) fn singular_values(matrix: View<'_>) -> Result<Vec<f64>> {
    let found = matrix.singular_values();
    let found = found.map_err(|_| no_decomposition("singular values"))?;
    finite("singular values", found)
}

/// `values`, called `what`, which NaN in a matrix makes NaN.
fn finite(what: &str, values: impl IntoIterator<Item = f64>) -> Result<Vec<f64>> {
    let values: Vec<f64> = values.into_iter().collect();
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(no_decomposition(what)),
    }
}

fn no_decomposition(what: &str) -> Error {
    Error::setting(
        "a matrix",
        what,
        "cannot be computed: its values are too large or not finite",
    )
}

/// The diagonal of the inverse of a symmetric positive definite matrix; `None` where it is
/// singular to rounding.
pub(crate) fn inverse_diagonal(symmetric: View<'_>) -> Option<Vec<f64>> {
    let Eigen { values, vectors } = eigen(symmetric).ok()?;
    let top = values.iter().fold(0.0, |top: f64, v| top.max(v.abs()));
    let rounding = top * values.len() as f64 * f64::EPSILON;
    if values.iter().any(|v| *v <= rounding) {
        return None;
    }
    let rows = vectors.values.chunks_exact(vectors.columns.max(1));
    let entry = |row: &[f64]| row.iter().zip(&values).map(|(x, v)| x * x / v).sum();
    Some(rows.map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{NoiseSource, Stream};

    fn random(rows: usize, columns: usize, seed: u64) -> Matrix {
        let mut z = Matrix::zeros(rows, columns);
        NoiseSource::new(seed, Stream::Data).fill_normal(0, 0, z.values_mut());
        z
    }

    #[track_caller]
    fn assert_close(a: &Matrix, b: &Matrix) {
        assert_eq!((a.rows, a.columns), (b.rows, b.columns));
        for (a, b) in a.values.iter().zip(&b.values) {
            assert!((a - b).abs() < 1e-12 * b.abs().max(10.0), "{a} {b}");
        }
    }

    #[test]
    fn products_of_views_and_transposed_views() {
        for (n, k, m) in [(1, 1, 1), (3, 5, 2), (70, 33, 129)] {
            let (a, b) = (random(n, k, 1), random(k, m, 2));
            let mut plain = Matrix::zeros(n, m);
            for i in 0..n {
                for j in 0..m {
                    plain.values[i * m + j] = (0..k)
                        .map(|l| a.values[i * k + l] * b.values[l * m + j])
                        .sum();
                }
            }
            assert_close(&product(a.view(), b.view()), &plain);
            let turned = product(b.view().transpose(), a.view().transpose());
            assert_close(&Matrix::of(turned.view().transpose()), &plain);
        }
    }

    #[test]
    fn decompositions_give_the_matrix_back() {
        for n in [1, 2, 7, 60] {
            let a = random(n, n, 3);
            let c = product(a.view(), a.view().transpose());
            let found = eigen(c.view()).unwrap();
            assert!(found.values.is_sorted());
            let scaled = found.vectors.clone().scale_columns(&found.values);
            assert_close(
                &product(scaled.view(), found.vectors.view().transpose()),
                &c,
            );
            let found = svd(a.view()).unwrap();
            assert!(found.values.is_sorted_by(|a, b| a >= b));
            let scaled = found.u.scale_columns(&found.values);
            assert_close(&product(scaled.view(), found.v.view().transpose()), &a);
            let alone = singular_values(a.view()).unwrap();
            let pairs = alone.iter().zip(&found.values);
            pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-12 * found.values[0]));
        }
    }

    #[test]
    fn inverses_and_singular_matrices() {
        let c = Matrix::from_values(2, 2, vec![2.0, 1.0, 1.0, 3.0]);
        let found = inverse_diagonal(c.view()).unwrap();
        assert!((found[0] - 0.6).abs() < 1e-15 && (found[1] - 0.4).abs() < 1e-15);
        let c = Matrix::from_values(2, 2, vec![1.0, 1.0, 1.0, 1.0]);
        assert_eq!(inverse_diagonal(c.view()), None);
        let c = Matrix::from_values(1, 1, vec![f64::NAN]);
        assert!(eigen(c.view()).is_err() && svd(c.view()).is_err());
    }
}
