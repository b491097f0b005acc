//! Leading principal components as features.

use nalgebra::{DMatrix, SymmetricEigen};

use super::{BATCH, Extracted, Extractor};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::measure::RunningMoments;

/// More values than this make the principal components too slow.
const MOST_VALUES: usize = 4096;

/// The coordinates along the eigenvectors of the reference's covariance with the largest
/// eigenvalues (Pearson 1901).
pub(super) struct Principal {
    mean: Vec<f64>,
    /// `[count, values]`, a component a row.
    components: DMatrix<f64>,
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
