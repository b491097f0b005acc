//! Quality against the step size of annealed Langevin sampling and of consistent annealed sampling,
//! of the final state and of the expected denoised sample (Jolicoeur-Martineau et al. 2021, Figure 3).

use serde::Serialize;
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::Frechet;
use tweedie::sample::SamplerKind;

use super::Bench;
use crate::{Candidate, Grid};

/// ALS and CAS, each with and without the last denoising, by eta.
#[derive(Clone, Debug, Serialize)]
pub struct LastStepFigure {
    /// Network calls.
    pub calls: usize,
    /// Samples of each setting.
    pub samples: u64,
    /// In the order of sampler, denoised, eta.
    pub points: Vec<LastStepPoint>,
}

/// One setting.
#[derive(Clone, Debug, Serialize)]
pub struct LastStepPoint {
    /// ALS or CAS.
    pub sampler: SamplerKind,
    /// Whether the result is the expected denoised sample.
    pub denoised: bool,
    /// The step size.
    pub eta: f64,
    /// Its distance; none where it is not feasible or gives no finite samples.
    pub distance: Option<Frechet>,
}

/// eta of ALS: it is stable below 2.
const ALS: [f64; 7] = [0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0];

/// Measures both on `calls` geometric levels; CAS at the etas of `eps_c`.
pub(super) fn last_step(
    bench: &mut Bench<'_, '_>,
    calls: usize,
    eps_c: &[f64],
    samples: u64,
    monitor: &mut Monitor<'_>,
) -> Result<LastStepFigure> {
    let levels = bench.geometric(calls)?;
    let gamma = levels.gammas().first().copied().unwrap_or(0.0);
    let als = ALS.map(|eta| (SamplerKind::Als, ("eta", eta), eta));
    let cas = eps_c
        .iter()
        .map(|&eps_c| (SamplerKind::Cas, ("eps_c", eps_c), 1.0 - gamma.powf(eps_c)));
    let settings: Vec<_> = als.into_iter().chain(cas).collect();
    let total = 2 * settings.len() as u64;
    let mut points = Vec::new();
    for (sampler, setting, eta) in settings {
        for denoised in [true, false] {
            // By a constant eta the last step leaves (1 - eta) sigma_L of noise; by eps_c, and in
            // the denoised sample, which is the same by both, none.
            let setting = if denoised { setting } else { ("eta", eta) };
            let candidate = Candidate {
                denoise: denoised,
                ..Candidate::with(sampler, setting, Grid::Geometric, levels.clone())
            };
            let done = points.len() as u64;
            monitor.step("ALS and CAS, denoised and not", done, total, "settings")?;
            let measured = bench.measure(&candidate, samples, monitor)?;
            points.push(LastStepPoint {
                sampler,
                denoised,
                eta,
                distance: measured.map(|measured| measured.distance()),
            });
        }
    }
    points.sort_by_key(|point| (point.sampler.name(), !point.denoised));
    Ok(LastStepFigure {
        calls,
        samples,
        points,
    })
}
