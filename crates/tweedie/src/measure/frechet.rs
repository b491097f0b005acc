//! The Frechet distance of two Gaussians.
//!
//! d^2 = ||m_1 - m_2||^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2))
//!
//! is the squared Wasserstein-2 distance of N(m_1, C_1) and N(m_2, C_2) (Dowson and Landau 1982);
//! between features of two sets of images it is the FID (Heusel et al. 2017), which is this d^2.
//!
//! With C = F F^T, F = V L^(1/2) by its eigenvectors and values, tr (C_1 C_2)^(1/2) is the sum of
//! the singular values of F_1^T F_2. Of C_1 C_2 itself roots would have to be taken, which turn a
//! rounded zero of 1e-16 into 1e-8. A variance below rounding, D 2^-52 of the largest, counts as 0
//! for the same reason.

use super::Moments;
use super::moments::TOLERANCE;
use crate::error::{Error, Result};
use crate::matrix::{Matrix, Svd, eigen, product, singular_values, svd, view};

/// A Gaussian with a factor of its covariance.
pub(super) struct Gaussian {
    pub(super) mean: Vec<f64>,
    /// F, `[dim, dim]`: C = F F^T.
    pub(super) factor: Matrix,
    trace: f64,
}

impl Gaussian {
    /// That with the given moments.
    ///
    /// # Errors
    /// [`Error::Setting`] for a covariance that is not positive semi-definite.
    pub(super) fn new(moments: &Moments) -> Result<Self> {
        let dim = moments.dim();
        let eigen = eigen(view(moments.covariance(), dim))?;
        let top = eigen
            .values
            .iter()
            .fold(0.0, |top: f64, v| top.max(v.abs()));
        let lowest = eigen.values.first().copied().unwrap_or(0.0);
        if lowest < -TOLERANCE * top {
            let reason = "must be positive semi-definite: this is a variance along an axis";
            return Err(Error::setting("covariance", lowest, reason));
        }
        let rounding = top * dim as f64 * f64::EPSILON;
        let root = |v: f64| if v <= rounding { 0.0 } else { v.sqrt() };
        let roots: Vec<f64> = eigen.values.iter().copied().map(root).collect();
        Ok(Self {
            mean: moments.mean().to_vec(),
            factor: eigen.vectors.scale_columns(&roots),
            trace: moments.trace(),
        })
    }

    /// d^2, from the singular values of the product of both factors.
    fn distance_by(&self, other: &Self, singular: &[f64]) -> f64 {
        let means = self.mean.iter().zip(&other.mean);
        let between: f64 = means.map(|(a, b)| (a - b).powi(2)).sum();
        // Equal distributions differ by rounding, which has either sign.
        (between + self.trace + other.trace - 2.0 * singular.iter().sum::<f64>()).max(0.0)
    }

    /// d^2 to `other`, of as many features.
    pub(super) fn distance(&self, other: &Self) -> Result<f64> {
        let singular = singular_values(self.product(other).view())?;
        Ok(self.distance_by(other, &singular))
    }

    /// d^2 to `other` with F_self^T F_other = U S V^T, which gives the optimal transport.
    pub(super) fn coupled(&self, other: &Self) -> Result<(f64, Svd)> {
        let product = svd(self.product(other).view())?;
        Ok((self.distance_by(other, &product.values), product))
    }

    fn product(&self, other: &Self) -> Matrix {
        product(self.factor.view().transpose(), other.factor.view())
    }
}

/// The squared Frechet distance d^2 of the Gaussians with moments `a` and `b`, not negative.
///
/// Between samples of n it is biased upwards by about c/n, with c of the samples' distribution:
/// [`super::frechet`] removes that and says how uncertain the rest is. Time grows with dim^3.
///
/// # Errors
/// [`Error::Shape`] where the dimensions differ, [`Error::Setting`] for a covariance that is not
/// positive semi-definite to 1e-10 of its largest variance.
pub fn frechet_distance(a: &Moments, b: &Moments) -> Result<f64> {
    check_same_dim(a.dim(), b.dim())?;
    Gaussian::new(a)?.distance(&Gaussian::new(b)?)
}

/// That moments of `dim` features can be compared with others of `found`.
pub(super) fn check_same_dim(dim: usize, found: usize) -> Result<()> {
    if dim == found {
        return Ok(());
    }
    Err(Error::Shape {
        what: "the second mean".into(),
        expected: vec![dim],
        found: vec![found],
    })
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

    fn moments(mean: &[f64], covariance: &Matrix) -> Moments {
        Moments::new(mean.to_vec(), covariance.values().to_vec()).unwrap()
    }

    /// A A^T for a random A of `rank` columns.
    fn covariance(dim: usize, rank: usize, seed: u64) -> Matrix {
        let a = Matrix::from_values(dim, rank, normals(dim * rank, seed));
        product(a.view(), a.view().transpose())
    }

    fn rotation(dim: usize) -> Matrix {
        eigen(covariance(dim, dim, 77).view()).unwrap().vectors
    }

    /// Q C Q^T.
    fn turn(q: &Matrix, c: &Matrix) -> Matrix {
        let turned = product(product(q.view(), c.view()).view(), q.view().transpose());
        let dim = turned.rows();
        let across = (0..dim * dim).map(|place| turned.values()[place % dim * dim + place / dim]);
        let values = turned.values().iter().zip(across);
        Matrix::from_values(dim, dim, values.map(|(a, b)| 0.5 * (a + b)).collect())
    }

    fn diagonal(variances: &[f64]) -> Matrix {
        let dim = variances.len();
        let mut matrix = Matrix::zeros(dim, dim);
        let places = matrix.values_mut().iter_mut().step_by(dim + 1);
        places.zip(variances).for_each(|(place, v)| *place = *v);
        matrix
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
        let [a, b] = along.map(|v| turn(&q, &diagonal(&v)));
        let (m1, m2) = ([1.0, 0.0, -1.0, 2.0], [0.5, 0.5, 0.5, 0.5]);
        let d = frechet_distance(&moments(&m1, &a), &moments(&m2, &b));
        let between: f64 = (0..4).map(|i| (m1[i] - m2[i]).powi(2)).sum();
        let roots = (0..4).map(|i| (f64::sqrt(along[0][i]) - f64::sqrt(along[1][i])).powi(2));
        assert_close(d.unwrap(), between + roots.sum::<f64>());
    }

    /// The trace of the root by its definition: the roots of the eigenvalues of C_1 C_2.
    #[test]
    fn property_17_two_by_two_in_closed_form() {
        let (a, b) = (covariance(2, 2, 3), covariance(2, 2, 4));
        let both = product(a.view(), b.view());
        let trace = |m: &Matrix| m.values()[0] + m.values()[3];
        let determinant = |m: &Matrix| {
            let m = m.values();
            m[0] * m[3] - m[1] * m[2]
        };
        // (sqrt x + sqrt y)^2 = x + y + 2 sqrt(x y) for the two eigenvalues x, y.
        let root = (trace(&both) + 2.0 * determinant(&both).sqrt()).sqrt();
        let d = frechet_distance(&moments(&[0.0; 2], &a), &moments(&[0.0; 2], &b)).unwrap();
        assert_close(d, trace(&a) + trace(&b) - 2.0 * root);
        assert!(d > 0.01);
    }

    #[test]
    fn property_17_rotations_and_order_do_not_matter() {
        for rank in [2, 6] {
            let (a, b, q) = (covariance(6, rank, 5), covariance(6, 6, 6), rotation(6));
            let (m1, m2) = (normals(6, 7), normals(6, 8));
            let turn = |mean: &[f64], c: &Matrix| {
                let mean = product(q.view(), view(mean, 1));
                moments(mean.values(), &turn(&q, c))
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
    fn a_set_against_itself_and_a_translation() {
        let rows = normals(300, 9);
        let moved: Vec<f64> = rows.iter().map(|x| x + 0.5).collect();
        let (a, b) = (
            Moments::of_rows(&rows, 3).unwrap(),
            Moments::of_rows(&moved, 3).unwrap(),
        );
        assert_close(frechet_distance(&a, &b).unwrap(), 3.0 * 0.25);
        assert_close(frechet_distance(&a, &a).unwrap(), 0.0);
    }

    #[test]
    fn wrong_moments_are_refused() {
        let negative = Moments::new(vec![0.0; 2], vec![1.0, 2.0, 2.0, 1.0]).unwrap();
        let one = Moments::new(vec![0.0], vec![1.0]).unwrap();
        assert!(frechet_distance(&negative, &negative).is_err());
        assert!(frechet_distance(&negative, &one).is_err());
    }
}
