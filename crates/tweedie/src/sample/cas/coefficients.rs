//! eta and beta of every step, and which are feasible.

use super::CasStep;
use crate::error::Result;
use crate::noise::{Coordinates, Levels, Path};
use crate::sample::setting::Interval;
use crate::sample::step_size::StepSize;

/// Relative excess of (1 - eta)/gamma over 1 that is taken for rounding: the lower end of the
/// feasible interval is itself a rounded number.
const SLACK: f64 = 1e-12;

/// Pairs (sigma_i, sigma_{i+1}) with sigma_{L+1} = 0.
fn gaps(levels: &Levels) -> Vec<(f64, f64)> {
    let steps = Path::new(levels, Coordinates::Ve);
    steps.steps().map(|s| (s.from.sigma, s.to.sigma)).collect()
}

/// The feasible interval of a constant eta times `unit`, \[max 1 - gamma_i, 1\]: the level with the
/// largest step down needs the largest eta.
pub(super) fn feasible(levels: &Levels, unit: f64) -> Interval {
    let etas = levels.gammas().into_iter().map(|gamma| 1.0 - gamma);
    let lowest = etas.fold(0.0, f64::max);
    Interval {
        open_low: lowest == 0.0,
        ..Interval::closed(lowest * unit, unit)
    }
}

/// The same eta at every level.
pub(super) fn constant(levels: &Levels, step_size: StepSize, eta: f64) -> Result<Vec<CasStep>> {
    let (name, unit) = (step_size.name(), step_size.unit(levels));
    let interval = format!(
        "{name} must lie in [{}, {unit}] for these levels",
        feasible(levels, unit).low
    );
    if eta > 1.0 + SLACK {
        return Err(step_size.refuse(format!(
            "{interval}: above, a step goes beyond the denoised sample at every level"
        )));
    }
    let eta = eta.min(1.0);
    let mut steps = Vec::with_capacity(levels.len());
    for (i, (sigma, sigma_next)) in gaps(levels).into_iter().enumerate() {
        if sigma_next == 0.0 {
            steps.push(CasStep {
                sigma,
                sigma_next,
                eta,
                beta: 0.0,
            });
            continue;
        }
        let gamma = sigma_next / sigma;
        // The noise kept, as a share of the noise scheduled.
        let kept = (1.0 - eta) / gamma;
        if kept > 1.0 + SLACK {
            return Err(step_size.refuse(format!(
                "{interval}; it is below {} at level {} (sigma = {sigma}, gamma = {gamma}), where \
                 a step leaves more noise than the next level has; use more levels or eps_c",
                (1.0 - gamma) * unit,
                i + 1
            )));
        }
        // At the boundary beta is 0; the root would turn an error of 1e-16 into 1e-8.
        let beta = if kept >= 1.0 - 8.0 * f64::EPSILON {
            0.0
        } else {
            (1.0 - kept * kept).sqrt()
        };
        steps.push(CasStep {
            sigma,
            sigma_next,
            eta,
            beta,
        });
    }
    Ok(steps)
}

/// eta = 1 - gamma^eps_c.
pub(super) fn adaptive(levels: &Levels, step_size: StepSize) -> Result<Vec<CasStep>> {
    let eps_c = step_size.value();
    if eps_c.is_nan() || eps_c < 1.0 {
        return Err(step_size.refuse(
            "eps_c must lie in [1, inf]; below 1 a step leaves more noise than the next level has",
        ));
    }
    let step = |(sigma, sigma_next): (f64, f64)| {
        if sigma_next == 0.0 {
            return CasStep {
                sigma,
                sigma_next,
                eta: 1.0,
                beta: 0.0,
            };
        }
        let log_gamma = (sigma_next / sigma).ln();
        let eta = -(eps_c * log_gamma).exp_m1();
        let beta = (-(2.0 * (eps_c - 1.0) * log_gamma).exp_m1()).sqrt();
        CasStep {
            sigma,
            sigma_next,
            eta,
            beta,
        }
    };
    Ok(gaps(levels).into_iter().map(step).collect())
}
