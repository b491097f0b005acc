//! Guards: a setting that is best by one measure must not be worse by others, for a network that is
//! wrong in a compensating way can reach a Frechet distance near 0 by cancellation of errors.

use serde::Serialize;
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::{
    Estimate, Features, Kernel, compare_kernel_distance, precision_recall_density_coverage,
};

use crate::seeds::Seeds;
use crate::{Candidate, Stand, Tuned};

/// The best setting beside the nearest usual one, by other measures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Guards {
    /// The usual setting; none where the best is one.
    pub beside: Option<String>,
    /// Samples of each.
    pub samples: u64,
    /// The kernel distance, Gaussian, less the usual setting's.
    pub kernel: Option<Estimate>,
    /// Precision less the usual setting's.
    pub precision: Option<Estimate>,
    /// Recall less the usual setting's.
    pub recall: Option<Estimate>,
    /// What is worse beyond doubt, in words; empty where all is well.
    pub worse: Vec<String>,
}

/// Samples that the guards take: precision and recall look at all pairs.
const SAMPLES: u64 = 2000;
/// Items of the data likewise.
const ITEMS: usize = 4000;
/// Neighbours of precision and recall.
const NEIGHBOURS: usize = 3;

/// Compares `best`, found from `tuned`, with the nearest usual setting there.
pub(crate) fn guards(
    stand: &mut Stand<'_>,
    reference: Features<'_>,
    (best, tuned): (&Candidate, &Tuned),
    monitor: &mut Monitor<'_>,
) -> Result<Guards> {
    let dim = reference.dim();
    let samples = SAMPLES.min(tuned.distance.samples as u64);
    let mut guards = Guards {
        beside: None,
        samples,
        kernel: None,
        precision: None,
        recall: None,
        worse: Vec::new(),
    };
    let Some(usual) = tuned.baselines.first() else {
        return Ok(guards);
    };
    guards.beside = Some(usual.candidate.to_string());
    let first = Seeds::Guards.first(0);
    let seeds = first..first + samples;
    let best = stand.features(best, seeds.clone(), monitor)?;
    let other = stand.features(&usual.candidate, seeds, monitor)?;
    let rows = |values| Features::new("the samples", values, dim);
    let (best, other) = (rows(&best)?, rows(&other)?);
    let few = &reference.values()[..reference.len().min(ITEMS) * dim];
    let few = Features::new("the data", few, dim)?;
    let kernel = compare_kernel_distance(best, other, few, Kernel::rbf(few)?)?.difference;
    let measured =
        [best, other].map(|samples| precision_recall_density_coverage(samples, few, &[NEIGHBOURS]));
    let [of_best, of_other] = measured;
    let (of_best, of_other) = (of_best?, of_other?);
    // Not paired: the error is at most too large.
    let less = |a: Estimate, b: Estimate| Estimate {
        value: a.value - b.value,
        standard_error: a.standard_error.hypot(b.standard_error),
    };
    let (best, other) = (&of_best[0], &of_other[0]);
    let precision = less(best.precision.estimate(), other.precision.estimate());
    let recall = less(best.recall.estimate(), other.recall.estimate());
    let beyond = |estimate: Estimate| estimate.interval();
    if beyond(kernel)[0] > 0.0 {
        guards.worse.push("the kernel distance".into());
    }
    if beyond(precision)[1] < 0.0 {
        guards.worse.push("precision".into());
    }
    if beyond(recall)[1] < 0.0 {
        guards.worse.push("recall".into());
    }
    guards.kernel = Some(kernel);
    guards.precision = Some(precision);
    guards.recall = Some(recall);
    Ok(guards)
}
