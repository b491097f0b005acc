//! A run's network with a feature space.

use std::ops::Range;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tweedie::Result;
use tweedie::data::Dataset;
use tweedie::job::Monitor;
use tweedie::run::{Drawn, FeatureExtractor, Model, SampleConfig, Space, drawn_items};
use tweedie::sample::StepView;

use crate::cache::hex;
use crate::subject::in_batches;
use crate::{Candidate, Drawing, Subject};

/// A trained network and the features in which its samples are compared with data.
pub struct RunSubject<'a> {
    model: &'a Model,
    /// Classes and clipping, which are not searched; guidance where it is not.
    sample: SampleConfig,
    extractor: FeatureExtractor,
    fingerprint: String,
}

/// Samples on their way at a time.
const BATCH: u64 = 64;
/// Items of the data whose features tell feature spaces apart.
const TOLD_BY: usize = 8;

impl<'a> RunSubject<'a> {
    /// That of `model`, with what its run says of classes, guidance and clipping, in the features
    /// `space` of `data`, and the features of the data, `[n, dim]`.
    ///
    /// # Errors
    /// Those of the features; [`tweedie::Error::Stopped`] where `monitor` says so.
    pub fn against(
        model: &'a Model,
        space: &Space,
        data: &Dataset,
        monitor: &mut Monitor<'_>,
    ) -> Result<(Self, Vec<f64>)> {
        let sample = &model.config().sample;
        let extractor = FeatureExtractor::new(space, data)?;
        let reference = extractor.features(data, monitor)?;
        // The name of a space is not its identity: a classifier may have been trained further.
        let few = reference.iter().take(TOLD_BY * extractor.dim());
        let bytes: Vec<u8> = few.flat_map(|value| value.to_le_bytes()).collect();
        let features = hex(&Sha256::digest(bytes));
        let fingerprint = format!(
            "weights {}\nfeatures {space} {features}\nclass {:?} guidance {:?} clip {:?} {} {:?}",
            model.digest().unwrap_or("in training"),
            sample.class,
            sample.guidance,
            sample.clip,
            sample.quantile,
            sample.precision,
        );
        let subject = Self {
            model,
            sample: sample.clone(),
            extractor,
            fingerprint,
        };
        Ok((subject, reference))
    }

    /// The samples numbered `seeds` as values of the model, with the evaluations they took.
    ///
    /// # Errors
    /// As for [`Subject::draw`].
    pub fn sample(
        &self,
        candidate: &Candidate,
        seeds: Range<u64>,
        monitor: &mut Monitor<'_>,
    ) -> Result<(Drawn, u64)> {
        let sample = SampleConfig {
            guidance: candidate.guidance.or(self.sample.guidance),
            ..self.sample.clone()
        };
        let drawing = in_batches(candidate, seeds, BATCH, monitor, |sampler, seeds| {
            self.model
                .run_by(sampler, &sample, seeds, &mut |_: &StepView<'_>| {})
        })?;
        let dim = self.model.denoiser().dim();
        let count = (drawing.features.len() / dim).max(1) as u64;
        let drawn = Drawn {
            values: drawing.features,
            dim,
            // The samplers that are searched take equally many for each.
            calls: (drawing.evaluations / count) as usize,
            time: Duration::ZERO,
        };
        Ok((drawn, drawing.evaluations))
    }
}

impl Subject for RunSubject<'_> {
    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn sigma_range(&self) -> [f64; 2] {
        let range = self.model.config().sigma_range();
        range.map_or([1.0, 0.01], |(max, min)| [max, min])
    }

    fn dim(&self) -> usize {
        self.extractor.dim()
    }

    fn draw(
        &self,
        candidate: &Candidate,
        seeds: Range<u64>,
        monitor: &mut Monitor<'_>,
    ) -> Result<Drawing> {
        let (drawn, evaluations) = self.sample(candidate, seeds, monitor)?;
        let items = drawn_items(self.model, &drawn)?;
        Ok(Drawing {
            features: self.extractor.features(&items, monitor)?,
            evaluations,
        })
    }
}
