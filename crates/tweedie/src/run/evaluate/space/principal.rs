//! Leading principal components as features.

use super::{Extracted, Extractor};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::matrix::{Matrix, eigen, product, view};
use crate::measure::RunningMoments;

/// More values than this make the principal components too slow.
const MOST_VALUES: usize = 4096;

/// The coordinates along the eigenvectors of the reference's covariance with the largest
/// eigenvalues (Pearson 1901), of what another extractor gives.
pub(super) struct Principal {
    of: Box<dyn Extractor>,
    mean: Vec<f64>,
    /// `[count, values]`, a component a row.
    components: Matrix,
}

impl Principal {
    /// The `count` leading components of `reference` as `of` sees it.
    ///
    /// # Errors
    /// [`Error::Setting`] for more components than an item has values, or items of too many.
    pub(super) fn new(reference: &Dataset, count: usize, of: Box<dyn Extractor>) -> Result<Self> {
        let values = of.dim();
        if count > values {
            let reason = format!("an item has {values} values");
            return Err(Error::setting("pca", count, reason));
        }
        if values > MOST_VALUES {
            let reason = format!("is for items of at most {MOST_VALUES} values, not {values}");
            return Err(Error::setting("pca", count, reason));
        }
        let mut moments = RunningMoments::new(values);
        of.visit(reference, &mut Monitor::silent(), &mut |items| {
            moments.add(items)
        })?;
        let moments = moments.moments()?;
        let vectors = eigen(view(moments.covariance(), values))?.vectors;
        // The last ones have the largest eigenvalues.
        let component = |k: usize| {
            let column = values - 1 - k;
            let values_of = vectors.values().iter().skip(column);
            values_of.step_by(values).copied()
        };
        let components =
            Matrix::from_values(count, values, (0..count).flat_map(component).collect());
        Ok(Self {
            of,
            mean: moments.mean().to_vec(),
            components,
        })
    }
}

impl Extractor for Principal {
    fn dim(&self) -> usize {
        self.components.rows()
    }

    fn preparation(&self) -> Option<&str> {
        self.of.preparation()
    }

    fn extract(&self, data: &Dataset, monitor: &mut Monitor<'_>) -> Result<Extracted> {
        let values = self.mean.len();
        let mut features = Vec::with_capacity(data.len() * self.dim());
        self.of.visit(data, monitor, &mut |items| {
            let items = items.iter().zip(self.mean.iter().cycle());
            let centred: Vec<f64> = items.map(|(x, mean)| x - mean).collect();
            let along = product(view(&centred, values), self.components.view().transpose());
            features.extend(along.values());
            Ok(())
        })?;
        Ok(Extracted {
            features,
            probabilities: None,
        })
    }
}
