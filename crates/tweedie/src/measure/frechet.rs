//! The Frechet distance of two Gaussians.
//!
//! d^2 = ||m_1 - m_2||^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2))
//!
//! is the squared Wasserstein-2 distance of N(m_1, C_1) and N(m_2, C_2) (Dowson and Landau 1982);
//! between features of two sets of images it is the FID (Heusel et al. 2017), which is this d^2.
//!
//! tr (C_1 C_2)^(1/2) is the sum of the singular values of C_1^(1/2) C_2^(1/2). The eigenvalues of
//! C_1 C_2 would need square roots, which turn a rounding error of 1e-16 into 1e-8. For the same
//! reason a variance below rounding, D 2^-52 of the largest, counts as 0.

use nalgebra::{DMatrix, SymmetricEigen};

use super::check_rows;
use crate::error::{Error, Result};

/// How far from symmetric and from positive semi-definite a covariance may be, relative to its
/// largest value.
const TOLERANCE: f64 = 1e-10;

/// The mean and the covariance of a distribution or a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    mean: Vec<f64>,
    /// `[dim, dim]`, symmetric.
    covariance: Vec<f64>,
}

impl Moments {
    /// The `mean` `[dim]` and the `covariance` `[dim, dim]`, symmetric to 1e-10 of its largest
    /// value.
    ///
    /// # Errors
    /// [`Error::Shape`] where the lengths do not fit, [`Error::Setting`] for a value that is not
    /// finite or a matrix that is not symmetric.
    pub fn new(mean: Vec<f64>, covariance: Vec<f64>) -> Result<Self> {
        let dim = mean.len();
        check_rows("mean", &mean, dim)?;
        if covariance.len() != dim * dim {
            return Err(Error::Shape {
                what: "covariance".into(),
                expected: vec![dim, dim],
                found: vec![covariance.len()],
            });
        }
        check_rows("covariance", &covariance, dim)?;
        let largest = covariance.iter().fold(0.0, |top: f64, c| top.max(c.abs()));
        let matrix = DMatrix::from_row_slice(dim, dim, &covariance);
        let across = (&matrix - matrix.transpose()).amax();
        if across > TOLERANCE * largest {
            let reason = "must be symmetric: this is the difference of two opposite entries";
            return Err(Error::setting("covariance", across, reason));
        }
        Ok(Self { mean, covariance })
    }

    /// The moments of the rows of a sample, `[n, dim]`, n at least 2; the covariance is over
    /// n - 1, unbiased, as FID takes it.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rows` is not whole rows or fewer than two, [`Error::Setting`] for
    /// a value that is not finite.
    pub fn of_rows(rows: &[f64], dim: usize) -> Result<Self> {
        check_rows("the sample", rows, dim)?;
        let n = rows.len() / dim;
        if n < 2 {
            return Err(Error::Shape {
                what: "the sample".into(),
                expected: vec![2, dim],
                found: vec![n, dim],
            });
        }
        let mut mean = vec![0.0; dim];
        for row in rows.chunks_exact(dim) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
        }
        mean.iter_mut().for_each(|mean| *mean /= n as f64);
        // Columns are the centred rows; in memory they are the rows' own order.
        let mut centred = DMatrix::from_column_slice(dim, n, rows);
        for mut column in centred.column_iter_mut() {
            column
                .iter_mut()
                .zip(&mean)
                .for_each(|(x, mean)| *x -= mean);
        }
        let product = &centred * centred.transpose() / (n - 1) as f64;
        let covariance = (&product + product.transpose()) * 0.5;
        Ok(Self {
            mean,
            covariance: covariance.as_slice().to_vec(),
        })
    }

    /// The mean, `[dim]`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The covariance, row-major `[dim, dim]`.
    pub fn covariance(&self) -> &[f64] {
        &self.covariance
    }

    /// The symmetric root of the covariance.
    fn root(&self) -> Result<DMatrix<f64>> {
        let dim = self.mean.len();
        let matrix = DMatrix::from_row_slice(dim, dim, &self.covariance);
        let eigen = SymmetricEigen::new((&matrix + matrix.transpose()) * 0.5);
        let top = eigen.eigenvalues.amax();
        let lowest = eigen.eigenvalues.min();
        if lowest < -TOLERANCE * top {
            let reason = "must be positive semi-definite: this is a variance along an axis";
            return Err(Error::setting("covariance", lowest, reason));
        }
        let rounding = top * dim as f64 * f64::EPSILON;
        let root = |v: f64| if v <= rounding { 0.0 } else { v.sqrt() };
        let roots = eigen.eigenvalues.map(root);
        let mut scaled = eigen.eigenvectors.clone();
        for (mut column, root) in scaled.column_iter_mut().zip(roots.iter()) {
            column *= *root;
        }
        Ok(scaled * eigen.eigenvectors.transpose())
    }

    fn trace(&self) -> f64 {
        self.covariance.iter().step_by(self.mean.len() + 1).sum()
    }
}

/// The squared Frechet distance d^2 of the Gaussians with moments `a` and `b`, not negative.
///
/// Between samples of size n it is biased upwards by about 1/n: compare equal sizes only. Time
/// grows with dim^3.
///
/// # Errors
/// [`Error::Shape`] where the dimensions differ, [`Error::Setting`] for a covariance that is not
/// positive semi-definite to 1e-10 of its largest variance.
pub fn frechet_distance(a: &Moments, b: &Moments) -> Result<f64> {
    if a.mean.len() != b.mean.len() {
        return Err(Error::Shape {
            what: "the second mean".into(),
            expected: vec![a.mean.len()],
            found: vec![b.mean.len()],
        });
    }
    let means = a.mean.iter().zip(&b.mean);
    let between: f64 = means.map(|(a, b)| (a - b).powi(2)).sum();
    let shared: f64 = (a.root()? * b.root()?).singular_values().iter().sum();
    // For equal distributions only rounding is left, which has either sign.
    Ok((between + a.trace() + b.trace() - 2.0 * shared).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{NoiseSource, Stream};

    fn normals(n: usize, seed: u64) -> Vec<f64> {
        let mut z = vec![0.0; n];
        NoiseSource::new(seed, Stream::Data).fill_normal(0, 0, &mut z);
        z
    }

    fn moments(mean: &[f64], covariance: &DMatrix<f64>) -> Moments {
        Moments::new(mean.to_vec(), covariance.as_slice().to_vec()).unwrap()
    }

    /// A A^T for a random A of `rank` columns.
    fn covariance(dim: usize, rank: usize, seed: u64) -> DMatrix<f64> {
        let a = DMatrix::from_vec(dim, rank, normals(dim * rank, seed));
        &a * a.transpose()
    }

    fn rotation(dim: usize) -> DMatrix<f64> {
        DMatrix::from_vec(dim, dim, normals(dim * dim, 77)).qr().q()
    }

    #[track_caller]
    fn assert_close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-10 * b.abs().max(1.0), "{a} {b}");
    }

    #[test]
    fn property_17_equal_distributions_are_at_distance_zero() {
        for (dim, rank) in [(1, 1), (5, 5), (8, 3), (20, 1), (4, 0)] {
            let m = moments(&normals(dim, 1), &covariance(dim, rank, 2));
            assert!(frechet_distance(&m, &m).unwrap() < 1e-12 * m.trace().max(1.0));
        }
    }

    #[test]
    fn property_17_in_one_dimension() {
        for (m1, s1, m2, s2) in [
            (0.0, 1.0, 0.0, 2.0),
            (1.0, 0.5, -3.0, 0.0),
            (2.0, 0.0, 2.5, 0.0),
        ] {
            let a = Moments::new(vec![m1], vec![s1 * s1]).unwrap();
            let b = Moments::new(vec![m2], vec![s2 * s2]).unwrap();
            let (m, s): (f64, f64) = (m1 - m2, s1 - s2);
            assert_close(frechet_distance(&a, &b).unwrap(), m * m + s * s);
        }
    }

    /// With common axes it is that of each axis; singular ones included.
    #[test]
    fn property_17_commuting_covariances() {
        let q = rotation(4);
        let along = [[2.0, 0.5, 0.0, 1e-6], [0.1, 0.0, 0.0, 3.0]];
        let [a, b] = along.map(|v| &q * DMatrix::from_diagonal(&v.to_vec().into()) * q.transpose());
        let symmetric = |c: DMatrix<f64>| (&c + c.transpose()) * 0.5;
        let (m1, m2) = ([1.0, 0.0, -1.0, 2.0], [0.5, 0.5, 0.5, 0.5]);
        let d = frechet_distance(&moments(&m1, &symmetric(a)), &moments(&m2, &symmetric(b)));
        let between: f64 = (0..4).map(|i| (m1[i] - m2[i]).powi(2)).sum();
        let roots = (0..4).map(|i| (f64::sqrt(along[0][i]) - f64::sqrt(along[1][i])).powi(2));
        assert_close(d.unwrap(), between + roots.sum::<f64>());
    }

    /// The trace of the root by its definition: the roots of the eigenvalues of C_1 C_2.
    #[test]
    fn property_17_two_by_two_in_closed_form() {
        let (a, b) = (covariance(2, 2, 3), covariance(2, 2, 4));
        let product = &a * &b;
        // (sqrt x + sqrt y)^2 = x + y + 2 sqrt(x y) for the two eigenvalues x, y.
        let root = (product.trace() + 2.0 * product.determinant().sqrt()).sqrt();
        let d = frechet_distance(&moments(&[0.0; 2], &a), &moments(&[0.0; 2], &b)).unwrap();
        assert_close(d, a.trace() + b.trace() - 2.0 * root);
        assert!(d > 0.01);
    }

    #[test]
    fn property_17_rotations_and_order_do_not_matter() {
        for rank in [2, 6] {
            let (a, b, q) = (covariance(6, rank, 5), covariance(6, 6, 6), rotation(6));
            let (m1, m2) = (normals(6, 7), normals(6, 8));
            let turn = |mean: &[f64], c: &DMatrix<f64>| {
                let turned = &q * c * q.transpose();
                let mean = &q * DMatrix::from_column_slice(6, 1, mean);
                moments(mean.as_slice(), &((&turned + turned.transpose()) * 0.5))
            };
            let plain = frechet_distance(&moments(&m1, &a), &moments(&m2, &b)).unwrap();
            assert_close(
                frechet_distance(&turn(&m1, &a), &turn(&m2, &b)).unwrap(),
                plain,
            );
            let back = frechet_distance(&moments(&m2, &b), &moments(&m1, &a)).unwrap();
            assert_close(back, plain);
        }
    }

    #[test]
    fn moments_of_rows() {
        let m = Moments::of_rows(&[1.0, 2.0, 3.0, 0.0, 5.0, 4.0], 2).unwrap();
        assert_eq!(m.mean(), [3.0, 2.0]);
        // Centred: (-2, 0), (0, -2), (2, 2), over 2.
        assert_eq!(m.covariance(), [4.0, 2.0, 2.0, 4.0]);
        // A translation changes the mean only.
        let rows = normals(300, 9);
        let moved: Vec<f64> = rows.iter().map(|x| x + 0.5).collect();
        let (a, b) = (
            Moments::of_rows(&rows, 3).unwrap(),
            Moments::of_rows(&moved, 3).unwrap(),
        );
        assert_close(frechet_distance(&a, &b).unwrap(), 3.0 * 0.25);
    }

    #[test]
    fn wrong_moments_are_refused() {
        assert!(Moments::of_rows(&[1.0, 2.0], 2).is_err());
        assert!(Moments::of_rows(&[1.0, 2.0, 3.0], 2).is_err());
        assert!(Moments::of_rows(&[1.0, f64::NAN], 1).is_err());
        assert!(Moments::new(vec![], vec![]).is_err());
        assert!(Moments::new(vec![0.0; 2], vec![1.0; 3]).is_err());
        assert!(Moments::new(vec![0.0; 2], vec![1.0, 0.1, 0.2, 1.0]).is_err());
        let negative = Moments::new(vec![0.0; 2], vec![1.0, 2.0, 2.0, 1.0]).unwrap();
        let one = Moments::new(vec![0.0], vec![1.0]).unwrap();
        assert!(frechet_distance(&negative, &negative).is_err());
        assert!(frechet_distance(&negative, &one).is_err());
    }
}
