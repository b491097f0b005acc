//! The kernel distance: the squared maximum mean discrepancy, unbiased, with its standard error.
//!
//! U = 1/(n (n - 1)) sum_{i != j} k(x_i, x_j) + 1/(m (m - 1)) sum_{i != j} k(y_i, y_j)
//!     - 2/(n m) sum_ij k(x_i, y_j)
//!
//! is unbiased for any n and m (Gretton et al. 2012, Lemma 6), so it may be negative. Of features of
//! images and with the polynomial kernel it is the KID (Binkowski et al. 2018).
//!
//! Standard error. By Hoeffding's decomposition (1948; Serfling 1980, chapter 5) the terms of U are
//! uncorrelated: with psi(x) = 2 (E k(x, x') - E k(x, y)), likewise for y, and V the variances of
//! the kernel without its means over either argument,
//!
//! var U = var psi(x)/n + var psi(y)/m + W,
//! W = 2 V_xx/(n (n - 1)) + 2 V_yy/(m (m - 1)) + 4 V_xy/(n m).
//!
//! For equal distributions W is all there is. The means over rows that stand for psi carry noise of
//! their own, which adds 2 W to the sample variances, so the estimate is theirs less W, and at
//! least W. That is an error of this U over repetitions; the spread of overlapping subsets, which
//! is often printed after a KID, is not.

use rayon::prelude::*;

use super::comparison::Comparison;
use super::estimate::{Estimate, variance};
use super::kernel::Kernel;
use super::pairs::blocks;
use super::{Features, pairs::Points};
use crate::error::Result;
use crate::matrix::Matrix;

/// The squared maximum mean discrepancy of `samples` and `reference` under `kernel`, unbiased, with
/// its standard error over repetitions of both.
///
/// Time grows with the pairs, memory does not.
///
/// # Errors
/// [`crate::Error::Shape`] where the dimensions differ.
pub fn kernel_distance(samples: Features, reference: Features, kernel: Kernel) -> Result<Estimate> {
    samples.check_same_dim("the reference", &reference)?;
    let origin = reference.mean();
    let (x, y) = (
        kernel.points(samples, &origin),
        kernel.points(reference, &origin),
    );
    let within = |points: &Points| {
        let n = points.len();
        Sums::of(n, n, true, |rows, others| {
            kernel.block(points, rows, points, others)
        })
    };
    let cross = Sums::of(x.len(), y.len(), false, |rows, others| {
        kernel.block(&x, rows, &y, others)
    });
    Ok(discrepancy(&within(&x), Some(&within(&y)), &cross).0)
}

/// The difference of the kernel distances of `a` and `b` to `reference`; row i of both are samples
/// of the same seed.
///
/// It is itself such a U, of pairs (a_i, b_i) with the kernels k(a, a') - k(b, b') and
/// k(a, y) - k(b, y); the reference's own term falls out.
///
/// # Errors
/// [`crate::Error::Shape`] where the dimensions differ, or `a` and `b` are not equally many.
pub fn compare_kernel_distance(
    a: Features,
    b: Features,
    reference: Features,
    kernel: Kernel,
) -> Result<Comparison> {
    a.check_paired("the second samples", &b)?;
    a.check_same_dim("the reference", &reference)?;
    let origin = reference.mean();
    let [a, b, y] = [a, b, reference].map(|rows| kernel.points(rows, &origin));
    let n = a.len();
    let within = Sums::of(n, n, true, |rows, others| {
        let mut block = kernel.block(&a, rows.clone(), &a, others.clone());
        subtract(&mut block, &kernel.block(&b, rows, &b, others));
        block
    });
    let cross = Sums::of(n, y.len(), false, |rows, others| {
        let mut block = kernel.block(&a, rows.clone(), &y, others.clone());
        subtract(&mut block, &kernel.block(&b, rows, &y, others));
        block
    });
    let (difference, reference_variance) = discrepancy(&within, None, &cross);
    Ok(Comparison {
        difference,
        samples: n,
        reference_variance,
    })
}

fn subtract(from: &mut Matrix, other: &Matrix) {
    let pairs = from.values_mut().iter_mut().zip(other.values());
    pairs.for_each(|(a, b)| *a -= b);
}

/// Sums of a kernel over pairs.
struct Sums {
    /// Of each row of the first set over all of the second.
    rows: Vec<f64>,
    /// Of each row of the second set over all of the first.
    columns: Vec<f64>,
    /// Of squares, over all pairs.
    squares: f64,
}

impl Sums {
    /// Those of `n` rows and `m` others, whose kernels `block` gives, row by row; without
    /// a row and itself where the sets are the `same`.
    fn of(
        n: usize,
        m: usize,
        same: bool,
        block: impl Fn(std::ops::Range<usize>, std::ops::Range<usize>) -> Matrix + Sync,
    ) -> Self {
        let parts: Vec<Self> = blocks(n)
            .into_par_iter()
            .map(|rows| {
                let mut part = Self {
                    rows: vec![0.0; rows.len()],
                    columns: vec![0.0; m],
                    squares: 0.0,
                };
                // Of a set with itself one half of the pairs gives the other.
                let others = blocks(m).into_iter();
                for others in others.filter(|others| !same || others.start >= rows.start) {
                    let mut block = block(rows.clone(), others.clone());
                    let diagonal = same && rows == others;
                    if diagonal {
                        let diagonal = block.values_mut().iter_mut().step_by(rows.len() + 1);
                        diagonal.for_each(|k| *k = 0.0);
                    }
                    let kernels = block.values().chunks_exact(others.len());
                    for (row, kernels) in part.rows.iter_mut().zip(kernels) {
                        let (mut sum, mut squares) = (0.0, 0.0);
                        for k in kernels {
                            sum += k;
                            squares += k * k;
                        }
                        *row += sum;
                        part.squares += if same && !diagonal { 2.0 } else { 1.0 } * squares;
                        if !diagonal {
                            let sums = part.columns[others.clone()].iter_mut();
                            sums.zip(kernels).for_each(|(sum, k)| *sum += k);
                        }
                    }
                }
                part
            })
            .collect();
        let mut all = Self {
            rows: Vec::with_capacity(n),
            columns: vec![0.0; m],
            squares: 0.0,
        };
        for part in parts {
            all.rows.extend(part.rows);
            let columns = all.columns.iter_mut().zip(part.columns);
            columns.for_each(|(all, part)| *all += part);
            all.squares += part.squares;
        }
        if same {
            let pairs = all.rows.iter_mut().zip(&all.columns);
            pairs.for_each(|(row, column)| *row += column);
        }
        all
    }

    /// The means over pairs of a row, n - 1 of them where a row is not paired with itself.
    fn means(sums: &[f64], pairs: usize) -> Vec<f64> {
        sums.iter().map(|sum| sum / pairs as f64).collect()
    }
}

/// U from its sums, and the part of its variance that is the second set's alone; without `within_y`
/// where that term is 0.
fn discrepancy(within_x: &Sums, within_y: Option<&Sums>, cross: &Sums) -> (Estimate, f64) {
    let (n, m) = (cross.rows.len(), cross.columns.len());
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mean_square =
        |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;

    // E k(x, x') of a set, means by rows, and V.
    let within = |sums: &Sums| {
        let size = sums.rows.len();
        let by_row = Sums::means(&sums.rows, size - 1);
        let whole = mean(&by_row);
        let square = sums.squares / (size * (size - 1)) as f64;
        let spread = square - 2.0 * mean_square(&by_row) + whole * whole;
        (whole, by_row, spread.max(0.0))
    };
    let (xx, x_by_row, v_xx) = within(within_x);
    let (yy, y_by_row, v_yy) = match within_y {
        Some(sums) => within(sums),
        None => (0.0, vec![0.0; m], 0.0),
    };
    let (x_cross, y_cross) = (Sums::means(&cross.rows, m), Sums::means(&cross.columns, n));
    let xy = mean(&x_cross);
    let square = cross.squares / (n * m) as f64;
    let v_xy = (square - mean_square(&x_cross) - mean_square(&y_cross) + xy * xy).max(0.0);

    let psi = |within: &[f64], cross: &[f64]| -> Vec<f64> {
        let pairs = within.iter().zip(cross);
        pairs
            .map(|(within, cross)| 2.0 * (within - cross))
            .collect()
    };
    let (n, m) = (n as f64, m as f64);
    let first_x = variance(&psi(&x_by_row, &x_cross)) / n;
    let first_y = variance(&psi(&y_by_row, &y_cross)) / m;
    let second = 2.0 * v_xx / (n * (n - 1.0)) + 2.0 * v_yy / (m * (m - 1.0)) + 4.0 * v_xy / (n * m);
    let estimate = Estimate {
        value: xx + yy - 2.0 * xy,
        standard_error: (first_x + first_y - second).max(second).sqrt(),
    };
    // What remains of it as n grows.
    let reference = (first_y - 2.0 * v_yy / (m * (m - 1.0)) - 4.0 * v_xy / (n * m)).max(0.0);
    (estimate, reference)
}
