//! The k nearest neighbours of rows, by blocks of all pairs.

use super::pairs::{Points, gather};

/// A neighbour of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Neighbour {
    /// Its row.
    pub(super) index: usize,
    /// Its squared distance.
    pub(super) square: f64,
}

/// The `k` nearest rows of `to` for each row of `from`, nearest first, the earlier row first where
/// distances are equal; fewer where `to` has fewer. Where both are the `same` set, a row is no
/// neighbour of itself.
pub(super) fn nearest(from: &Points, to: &Points, k: usize, same: bool) -> Vec<Vec<Neighbour>> {
    let start = Vec::with_capacity(k + 1);
    gather(
        from,
        to,
        &start,
        |best: &mut Vec<Neighbour>, row, first, squares| {
            let mut bound = match best.get(k - 1) {
                Some(last) => last.square,
                None => f64::INFINITY,
            };
            for (place, &square) in squares.iter().enumerate() {
                let index = first + place;
                // Not the other way round: infinite distances count, where squares overflow.
                if best.len() == k && square >= bound || same && index == row {
                    continue;
                }
                let at = best.partition_point(|other| other.square <= square);
                best.insert(at, Neighbour { index, square });
                best.truncate(k);
                if best.len() == k {
                    bound = best[k - 1].square;
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::Features;
    use super::super::pairs::tests::normals;
    use super::*;

    #[test]
    fn they_are_those_of_a_sort() {
        let (n, dim, k) = (600, 2, 4);
        let mut values = normals(n * dim, 0);
        // Some rows are equal.
        values.copy_within(0..20, 600);
        let rows = Features::new("rows", &values, dim).unwrap();
        let points = Points::new(rows, None);
        for same in [false, true] {
            let found = nearest(&points, &points, k, same);
            for (i, found) in found.iter().enumerate() {
                let square = |j: usize| -> f64 {
                    let pairs = rows.row(i).iter().zip(rows.row(j));
                    pairs.map(|(a, b)| (a - b).powi(2)).sum()
                };
                let mut others: Vec<usize> = (0..n).filter(|j| !(same && *j == i)).collect();
                others.sort_by(|a, b| square(*a).total_cmp(&square(*b)));
                assert_eq!(found.len(), k);
                for (found, other) in found.iter().zip(others) {
                    assert!((found.square - square(other)).abs() < 1e-12);
                    assert!((square(found.index) - square(other)).abs() < 1e-12);
                }
            }
        }
        let few = Features::new("rows", &values[..6], dim).unwrap();
        let few = Points::new(few, None);
        assert_eq!(nearest(&few, &few, 5, true)[0].len(), 2);
    }
}
