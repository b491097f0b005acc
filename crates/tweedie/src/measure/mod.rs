//! Measures of samples: how far they are from data, or from a distribution, in plain f64.
//!
//! Those that are estimates say how uncertain they are.

mod calibration;
mod discriminator;
mod distribution;
mod estimate;
mod frechet;
mod nearest;
mod proportion;
mod sliced;
mod wasserstein;

pub use calibration::{Logits, Reliability, softmax};
pub use discriminator::optimal_discriminator;
pub use distribution::{
    quantile_of_cdf, wasserstein_1_to_cdf, wasserstein_1_to_distribution,
    wasserstein_2_to_distribution,
};
pub use estimate::Estimate;
pub use frechet::{Moments, frechet_distance};
pub use nearest::{NearestNeighbours, nearest_neighbours};
pub use proportion::Proportion;
pub use sliced::sliced_wasserstein_2;
pub use wasserstein::{wasserstein_1, wasserstein_2};

use crate::error::{Error, Result};

/// Checks that `rows`, called `what`, are at least one row of `dim` > 0 finite values.
fn check_rows(what: &str, rows: &[f64], dim: usize) -> Result<()> {
    if dim == 0 || rows.is_empty() || !rows.len().is_multiple_of(dim) {
        return Err(Error::Shape {
            what: what.into(),
            expected: vec![(rows.len() / dim.max(1)).max(1), dim],
            found: vec![rows.len()],
        });
    }
    match rows.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(place) => {
            let reason = format!("row {} has a value that is not finite", place / dim);
            Err(Error::setting(what, rows[place], reason))
        }
    }
}
