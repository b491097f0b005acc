//! The place where candidates are measured: it draws, remembers what it drew, and counts.

use std::ops::Range;

use sha2::{Digest, Sha256};
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::{Features, FrechetMeasured, FrechetReference};

use crate::cache::hex;
use crate::fault::unless_of_setting;
use crate::{Cache, Candidate, Subject};

/// A subject with a memory of what was drawn from it.
pub struct Stand<'a> {
    subject: &'a dyn Subject,
    cache: Option<Cache>,
    /// Network evaluations that the candidates took, remembered ones included: what the search
    /// would cost again.
    spent: u64,
}

impl<'a> Stand<'a> {
    /// One for `subject`; evaluations are kept in `cache`, where there is one.
    pub fn new(subject: &'a dyn Subject, cache: Option<Cache>) -> Self {
        Self {
            subject,
            cache,
            spent: 0,
        }
    }

    /// The subject.
    pub fn subject(&self) -> &dyn Subject {
        self.subject
    }

    /// Network evaluations so far, whether made or remembered: a search that is resumed decides as
    /// the one that was not interrupted.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// The features of the samples numbered `seeds` by `candidate`.
    ///
    /// # Errors
    /// Those of [`Subject::draw`] and of the cache.
    pub fn features(
        &mut self,
        candidate: &Candidate,
        seeds: Range<u64>,
        monitor: &mut Monitor<'_>,
    ) -> Result<Vec<f64>> {
        let key = self.key(candidate, &seeds);
        let values = (seeds.end - seeds.start) as usize * self.subject.dim();
        if let Some(cache) = &self.cache
            && let Some(mut found) = cache.get(&key, values + 1)?
        {
            self.spent += found.pop().unwrap_or(0.0) as u64;
            return Ok(found);
        }
        let subject = self.subject;
        let drawing = monitor.inside(|part| subject.draw(candidate, seeds, part))?;
        self.spent += drawing.evaluations;
        if let Some(cache) = &self.cache {
            let mut values = drawing.features;
            // Whole numbers below 2^53 are exact.
            values.push(drawing.evaluations as f64);
            cache.put(&key, &values)?;
            values.pop();
            return Ok(values);
        }
        Ok(drawing.features)
    }

    /// The distance of these samples from `reference`.
    ///
    /// # Errors
    /// As for [`Stand::features`], and for features that are not finite.
    pub fn measure(
        &mut self,
        candidate: &Candidate,
        seeds: Range<u64>,
        reference: &FrechetReference<'_>,
        monitor: &mut Monitor<'_>,
    ) -> Result<FrechetMeasured> {
        let features = self.features(candidate, seeds, monitor)?;
        reference.measure(Features::new("the samples", &features, self.subject.dim())?)
    }

    /// As [`Stand::measure`], and `None` for a candidate that is not feasible or gives no finite
    /// samples.
    ///
    /// # Errors
    /// [`tweedie::Error::Stopped`] where `monitor` says so; those of the cache.
    pub fn attempt(
        &mut self,
        candidate: &Candidate,
        seeds: Range<u64>,
        reference: &FrechetReference<'_>,
        monitor: &mut Monitor<'_>,
    ) -> Result<Option<FrechetMeasured>> {
        if candidate.sampler().is_err() {
            return Ok(None);
        }
        unless_of_setting(self.measure(candidate, seeds, reference, monitor))
    }

    fn key(&self, candidate: &Candidate, seeds: &Range<u64>) -> String {
        let text = format!(
            "{}\n{}\nseeds {} {}",
            self.subject.fingerprint(),
            candidate.key(),
            seeds.start,
            seeds.end
        );
        hex(&Sha256::digest(text.as_bytes()))
    }
}
