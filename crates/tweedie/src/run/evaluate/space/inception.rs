//! The features of FID's Inception, by pytorch-fid's convention.

use std::path::Path;

use super::{Extracted, Extractor};
use crate::data::{Dataset, Shape};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::nn::inception::{FEATURES, Inception};
use crate::weights::WeightFile;

/// Images computed at a time: enough for every core, and few enough that what a layer writes is
/// still near when the next one reads it.
const BATCH: usize = 16;

impl Inception {
    /// The network of the weights in `file`, for items of the shape of those of `reference`.
    pub(super) fn open(file: &Path, reference: &Dataset) -> Result<Self> {
        let shape = reference.shape();
        // Said before a hundred megabytes are read.
        if !matches!(
            shape,
            Shape::Image {
                channels: 1 | 3,
                ..
            }
        ) {
            let reason = format!(
                "is for images with 1 or 3 channels, but an item of {} has shape {shape}; measure \
                 in pixels, or in those of a classifier",
                reference.name()
            );
            return Err(Error::setting("inception", file.display(), reason));
        }
        Self::load(&WeightFile::read(file)?, &Engine::Flex.device()?)
    }
}

impl Extractor for Inception {
    fn dim(&self) -> usize {
        FEATURES
    }

    fn preparation(&self) -> Option<&str> {
        Some(
            "pytorch-fid's: values rounded to bytes, grey repeated to three channels, bilinear \
             resize to 299x299 without antialiasing, scaled to [-1, 1], pool_3 of FID's Inception",
        )
    }

    fn extract(&self, data: &Dataset, monitor: &mut Monitor<'_>) -> Result<Extracted> {
        let total = data.len();
        let mut features = Vec::with_capacity(total * FEATURES);
        for start in (0..total).step_by(BATCH) {
            monitor.step("running Inception", start as u64, total as u64, "images")?;
            let items: Vec<usize> = (start..total.min(start + BATCH)).collect();
            let mut rows = data.gather(&items);
            for value in &mut rows {
                *value = f32::from(data.map().to_u8(*value)) / 255.0;
            }
            let found = self.features(&rows, data.shape())?;
            features.extend(found.into_iter().map(f64::from));
        }
        monitor.at("running Inception", total as u64, total as u64, "images");
        if let Some(at) = features.iter().position(|value| !value.is_finite()) {
            let reason = format!(
                "Inception's features of item {} are not finite",
                at / FEATURES
            );
            return Err(Error::content(data.name(), reason));
        }
        Ok(Extracted {
            features,
            probabilities: None,
        })
    }
}
