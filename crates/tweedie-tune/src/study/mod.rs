//! What a network's quality depends on: its sampler's step size, its last step, its noise levels and
//! their number. Figures for a page, not a search: all is measured at equal seeds.

mod grids;
mod job;
mod last_step;
mod page;
mod step_size;
mod untuned;

pub use grids::{GridFigure, GridRow};
pub use job::{StudyJob, TuningStudy, study};
pub use last_step::{LastStepFigure, LastStepPoint};
pub use step_size::{Moved, StepSizeFigure, Transfer};
pub use untuned::{UntunedFigure, UntunedRow};

use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::FrechetReference;
use tweedie::noise::{Levels, LossCurve};

use crate::Stand;
use crate::seeds::Seeds;

/// Where a figure's settings are measured.
struct Bench<'a, 's> {
    stand: &'a mut Stand<'s>,
    reference: &'a FrechetReference<'a>,
    /// The highest and the lowest noise level.
    sigma: [f64; 2],
    curve: Option<&'a LossCurve>,
}

impl Bench<'_, '_> {
    /// Even in ln sigma, as the papers have them.
    fn geometric(&self, count: usize) -> Result<Levels> {
        let [max, min] = self.sigma;
        match count {
            1 => Levels::new(vec![max]),
            _ => Levels::geometric(max, min, count),
        }
    }

    /// The measurement of `candidate` on the samples `0 .. samples` of the study; none where it is
    /// not feasible or gives no finite samples.
    fn measure(
        &mut self,
        candidate: &crate::Candidate,
        samples: u64,
        monitor: &mut Monitor<'_>,
    ) -> Result<Option<tweedie::measure::FrechetMeasured>> {
        let seeds = SEED..SEED + samples;
        self.stand
            .attempt(candidate, seeds, self.reference, monitor)
    }
}

/// The number of the first sample.
const SEED: u64 = Seeds::Study.first(0);
