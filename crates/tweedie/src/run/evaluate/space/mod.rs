//! Feature spaces by name: what distances of items are measured in. An extractor a file.

mod classifier;
mod inception;
mod onnx;
mod pixels;
mod principal;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use onnx::OnnxSpace;
use pixels::Pixels;
use principal::Principal;

use crate::data::Dataset;
use crate::error::Result;
use crate::job::Monitor;
use crate::nn::inception::Inception;
use crate::run::{Classifier, RunDir};

/// A feature space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Space {
    /// The values of an item: bytes as 0 to 1, vectors in the data's own units.
    Pixels,
    /// The leading principal components of the reference in another space, so many.
    Principal(usize, Box<Space>),
    /// The penultimate layer of the classifier of this run.
    Classifier(PathBuf),
    /// The last pooled layer of FID's Inception, with the weights in this file: what published
    /// Frechet distances of pictures are of.
    Inception(PathBuf),
    /// What the network of an ONNX file gives.
    Onnx(OnnxSpace),
}

/// What computes the features of items in a [`Space`].
pub struct FeatureExtractor(Box<dyn Extractor>);

impl FeatureExtractor {
    /// That of `space`; `reference` says what the principal components are.
    ///
    /// # Errors
    /// Where the space's network cannot be loaded, or there are no so many components.
    pub fn new(space: &Space, reference: &Dataset) -> Result<Self> {
        space.extractor(reference).map(Self)
    }

    /// How many features an item has.
    pub fn dim(&self) -> usize {
        self.0.dim()
    }

    /// The features of all items, row-major `[n, dim]`.
    ///
    /// # Errors
    /// Where the items do not have the shape that the network takes.
    pub fn features(&self, data: &Dataset, monitor: &mut Monitor<'_>) -> Result<Vec<f64>> {
        Ok(self.0.extract(data, monitor)?.features)
    }
}

/// What a space says of a set of items.
pub(super) struct Extracted {
    /// Row-major `[n, dim]`.
    pub features: Vec<f64>,
    /// Of a classifier, the calibrated probabilities of each class, `[n, classes]`.
    pub probabilities: Option<Vec<f64>>,
}

/// Turns items into features.
pub(super) trait Extractor {
    /// How many features an item has.
    fn dim(&self) -> usize;

    /// The classes' names, of a classifier.
    fn classes(&self) -> &[String] {
        &[]
    }

    /// What is done to items besides, where tools differ and figures with them.
    fn preparation(&self) -> Option<&str> {
        None
    }

    /// The features of all items.
    fn extract(&self, data: &Dataset, monitor: &mut Monitor<'_>) -> Result<Extracted>;

    /// Shows the features of all items to `see`, row-major `[n, dim]`, as many at a time as it likes.
    fn visit(
        &self,
        data: &Dataset,
        monitor: &mut Monitor<'_>,
        see: &mut dyn FnMut(&[f64]) -> Result<()>,
    ) -> Result<()> {
        see(&self.extract(data, monitor)?.features)
    }
}

/// Items read at a time.
const BATCH: usize = 1024;

impl Space {
    /// What computes the features; `reference` says what the components are.
    pub(super) fn extractor(&self, reference: &Dataset) -> Result<Box<dyn Extractor>> {
        Ok(match self {
            Self::Pixels => Box::new(Pixels(reference.dim())),
            Self::Principal(count, of) => {
                let of = of.extractor(reference)?;
                Box::new(Principal::new(reference, *count, of)?)
            }
            Self::Classifier(run) => Box::new(Classifier::load(&RunDir::open(run)?, None)?),
            Self::Inception(file) => Box::new(Inception::open(file, reference)?),
            Self::Onnx(space) => space.extractor(reference)?,
        })
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels => f.write_str("pixels"),
            Self::Principal(count, of) if **of == Self::Pixels => write!(f, "pca:{count}"),
            Self::Principal(count, of) => write!(f, "pca:{count},{of}"),
            Self::Classifier(run) => write!(f, "classifier:{}", run.display()),
            Self::Inception(file) => write!(f, "inception:{}", file.display()),
            Self::Onnx(space) => write!(f, "onnx:{space}"),
        }
    }
}

impl FromStr for Space {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "pixels" => Ok(Self::Pixels),
            Some(("pca", text)) => {
                let (count, of) = match text.split_once(',') {
                    Some((count, of)) => (count, of.parse()?),
                    None => (text, Self::Pixels),
                };
                if let Self::Principal(..) = of {
                    return Err("principal components of principal components are these".into());
                }
                match count.parse() {
                    Ok(count) if count > 0 => Ok(Self::Principal(count, Box::new(of))),
                    _ => Err("write the number of components, like pca:32".into()),
                }
            }
            Some(("classifier", run)) if !run.is_empty() => Ok(Self::Classifier(run.into())),
            Some(("inception", file)) if !file.is_empty() => Ok(Self::Inception(file.into())),
            Some(("onnx", network)) => Ok(Self::Onnx(network.parse()?)),
            _ => Err(
                "write pixels, pca:COUNT for its leading principal components (pca:COUNT,SPACE for \
                 those of another space), classifier:RUN for the features of a classifier, inception:FILE for those of FID's Inception with the \
                 weights in that file, or onnx:FILE,KEY=VALUE,... for those of a network"
                    .into(),
            ),
        }
    }
}
