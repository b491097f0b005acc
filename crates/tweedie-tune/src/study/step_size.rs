//! Quality against the step size in both its units, at several numbers of network calls (Serra et
//! al. 2021, Figure 1), and what a step size tuned at one number is worth at the others.
//!
//! On a geometric grid gamma is the same at every level, so that eta = 1 - gamma^eps_c is too, and a
//! setting has an eps_c and an eps_b = eta sigma_L^2: one set of measurements is both panels.

use serde::Serialize;
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::Estimate;
use tweedie::noise::Levels;
use tweedie::sample::SamplerKind;

use super::{Bench, SEED};
use crate::{Candidate, Grid, Profile, profile};

/// CAS by its step size at several numbers of network calls.
#[derive(Clone, Debug, Serialize)]
pub struct StepSizeFigure {
    /// Samples of each setting.
    pub samples: u64,
    /// sigma_L^2: eps_b is so many times eta.
    pub unit: f64,
    /// Quality by eps_c at each number of calls.
    pub profiles: Vec<Profile>,
    /// Where the best step size lies at each.
    pub moved: Vec<Moved>,
    /// The number of calls whose best step sizes are used at every other.
    pub tuned_at: usize,
    /// What they are worth there.
    pub transfer: Vec<Transfer>,
}

/// Where the best step size lies at one number of calls. Intervals reach to the neighbours of the
/// settings that cannot be told from the best.
#[derive(Clone, Debug, Serialize)]
pub struct Moved {
    /// Network calls.
    pub calls: usize,
    /// The best eps_c measured; none where none is feasible.
    pub eps_c: Option<f64>,
    /// Where the optimum lies.
    pub eps_c_within: Option<[f64; 2]>,
    /// The same in the other unit.
    pub eps_b: Option<f64>,
    /// Where the optimum lies.
    pub eps_b_within: Option<[f64; 2]>,
    /// The smallest eps_b that is feasible: below, a step leaves more noise than the next level has.
    pub least_eps_b: f64,
}

/// A step size tuned at another number of calls, used at this one: its distance less that of the best
/// here, at equal seeds.
#[derive(Clone, Debug, Serialize)]
pub struct Transfer {
    /// Network calls.
    pub calls: usize,
    /// By the same eps_c.
    pub eps_c: Option<Estimate>,
    /// By the same eps_b; none where it is not feasible.
    pub eps_b: Option<Estimate>,
}

/// The steps of one number of calls.
struct Scale {
    levels: Levels,
    gamma: f64,
}

impl Scale {
    fn eta(&self, eps_c: f64) -> f64 {
        1.0 - self.gamma.powf(eps_c)
    }

    /// eps_c of a constant eta; below 1 it is not feasible.
    fn eps_c(&self, eta: f64) -> f64 {
        (1.0 - eta).ln() / self.gamma.ln()
    }

    fn cas(&self, eps_c: f64) -> (f64, Candidate) {
        let setting = ("eps_c", eps_c);
        let levels = self.levels.clone();
        let cas = Candidate::with(SamplerKind::Cas, setting, Grid::Geometric, levels);
        (eps_c, cas)
    }
}

/// Measures CAS at `calls` (2 or more each) by `eps_c`, ascending, `samples` of each; `tuned_at` is
/// one of `calls`.
pub(super) fn step_size(
    bench: &mut Bench<'_, '_>,
    calls: &[usize],
    tuned_at: usize,
    eps_c: &[f64],
    samples: u64,
    monitor: &mut Monitor<'_>,
) -> Result<StepSizeFigure> {
    let scales: Result<Vec<Scale>> = calls
        .iter()
        .map(|&calls| {
            let levels = bench.geometric(calls)?;
            let gamma = levels.gammas().first().copied().unwrap_or(0.0);
            Ok(Scale { levels, gamma })
        })
        .collect();
    let scales = scales?;
    let mut measure = |scale: &Scale, eps_c: &[f64], monitor: &mut Monitor<'_>| {
        let family = eps_c.iter().map(|&eps_c| scale.cas(eps_c)).collect();
        let (seeds, calls) = ((SEED, samples), scale.levels.len());
        profile(bench.stand, bench.reference, family, calls, seeds, monitor)
    };
    let best = |profile: &Profile| profile.best.map(|best| profile.points[best].at);
    // The one that is used elsewhere first.
    let at = calls
        .iter()
        .position(|&calls| calls == tuned_at)
        .unwrap_or(0);
    let here = measure(&scales[at], eps_c, monitor)?;
    let tuned = best(&here);
    let tuned_eta = tuned.map(|eps_c| scales[at].eta(eps_c));
    let mut profiles = Vec::with_capacity(calls.len());
    for (i, scale) in scales.iter().enumerate() {
        if i == at {
            profiles.push(here.clone());
            continue;
        }
        // The same eps_b is another eps_c here.
        let mut family = eps_c.to_vec();
        let same = tuned_eta.map(|eta| scale.eps_c(eta));
        if let Some(same) = same.filter(|same| *same >= 1.0 && !family.contains(same)) {
            family.push(same);
            family.sort_by(f64::total_cmp);
        }
        profiles.push(measure(scale, &family, monitor)?);
    }
    let unit = bench.sigma[1].powi(2);
    let moved = profiles.iter().zip(&scales).map(|(profile, scale)| {
        let eps_b = |eps_c: f64| scale.eta(eps_c) * unit;
        Moved {
            calls: profile.calls,
            eps_c: best(profile),
            eps_c_within: profile.interval,
            eps_b: best(profile).map(eps_b),
            eps_b_within: profile.interval.map(|ends| ends.map(eps_b)),
            least_eps_b: eps_b(1.0),
        }
    });
    let transfer = profiles.iter().zip(&scales).map(|(profile, scale)| {
        let behind = |eps_c: Option<f64>| {
            let eps_c = eps_c?;
            let close = |at: f64| at == eps_c || (at - eps_c).abs() <= 1e-9 * eps_c;
            profile.points.iter().find(|point| close(point.at))?.behind
        };
        Transfer {
            calls: profile.calls,
            eps_c: behind(tuned),
            eps_b: behind(tuned_eta.map(|eta| scale.eps_c(eta))),
        }
    });
    Ok(StepSizeFigure {
        samples,
        unit,
        moved: moved.collect(),
        tuned_at: calls[at],
        transfer: transfer.collect(),
        profiles,
    })
}
