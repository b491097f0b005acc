//! All pairs of rows of two sets, block by block: matrix products, bounded memory.
//!
//! Squared distances are |x|^2 + |y|^2 - 2 x . y about a common origin, clamped at 0. Every value
//! is the same whatever the blocks and threads: its sum runs over the features in order.

use std::ops::Range;

use rayon::prelude::*;

use super::Features;
use crate::matrix::{Matrix, View, product, view};

/// Rows of either set at a time: 2 MiB of pairs, which stay in a core's cache.
pub(super) const BLOCK: usize = 512;

/// Rows with their squared lengths.
pub(super) struct Points {
    /// `[n, dim]`.
    values: Vec<f64>,
    squares: Vec<f64>,
    dim: usize,
}

impl Points {
    /// The rows of `features` about `origin`, or as they are.
    pub(super) fn new(features: Features, origin: Option<&[f64]>) -> Self {
        let mut values = features.values().to_vec();
        let dim = features.dim();
        if let Some(origin) = origin {
            for row in values.chunks_exact_mut(dim) {
                row.iter_mut().zip(origin).for_each(|(x, o)| *x -= o);
            }
        }
        let squares = values.chunks_exact(dim);
        let squares = squares.map(|x| x.iter().map(|x| x * x).sum()).collect();
        Self {
            values,
            squares,
            dim,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.squares.len()
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// |x|^2 of each row.
    pub(super) fn squares(&self) -> &[f64] {
        &self.squares
    }

    fn view(&self, rows: Range<usize>) -> View<'_> {
        view(
            &self.values[rows.start * self.dim..rows.end * self.dim],
            self.dim,
        )
    }
}

/// Inner products of the rows `rows` of `from`, one a matrix row, and the rows `others` of `to`,
/// one a column.
pub(super) fn products(
    from: &Points,
    rows: Range<usize>,
    to: &Points,
    others: Range<usize>,
) -> Matrix {
    product(from.view(rows), to.view(others).transpose())
}

/// Squared distances, laid out as [`products`].
pub(super) fn squared_distances(
    from: &Points,
    rows: Range<usize>,
    to: &Points,
    others: Range<usize>,
) -> Matrix {
    let mut block = products(from, rows.clone(), to, others.clone());
    let squares = &to.squares[others];
    let products = block.values_mut().chunks_exact_mut(squares.len());
    for (products, square) in products.zip(&from.squares[rows]) {
        let pairs = products.iter_mut().zip(squares);
        pairs.for_each(|(p, other)| *p = (square + other - 2.0 * *p).max(0.0));
    }
    block
}

/// The blocks of `n` rows, in order.
pub(super) fn blocks(n: usize) -> Vec<Range<usize>> {
    let starts = (0..n).step_by(BLOCK);
    starts.map(|start| start..(start + BLOCK).min(n)).collect()
}

/// For each row of `from`, in order, what `visit` gathers of its squared distances to all rows of
/// `to`: it is given what was gathered, the row, the number of the first of some rows of `to`, and
/// the distances to those.
pub(super) fn gather<T: Send + Clone + Sync>(
    from: &Points,
    to: &Points,
    start: &T,
    visit: impl Fn(&mut T, usize, usize, &[f64]) + Sync,
) -> Vec<T> {
    let tasks = blocks(from.len()).into_par_iter();
    tasks
        .flat_map_iter(|rows| {
            let mut gathered = vec![start.clone(); rows.len()];
            for others in blocks(to.len()) {
                let block = squared_distances(from, rows.clone(), to, others.clone());
                let distances = block.values().chunks_exact(others.len());
                for ((row, gathered), distances) in rows.clone().zip(&mut gathered).zip(distances) {
                    visit(gathered, row, others.start, distances);
                }
            }
            gathered
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::random::{NoiseSource, Stream};

    pub fn normals(n: usize, seed: u64) -> Vec<f64> {
        let mut z = vec![0.0; n];
        NoiseSource::new(seed, Stream::Data).fill_normal(0, 0, &mut z);
        z
    }

    #[test]
    fn every_pair_is_seen_once_and_blocks_and_threads_do_not_matter() {
        for (n, m, dim) in [(3, 2, 1), (700, 1100, 3), (600, 520, 40)] {
            let (x, y) = (normals(n * dim, 0), normals(m * dim, 1));
            let features = |values| Features::new("rows", values, dim).unwrap();
            let (x, y) = (features(&x), features(&y));
            let points = [x, y].map(|rows| Points::new(rows, Some(&y.mean())));
            let all = || {
                gather(
                    &points[0],
                    &points[1],
                    &vec![],
                    |all, _, first, d: &[f64]| {
                        assert_eq!(all.len(), first);
                        all.extend_from_slice(d);
                    },
                )
            };
            let found = all();
            for (x, found) in x.rows().zip(&found) {
                assert_eq!(found.len(), m);
                for (y, found) in y.rows().zip(found) {
                    let square: f64 = x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum();
                    assert!((square - found).abs() < 1e-12 * dim as f64 + 1e-12 * square);
                }
            }
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
            assert_eq!(pool.build().unwrap().install(all), found);
        }
    }
}
