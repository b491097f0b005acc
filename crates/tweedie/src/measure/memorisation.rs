//! Whether samples are copies of training items.
//!
//! Each sample's nearest training item is near by itself only relative to the second nearest: a
//! ratio of both distances far below 1 marks a copy (Yoon et al. 2023; Carlini et al. 2023). Whether
//! a set of samples is nearer to the training items T than it should be is Meehan, Chaudhuri and
//! Dasgupta's question (2020): with d(x) the distance to the nearest of T, held-out items h of the
//! data's distribution and samples x, the share P(d(x) < d(h)) is 1/2 for a perfect model, above it
//! for one that copies, below it for one that underfits. Mann and Whitney's U (1947) tests it, ties
//! corrected. T is fixed, so samples and held-out items are independent under the null.

use serde::Serialize;

use super::Features;
use super::estimate::Estimate;
use super::neighbours::nearest;
use super::pairs::Points;
use super::proportion::Proportion;
use crate::error::Result;
use crate::noise::normal_cdf;
use crate::score::squared_distance;

/// Neighbours that are looked at again without the rounding of matrix products.
const CANDIDATES: usize = 4;

/// A sample's nearest training item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearestItem {
    /// Its row.
    pub index: usize,
    /// Its distance.
    pub distance: f64,
    /// The distance of the second nearest.
    pub second: f64,
}

impl NearestItem {
    /// The distance relative to the second nearest's, in \[0, 1\]: near 0 for a copy, 1 where two
    /// training items are equally near.
    pub fn ratio(&self) -> f64 {
        match self.second {
            0.0 => 1.0,
            second => self.distance / second,
        }
    }
}

/// The nearest row of `training` for each row of `samples`, the first of equally near ones.
///
/// # Errors
/// [`crate::Error::Shape`] where the dimensions differ.
pub fn nearest_items(samples: Features, training: Features) -> Result<Vec<NearestItem>> {
    samples.check_same_dim("the training items", &training)?;
    let origin = training.mean();
    let [from, to] = [samples, training].map(|rows| Points::new(rows, Some(&origin)));
    let lists = nearest(&from, &to, CANDIDATES, false);
    let items = samples.rows().zip(lists).map(|(row, list)| {
        let found = list.iter().map(|neighbour| {
            let square = squared_distance(row, training.row(neighbour.index));
            (square.sqrt(), neighbour.index)
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        NearestItem {
            index: found[0].1,
            distance: found[0].0,
            second: found[1].0,
        }
    });
    Ok(items.collect())
}

/// Whether samples are nearer to training items than held-out items are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Memorisation {
    /// P(d(x) < d(h)) over pairs of a sample and a held-out item, ties half; 1/2 for a perfect
    /// model, more for copies. Its error is DeLong's (1988).
    pub nearer: Estimate,
    /// Mann and Whitney's z: nearer less 1/2, in its standard deviations under the null.
    pub z: f64,
    /// The probability of so large a z from a perfect model: small for copies.
    pub p_value: f64,
    /// Samples whose nearest item of training and held-out items together is a training item.
    pub to_training: Proportion,
    /// What share that would be if neither were preferred: that of the training items among both.
    pub expected: f64,
}

/// Compares the distances of `samples` and of `held_out` items to the `training` items.
///
/// # Errors
/// [`crate::Error::Shape`] where the dimensions differ.
pub fn memorisation(
    samples: Features,
    training: Features,
    held_out: Features,
) -> Result<Memorisation> {
    samples.check_same_dim("the held-out items", &held_out)?;
    let nearest = nearest_items(samples, training)?;
    memorisation_of(&nearest, samples, training, held_out)
}

/// [`memorisation`] of samples whose `nearest` training items are known.
pub(crate) fn memorisation_of(
    nearest: &[NearestItem],
    samples: Features,
    training: Features,
    held_out: Features,
) -> Result<Memorisation> {
    let distances =
        |items: &[NearestItem]| -> Vec<f64> { items.iter().map(|item| item.distance).collect() };
    let of_samples = distances(nearest);
    let of_held_out = distances(&nearest_items(held_out, training)?);
    let to_held_out = distances(&nearest_items(samples, held_out)?);
    let (nearer, z) = mann_whitney(&of_samples, &of_held_out);
    let pairs = of_samples.iter().zip(&to_held_out);
    let (n, m) = (training.len() as f64, held_out.len() as f64);
    Ok(Memorisation {
        nearer,
        z,
        p_value: normal_cdf(-z),
        to_training: Proportion::among(pairs.map(|(training, held_out)| training < held_out)),
        expected: n / (n + m),
    })
}

/// P(a < b), ties half, with DeLong's error, and z under equal distributions, ties corrected.
fn mann_whitney(a: &[f64], b: &[f64]) -> (Estimate, f64) {
    let sorted = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    };
    // The share of `others` below x, ties half.
    let below = |x: f64, others: &[f64]| {
        let (low, high) = (
            others.partition_point(|other| *other < x),
            others.partition_point(|other| *other <= x),
        );
        0.5 * (low + high) as f64 / others.len() as f64
    };
    let (in_order_a, in_order_b) = (sorted(a), sorted(b));
    let by_a: Vec<f64> = a.iter().map(|x| 1.0 - below(*x, &in_order_b)).collect();
    let by_b: Vec<f64> = b.iter().map(|x| below(*x, &in_order_a)).collect();
    let (by_a, by_b) = (Estimate::mean(&by_a), Estimate::mean(&by_b));
    let nearer = Estimate {
        value: by_a.value,
        standard_error: by_a.standard_error.hypot(by_b.standard_error),
    };
    let all = sorted(&[a, b].concat());
    let (n, m, total) = (a.len() as f64, b.len() as f64, all.len() as f64);
    let ties = all.chunk_by(|a, b| a == b).map(|tie| tie.len() as f64);
    let ties: f64 = ties.map(|t| t * t * t - t).sum();
    let variance = ((total + 1.0) - ties / (total * (total - 1.0))) / (12.0 * n * m);
    let z = match variance > 0.0 {
        true => (nearer.value - 0.5) / variance.sqrt(),
        false => 0.0,
    };
    (nearer, z)
}

#[cfg(test)]
mod tests {
    use super::super::pairs::tests::normals;
    use super::*;

    fn rows(values: &[f64]) -> Features<'_> {
        Features::new("rows", values, 2).unwrap()
    }

    #[test]
    fn nearest_items_by_hand() {
        let training = [0.0, 0.0, 4.0, 0.0, 0.0, 3.0, 100.0, 100.0];
        let samples = [1.0, 0.0, 100.0, 100.0, 0.0, 1.5];
        let found = nearest_items(rows(&samples), rows(&training)).unwrap();
        let of = |i: usize| (found[i].index, found[i].distance, found[i].second);
        assert_eq!(of(0), (0, 1.0, 3.0));
        assert_eq!(
            (found[1].index, found[1].distance, found[1].ratio()),
            (3, 0.0, 0.0)
        );
        assert_eq!((of(2), found[2].ratio()), ((0, 1.5, 1.5), 1.0));
    }

    /// scipy.stats.mannwhitneyu([1, 2, 2, 5], [2, 3, 6], method="asymptotic",
    /// use_continuity=False) has U = 3 and p = 0.2710 (two-sided).
    #[test]
    fn mann_whitney_with_ties() {
        let (nearer, z) = mann_whitney(&[1.0, 2.0, 2.0, 5.0], &[2.0, 3.0, 6.0]);
        assert!((nearer.value - 0.75).abs() < 1e-15);
        assert!(
            (2.0 * normal_cdf(-z) - 0.2710276474293767).abs() < 1e-12,
            "{z}"
        );
        assert_eq!(mann_whitney(&[1.0; 3], &[1.0; 2]).1, 0.0);
    }

    #[test]
    fn copies_are_found_and_a_perfect_model_is_not_accused() {
        let (training, held_out) = (normals(400, 0), normals(300, 1));
        let fresh = normals(500, 2);
        let noise = normals(400, 3);
        let copies: Vec<f64> = training
            .iter()
            .zip(noise)
            .map(|(x, z)| x + 0.01 * z)
            .collect();
        let test = |samples: &[f64]| memorisation(rows(samples), rows(&training), rows(&held_out));
        let copied = test(&copies).unwrap();
        assert!(copied.p_value < 1e-10 && copied.nearer.value > 0.8);
        assert!(copied.to_training.interval[0] > copied.expected);
        let honest = test(&fresh).unwrap();
        assert!(honest.p_value > 0.01 && honest.z.abs() < 3.0, "{honest:?}");
        assert!((honest.nearer.value - 0.5).abs() < 3.0 * honest.nearer.standard_error);
        let away: Vec<f64> = fresh.iter().map(|x| 3.0 * x).collect();
        assert!(test(&away).unwrap().p_value > 0.99);
    }

    /// Of 400 perfect models 5 % are accused at 5 %.
    #[test]
    fn its_p_values_are_uniform_under_the_null() {
        let low = (0..400).filter(|seed| {
            let all = normals(2 * 180, 100 + seed);
            let (training, rest) = all.split_at(160);
            let (held_out, samples) = rest.split_at(80);
            let found = memorisation(rows(samples), rows(training), rows(held_out));
            found.unwrap().p_value < 0.05
        });
        // 20 +- 4.4.
        let low = low.count();
        assert!((5..=35).contains(&low), "{low}");
    }
}
