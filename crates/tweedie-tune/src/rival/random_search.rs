//! Random search.
//!
//! Bergstra and Bengio 2012, "Random search for hyper-parameter optimization": independent uniform
//! points of the space, each measured on the same samples; the best is returned. Where few of many
//! settings matter it is hard to beat, which is why every tuner owes the comparison.

use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::FrechetReference;
use tweedie::random::{NoiseSource, Stream};

use super::{Best, Record};
use crate::{Point, Space, Stand};

/// How a random search is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomSearch {
    /// Network calls of a sample at most.
    pub calls: usize,
    /// Samples of each setting.
    pub samples: u64,
    /// The number of the first sample; all settings are measured on the same.
    pub first: u64,
    /// Network evaluations in all at most.
    pub evaluations: u64,
    /// Which points.
    pub seed: u64,
}

impl RandomSearch {
    /// Point `number` of the sequence.
    pub fn point(&self, number: u64) -> Point {
        let source = NoiseSource::new(self.seed, Stream::Evaluation);
        std::array::from_fn(|axis| source.uniform(number, axis as u32, 0))
    }

    /// Measures points of `space` as long as the evaluations pay for one more.
    ///
    /// # Errors
    /// [`tweedie::Error::Setting`] where no setting gives samples; [`tweedie::Error::Stopped`] where
    /// `monitor` says so; those of the cache.
    pub fn run(
        &self,
        stand: &mut Stand<'_>,
        space: &Space,
        reference: &FrechetReference<'_>,
        monitor: &mut Monitor<'_>,
    ) -> Result<Best> {
        let mut record = Record::new(stand);
        let each = (self.samples * self.calls as u64).max(1);
        let total = self.evaluations / each;
        // Settings that fail cost nothing that is counted: a space of these alone must end too.
        for number in 0..2 * total {
            if stand.spent() - record.before + each > self.evaluations {
                break;
            }
            monitor.step("random search", number.min(total), total, "settings")?;
            let point = self.point(number);
            let Ok(candidate) = space.candidate(&point, self.calls) else {
                continue;
            };
            let seeds = self.first..self.first + self.samples;
            record.try_out(stand, reference, (candidate, Some(point)), seeds, monitor)?;
        }
        record.end(stand)
    }
}
