//! The classes of samples: which occur, and how far their shares are from those they should have.
//!
//! KL(p || q) = sum_k p_k ln(p_k/q_k) of n samples' shares p to shares q, both of K classes. Of n
//! draws from q itself it is not 0: 2 n KL is about chi-square of K - 1 degrees of freedom (Wilks
//! 1938), so E KL ~ (K - 1)/(2n), the floor, and its standard deviation sqrt((K - 1)/2)/n.
//! Elsewhere the influence function gives sd(ln(p/q))/sqrt(n). Where q are shares of m items, 1/n
//! becomes 1/n + 1/m.

use serde::Serialize;

use super::estimate::Estimate;
use crate::error::{Error, Result};

/// How many samples a classifier puts into each class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassHistogram {
    counts: Vec<u64>,
}

/// The Kullback-Leibler divergence of class shares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassDivergence {
    /// Of the shares as counted; infinite where samples are in a class that the data lack.
    pub plain: Estimate,
    /// What equal distributions would have on average at this n.
    pub floor: f64,
    /// Without the floor; it may be negative.
    pub corrected: Estimate,
}

impl ClassHistogram {
    /// That of `labels`, each below `classes`.
    ///
    /// # Errors
    /// [`Error::Setting`] for no labels, or one that is no class.
    pub fn of_labels(labels: &[usize], classes: usize) -> Result<Self> {
        let mut counts = vec![0; classes];
        for (i, &label) in labels.iter().enumerate() {
            let Some(count) = counts.get_mut(label) else {
                let reason = format!("label {i} must be below {classes}, the number of classes");
                return Err(Error::setting("labels", label, reason));
            };
            *count += 1;
        }
        Self::of_counts(counts)
    }

    /// That with the given `counts`.
    ///
    /// # Errors
    /// [`Error::Setting`] where all are 0.
    pub fn of_counts(counts: Vec<u64>) -> Result<Self> {
        if counts.iter().all(|count| *count == 0) {
            return Err(Error::setting(
                "counts",
                format!("{counts:?}"),
                "no item is in a class",
            ));
        }
        Ok(Self { counts })
    }

    /// The number of items in each class.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// n, the number of items.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many classes have an item: the modes covered.
    pub fn covered(&self) -> usize {
        self.counts.iter().filter(|count| **count > 0).count()
    }

    /// The share of each class with its binomial error.
    pub fn shares(&self) -> Vec<Estimate> {
        let n = self.total() as f64;
        let share = |count: &u64| {
            let share = *count as f64 / n;
            Estimate {
                value: share,
                standard_error: (share * (1.0 - share) / n).sqrt(),
            }
        };
        self.counts.iter().map(share).collect()
    }

    /// The divergence of the shares to equal shares of all classes.
    pub fn divergence_to_uniform(&self) -> ClassDivergence {
        let classes = self.counts.len();
        self.divergence(&vec![1.0 / classes as f64; classes], 0.0)
    }

    /// The divergence of the shares to those of the `data`, whose own finite number counts.
    ///
    /// # Errors
    /// [`Error::Shape`] where the classes are not as many.
    pub fn divergence_to(&self, data: &Self) -> Result<ClassDivergence> {
        if data.counts.len() != self.counts.len() {
            return Err(Error::Shape {
                what: "the data's histogram".into(),
                expected: vec![self.counts.len()],
                found: vec![data.counts.len()],
            });
        }
        let m = data.total() as f64;
        let shares: Vec<f64> = data.counts.iter().map(|count| *count as f64 / m).collect();
        Ok(self.divergence(&shares, 1.0 / m))
    }

    /// The divergence of the shares to known `shares`, such as a mixture's weights.
    ///
    /// # Errors
    /// [`Error::Shape`] where the classes are not as many, [`Error::Setting`] where shares are
    /// negative or do not sum to 1.
    pub fn divergence_to_shares(&self, shares: &[f64]) -> Result<ClassDivergence> {
        if shares.len() != self.counts.len() {
            return Err(Error::Shape {
                what: "shares".into(),
                expected: vec![self.counts.len()],
                found: vec![shares.len()],
            });
        }
        let sum: f64 = shares.iter().sum();
        let off = (sum - 1.0).abs();
        if off.is_nan() || off > 1e-9 || shares.iter().any(|q| *q < 0.0) {
            let reason = "must not be negative and sum to 1";
            return Err(Error::setting("shares", format!("{shares:?}"), reason));
        }
        Ok(self.divergence(shares, 0.0))
    }

    /// To shares `q`, of which `inverse` is 1/m.
    fn divergence(&self, q: &[f64], inverse: f64) -> ClassDivergence {
        let n = self.total() as f64;
        let both = 1.0 / n + inverse;
        let (mut value, mut square, mut reference) = (0.0, 0.0, 0.0);
        for (count, q) in self.counts.iter().zip(q) {
            let p = *count as f64 / n;
            if p > 0.0 {
                let log = (p / q).ln();
                value += p * log;
                square += p * log * log;
                // The influence of q is 1 - p/q.
                reference += p * p / q;
            }
        }
        // A class that neither has is none.
        let pairs = self.counts.iter().zip(q);
        let classes = pairs.filter(|(count, q)| **count > 0 || **q > 0.0).count();
        let freedom = classes.saturating_sub(1) as f64;
        let first = (square - value * value).max(0.0) / n + (reference - 1.0).max(0.0) * inverse;
        let second = 0.5 * freedom * both * both;
        // As elsewhere, what the plug-in first order holds of the second is taken out, twice it.
        let variance = (first - 2.0 * second).max(0.0) + second;
        let plain = Estimate {
            value,
            standard_error: variance.sqrt(),
        };
        let floor = 0.5 * freedom * both;
        ClassDivergence {
            plain,
            floor,
            corrected: Estimate {
                value: value - floor,
                ..plain
            },
        }
    }
}

/// The class of highest probability of each row of `[n, classes]`; the first of equal ones.
pub fn most_likely_classes(probabilities: super::Features) -> Vec<usize> {
    let rows = probabilities.rows();
    rows.map(|row| {
        let mut best = 0;
        for (class, p) in row.iter().enumerate() {
            if *p > row[best] {
                best = class;
            }
        }
        best
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{NoiseSource, Stream};

    /// `n` draws of classes with `shares`.
    fn draw(shares: &[f64], n: u64, seed: u64) -> ClassHistogram {
        let source = NoiseSource::new(seed, Stream::Data);
        let labels: Vec<usize> = (0..n)
            .map(|i| {
                let mut u = source.uniform(i, 0, 0);
                let class = shares.iter().position(|share| {
                    u -= share;
                    u < 0.0
                });
                class.unwrap_or(shares.len() - 1)
            })
            .collect();
        ClassHistogram::of_labels(&labels, shares.len()).unwrap()
    }

    #[test]
    fn by_hand() {
        let histogram = ClassHistogram::of_labels(&[0, 2, 2, 0], 3).unwrap();
        assert_eq!(
            (histogram.counts(), histogram.covered()),
            (&[2, 0, 2][..], 2)
        );
        let divergence = histogram.divergence_to_uniform();
        assert!((divergence.plain.value - 1.5f64.ln()).abs() < 1e-15);
        assert_eq!(divergence.floor, 0.25);
        let lacking = ClassHistogram::of_counts(vec![1, 1, 0]).unwrap();
        let infinite = histogram.divergence_to(&lacking).unwrap().plain.value;
        assert_eq!(infinite, f64::INFINITY);
        assert_eq!(
            histogram.divergence_to(&histogram).unwrap().plain.value,
            0.0
        );
        let rows = [0.2, 0.8, 0.5, 0.5];
        let rows = super::super::Features::new("probabilities", &rows, 2).unwrap();
        assert_eq!(most_likely_classes(rows), [1, 0]);
    }

    /// Without the floor the mean is the divergence; the errors are those of repetitions.
    #[test]
    fn the_floor_is_removed_and_errors_are_those_of_repetitions() {
        let (uniform, skew) = (
            [0.1; 10],
            [0.19, 0.01, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.15],
        );
        let exact = skew.iter().map(|p: &f64| p * (10.0 * p).ln()).sum();
        for (shares, exact, sampled) in [
            (&uniform, 0.0, false),
            (&skew, exact, false),
            (&uniform, 0.0, true),
            (&skew, exact, true),
        ] {
            let runs: Vec<_> = (0..400)
                .map(|seed| {
                    let found = draw(shares, 500, seed);
                    match sampled {
                        false => found.divergence_to_uniform(),
                        true => {
                            let data = draw(&uniform, 800, 1000 + seed);
                            found.divergence_to(&data).unwrap()
                        }
                    }
                })
                .collect();
            let values: Vec<f64> = runs.iter().map(|run| run.corrected.value).collect();
            let mean = Estimate::mean(&values);
            assert!(
                (mean.value - exact).abs() < 4.0 * mean.standard_error,
                "{mean:?}"
            );
            let printed = runs.iter().map(|run| run.plain.standard_error).sum::<f64>() / 400.0;
            let spread = mean.standard_error * 20.0;
            assert!((printed / spread - 1.0).abs() < 0.15, "{printed} {spread}");
        }
    }

    #[test]
    fn wrong_labels_are_refused() {
        assert!(ClassHistogram::of_labels(&[], 3).is_err());
        assert!(ClassHistogram::of_labels(&[3], 3).is_err());
        assert!(ClassHistogram::of_counts(vec![0, 0]).is_err());
        let [two, three] = [2, 3].map(|n| ClassHistogram::of_counts(vec![1; n]).unwrap());
        assert!(two.divergence_to(&three).is_err());
        assert!(two.divergence_to_shares(&[1.0]).is_err());
        assert!(two.divergence_to_shares(&[0.5, 0.6]).is_err());
        let (uniform, known) = (
            two.divergence_to_uniform(),
            two.divergence_to_shares(&[0.5; 2]),
        );
        assert_eq!(known.unwrap(), uniform);
    }
}
