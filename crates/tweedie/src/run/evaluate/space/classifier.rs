//! The penultimate layer of a classifier as features, and its calibrated probabilities.

use super::{Extracted, Extractor};
use crate::data::Dataset;
use crate::error::Result;
use crate::job::Monitor;
use crate::run::Classifier;

impl Extractor for Classifier {
    fn dim(&self) -> usize {
        self.features_len()
    }

    fn classes(&self) -> &[String] {
        self.classes()
    }

    fn extract(&self, data: &Dataset, monitor: &mut Monitor<'_>) -> Result<Extracted> {
        let mut features = Vec::with_capacity(data.len() * self.features_len());
        let mut probabilities = Vec::with_capacity(data.len() * self.classes().len());
        self.classify_all(data, monitor, |_, found| {
            probabilities.extend(self.to_probabilities(&found.logits));
            features.extend(found.features.into_iter().map(f64::from));
            Ok(())
        })?;
        Ok(Extracted {
            features,
            probabilities: Some(probabilities),
        })
    }
}
