//! What is tuned.

use std::ops::Range;

use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::random::{NoiseSource, Stream};
use tweedie::sample::{Sampler, Samples};
use tweedie::score::Denoiser;

use crate::Candidate;

/// Samples as features, with what they took.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// Row-major `[n, dim]`.
    pub features: Vec<f64>,
    /// Network evaluations, of all samples together.
    pub evaluations: u64,
}

/// A denoiser with a feature space, in which samples are compared with data.
pub trait Subject {
    /// Tells it from every other subject: what weights, what features.
    fn fingerprint(&self) -> String;

    /// The highest and the lowest noise level it knows.
    fn sigma_range(&self) -> [f64; 2];

    /// Features of a sample.
    fn dim(&self) -> usize;

    /// The samples numbered `seeds` by `candidate`. Sample k is a function of k and the candidate
    /// alone.
    ///
    /// # Errors
    /// [`tweedie::Error::NotFinite`] where samples are not; those of the candidate and the denoiser;
    /// [`tweedie::Error::Stopped`] where `monitor` says so.
    fn draw(
        &self,
        candidate: &Candidate,
        seeds: Range<u64>,
        monitor: &mut Monitor<'_>,
    ) -> Result<Drawing>;
}

/// A denoiser whose samples' values are their features.
pub struct DenoiserSubject<'a> {
    /// The denoiser.
    pub denoiser: &'a dyn Denoiser,
    /// What tells it from others.
    pub name: String,
    /// The highest and the lowest noise level.
    pub sigma_range: [f64; 2],
}

/// Samples on their way at a time.
const BATCH: u64 = 512;

impl Subject for DenoiserSubject<'_> {
    fn fingerprint(&self) -> String {
        self.name.clone()
    }

    fn sigma_range(&self) -> [f64; 2] {
        self.sigma_range
    }

    fn dim(&self) -> usize {
        self.denoiser.dim()
    }

    fn draw(
        &self,
        candidate: &Candidate,
        seeds: Range<u64>,
        monitor: &mut Monitor<'_>,
    ) -> Result<Drawing> {
        let source = NoiseSource::new(0, Stream::Sampling);
        in_batches(candidate, seeds, BATCH, monitor, |sampler, seeds| {
            let samples: Vec<u64> = seeds.collect();
            tweedie::sample::run(self.denoiser, sampler, &source, &samples, &mut ())
        })
    }
}

/// Draws the samples numbered `seeds` by `candidate`, `batch` at a time, each batch by `run`; their
/// values are the features.
pub(crate) fn in_batches(
    candidate: &Candidate,
    seeds: Range<u64>,
    batch: u64,
    monitor: &mut Monitor<'_>,
    mut run: impl FnMut(&mut dyn Sampler, Range<u64>) -> Result<Samples>,
) -> Result<Drawing> {
    let mut drawing = Drawing {
        features: Vec::new(),
        evaluations: 0,
    };
    let mut first = seeds.start;
    while first < seeds.end {
        let [done, total] = [first, seeds.end].map(|seed| seed - seeds.start);
        monitor.step("sampling", done, total, "samples")?;
        let last = seeds.end.min(first + batch);
        let found = run(candidate.sampler()?.as_mut(), first..last)?;
        let evaluations = found.evaluations.iter().map(|&count| u64::from(count));
        drawing.evaluations += evaluations.sum::<u64>();
        drawing.features.extend(match candidate.denoise {
            true => found.denoised,
            false => found.x,
        });
        first = last;
    }
    Ok(drawing)
}
