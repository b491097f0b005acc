//! What is tuned.

use std::ops::Range;

use tweedie::job::Monitor;
use tweedie::random::{NoiseSource, Stream};
use tweedie::score::Denoiser;
use tweedie::{Error, Result};

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
    /// [`Error::NotFinite`] where samples are not; those of the candidate and the denoiser;
    /// [`Error::Stopped`] where `monitor` says so.
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
        let mut drawing = Drawing {
            features: Vec::new(),
            evaluations: 0,
        };
        let mut first = seeds.start;
        while first < seeds.end {
            monitor.go_on()?;
            let last = seeds.end.min(first + BATCH);
            let samples: Vec<u64> = (first..last).collect();
            let mut sampler = candidate.sampler()?;
            let found =
                tweedie::sample::run(self.denoiser, sampler.as_mut(), &source, &samples, &mut ())?;
            let evaluations = found.evaluations.iter().map(|&count| u64::from(count));
            drawing.evaluations += evaluations.sum::<u64>();
            drawing.features.extend(match candidate.denoise {
                true => found.denoised,
                false => found.x,
            });
            first = last;
        }
        match drawing.features.iter().all(|value| value.is_finite()) {
            true => Ok(drawing),
            false => Err(Error::setting(
                "candidate",
                candidate,
                "gives samples that are not finite",
            )),
        }
    }
}
