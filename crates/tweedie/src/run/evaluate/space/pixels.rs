//! The values of items as features.

use super::{BATCH, Extracted, Extractor};
use crate::data::Dataset;
use crate::error::Result;
use crate::job::Monitor;

/// Items of so many values.
pub(super) struct Pixels(pub usize);

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

    fn visit(
        &self,
        data: &Dataset,
        monitor: &mut Monitor<'_>,
        see: &mut dyn FnMut(&[f64]) -> Result<()>,
    ) -> Result<()> {
        let rows: Vec<usize> = (0..data.len()).collect();
        for rows in rows.chunks(BATCH) {
            monitor.go_on()?;
            let items = data.gather(rows).into_iter().map(f64::from);
            see(&items.collect::<Vec<f64>>())?;
        }
        Ok(())
    }
}
