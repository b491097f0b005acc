//! The Inception score: how sure a classifier is of each sample, and how evenly it sees the classes.
//!
//! IS = exp(I), I = E_x KL(p(y|x) || p(y)), p(y) = E_x p(y|x) (Salimans et al. 2016); I is the mutual
//! information of sample and class. It knows no data and is no distance to them.
//!
//! With p(y) of the same n samples, I is too small by (1/2n) sum_y var p(y|x)/p(y) to first order.
//! Its influence function is KL(p(y|x) || p(y)) - I: what p(y) changes cancels, as probabilities
//! sum to 1. So SE(I) = sd(KL)/sqrt(n) and SE(IS) = IS SE(I).

use serde::Serialize;

use super::Features;
use super::estimate::{Estimate, variance};
use super::random_state::RandomState;
use crate::error::{Error, Result};

/// How far from 1 a row of probabilities may sum: f32's rounding, with room.
const ROUNDING: f64 = 1e-4;

/// The Inception score of a set of samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct InceptionScore {
    /// The score as defined, of all samples at once; too small by about 1/n.
    pub plain: Estimate,
    /// Without the 1/n bias of I.
    pub corrected: Estimate,
    /// n, the number of samples.
    pub samples: usize,
}

/// The Inception score by a classifier's `probabilities`, one row a sample.
///
/// # Errors
/// [`Error::Setting`] for a row that is not probabilities: negative, or of another sum than 1.
pub fn inception_score(probabilities: Features) -> Result<InceptionScore> {
    check_probabilities(probabilities)?;
    let n = probabilities.len() as f64;
    let marginal = probabilities.mean();
    let divergences = divergences(probabilities, &marginal);
    let information = Estimate::mean(&divergences);
    let mut bias = 0.0;
    for (class, share) in marginal.iter().enumerate() {
        let of: Vec<f64> = probabilities.rows().map(|row| row[class]).collect();
        if *share > 0.0 {
            bias += variance(&of) / share / (2.0 * n);
        }
    }
    let score = |information: f64, standard_error: f64| Estimate {
        value: information.exp(),
        standard_error: information.exp() * standard_error,
    };
    Ok(InceptionScore {
        plain: score(information.value, information.standard_error),
        corrected: score(information.value + bias, information.standard_error),
        samples: probabilities.len(),
    })
}

/// torch-fidelity's mean and standard deviation of the scores of `splits` parts, in the order of
/// NumPy's `RandomState(seed)` or as they come; its defaults are 10 and 2020.
///
/// # Errors
/// As for [`inception_score`]; [`Error::Setting`] for no splits or more than samples.
pub fn inception_score_of_splits(
    probabilities: Features,
    splits: usize,
    seed: Option<u32>,
) -> Result<[f64; 2]> {
    check_probabilities(probabilities)?;
    let n = probabilities.len();
    if splits == 0 || splits > n {
        let reason = format!("must be at least 1 and no more than the samples, {n}");
        return Err(Error::setting("splits", splits, reason));
    }
    let order = match seed {
        Some(seed) => RandomState::new(seed).permutation(n),
        None => (0..n).collect(),
    };
    let scores: Vec<f64> = (0..splits)
        .map(|split| {
            let part = &order[split * n / splits..(split + 1) * n / splits];
            // A part may be one row, which features are not.
            let classes = probabilities.dim();
            let mut marginal = vec![0.0; classes];
            for &row in part {
                let pairs = marginal.iter_mut().zip(probabilities.row(row));
                pairs.for_each(|(sum, p)| *sum += p / part.len() as f64);
            }
            let sum: f64 = part
                .iter()
                .map(|&row| divergence(probabilities.row(row), &marginal))
                .sum();
            (sum / part.len() as f64).exp()
        })
        .collect();
    let count = splits as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let square = scores
        .iter()
        .map(|score| (score - mean).powi(2))
        .sum::<f64>();
    Ok([mean, (square / count).sqrt()])
}

/// KL(p || q), where 0 ln 0 = 0.
pub(super) fn divergence(p: &[f64], q: &[f64]) -> f64 {
    let pairs = p.iter().zip(q).filter(|(p, _)| **p > 0.0);
    pairs.map(|(p, q)| p * (p / q).ln()).sum()
}

fn divergences(probabilities: Features, marginal: &[f64]) -> Vec<f64> {
    let rows = probabilities.rows();
    rows.map(|row| divergence(row, marginal)).collect()
}

fn check_probabilities(rows: Features) -> Result<()> {
    for (i, row) in rows.rows().enumerate() {
        let sum: f64 = row.iter().sum();
        if (sum - 1.0).abs() > ROUNDING || row.iter().any(|p| *p < 0.0) {
            let reason = format!("row {i} must be probabilities: not negative, of sum 1");
            return Err(Error::setting("probabilities", format!("{row:?}"), reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::pairs::tests::normals;
    use super::*;

    fn features(values: &[f64], dim: usize) -> Features<'_> {
        Features::new("probabilities", values, dim).unwrap()
    }

    #[test]
    fn certain_and_even_samples_score_the_number_of_classes() {
        let mut rows = vec![0.0; 8 * 4];
        (0..8).for_each(|i| rows[i * 4 + i % 4] = 1.0);
        let score = inception_score(features(&rows, 4)).unwrap();
        assert!((score.plain.value - 4.0).abs() < 1e-14);
        assert!(score.plain.standard_error < 1e-14);
        let score = inception_score(features(&[0.25; 12], 4)).unwrap();
        assert!((score.plain.value - 1.0).abs() < 1e-15);
    }

    /// Its mean and its spread over repetitions are those of the printed value and error.
    #[test]
    fn the_bias_is_removed_and_the_error_is_that_of_repetitions() {
        let softmax = |n: usize, seed: u64| -> Vec<f64> {
            let logits = normals(n * 5, seed);
            let rows = logits.chunks_exact(5).flat_map(|row| {
                let exp = row.iter().map(|x| (1.5 * x).exp());
                let sum: f64 = exp.clone().sum();
                exp.map(move |e| e / sum).collect::<Vec<_>>()
            });
            rows.collect()
        };
        let exact = inception_score(features(&softmax(200_000, 1 << 20), 5)).unwrap();
        let exact = exact.corrected.value.ln();
        let runs: Vec<_> = (0..400)
            .map(|seed| inception_score(features(&softmax(60, seed), 5)).unwrap())
            .collect();
        let mean = |of: fn(&InceptionScore) -> f64| {
            Estimate::mean(&runs.iter().map(of).collect::<Vec<_>>())
        };
        let plain = mean(|run| run.plain.value.ln());
        let corrected = mean(|run| run.corrected.value.ln());
        assert!(plain.value - exact < -3.0 * plain.standard_error);
        assert!((corrected.value - exact).abs() < 4.0 * corrected.standard_error);
        let printed = mean(|run| run.plain.standard_error / run.plain.value).value;
        let spread = plain.standard_error * 20.0;
        assert!((printed / spread - 1.0).abs() < 0.1, "{printed} {spread}");
    }

    #[test]
    fn what_are_no_probabilities_is_refused() {
        for rows in [[0.5, 0.6, 0.5, 0.5], [1.5, -0.5, 0.5, 0.5]] {
            let error = inception_score(features(&rows, 2)).unwrap_err();
            assert!(error.to_string().contains("row 0 must be probabilities"));
        }
        let rows = [0.5; 4];
        assert!(inception_score_of_splits(features(&rows, 2), 0, None).is_err());
        assert!(inception_score_of_splits(features(&rows, 2), 3, None).is_err());
    }
}
