//! The density that a score belongs to: log p(x) = integral of s, up to a constant.

use super::fitting::Fitted;
use super::{BLUE, INK, RED, Tutorial, curve};
use crate::{GridDensity, PageFolder, Table};
use tweedie::Result;
use tweedie::report::{Axis, Chart, Series};
use tweedie::score::{Denoiser, Distribution, GaussianMixture};

/// The interval on which densities are recovered, and the points on it.
const RANGE: (f64, f64) = (-8.0, 8.0);
const POINTS: usize = 801;

/// The density on the interval from `low` to `high` whose score `denoiser` has at noise `sigma`,
/// at `count` points: exp of the score's integral, by the trapezoidal rule, normalised.
///
/// # Errors
/// As for [`GridDensity::new`], and those of the denoiser, which must be of dimension 1.
pub fn recovered_density(
    denoiser: &dyn Denoiser,
    sigma: f64,
    (low, high): (f64, f64),
    count: usize,
) -> Result<GridDensity> {
    let density = GridDensity::new(low, high, count, |_| 0.0)?;
    let grid = density.grid();
    let mut score = vec![0.0; count];
    denoiser.score_at(&grid, sigma, &mut score)?;
    let mut log = 0.0;
    let mut logs = vec![0.0];
    for (x, s) in grid.windows(2).zip(score.windows(2)) {
        log += 0.5 * (x[1] - x[0]) * (s[0] + s[1]);
        logs.push(log);
    }
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let step = (high - low) / (count - 1) as f64;
    let value = |x: f64| (logs[((x - low) / step).round() as usize] - top).exp();
    Ok(GridDensity::new(low, high, count, value)?.normalised())
}

/// The density of the noised distribution on the grid of recovered densities.
pub fn true_density(target: &GaussianMixture, sigma: f64) -> Result<GridDensity> {
    GridDensity::new(RANGE.0, RANGE.1, POINTS, |x| {
        let mut log = [0.0];
        // A noise level at which there is no density gives NaN.
        let found = target.log_density_at(&[x], sigma, &mut log);
        found.map_or(f64::NAN, |()| log[0].exp())
    })
}

/// The density recovered from a score at the smallest noise.
pub fn of(denoiser: &dyn Denoiser) -> Result<GridDensity> {
    recovered_density(denoiser, super::SIGMA.1, RANGE, POINTS)
}

pub fn section(
    folder: &mut PageFolder,
    tutorial: &Tutorial<'_, '_>,
    fitted: &Fitted,
) -> Result<()> {
    let distribution = &tutorial.distribution;
    let recovered = of(&fitted.network)?;
    let noised = true_density(distribution, super::SIGMA.1)?;
    let clean = true_density(distribution, 0.0)?;
    let chart = Chart::new("The density recovered from the learned score")
        .x(Axis::linear("x"))
        .y(Axis::linear("density"))
        .series(Series::dashed("true density", curve(distribution, 0.0)?).color(INK))
        .series(Series::dashed("true density with noise 0.5", curve(distribution, 0.5)?).color(RED))
        .series(Series::line("recovered from the network", recovered.points()).color(BLUE));
    folder.section("The density in the score");
    folder.paragraph(
        "The learned score at the smallest noise, integrated from the left and normalised. It \
         approximates the density of the noised distribution, which is lower and wider than that \
         of the data. The weight of the left mode depends on the integral across the gap between \
         the modes, where the network has seen the fewest points.",
    );
    folder.chart(
        "density",
        &chart,
        "The density recovered from the network at sigma = 0.5, and the true densities.",
    )?;
    let mut table = Table::new([
        "density",
        "P(x < 0)",
        "mean",
        "variance",
        "distance to the noised distribution",
        "to the data distribution",
    ]);
    let exact = of(distribution)?;
    for (name, density) in [
        ("recovered from the network", &recovered),
        ("recovered from the exact score", &exact),
        ("data distribution with noise 0.5", &noised),
        ("data distribution", &clean),
    ] {
        table.row([
            name.into(),
            density.below(0.0).into(),
            density.mean().into(),
            density.variance().into(),
            density.distance(&noised).into(),
            density.distance(&clean).into(),
        ]);
    }
    folder.table("density", &table)?;
    folder.paragraph(
        "Distances are total variation distances: half the integral of |p - q|, from 0 to 1.",
    );
    let mut lines = Table::new(["x", "recovered", "noised", "true"]);
    let rows = recovered
        .points()
        .into_iter()
        .zip(noised.values())
        .zip(clean.values());
    for (((x, recovered), &noised), &clean) in rows {
        lines.row([x.into(), recovered.into(), noised.into(), clean.into()]);
    }
    folder.data("densities", &lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture;

    #[test]
    fn the_exact_score_recovers_the_noised_distribution() {
        let target = mixture("tutorial").unwrap();
        let (recovered, noised) = (of(&target).unwrap(), true_density(&target, 0.5).unwrap());
        assert!(
            recovered.distance(&noised) < 1e-3,
            "{}",
            recovered.distance(&noised)
        );
        let fine = recovered_density(&target, 0.5, (-12.0, 12.0), 12_001).unwrap();
        assert!((fine.mean() - 2.4).abs() < 1e-5);
        assert!((fine.variance() - 4.49).abs() < 1e-5);
        assert!(
            (fine.below(0.0) - 0.102_914).abs() < 1e-5,
            "{}",
            fine.below(0.0)
        );
    }
}
