//! How the samplers relate (the section on relations of Serra et al. 2021), and which is most
//! accurate at a given number of network calls.
//!
//! Consistent annealed sampling is one family: eps_c = 1 is DDIM and the Euler step of EDM,
//! eps_c = 2 the ancestral sampler of the variance-exploding process, eps_c = inf denoising and
//! adding fresh noise. Each identity is checked here sample by sample on the same noise. Then all
//! samplers draw from a mixture whose score is exact, so that the error is the sampler's alone.

mod contest;
mod relations;

use super::{PageFolder, Study, StudyOptions};
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::noise::normal_cdf;
use tweedie::score::GaussianMixture;

pub(super) const STUDY: Study = Study {
    name: "bridge",
    about: "how the samplers relate, and their errors by number of calls (on tuning CAS)",
    title: "A bridge between samplers",
    work,
};

/// Weight, mean and standard deviation of the target's components, that of the one-dimensional
/// tutorial.
const TARGET: [(f64, f64, f64); 2] = [(0.1, -3.0, 1.0), (0.9, 3.0, 1.0)];
/// sigma_1 and sigma_N.
const SIGMA: (f64, f64) = (50.0, 0.01);

fn work(folder: &mut PageFolder, options: &StudyOptions, monitor: &mut Monitor<'_>) -> Result<()> {
    folder.lead(
        "Consistent annealed sampling (CAS) with eta = 1 - gamma^eps_c contains DDIM, EDM's Euler \
         step, the ancestral sampler and denoise-and-renoise as special cases, one value of eps_c \
         each. On a mixture of two Gaussians with its exact score, the samplers can be compared \
         without a network's error.",
    );
    relations::section(folder, options)?;
    contest::section(folder, options, monitor)
}

fn target() -> Result<GaussianMixture> {
    let weights = TARGET.map(|(weight, _, _)| weight);
    let means = TARGET.map(|(_, mean, _)| mean).to_vec();
    GaussianMixture::new(&weights, means, &TARGET.map(|(_, _, std)| std * std))
}

/// The target's cumulative distribution function.
fn target_cdf(x: f64) -> f64 {
    let parts = TARGET.map(|(weight, mean, std)| weight * normal_cdf((x - mean) / std));
    parts.iter().sum()
}
