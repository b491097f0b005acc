//! The run's own sampler with many steps, untuned, beside tuned settings with few.

use std::time::Instant;

use serde::Serialize;
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::{Estimate, Frechet, FrechetMeasured};

use super::Bench;
use crate::{Candidate, RunSubject};

/// The untuned setting first, then each tuned one.
#[derive(Clone, Debug, Serialize)]
pub struct UntunedFigure {
    /// Samples of each setting.
    pub samples: u64,
    /// The settings.
    pub rows: Vec<UntunedRow>,
}

/// One setting.
#[derive(Clone, Debug, Serialize)]
pub struct UntunedRow {
    /// Network calls.
    pub calls: usize,
    /// The setting.
    pub candidate: Candidate,
    /// Its distance; none where it gives no finite samples.
    pub distance: Option<Frechet>,
    /// Its distance less the untuned one's, at equal seeds.
    pub behind: Option<Estimate>,
    /// Seconds that a sample takes, in a batch.
    pub seconds: f64,
}

/// Samples that are timed.
const TIMED: u64 = 32;

/// Measures `untuned` and each of `tuned`, with their numbers of calls.
pub(super) fn untuned(
    bench: &mut Bench<'_, '_>,
    subject: &RunSubject<'_>,
    untuned: (usize, Candidate),
    tuned: &[(usize, Candidate)],
    samples: u64,
    monitor: &mut Monitor<'_>,
) -> Result<UntunedFigure> {
    let mut first: Option<FrechetMeasured> = None;
    let mut rows: Vec<UntunedRow> = Vec::new();
    let all: Vec<_> = std::iter::once(&untuned).chain(tuned).collect();
    for (calls, candidate) in &all {
        let (done, total) = (rows.len() as u64, all.len() as u64);
        monitor.step("untuned and tuned", done, total, "settings")?;
        let began = Instant::now();
        monitor.inside(|part| subject.sample(candidate, 0..TIMED, part))?;
        let seconds = began.elapsed().as_secs_f64() / TIMED as f64;
        let measured = bench.measure(candidate, samples, monitor)?;
        let behind = match (&measured, &first) {
            (Some(measured), Some(first)) => Some(measured.compare(first)?.difference),
            _ => None,
        };
        rows.push(UntunedRow {
            calls: *calls,
            candidate: candidate.clone(),
            distance: measured.as_ref().map(FrechetMeasured::distance),
            behind,
            seconds,
        });
        if rows.len() == 1 {
            first = measured;
        }
    }
    Ok(UntunedFigure { samples, rows })
}
