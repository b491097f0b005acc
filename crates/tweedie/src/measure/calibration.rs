//! How far a classifier's probabilities can be trusted, and the temperature that mends them
//! (Guo et al. 2017, "On Calibration of Modern Neural Networks").
//!
//! With logits z of an item and its class y, probabilities at the temperature T are
//! p_k = exp(z_k / T) / sum_j exp(z_j / T).

use serde::{Deserialize, Serialize};

use super::Estimate;
use crate::error::{Error, Result};

/// Bins of confidence in the expected calibration error, as in the paper.
const BINS: usize = 15;

/// Temperatures that are looked through: what lies beyond is no calibration.
const COLDEST: f64 = 0.01;
const HOTTEST: f64 = 100.0;

/// The logits of items whose classes are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// Row-major `[n, classes]`.
    values: Vec<f64>,
    classes: usize,
    labels: Vec<u32>,
}

/// How good probabilities are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// The mean negative log likelihood of the true class, in nats.
    pub log_loss: f64,
    /// Its standard error.
    pub log_loss_error: f64,
    /// The expected calibration error: over 15 bins of equal width in the confidence, the mean
    /// distance of confidence and accuracy.
    pub calibration_error: f64,
}

impl Logits {
    /// Logits `[n, classes]`, n at least 1, of items whose classes are `labels`.
    ///
    /// # Errors
    /// When the lengths do not fit, a label is none of the classes, or a logit is not finite.
    pub fn new(values: Vec<f64>, classes: usize, labels: Vec<u32>) -> Result<Self> {
        if labels.is_empty() || classes == 0 || values.len() != labels.len() * classes {
            return Err(Error::Shape {
                what: "logits".into(),
                expected: vec![labels.len().max(1), classes.max(1)],
                found: vec![values.len()],
            });
        }
        if let Some(&label) = labels.iter().find(|&&label| label as usize >= classes) {
            let reason = format!("there are {classes} classes, from 0");
            return Err(Error::setting("label", label, reason));
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::setting("logit", value, "must be finite"));
        }
        Ok(Self {
            values,
            classes,
            labels,
        })
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no items; there always are.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The classes of the items.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The class with the largest logit of each item; the first of those that are equal.
    pub fn predicted(&self) -> impl Iterator<Item = u32> {
        self.values
            .chunks_exact(self.classes)
            .map(|z| largest(z) as u32)
    }

    /// How many items are of the class with their largest logit.
    pub fn correct(&self) -> u64 {
        let pairs = self.predicted().zip(&self.labels);
        pairs.filter(|(found, label)| found == *label).count() as u64
    }

    /// The negative log likelihood of each item's class.
    fn log_losses(&self, temperature: f64) -> Vec<f64> {
        let rows = self.values.chunks_exact(self.classes).zip(&self.labels);
        let loss = |(z, &label): (&[f64], &u32)| {
            let top = z[largest(z)];
            let sum: f64 = z.iter().map(|z| ((z - top) / temperature).exp()).sum();
            sum.ln() - (z[label as usize] - top) / temperature
        };
        rows.map(loss).collect()
    }

    /// How good the probabilities at a temperature are; 1 leaves the logits as they are.
    pub fn reliability(&self, temperature: f64) -> Reliability {
        let loss = Estimate::mean(&self.log_losses(temperature));
        // Of each bin: the sum of confidence - correct.
        let mut excess = [0.0; BINS];
        for (z, &label) in self.values.chunks_exact(self.classes).zip(&self.labels) {
            let top = largest(z);
            let sum: f64 = z.iter().map(|x| ((x - z[top]) / temperature).exp()).sum();
            let confidence = 1.0 / sum;
            // A confidence on an edge belongs to the bin below it, as in the paper.
            let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            excess[bin] += confidence - f64::from(u8::from(top as u32 == label));
        }
        let distance: f64 = excess.iter().map(|sum| sum.abs()).sum();
        Reliability {
            log_loss: loss.value,
            log_loss_error: loss.standard_error,
            calibration_error: distance / self.len() as f64,
        }
    }

    /// The temperature that minimises the log loss; none where it has no minimum between 0.01 and
    /// 100, as where every item is classified right: the colder, the better.
    ///
    /// In beta = 1/T the loss of an item has the derivative g = E_p(z) - z_y and the curvature
    /// Var_p(z), so the mean is convex and the zero of its derivative is found by halving the
    /// interval of ln(T). The standard error is that of an M-estimator (Huber 1967),
    /// se(T) = T^2 sqrt(sum g^2) / sum Var_p(z).
    pub fn temperature(&self) -> Option<Estimate> {
        let (mut cold, mut hot) = (COLDEST.ln(), HOTTEST.ln());
        // Positive where it is too cold.
        let slope = |log_t: f64| self.derivatives(log_t.exp()).map(|(g, _)| g).sum::<f64>();
        if slope(cold) <= 0.0 || slope(hot) >= 0.0 {
            return None;
        }
        // 60 halvings of an interval of 9.2 leave less than rounding does.
        for _ in 0..60 {
            let middle = 0.5 * (cold + hot);
            match slope(middle) > 0.0 {
                true => cold = middle,
                false => hot = middle,
            }
        }
        let value = (0.5 * (cold + hot)).exp();
        let (mut squares, mut curvature) = (0.0, 0.0);
        for (g, variance) in self.derivatives(value) {
            squares += g * g;
            curvature += variance;
        }
        Some(Estimate {
            value,
            standard_error: value * value * squares.sqrt() / curvature,
        })
    }

    /// The first and the second derivative by 1/T of each item's loss: E_p(z) - z_y and Var_p(z).
    fn derivatives(&self, temperature: f64) -> impl Iterator<Item = (f64, f64)> {
        let rows = self.values.chunks_exact(self.classes).zip(&self.labels);
        rows.map(move |(z, &label)| {
            let top = z[largest(z)];
            let (mut sum, mut mean, mut square) = (0.0, 0.0, 0.0);
            for z in z {
                let below = z - top;
                let weight = (below / temperature).exp();
                sum += weight;
                mean += weight * below;
                square += weight * below * below;
            }
            let mean = mean / sum;
            let own = z[label as usize] - top;
            (mean - own, square / sum - mean * mean)
        })
    }
}

/// The place of the largest value; the first of those that are equal.
fn largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = place;
        }
    }
    best
}

/// Turns logits `[n, classes]` into probabilities at a temperature, in place.
pub fn softmax(logits: &mut [f64], classes: usize, temperature: f64) {
    for row in logits.chunks_exact_mut(classes.max(1)) {
        let top = row[largest(row)];
        let mut sum = 0.0;
        for z in row.iter_mut() {
            *z = ((*z - top) / temperature).exp();
            sum += *z;
        }
        row.iter_mut().for_each(|p| *p /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{NoiseSource, Stream};

    /// Items whose classes are drawn from the probabilities of logits z, and the logits T z.
    fn miscalibrated(n: usize, classes: usize, temperature: f64) -> Logits {
        let source = NoiseSource::new(5, Stream::Evaluation);
        let mut logits = vec![0.0; n * classes];
        let items: Vec<u64> = (0..n as u64).collect();
        source.fill_batch(&items, 0, &mut logits);
        logits.iter_mut().for_each(|z| *z *= 2.0);
        let mut p = logits.clone();
        softmax(&mut p, classes, 1.0);
        let label = |(item, p): (u64, &[f64])| {
            let mut left = source.uniform(item, 1, 0);
            let class = p.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            class.unwrap_or(classes - 1) as u32
        };
        let labels = (0..).zip(p.chunks(classes)).map(label).collect();
        logits.iter_mut().for_each(|z| *z *= temperature);
        Logits::new(logits, classes, labels).unwrap()
    }

    #[test]
    fn the_temperature_of_miscalibrated_logits_is_recovered() {
        for truth in [0.4, 1.0, 3.0] {
            let logits = miscalibrated(40_000, 4, truth);
            let estimate = logits.temperature().unwrap();
            let (found, error) = (estimate.value, estimate.standard_error);
            assert!(
                (found - truth).abs() < 4.0 * error,
                "{estimate:?} for {truth}"
            );
            // The logits before were true, where the squares of g are Var_p(z) on average:
            // se(T) / T is 1 / sqrt(n Var_p(z)), and Var_p(z) about 1.
            let expected = truth / (40_000.0_f64).sqrt();
            assert!((0.5..2.0).contains(&(error / expected)), "{estimate:?}");
            let (raw, mended) = (logits.reliability(1.0), logits.reliability(found));
            assert!(mended.log_loss <= raw.log_loss + 1e-12);
            // 15 bins of 40 000 items: about 0.4 sqrt(15/40 000) = 0.8 % of noise.
            assert!(mended.calibration_error < 0.012, "{mended:?}");
            if truth != 1.0 {
                assert!(raw.calibration_error > 0.05, "{raw:?}");
            }
            // A minimum: it gets worse on both sides.
            for other in [0.98, 1.02] {
                let beside = logits.reliability(found * other);
                assert!(beside.log_loss > mended.log_loss);
            }
        }
    }

    #[test]
    fn logits_that_are_never_wrong_or_worse_than_chance_have_no_temperature() {
        let right = Logits::new(vec![2.0, 0.0, 0.0, 1.0], 2, vec![0, 1]).unwrap();
        assert_eq!(right.temperature(), None);
        let wrong = Logits::new(vec![2.0, 0.0, 0.0, 1.0], 2, vec![1, 0]).unwrap();
        assert_eq!(wrong.temperature(), None);
    }

    /// Two classes with logits (a, 0): p = 1/(1 + exp(-a)) in closed form.
    #[test]
    fn losses_and_bins_by_hand() {
        let a = 1.5_f64;
        let p = 1.0 / (1.0 + (-a).exp());
        let values = vec![a, 0.0, a, 0.0, 0.0, a, a, 0.0];
        let logits = Logits::new(values, 2, vec![0, 0, 1, 1]).unwrap();
        assert_eq!(logits.predicted().collect::<Vec<_>>(), [0, 0, 1, 0]);
        assert_eq!(logits.correct(), 3);
        let found = logits.reliability(1.0);
        let loss = -(3.0 * p.ln() + (1.0 - p).ln()) / 4.0;
        assert!((found.log_loss - loss).abs() < 1e-14);
        // All are in one bin, with confidence p and accuracy 3/4.
        assert!((found.calibration_error - (p - 0.75).abs()).abs() < 1e-14);
        // The best temperature makes p the accuracy: a/T = ln 3.
        let temperature = logits.temperature().unwrap().value;
        assert!((temperature - a / 3.0_f64.ln()).abs() < 1e-12);
        let mended = logits.reliability(temperature);
        assert!(mended.calibration_error < 1e-12);
    }

    #[test]
    fn what_is_no_logits_is_refused() {
        assert!(Logits::new(vec![], 2, vec![]).is_err());
        assert!(Logits::new(vec![1.0; 3], 2, vec![0]).is_err());
        assert!(Logits::new(vec![1.0; 2], 2, vec![2]).is_err());
        assert!(Logits::new(vec![f64::NAN, 0.0], 2, vec![0]).is_err());
    }

    #[test]
    fn probabilities_sum_to_one_whatever_the_logits() {
        let mut rows = vec![1e300, 0.0, -1e300, 3.0, 3.0, 3.0];
        softmax(&mut rows, 3, 0.5);
        assert_eq!(rows[..3], [1.0, 0.0, 0.0]);
        assert!(rows[3..].iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-15));
    }
}
