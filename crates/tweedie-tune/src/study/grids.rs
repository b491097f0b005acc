//! Grids of noise levels at equal everything: sampler, amount of noise, range of noise, number of
//! calls, seeds.

use serde::Serialize;
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::{Estimate, Frechet, FrechetMeasured};
use tweedie::noise::LossSchedule;
use tweedie::sample::SamplerKind;

use super::Bench;
use crate::rival::{AlignYourSteps, Deviations};
use crate::{Candidate, Grid};

/// Grids by sampler and number of calls.
#[derive(Clone, Debug, Serialize)]
pub struct GridFigure {
    /// Samples of each setting.
    pub samples: u64,
    /// In the order of calls, sampler, grid.
    pub rows: Vec<GridRow>,
}

/// One grid with one sampler.
#[derive(Clone, Debug, Serialize)]
pub struct GridRow {
    /// Network calls.
    pub calls: usize,
    /// The sampler and its amount of noise, in words.
    pub sampler: String,
    /// The grid.
    pub grid: Grid,
    /// Its distance; none where it gives no finite samples.
    pub distance: Option<Frechet>,
    /// Its distance less that of the loss-curve grid, at equal seeds.
    pub behind: Option<Estimate>,
}

/// The samplers: first order with a little noise and with much, second order without and with.
const SAMPLERS: [(SamplerKind, &str, f64); 4] = [
    (SamplerKind::Cas, "eps_c", 1.25),
    (SamplerKind::Cas, "eps_c", 2.0),
    (SamplerKind::Dpmpp2mSde, "eta", 0.0),
    (SamplerKind::Dpmpp2mSde, "eta", 1.0),
];

/// The grids; the first is what the others are compared with.
fn all_grids() -> Vec<Grid> {
    let by_loss = |schedule, p| Grid::Loss { schedule, p };
    vec![
        by_loss(LossSchedule::LossCurve, 1.0),
        Grid::Geometric,
        Grid::Karras { rho: 7.0 },
        by_loss(LossSchedule::Entropic, 1.0),
        by_loss(LossSchedule::MseDp, 1.0),
        // Of its lists, the one for a network of pixels.
        Grid::AlignYourSteps {
            of: AlignYourSteps::DeepFloydIf,
        },
        Grid::Trajectory,
    ]
}

/// Measures all at each of `calls`; the grid by trajectories follows from `deviations`.
pub(super) fn grids(
    bench: &mut Bench<'_, '_>,
    calls: &[usize],
    samples: u64,
    deviations: &Deviations,
    monitor: &mut Monitor<'_>,
) -> Result<GridFigure> {
    let [max, min] = bench.sigma;
    let grids = all_grids();
    let total = (calls.len() * SAMPLERS.len() * grids.len()) as u64;
    let mut rows = Vec::new();
    for &calls in calls {
        for (sampler, name, value) in SAMPLERS {
            let mut first: Option<FrechetMeasured> = None;
            for (i, grid) in grids.iter().copied().enumerate() {
                monitor.step(
                    "grids of noise levels",
                    rows.len() as u64,
                    total,
                    "settings",
                )?;
                let levels = match grid {
                    Grid::Trajectory => deviations.levels(calls, 1.0),
                    _ => grid.levels(max, min, calls, bench.curve),
                };
                // Without a loss curve its grids are left out.
                let measured = match levels {
                    Ok(levels) => {
                        let candidate = Candidate::with(sampler, (name, value), grid, levels);
                        bench.measure(&candidate, samples, monitor)?
                    }
                    Err(_) => None,
                };
                let behind = match (&measured, &first) {
                    (Some(measured), Some(first)) => Some(measured.compare(first)?.difference),
                    _ => None,
                };
                rows.push(GridRow {
                    calls,
                    sampler: format!("{} {name} {value}", sampler.label()),
                    grid,
                    distance: measured.as_ref().map(FrechetMeasured::distance),
                    behind,
                });
                if i == 0 {
                    first = measured;
                }
            }
        }
    }
    Ok(GridFigure { samples, rows })
}
