//! The classifier two-sample test: whether a classifier tells samples from data.
//!
//! Equal distributions leave it at chance (Lopez-Paz and Oquab 2017). The classifier is the vote of
//! the k nearest neighbours among all other items, leaving each out in turn (k odd; Xu et al. 2018 recommend
//! k = 1 and both sides' accuracies apart: data that are taken for samples show copies, samples
//! taken for data modes that are lost). Neighbours do not depend on the labels, so a permutation
//! test costs no new distances, and its p-value is exact: (1 + #{permuted >= found})/(1 + B).

use serde::Serialize;

use super::Features;
use super::neighbours::nearest;
use super::pairs::Points;
use super::proportion::Proportion;
use crate::error::{Error, Result};
use crate::random::{NoiseSource, Stream};

/// What the classifier got right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassifierTwoSample {
    /// Of the samples, taken for samples.
    pub samples: Proportion,
    /// Of the reference's items, taken for such.
    pub reference: Proportion,
    /// The mean of both shares: 1/2 is chance, 1 tells all apart, below 1/2 are copies.
    pub accuracy: f64,
    /// The probability of so high an accuracy from equal distributions.
    pub p_value: f64,
}

/// The test of `samples` against `reference` by `k` neighbours, k odd, and `permutations` that
/// `seed` fixes; 999 are usual.
///
/// # Errors
/// [`Error::Shape`] where the dimensions differ, [`Error::Setting`] for a k that is even or not
/// below the number of all rows, or no permutations.
pub fn classifier_two_sample(
    samples: Features,
    reference: Features,
    k: usize,
    permutations: usize,
    seed: u64,
) -> Result<ClassifierTwoSample> {
    samples.check_same_dim("the reference", &reference)?;
    let (n, all) = (samples.len(), samples.len() + reference.len());
    if k.is_multiple_of(2) || k >= all {
        let reason = format!("must be odd and below {all}, the number of all rows");
        return Err(Error::setting("k", k, reason));
    }
    if permutations == 0 {
        return Err(Error::setting("permutations", 0, "must be at least 1"));
    }
    let pooled = [samples.values(), reference.values()].concat();
    let pooled = Features::new("all rows", &pooled, samples.dim())?;
    let points = Points::new(pooled, Some(&reference.mean()));
    let neighbours: Vec<Vec<usize>> = nearest(&points, &points, k, true)
        .into_iter()
        .map(|list| list.iter().map(|neighbour| neighbour.index).collect())
        .collect();

    // Right answers among what is labelled a sample and what is not.
    let right = |is_sample: &[bool]| {
        let mut right = [0; 2];
        for (own, list) in is_sample.iter().zip(&neighbours) {
            let votes = list.iter().filter(|index| is_sample[**index]).count();
            let voted = 2 * votes > k;
            right[usize::from(!own)] += usize::from(voted == *own);
        }
        right
    };
    let accuracy = |[samples, others]: [usize; 2]| {
        0.5 * (samples as f64 / n as f64 + others as f64 / (all - n) as f64)
    };
    let labels: Vec<bool> = (0..all).map(|row| row < n).collect();
    let found = right(&labels);
    let source = NoiseSource::new(seed, Stream::Evaluation);
    let as_high = (0..permutations as u64).filter(|number| {
        let order = source.permutation(*number, all);
        let permuted: Vec<bool> = order.iter().map(|row| *row < n).collect();
        // Equal counts give equal sums to the last bit.
        accuracy(right(&permuted)) >= accuracy(found)
    });
    let as_high = as_high.count();
    Ok(ClassifierTwoSample {
        samples: Proportion::new(found[0] as u64, n as u64),
        reference: Proportion::new(found[1] as u64, (all - n) as u64),
        accuracy: accuracy(found),
        p_value: (1 + as_high) as f64 / (1 + permutations) as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::super::pairs::tests::normals;
    use super::*;

    fn rows(values: &[f64]) -> Features<'_> {
        Features::new("rows", values, 2).unwrap()
    }

    #[test]
    fn what_is_apart_is_told_apart() {
        let a = normals(200, 0);
        let b: Vec<f64> = normals(100, 1).iter().map(|x| x + 10.0).collect();
        let found = classifier_two_sample(rows(&a), rows(&b), 3, 99, 0).unwrap();
        assert_eq!((found.accuracy, found.p_value), (1.0, 0.01));
        assert_eq!((found.samples.of, found.reference.of), (100, 50));
        // Of copies each is the other's nearest.
        let copies = classifier_two_sample(rows(&a), rows(&a), 1, 99, 0).unwrap();
        assert_eq!((copies.accuracy, copies.p_value), (0.0, 1.0));
        for k in [0, 2, 151] {
            assert!(classifier_two_sample(rows(&a), rows(&b), k, 9, 0).is_err());
        }
        assert!(classifier_two_sample(rows(&a), rows(&b), 1, 0, 0).is_err());
    }

    #[test]
    fn its_p_values_are_uniform_under_the_null() {
        let low = (0..200).filter(|seed| {
            let all = normals(2 * 70, 50 + seed);
            let (a, b) = all.split_at(60);
            let found = classifier_two_sample(rows(a), rows(b), 3, 99, *seed).unwrap();
            found.p_value <= 0.1
        });
        // At most 20 +- 4.2, fewer as accuracies are often equal.
        let low = low.count();
        assert!((3..=35).contains(&low), "{low}");
    }
}
