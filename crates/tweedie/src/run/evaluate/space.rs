//! Feature spaces by name: what distances of items are measured in.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use nalgebra::{DMatrix, SymmetricEigen};

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::measure::RunningMoments;
use crate::run::{Classifier, RunDir};

/// A feature space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Space {
    /// The values of an item: bytes as 0 to 1, vectors in the data's own units.
    Pixels,
    /// The leading principal components of the reference's pixels, so many.
    Principal(usize),
    /// The penultimate layer of the classifier of this run.
    Classifier(PathBuf),
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

    /// The features of all items.
    fn extract(&self, data: &Dataset, monitor: &mut Monitor<'_>) -> Result<Extracted>;
}

/// Items read at a time.
const BATCH: usize = 1024;
/// More values than this make the principal components too slow.
const MOST_VALUES: usize = 4096;

impl Space {
    /// What computes the features; `reference` says what the components are.
    pub(super) fn extractor(&self, reference: &Dataset) -> Result<Box<dyn Extractor>> {
        Ok(match self {
            Self::Pixels => Box::new(Pixels(reference.dim())),
            Self::Principal(count) => Box::new(Principal::new(reference, *count)?),
            Self::Classifier(run) => Box::new(Classifier::load(&RunDir::open(run)?, None)?),
        })
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels => f.write_str("pixels"),
            Self::Principal(count) => write!(f, "pca:{count}"),
            Self::Classifier(run) => write!(f, "classifier:{}", run.display()),
        }
    }
}

impl FromStr for Space {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "pixels" => Ok(Self::Pixels),
            Some(("pca", count)) => match count.parse() {
                Ok(count) if count > 0 => Ok(Self::Principal(count)),
                _ => Err("write the number of components, like pca:32".into()),
            },
            Some(("classifier", run)) if !run.is_empty() => Ok(Self::Classifier(run.into())),
            _ => Err(
                "write pixels, pca:COUNT for its leading principal components, or \
                      classifier:RUN for the features of a classifier"
                    .into(),
            ),
        }
    }
}

struct Pixels(usize);

impl Extractor for Pixels {
    fn dim(&self) -> usize {
        self.0
    }

    fn extract(&self, data: &Dataset, _: &mut Monitor<'_>) -> Result<Extracted> {
        let rows: Vec<usize> = (0..data.len()).collect();
        Ok(Extracted {
            features: data.gather(&rows).into_iter().map(f64::from).collect(),
            probabilities: None,
        })
    }
}

/// The coordinates along the eigenvectors of the reference's covariance with the largest
/// eigenvalues (Pearson 1901).
struct Principal {
    mean: Vec<f64>,
    /// `[count, values]`, a component a row.
    components: DMatrix<f64>,
}

impl Principal {
    fn new(reference: &Dataset, count: usize) -> Result<Self> {
        let values = reference.dim();
        if count > values {
            let reason = format!("an item has {values} values");
            return Err(Error::setting("pca", count, reason));
        }
        if values > MOST_VALUES {
            let reason = format!("is for items of at most {MOST_VALUES} values, not {values}");
            return Err(Error::setting("pca", count, reason));
        }
        let mut moments = RunningMoments::new(values);
        let rows: Vec<usize> = (0..reference.len()).collect();
        for rows in rows.chunks(BATCH) {
            let items: Vec<f64> = reference.gather(rows).into_iter().map(f64::from).collect();
            moments.add(&items)?;
        }
        let moments = moments.moments()?;
        let covariance = DMatrix::from_row_slice(values, values, moments.covariance());
        let eigen = SymmetricEigen::new(covariance);
        let mut order: Vec<usize> = (0..values).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let components = DMatrix::from_fn(count, values, |component, value| {
            eigen.eigenvectors[(value, order[component])]
        });
        Ok(Self {
            mean: moments.mean().to_vec(),
            components,
        })
    }
}

impl Extractor for Principal {
    fn dim(&self) -> usize {
        self.components.nrows()
    }

    fn extract(&self, data: &Dataset, _: &mut Monitor<'_>) -> Result<Extracted> {
        let values = self.mean.len();
        let rows: Vec<usize> = (0..data.len()).collect();
        let mut features = Vec::with_capacity(data.len() * self.dim());
        for rows in rows.chunks(BATCH) {
            let items = data.gather(rows).into_iter().map(f64::from);
            let centred = items
                .zip(self.mean.iter().cycle())
                .map(|(x, mean)| x - mean);
            // Columns are items.
            let centred = DMatrix::from_iterator(values, rows.len(), centred);
            features.extend((&self.components * centred).iter());
        }
        Ok(Extracted {
            features,
            probabilities: None,
        })
    }
}

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
