//! What a run's sampler is tuned by: its network, its data in two parts, and what was measured.

use tweedie::data::Dataset;
use tweedie::job::Monitor;
use tweedie::measure::{Features, FrechetReference, Halves, Reference};
use tweedie::random::{NoiseSource, Stream};
use tweedie::run::{Model, RunDir};
use tweedie::{Error, Result};

use crate::{Cache, RunSubject, Space, Stand, Subject, TuneJob};

/// A run's network, the space of its settings, and the data in two parts: one to search by, the
/// other to report by.
pub struct Objective<'a> {
    subject: RunSubject<'a>,
    space: Space,
    dim: usize,
    /// Features of the data, the part that is searched by first.
    rows: Vec<f64>,
    /// Where the second part begins.
    half: usize,
    seed: u32,
    cache: Cache,
}

/// Fewest items of the data: each half of either part needs more than features.
const FEWEST: usize = 16;
/// The largest weight of guidance that is searched.
const MOST_GUIDANCE: f64 = 4.0;

impl<'a> Objective<'a> {
    /// That of `job` for `model`, the network of `run`, against `data`; evaluations are kept in
    /// `RUN/tune`.
    ///
    /// # Errors
    /// [`Error::Setting`] where the data are too few; [`Error::Stopped`] where `monitor` says so;
    /// those of the features and of [`Cache::of_run`].
    pub fn new(
        run: &RunDir,
        model: &'a Model,
        data: &Dataset,
        job: &TuneJob,
        monitor: &mut Monitor<'_>,
    ) -> Result<Self> {
        let (subject, reference) = RunSubject::against(model, &job.space, data, monitor)?;
        let (sample, dim) = (&model.config().sample, subject.dim());
        let mut space = Space::new(subject.sigma_range());
        space.curve.clone_from(&job.curve);
        // A class without a weight of guidance leaves the weight to the search.
        if sample.class.is_some() && sample.guidance.is_none() {
            space.most_guidance = Some(MOST_GUIDANCE);
        }
        if !job.solvers.is_empty() {
            space.solvers.clone_from(&job.solvers);
        }
        Ok(Self {
            subject,
            space,
            rows: shuffled(&reference, dim, job.seed)?,
            half: reference.len() / dim / 2,
            dim,
            seed: job.seed,
            cache: Cache::of_run(run)?,
        })
    }

    /// What is tuned.
    pub fn subject(&self) -> &RunSubject<'a> {
        &self.subject
    }

    /// The settings.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// A stand for the subject, which finds again what was measured before.
    pub fn stand(&self) -> Stand<'_> {
        Stand::new(&self.subject, Some(self.cache.clone()))
    }

    /// Features of the items that are searched by.
    ///
    /// # Errors
    /// [`Error::NotFinite`] where they are not.
    pub fn searched(&self) -> Result<Features<'_>> {
        Features::new("the data", &self.rows[..self.half * self.dim], self.dim)
    }

    /// Features of the items that figures are of.
    ///
    /// # Errors
    /// [`Error::NotFinite`] where they are not.
    pub fn reported(&self) -> Result<Features<'_>> {
        Features::new("the data", &self.rows[self.half * self.dim..], self.dim)
    }

    /// Features of all items.
    ///
    /// # Errors
    /// [`Error::NotFinite`] where they are not.
    pub fn all(&self) -> Result<Features<'_>> {
        Features::new("the data", &self.rows, self.dim)
    }

    /// `items` as what samples are compared with.
    ///
    /// # Errors
    /// Those of [`FrechetReference::new`].
    pub fn reference<'b>(&self, items: Features<'b>) -> Result<FrechetReference<'b>> {
        let halves = Halves::for_features(self.dim, u64::from(self.seed));
        FrechetReference::new(Reference::Sampled(items), halves)
    }
}

/// The rows in an order of their own, so that either half is a sample of all.
fn shuffled(rows: &[f64], dim: usize, seed: u32) -> Result<Vec<f64>> {
    let count = rows.len() / dim;
    if count < FEWEST {
        let reason = format!(
            "are too few to search by one half and report by the other; at least {FEWEST} are needed"
        );
        return Err(Error::setting("items of data", count, reason));
    }
    let source = NoiseSource::new(u64::from(seed), Stream::Evaluation);
    let order = source.permutation(u64::MAX, count);
    let rows = order
        .iter()
        .flat_map(|&row| &rows[row * dim..(row + 1) * dim]);
    Ok(rows.copied().collect())
}
