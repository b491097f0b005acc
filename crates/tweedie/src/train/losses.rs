//! The training loss by noise level.

use serde::{Deserialize, Serialize};

/// The mean loss of the examples near one noise level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelLoss {
    /// The geometric mean of the bin's ends.
    pub sigma: f64,
    /// The mean loss, or none where no example fell into the bin.
    pub loss: Option<f64>,
    /// How many examples fell into the bin.
    pub count: u64,
}

/// Running means over bins of equal width in ln(sigma).
#[derive(Clone, Debug)]
pub struct Losses {
    sigma_min: f64,
    sigma_max: f64,
    sums: Vec<f64>,
    counts: Vec<u64>,
}

impl Losses {
    /// `bins` bins from `sigma_min` to `sigma_max`; values outside fall into the end bins.
    pub fn new(sigma_min: f64, sigma_max: f64, bins: usize) -> Self {
        Self {
            sigma_min,
            sigma_max,
            sums: vec![0.0; bins.max(1)],
            counts: vec![0; bins.max(1)],
        }
    }

    /// Adds one example.
    pub fn add(&mut self, sigma: f64, loss: f64) {
        let width = (self.sigma_max / self.sigma_min).ln();
        let place = if width > 0.0 {
            (sigma / self.sigma_min).ln() / width
        } else {
            0.0
        };
        // The cast saturates: below the range is bin 0.
        let bin = ((place * self.sums.len() as f64) as usize).min(self.sums.len() - 1);
        self.sums[bin] += loss;
        self.counts[bin] += 1;
    }

    /// The mean over all examples; none if there are none.
    pub fn mean(&self) -> Option<f64> {
        let count: u64 = self.counts.iter().sum();
        (count > 0).then(|| self.sums.iter().sum::<f64>() / count as f64)
    }

    /// The mean of each bin, smallest noise first.
    pub fn levels(&self) -> Vec<LevelLoss> {
        let step = (self.sigma_max / self.sigma_min).powf(1.0 / self.sums.len() as f64);
        (0..self.sums.len())
            .map(|bin| LevelLoss {
                sigma: self.sigma_min * step.powf(bin as f64 + 0.5),
                loss: (self.counts[bin] > 0).then(|| self.sums[bin] / self.counts[bin] as f64),
                count: self.counts[bin],
            })
            .collect()
    }

    /// The sums and counts, exactly, for [`Losses::restore`].
    pub fn to_words(&self) -> Vec<u64> {
        let sums = self.sums.iter().map(|sum| sum.to_bits());
        sums.chain(self.counts.iter().copied()).collect()
    }

    /// Restores the sums and counts of the same number of bins; false where the number differs.
    pub fn restore(&mut self, words: &[u64]) -> bool {
        let bins = self.sums.len();
        if words.len() != 2 * bins {
            return false;
        }
        let (sums, counts) = words.split_at(bins);
        self.sums = sums.iter().map(|&bits| f64::from_bits(bits)).collect();
        self.counts = counts.to_vec();
        true
    }

    /// Resets all bins.
    pub fn clear(&mut self) {
        self.sums.fill(0.0);
        self.counts.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_fall_into_their_bins() {
        let mut losses = Losses::new(0.01, 100.0, 4);
        for (sigma, loss) in [(0.001, 1.0), (0.05, 3.0), (5.0, 7.0), (1e9, 9.0)] {
            losses.add(sigma, loss);
        }
        let levels = losses.levels();
        let means: Vec<_> = levels.iter().map(|l| l.loss).collect();
        assert_eq!(means, [Some(2.0), None, Some(7.0), Some(9.0)]);
        assert!((levels[0].sigma - 10_f64.powf(-1.5)).abs() < 1e-12);
        assert_eq!(losses.mean(), Some(5.0));
        let mut other = Losses::new(0.01, 100.0, 4);
        assert!(other.restore(&losses.to_words()));
        assert_eq!(other.levels(), losses.levels());
        assert!(!Losses::new(0.01, 100.0, 3).restore(&losses.to_words()));
        losses.clear();
        assert_eq!(losses.mean(), None);
    }
}
