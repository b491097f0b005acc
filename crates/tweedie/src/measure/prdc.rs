//! Precision, recall, density and coverage: whether samples lie where data are, and data where
//! samples are.
//!
//! With B_k(x) the ball around x that reaches to its k-th nearest neighbour in its own set,
//!
//! precision = share of samples in a ball of the reference,
//! recall = share of the reference in a ball of the samples (Kynkaanniemi et al. 2019),
//! density = mean over samples of (1/k) #{balls of the reference it is in},
//! coverage = share of the reference with a sample in its ball (Naeem et al. 2020).
//!
//! Precision and recall take balls closed, as Kynkaanniemi et al. and torch-fidelity do; density and
//! coverage open, as the code of Naeem et al., prdc, does, so that a set has density 1 against
//! itself. This matters only where distances are equal, as between pixels; what differs by rounding
//! is equal.

use serde::Serialize;

use super::Features;
use super::estimate::Estimate;
use super::neighbours::nearest;
use super::pairs::{Points, gather};
use super::proportion::Proportion;
use crate::error::{Error, Result};

/// Differences of squared distances that are rounding, relative to the squared lengths.
const ROUNDING: f64 = 1e-13;

/// Precision, recall, density and coverage. Each error is over the items that are counted, with the
/// balls as they are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Prdc {
    /// The neighbour that a ball reaches to.
    pub k: usize,
    /// The share of samples where data are.
    pub precision: Proportion,
    /// The share of the reference where samples are.
    pub recall: Proportion,
    /// How many of k balls a sample is in.
    pub density: Estimate,
    /// The share of the reference that has a sample in its ball.
    pub coverage: Proportion,
}

/// The squared radii of the balls around rows.
struct Balls {
    /// `[ks, n]`.
    squares: Vec<Vec<f64>>,
}

impl Balls {
    fn new(points: &Points, ks: &[usize]) -> Self {
        let most = ks.iter().copied().max().unwrap_or(1);
        let neighbours = nearest(points, points, most, true);
        let of = |k: &usize| neighbours.iter().map(|list| list[k - 1].square).collect();
        Self {
            squares: ks.iter().map(of).collect(),
        }
    }
}

/// Precision, recall, density and coverage of `samples` and `reference`, for each of `ks`; 3 and 5
/// are usual. Deterministic; time grows with the pairs, memory does not.
///
/// # Errors
/// [`Error::Shape`] where the dimensions differ, [`Error::Setting`] for a k that is 0 or not below
/// the number of rows of either set.
pub fn precision_recall_density_coverage(
    samples: Features,
    reference: Features,
    ks: &[usize],
) -> Result<Vec<Prdc>> {
    samples.check_same_dim("the reference", &reference)?;
    let rows = samples.len().min(reference.len());
    if let Some(k) = ks.iter().find(|k| !(1..rows).contains(*k)) {
        let reason = format!("must be at least 1 and below the number of rows, {rows}");
        return Err(Error::setting("k", k, reason));
    }
    let origin = reference.mean();
    let samples = Points::new(samples, Some(&origin));
    let reference = Points::new(reference, Some(&origin));
    let (of_samples, of_reference) = (Balls::new(&samples, ks), Balls::new(&reference, ks));

    // For each sample and k: the closed and the open balls of the reference that it is in.
    let start = vec![[0u32; 2]; ks.len()];
    let in_balls = gather(
        &samples,
        &reference,
        &start,
        |counts, row, first, squares| {
            let length = samples.squares()[row];
            for (counts, radii) in counts.iter_mut().zip(&of_reference.squares) {
                let lengths = &reference.squares()[first..];
                for ((square, radius), other) in squares.iter().zip(&radii[first..]).zip(lengths) {
                    let slack = ROUNDING * (length + other);
                    counts[0] += u32::from(*square <= radius + slack);
                    counts[1] += u32::from(*square < radius - slack);
                }
            }
        },
    );
    // For each reference item and k: whether it is in a closed ball of the samples; and the
    // distance to the nearest sample.
    let start = (vec![false; ks.len()], f64::INFINITY);
    let from_reference = gather(
        &reference,
        &samples,
        &start,
        |(inside, nearest), row, first, squares| {
            let length = reference.squares()[row];
            for (inside, radii) in inside.iter_mut().zip(&of_samples.squares) {
                let lengths = &samples.squares()[first..];
                let pairs = squares.iter().zip(&radii[first..]).zip(lengths);
                *inside |= pairs.into_iter().any(|((square, radius), other)| {
                    *square <= radius + ROUNDING * (length + other)
                });
            }
            *nearest = squares
                .iter()
                .fold(*nearest, |low, square| low.min(*square));
        },
    );

    let of = |(place, &k): (usize, &usize)| {
        let densities = in_balls
            .iter()
            .map(|counts| f64::from(counts[place][1]) / k as f64);
        let radii = &of_reference.squares[place];
        let covered = from_reference.iter().zip(radii).zip(reference.squares());
        Prdc {
            k,
            precision: Proportion::among(in_balls.iter().map(|counts| counts[place][0] > 0)),
            recall: Proportion::among(from_reference.iter().map(|(inside, _)| inside[place])),
            density: Estimate::mean(&densities.collect::<Vec<_>>()),
            coverage: Proportion::among(covered.map(|(((_, nearest), radius), length)| {
                *nearest < radius - 2.0 * ROUNDING * length
            })),
        }
    };
    Ok(ks.iter().enumerate().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::super::pairs::tests::normals;
    use super::*;

    fn measure(a: &[f64], b: &[f64], dim: usize, k: usize) -> [f64; 4] {
        let a = Features::new("the samples", a, dim).unwrap();
        let b = Features::new("the reference", b, dim).unwrap();
        let found = precision_recall_density_coverage(a, b, &[1, k]).unwrap()[1];
        [
            found.precision.estimate().value,
            found.recall.estimate().value,
            found.density.value,
            found.coverage.estimate().value,
        ]
    }

    #[test]
    fn by_hand_on_a_line() {
        // Reference 0, 1, 3 with radii 1, 1, 2 at k = 1; samples 0.5, 9, 10 with 8.5, 1, 1.
        let found = measure(&[0.5, 9.0, 10.0], &[0.0, 1.0, 3.0], 1, 1);
        let expected = [1.0 / 3.0, 1.0, 2.0 / 3.0, 2.0 / 3.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
    }

    #[test]
    fn a_set_against_itself_is_covered_with_density_one() {
        // Pixels, where many distances are equal, and points in general position.
        let pixels: Vec<f64> = normals(900, 0).iter().map(|x| (2.0 * x).round()).collect();
        let general = normals(900 * 3, 0);
        for (rows, k) in [(&general, 3), (&general, 5)] {
            let [precision, recall, density, coverage] = measure(rows, rows, 3, k);
            assert_eq!((precision, recall, coverage), (1.0, 1.0, 1.0));
            assert!((density - 1.0).abs() < 1e-12);
        }
        let [precision, recall, ..] = measure(&pixels, &pixels, 3, 3);
        assert_eq!((precision, recall), (1.0, 1.0));
        let far: Vec<f64> = general.iter().map(|x| x + 100.0).collect();
        assert_eq!(measure(&far, &general, 3, 3), [0.0; 4]);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        let rows = normals(6, 0);
        let two = Features::new("rows", &rows, 2).unwrap();
        let three = Features::new("rows", &rows, 3).unwrap();
        assert!(precision_recall_density_coverage(two, three, &[1]).is_err());
        for k in [0, 3] {
            let error = precision_recall_density_coverage(two, two, &[k]).unwrap_err();
            assert!(error.to_string().starts_with("k = "), "{error}");
        }
    }
}
