//! Exact Wasserstein distances between two samples on the line.
//!
//! In one dimension the optimal coupling joins equal quantiles:
//!
//! W_p^p = int_0^1 |Q_a(u) - Q_b(u)|^p du,
//!
//! and the quantile functions of samples are step functions (Peyre and Cuturi 2019, section 2.6).

use super::check_rows;
use crate::error::Result;

/// The Wasserstein-1 distance of two samples of any sizes, each value equally likely.
///
/// # Errors
/// [`crate::Error::Shape`] for an empty sample, [`crate::Error::Setting`] for a value that is not
/// finite.
pub fn wasserstein_1(a: &[f64], b: &[f64]) -> Result<f64> {
    Ok(coupled(&sorted(a)?, &sorted(b)?, f64::abs))
}

/// The Wasserstein-2 distance of two samples of any sizes, each value equally likely: the root of
/// the mean square.
///
/// # Errors
/// As for [`wasserstein_1`].
pub fn wasserstein_2(a: &[f64], b: &[f64]) -> Result<f64> {
    Ok(coupled(&sorted(a)?, &sorted(b)?, |d| d * d).sqrt())
}

/// The sample in order.
pub(super) fn sorted(sample: &[f64]) -> Result<Vec<f64>> {
    check_rows("the sample", sample, 1)?;
    let mut sorted = sample.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Ok(sorted)
}

/// The mean of `cost` of the difference under the coupling of equal quantiles; `a` and `b` in
/// order.
pub(super) fn coupled(a: &[f64], b: &[f64], cost: impl Fn(f64) -> f64) -> f64 {
    let (n, m) = (a.len(), b.len());
    if n == m {
        let costs = a.iter().zip(b).map(|(a, b)| cost(a - b));
        return costs.sum::<f64>() / n as f64;
    }
    // Quantiles in units of 1/(n m), where all steps are whole numbers.
    let (mut i, mut j, mut place, mut sum) = (0, 0, 0u128, 0.0);
    while i < n && j < m {
        let (end_a, end_b) = ((i as u128 + 1) * m as u128, (j as u128 + 1) * n as u128);
        let end = end_a.min(end_b);
        sum += (end - place) as f64 * cost(a[i] - b[j]);
        place = end;
        i += usize::from(end == end_a);
        j += usize::from(end == end_b);
    }
    sum / (n as f64 * m as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_equal_size_by_hand() {
        let (a, b) = ([3.0, 1.0, 0.0], [5.0, 8.0, 6.0]);
        // 0-5, 1-6, 3-8.
        assert_eq!(wasserstein_1(&a, &b).unwrap(), 5.0);
        assert_eq!(wasserstein_2(&a, &b).unwrap(), 5.0);
        // 0-(-1), 4-2: (1 + 2)/2 and sqrt((1 + 4)/2).
        assert_eq!(wasserstein_1(&[4.0, 0.0], &[-1.0, 2.0]).unwrap(), 1.5);
        assert_eq!(
            wasserstein_2(&[4.0, 0.0], &[-1.0, 2.0]).unwrap(),
            2.5f64.sqrt()
        );
    }

    #[test]
    fn samples_of_different_sizes_by_hand() {
        // [0, 1] against [0, 1, 2]: 0-0 for 1/3, 0-1 for 1/6, 1-1 for 1/6, 1-2 for 1/3.
        let w = wasserstein_1(&[0.0, 1.0], &[2.0, 0.0, 1.0]).unwrap();
        assert!((w - 0.5).abs() < 1e-15);
        let w = wasserstein_2(&[0.0, 1.0], &[2.0, 0.0, 1.0]).unwrap();
        assert!((w - 0.5f64.sqrt()).abs() < 1e-15);
        // One point against all.
        let w = wasserstein_1(&[1.0], &[0.0, 1.0, 2.0, 5.0]).unwrap();
        assert_eq!(w, 6.0 / 4.0);
    }

    /// W_1 is also the area between the distribution functions.
    #[test]
    fn it_is_the_area_between_the_distribution_functions() {
        let a: Vec<f64> = (0..17).map(|i| (f64::from(i) * 1.3).sin()).collect();
        let b: Vec<f64> = (0..24).map(|i| (f64::from(i) * 0.7).cos() + 0.3).collect();
        let mut ends = [&a[..], &b].concat();
        ends.sort_by(f64::total_cmp);
        let share = |sample: &[f64], x: f64| {
            sample.iter().filter(|value| **value <= x).count() as f64 / sample.len() as f64
        };
        let area: f64 = ends
            .windows(2)
            .map(|ends| (ends[1] - ends[0]) * (share(&a, ends[0]) - share(&b, ends[0])).abs())
            .sum();
        assert!((wasserstein_1(&a, &b).unwrap() - area).abs() < 1e-14);
        assert_eq!(
            wasserstein_1(&a, &b).unwrap(),
            wasserstein_1(&b, &a).unwrap()
        );
    }

    /// A sample and its copies are the same distribution.
    #[test]
    fn copies_are_at_distance_zero_and_translations_at_their_length() {
        let a = [0.5, -1.0, 3.0, 0.25];
        let copies = a.repeat(3);
        assert_eq!(wasserstein_1(&a, &copies).unwrap(), 0.0);
        assert_eq!(wasserstein_2(&a, &copies).unwrap(), 0.0);
        let moved: Vec<f64> = copies.iter().map(|x| x + 2.0).collect();
        assert!((wasserstein_1(&a, &moved).unwrap() - 2.0).abs() < 1e-15);
        assert!((wasserstein_2(&a, &moved).unwrap() - 2.0).abs() < 1e-15);
    }

    #[test]
    fn wrong_samples_are_refused() {
        assert!(wasserstein_1(&[], &[1.0]).is_err());
        assert!(wasserstein_2(&[1.0], &[]).is_err());
        assert!(wasserstein_2(&[1.0], &[f64::NAN]).is_err());
    }
}
