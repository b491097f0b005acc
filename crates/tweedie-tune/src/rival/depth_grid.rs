//! A grid search over the levels themselves.
//!
//! Chen et al. 2021, "WaveGrad: Estimating gradients for waveform generation", tune the schedule of
//! 6 steps by trying every combination of a few values for each step. Here ln sigma from sigma_max
//! to sigma_min is divided into N equal parts, and each level is one of `depth` values of its part;
//! depth^N settings, so for small N only.

use tweedie::job::Monitor;
use tweedie::measure::FrechetReference;
use tweedie::noise::Levels;
use tweedie::{Error, Result};

use super::{Best, Record};
use crate::{Candidate, Grid, Stand};

/// A grid of `depth` values for each of N levels.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthGrid {
    /// The sampler and its settings; its levels say how many there are, from where and to where.
    pub base: Candidate,
    /// Values of each level.
    pub depth: usize,
    /// Samples of each setting.
    pub samples: u64,
    /// The number of the first sample; all settings are measured on the same.
    pub first: u64,
}

/// Settings at most.
const MOST: usize = 1_000_000;

impl DepthGrid {
    /// How many settings there are.
    ///
    /// # Errors
    /// [`Error::Setting`] for no depth, and more settings than anyone would wait for.
    pub fn settings(&self) -> Result<usize> {
        let levels = self.base.levels.len();
        let settings = u32::try_from(levels)
            .ok()
            .and_then(|levels| self.depth.checked_pow(levels));
        match settings {
            Some(0) => Err(Error::setting("depth", self.depth, "must be at least 1")),
            Some(settings) if settings <= MOST => Ok(settings),
            _ => {
                let reason = format!(
                    "gives more than {MOST} settings of {levels} levels; take fewer levels, or search"
                );
                Err(Error::setting("depth", self.depth, reason))
            }
        }
    }

    /// The levels of setting `number`, whose digits to the base `depth` are the values chosen.
    ///
    /// # Errors
    /// As for [`Levels::new`].
    pub fn levels(&self, number: usize) -> Result<Levels> {
        let range = &self.base.levels;
        let (count, depth) = (range.len(), self.depth.max(1));
        let whole = (range.last() / range.first()).ln();
        let mut digits = number;
        let sigmas = (0..count).map(|level| {
            let digit = digits % depth;
            digits /= depth;
            // The middles of the parts of a part: levels never meet, and one value is geometric.
            let place = (level as f64 + (digit as f64 + 0.5) / depth as f64) / count as f64;
            range.first() * (place * whole).exp()
        });
        Levels::new(sigmas.collect())
    }

    /// Measures every setting.
    ///
    /// # Errors
    /// As for [`DepthGrid::settings`]; [`Error::Setting`] where no setting gives samples;
    /// [`Error::Stopped`] where `monitor` says so; those of the cache.
    pub fn run(
        &self,
        stand: &mut Stand<'_>,
        reference: &FrechetReference<'_>,
        monitor: &mut Monitor<'_>,
    ) -> Result<Best> {
        let settings = self.settings()?;
        let mut record = Record::new(stand);
        for number in 0..settings {
            monitor.step("grid of levels", number as u64, settings as u64, "settings")?;
            let candidate = Candidate {
                levels: self.levels(number)?,
                grid: Grid::Listed,
                ..self.base.clone()
            };
            let seeds = self.first..self.first + self.samples;
            record.try_out(stand, reference, (candidate, None), seeds, monitor)?;
        }
        record.end(stand)
    }
}
