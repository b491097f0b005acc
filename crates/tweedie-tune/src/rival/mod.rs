//! What others do in place of the search, in its own frame: at the same stand, at equal seeds, by
//! the same distance, their network evaluations counted. One idea a file.

mod align_your_steps;
mod depth_grid;
mod points;
mod random_search;
mod trajectory;

use serde::Serialize;
use tweedie::job::Monitor;
use tweedie::measure::{Frechet, FrechetReference};
use tweedie::{Error, Result};

pub use align_your_steps::AlignYourSteps;
pub use depth_grid::DepthGrid;
pub use points::{Answer, Ask, Points};
pub use random_search::RandomSearch;
pub use trajectory::{Deviations, Trajectories};

use crate::fault::of_setting;
use crate::{Candidate, Point, Stand};

/// What a rival ends with: the smallest distance it measured, which is therefore too small.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// The setting.
    pub candidate: Candidate,
    /// Its place in the space, where it has one.
    pub point: Option<Point>,
    /// Its distance on the samples it was chosen by.
    pub distance: Frechet,
    /// Settings that were measured, those that gave no samples included.
    pub settings: usize,
    /// Network evaluations of all.
    pub evaluations: u64,
}

/// The smallest distance so far.
struct Record {
    best: Option<(Candidate, Option<Point>, Frechet)>,
    settings: usize,
    /// What went wrong first, for where nothing goes right.
    failure: Option<String>,
    before: u64,
}

impl Record {
    fn new(stand: &Stand<'_>) -> Self {
        Self {
            best: None,
            settings: 0,
            failure: None,
            before: stand.spent(),
        }
    }

    /// Measures `candidate` on the samples `seeds`.
    fn try_out(
        &mut self,
        stand: &mut Stand<'_>,
        reference: &FrechetReference<'_>,
        (candidate, point): (Candidate, Option<Point>),
        seeds: std::ops::Range<u64>,
        monitor: &mut Monitor<'_>,
    ) -> Result<()> {
        match stand.measure(&candidate, seeds, reference, monitor) {
            Ok(measured) => self.note((candidate, point), measured.distance()),
            Err(error) => {
                let error = of_setting(error)?;
                self.settings += 1;
                self.failure.get_or_insert(format!("{candidate}: {error}"));
            }
        }
        Ok(())
    }

    /// Takes down a distance.
    fn note(&mut self, (candidate, point): (Candidate, Option<Point>), distance: Frechet) {
        self.settings += 1;
        let value = distance.corrected.value;
        let known = self.best.as_ref().map(|(_, _, best)| best.corrected.value);
        if known.is_none_or(|known| value < known) {
            self.best = Some((candidate, point, distance));
        }
    }

    fn end(self, stand: &Stand<'_>) -> Result<Best> {
        let Some((candidate, point, distance)) = self.best else {
            let reason = match self.failure {
                Some(failure) => format!("all fail, the first: {failure}"),
                None => "there are none that the evaluations pay for".into(),
            };
            return Err(Error::setting("settings", self.settings, reason));
        };
        Ok(Best {
            candidate,
            point,
            distance,
            settings: self.settings,
            evaluations: stand.spent() - self.before,
        })
    }
}
