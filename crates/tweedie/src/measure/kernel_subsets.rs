//! The kernel distance as torch-fidelity and others print it: mean and spread over subsets.
//!
//! A hundred subsets of a thousand are drawn from each set, overlapping, and each gives an unbiased
//! distance under the polynomial kernel (Binkowski et al. 2018). Their spread says how much
//! distances of a thousand differ, not how wrong the mean is: for that, see
//! [`super::kernel_distance`].

use rayon::prelude::*;

use super::estimate::variance;
use super::random_state::RandomState;
use super::{Features, Kernel, kernel_distance};
use crate::error::{Error, Result};

/// The rows of the samples and of the reference that are compared with each other.
pub type Subset = [Vec<usize>; 2];

/// Mean and spread over subsets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubsetKernelDistance {
    /// The mean of the subsets' distances.
    pub mean: f64,
    /// Their standard deviation, over their number: no standard error.
    pub spread: f64,
}

/// torch-fidelity's `count` subsets of `size` of `samples` and `reference` rows, from NumPy's
/// `RandomState(seed)`; its defaults are 100, 1000 and 2020.
///
/// # Errors
/// [`Error::Setting`] where a set has fewer rows than a subset, or a subset fewer than two.
pub fn torch_fidelity_subsets(
    samples: usize,
    reference: usize,
    count: usize,
    size: usize,
    seed: u32,
) -> Result<Vec<Subset>> {
    if size < 2 || size > samples.min(reference) {
        let reason = format!(
            "must be at least 2 and no more than the samples ({samples}) and the reference's items \
             ({reference})"
        );
        return Err(Error::setting("subset size", size, reason));
    }
    let mut state = RandomState::new(seed);
    let mut choose = |n| {
        let mut order = state.permutation(n);
        order.truncate(size);
        order
    };
    Ok((0..count)
        .map(|_| [choose(samples), choose(reference)])
        .collect())
}

/// The mean and the spread of the kernel distances of `subsets` under `kernel`.
///
/// # Errors
/// [`Error::Shape`] where the dimensions differ, [`Error::Setting`] for no subsets, one with fewer
/// than two rows or a row that a set does not have.
pub fn kernel_distance_of_subsets(
    samples: Features,
    reference: Features,
    kernel: Kernel,
    subsets: &[Subset],
) -> Result<SubsetKernelDistance> {
    samples.check_same_dim("the reference", &reference)?;
    if subsets.is_empty() {
        return Err(Error::setting("subsets", 0, "must be at least 1"));
    }
    let rows = |features: Features, indices: &[usize]| match indices
        .iter()
        .find(|index| **index >= features.len())
    {
        Some(index) => {
            let reason = format!("a subset's row must be below {}", features.len());
            Err(Error::setting("index", index, reason))
        }
        None => Ok(features.gather(indices)),
    };
    let distances: Vec<f64> = subsets
        .par_iter()
        .map(|[a, b]| {
            let (a, b) = (rows(samples, a)?, rows(reference, b)?);
            let dim = samples.dim();
            let a = Features::new("a subset of the samples", &a, dim)?;
            let b = Features::new("a subset of the reference", &b, dim)?;
            Ok(kernel_distance(a, b, kernel)?.value)
        })
        .collect::<Result<_>>()?;
    let count = distances.len() as f64;
    let spread = match distances.len() {
        1 => 0.0,
        _ => (variance(&distances) * (count - 1.0) / count).sqrt(),
    };
    Ok(SubsetKernelDistance {
        mean: distances.iter().sum::<f64>() / count,
        spread,
    })
}
