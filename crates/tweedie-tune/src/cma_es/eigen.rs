//! Eigenvalues of a small symmetric matrix by Jacobi's rotations (Golub and Van Loan, "Matrix
//! computations", section 8.5): for some tens of rows fast enough, and to the last bit the same
//! on every machine.

/// C = B D^2 B^T.
#[derive(Clone, Debug)]
pub(super) struct Eigen {
    /// B, row-major: column j is the vector of value j.
    vectors: Vec<f64>,
    /// The diagonal of D, positive.
    pub(super) roots: Vec<f64>,
}

/// Sweeps at most; convergence is quadratic, and takes fewer than ten.
const SWEEPS: usize = 40;
/// The smallest eigenvalue that is taken, as a share of the largest: below it C would be singular.
const SMALLEST: f64 = 1e-14;

/// The decomposition of the symmetric `matrix`, row-major, of `n` rows.
pub(super) fn eigen(matrix: &[f64], n: usize) -> Eigen {
    let mut a = matrix.to_vec();
    let mut vectors = vec![0.0; n * n];
    vectors.iter_mut().step_by(n + 1).for_each(|v| *v = 1.0);
    for _ in 0..SWEEPS {
        let pairs = (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q)));
        let mut rotated = false;
        for (p, q) in pairs {
            let (app, aqq, apq) = (a[p * n + p], a[q * n + q], a[p * n + q]);
            if apq.abs() <= f64::EPSILON * (app.abs() * aqq.abs()).sqrt() * 1e-2 {
                continue;
            }
            rotated = true;
            // The smaller angle that makes the entry (p, q) zero.
            let theta = (aqq - app) / (2.0 * apq);
            let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
            let cos = 1.0 / (t * t + 1.0).sqrt();
            let sin = t * cos;
            for k in 0..n {
                let (x, y) = (a[k * n + p], a[k * n + q]);
                (a[k * n + p], a[k * n + q]) = (cos * x - sin * y, sin * x + cos * y);
            }
            for k in 0..n {
                let (x, y) = (a[p * n + k], a[q * n + k]);
                (a[p * n + k], a[q * n + k]) = (cos * x - sin * y, sin * x + cos * y);
                let (x, y) = (vectors[k * n + p], vectors[k * n + q]);
                (vectors[k * n + p], vectors[k * n + q]) = (cos * x - sin * y, sin * x + cos * y);
            }
        }
        if !rotated {
            break;
        }
    }
    let values = a.iter().step_by(n + 1);
    let largest = values.clone().fold(f64::MIN_POSITIVE, |a, b| a.max(*b));
    Eigen {
        vectors,
        roots: values.map(|v| v.max(SMALLEST * largest).sqrt()).collect(),
    }
}

impl Eigen {
    /// B x.
    pub(super) fn rotate(&self, x: &[f64]) -> Vec<f64> {
        let rows = self.vectors.chunks_exact(x.len());
        rows.map(|row| row.iter().zip(x).map(|(b, x)| b * x).sum())
            .collect()
    }

    /// C^(-1/2) x = B D^-1 B^T x.
    pub(super) fn whiten(&self, x: &[f64]) -> Vec<f64> {
        let mut turned = vec![0.0; x.len()];
        for (row, x) in self.vectors.chunks_exact(x.len()).zip(x) {
            turned.iter_mut().zip(row).for_each(|(t, b)| *t += b * x);
        }
        turned
            .iter_mut()
            .zip(&self.roots)
            .for_each(|(t, d)| *t /= d);
        self.rotate(&turned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie::random::{NoiseSource, Stream};

    #[test]
    fn a_matrix_is_its_vectors_times_its_values() {
        for n in [1, 2, 5, 30] {
            let mut a = vec![0.0; n * n];
            NoiseSource::new(3, Stream::Data).fill_normal(n as u64, 0, &mut a);
            // A A^T, scaled so that its values span many orders.
            let mut c = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..n {
                    let scale = 10f64.powf(-((i + j) as f64) / 5.0);
                    let product = (0..n).map(|k| a[i * n + k] * a[j * n + k]);
                    c[i * n + j] = scale * product.sum::<f64>();
                    c[j * n + i] = c[i * n + j];
                }
            }
            let found = eigen(&c, n);
            let size = c.iter().fold(0.0f64, |a, b| a.max(b.abs()));
            for i in 0..n {
                let mut unit = vec![0.0; n];
                unit[i] = 1.0;
                // B D^2 B^T e_i, and B^T B e_i.
                let row: Vec<f64> = (0..n)
                    .map(|j| found.vectors[i * n + j] * found.roots[j].powi(2))
                    .collect();
                for (j, value) in found.rotate(&row).iter().enumerate() {
                    let away = (value - c[i * n + j]).abs();
                    assert!(away < 1e-13 * size * n as f64, "{n} {i} {j}: {away}");
                }
                let white = found.whiten(&unit);
                let twice = found.whiten(&white);
                let back: Vec<f64> = (0..n)
                    .map(|j| (0..n).map(|k| c[j * n + k] * twice[k]).sum())
                    .collect();
                if n <= 5 {
                    for (j, value) in back.iter().enumerate() {
                        let away = (value - unit[j]).abs();
                        assert!(away < 1e-7, "C C^-1 of {n} rows: {away}");
                    }
                }
            }
        }
    }
}
