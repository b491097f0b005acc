//! Measures of samples: how far they are from data, or from a distribution, in f64.
//!
//! Estimates come with their standard errors.

mod calibration;
mod class_histogram;
mod classifier_two_sample;
mod comparison;
mod discriminator;
mod distribution;
mod energy;
mod estimate;
mod exponential;
mod features;
mod frechet;
mod frechet_estimate;
mod inception_score;
mod kernel;
mod kernel_distance;
mod kernel_subsets;
mod memorisation;
mod mixture_weights;
mod moments;
mod nearest;
mod neighbours;
mod pairs;
mod prdc;
mod proportion;
mod random_state;
mod sliced;
mod statistics_file;
mod wasserstein;

pub use calibration::{Logits, Reliability, softmax};
pub use class_histogram::{ClassDivergence, ClassHistogram, most_likely_classes};
pub use classifier_two_sample::{ClassifierTwoSample, classifier_two_sample};
pub use comparison::{Comparison, Verdict};
pub use discriminator::optimal_discriminator;
pub use distribution::{
    quantile_of_cdf, wasserstein_1_to_cdf, wasserstein_1_to_distribution,
    wasserstein_2_to_distribution,
};
pub use energy::energy_distance;
pub use estimate::Estimate;
pub use features::Features;
pub use frechet::frechet_distance;
pub use frechet_estimate::{
    Frechet, FrechetMeasured, FrechetReference, Halves, Reference, compare_frechet, frechet,
};
pub use inception_score::{InceptionScore, inception_score, inception_score_of_splits};
pub use kernel::Kernel;
pub use kernel_distance::{compare_kernel_distance, kernel_distance};
pub use kernel_subsets::{
    Subset, SubsetKernelDistance, kernel_distance_of_subsets, torch_fidelity_subsets,
};
pub(crate) use memorisation::memorisation_of;
pub use memorisation::{Memorisation, NearestItem, memorisation, nearest_items};
pub use mixture_weights::{MixtureWeights, mixture_weights};
pub use moments::{Moments, RunningMoments};
pub use nearest::{NearestNeighbours, nearest_neighbours};
pub use prdc::{Prdc, precision_recall_density_coverage};
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
