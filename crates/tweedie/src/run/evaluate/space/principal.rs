//! Leading principal components as features.

use super::{BATCH, Extracted, Extractor};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::matrix::{Matrix, eigen, product, view};
use crate::measure::RunningMoments;

/// More values than this make the principal components too slow.
const MOST_VALUES: usize = 4096;

/// The coordinates along the eigenvectors of the reference's covariance with the largest
/// eigenvalues (Pearson 1901).
pub(super) struct Principal {
    mean: Vec<f64>,
    /// `[count, values]`, a component a row.
    components: Matrix,
}

impl Principal {
    /// The `count` leading components of `reference`.
    ///
    /// # Errors
    /// [`Error::Setting`] for more components than an item has values, or items of too many.
    pub(super) fn new(reference: &Dataset, count: usize) -> Result<Self> {
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
        let vectors = eigen(view(moments.covariance(), values))?.vectors;
        // The last ones have the largest eigenvalues.
        let component = |k: usize| {
            let column = values - 1 - k;
            vectors
                .values()
                .iter()
                .skip(column)
                .step_by(values)
                .copied()
        };
        let components =
            Matrix::from_values(count, values, (0..count).flat_map(component).collect());
        Ok(Self {
            mean: moments.mean().to_vec(),
            components,
        })
    }
}

impl Extractor for Principal {
    fn dim(&self) -> usize {
        self.components.rows()
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
            let centred: Vec<f64> = centred.collect();
            let along = product(view(&centred, values), self.components.view().transpose());
            features.extend(along.values());
        }
        Ok(Extracted {
            features,
            probabilities: None,
        })
    }
}
