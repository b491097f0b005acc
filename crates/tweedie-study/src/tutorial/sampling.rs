//! The tutorial's sampler, how it distorts the weights of the modes, and the step size that
//! corrects it.
//!
//! Langevin dynamics at a fixed step tau = 0.0125 mixes far too slowly at large noise: at sigma = 2
//! the right step is 16 times as large. From N(0, 1) too many samples stay on the left. With
//! tau_i = 0.0125 (sigma_i/sigma_L)^2 (Song and Ermon 2019) the weights come out nearly right.

use super::fitting::Fitted;
use super::{BLUE, GREEN, INK, PALE, RED, SIGMA, Tutorial, animations, curve, recovery};
use crate::langevin::langevin;
use crate::{Cell, GridDensity, PageFolder, Table};
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::Estimate;
use tweedie::noise::Levels;
use tweedie::random::{NoiseSource, Stream};
use tweedie::report::{Axis, Chart, Series, density};
use tweedie::sample::{Linear, StepView, Trajectory, Update, run_from};
use tweedie::score::{Denoiser, GaussianMixture};

/// Steps per level, and the tutorial's step size, 10/16/50.
const REPEATS: usize = 50;
const STEP: f64 = 10.0 / 16.0 / 50.0;

/// The grid on which densities are propagated; their mass outside is negligible.
const REACH: f64 = 20.0;
const POINTS: usize = 1601;

/// Samples drawn, trajectories shown, steps between frames of the animation.
const SAMPLES: u64 = 65_536;
const PATHS: usize = 30;
const BETWEEN_FRAMES: usize = 25;

/// The distribution of the samples of the tutorial's sampler on `denoiser`: 16 levels from 2 to
/// 0.5, `repeats` steps each (the tutorial has 50) from N(0, 1), with the tutorial's fixed step
/// size or, if `scaled`, one proportional to the noise variance. Nothing is sampled: the density is
/// propagated on a grid.
///
/// # Errors
/// Those of the denoiser, which must be of dimension 1.
pub fn tutorial_chain(
    denoiser: &dyn Denoiser,
    repeats: usize,
    scaled: bool,
) -> Result<GridDensity> {
    let levels = Levels::geometric(SIGMA.0, SIGMA.1, super::LEVELS)?;
    let mut density = start()?;
    let sampler = sampler(&levels, repeats, scaled);
    for updates in sampler.updates().chunks(repeats) {
        advance(&mut density, denoiser, &updates[0], updates.len())?;
    }
    Ok(density)
}

/// N(0, 1).
fn start() -> Result<GridDensity> {
    let normal = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    GridDensity::new(-REACH, REACH, POINTS, normal)
}

/// Propagates `density` through `count` of these steps.
fn advance(
    density: &mut GridDensity,
    denoiser: &dyn Denoiser,
    update: &Update,
    count: usize,
) -> Result<()> {
    let Update { from, a, b, c, .. } = *update;
    density.advance(denoiser, from.sigma, [a, b, c], count)
}

fn sampler(levels: &Levels, repeats: usize, scaled: bool) -> Linear {
    let last = levels.last();
    langevin(levels, repeats, |sigma| match scaled {
        true => STEP * (sigma / last).powi(2),
        false => STEP,
    })
}

/// Draws from N(0, 1), where the tutorial starts whatever sigma_1 is.
fn starts(source: &NoiseSource, seeds: &[u64]) -> Vec<f64> {
    let mut x = vec![0.0; seeds.len()];
    source.fill_batch(seeds, 0, &mut x);
    x
}

pub fn section(
    folder: &mut PageFolder,
    tutorial: &mut Tutorial<'_, '_>,
    fitted: &Fitted,
) -> Result<()> {
    folder.section("Sampling");
    folder.paragraph(
        "The tutorial's sampler draws 256 initial values from N(0, 1) and makes 50 steps of \
         Langevin dynamics at each of the 16 levels, x <- x + tau s(x, sigma_i) + sqrt(2 tau) z, \
         with the same tau = 0.0125 throughout. In Song and Ermon's annealed Langevin dynamics the \
         step size scales with the noise variance, tau_i = 0.0125 (sigma_i/sigma_L)^2.",
    );
    trajectories(folder, tutorial, fitted)?;
    let mut table = Table::new(["score", "step", "method", "P(x < 0)", "mean", "variance"]);
    let mut add = |[score, step, how]: [&str; 3], [p, mean, variance]: [Cell; 3]| {
        table.row([score.into(), step.into(), how.into(), p, mean, variance]);
    };
    let truth = recovery::true_density(&tutorial.distribution, SIGMA.1)?;
    add(
        ["data distribution with noise 0.5", "", ""],
        moments(&truth).map(Cell::from),
    );
    let mut drawn = Vec::new();
    for (scaled, step) in [(false, "fixed"), (true, "scaled")] {
        let scores: [(&str, &dyn Denoiser); 2] = [
            ("exact", &tutorial.distribution),
            ("learned", &fitted.network),
        ];
        for (name, score) in scores {
            let moved = tutorial_chain(score, REPEATS, scaled)?;
            add(
                [name, step, "density on a grid"],
                moments(&moved).map(Cell::from),
            );
            let what = match (name, scaled) {
                ("exact", false) => "sampling, exact score, fixed step",
                ("exact", true) => "sampling, exact score, scaled step",
                (_, false) => "sampling, learned score, fixed step",
                (_, true) => "sampling, learned score, scaled step",
            };
            let x = samples(
                &tutorial.levels,
                scaled,
                score,
                tutorial.options,
                what,
                tutorial.monitor,
            )?;
            let how = format!("{} samples", x.len());
            add([name, step, &how], statistics(&x).map(Cell::from));
            if name == "learned" {
                drawn.push((step, x, moved));
            }
        }
    }
    if !tutorial.options.quick {
        let longer = tutorial_chain(&tutorial.distribution, 10 * REPEATS, true)?;
        let how = "density on a grid, 500 steps per level";
        add(["exact", "scaled", how], moments(&longer).map(Cell::from));
    }
    histogram(folder, &tutorial.distribution, &drawn)?;
    folder.section("The weights of the modes");
    folder.paragraph(
        "The left mode has a tenth of the data's mass. The table shows its weight under the \
         samplers, computed in two ways: by propagating the density through all 800 steps on a \
         grid, without sampling error, and from samples.",
    );
    folder.table("weights", &table)?;
    folder.paragraph(
        "The tutorial's fixed step size gives the left mode nearly twice its weight, and does so \
         with the exact score too: the network is not the cause. A step size proportional to the \
         noise variance comes within 0.01. The rest is slow mixing: with ten times as many steps \
         per level it almost vanishes.",
    );
    descent(folder, tutorial)
}

/// The final states of the sampler.
fn samples(
    levels: &Levels,
    scaled: bool,
    score: &dyn Denoiser,
    options: &crate::StudyOptions,
    what: &'static str,
    monitor: &mut Monitor<'_>,
) -> Result<Vec<f64>> {
    monitor.go_on()?;
    let count = if options.quick { 2048 } else { SAMPLES };
    let source = NoiseSource::new(options.seed, Stream::Sampling);
    let seeds: Vec<u64> = (0..count).collect();
    let mut watch = |view: &StepView| {
        monitor.at(what, view.step as u64 + 1, view.steps as u64, "steps");
    };
    Ok(run_from(
        starts(&source, &seeds),
        score,
        &mut sampler(levels, REPEATS, scaled),
        &source,
        &seeds,
        &mut watch,
    )?
    .x)
}

/// P(x < 0), mean and variance.
fn moments(density: &GridDensity) -> [f64; 3] {
    [density.below(0.0), density.mean(), density.variance()]
}

/// P(x < 0), mean and variance, with standard errors.
fn statistics(x: &[f64]) -> [Estimate; 3] {
    let left: Vec<f64> = x.iter().map(|x| f64::from(u8::from(*x < 0.0))).collect();
    let middle = Estimate::mean(x);
    let squares: Vec<f64> = x.iter().map(|x| (x - middle.value).powi(2)).collect();
    [Estimate::mean(&left), middle, Estimate::mean(&squares)]
}

fn trajectories(
    folder: &mut PageFolder,
    tutorial: &Tutorial<'_, '_>,
    fitted: &Fitted,
) -> Result<()> {
    let source = NoiseSource::new(tutorial.options.seed, Stream::Sampling);
    let seeds: Vec<u64> = (0..256).collect();
    let mut kept = Trajectory::new((0..PATHS).collect());
    let mut sampler = sampler(&tutorial.levels, REPEATS, false);
    let start = starts(&source, &seeds);
    run_from(
        start,
        &fitted.network,
        &mut sampler,
        &source,
        &seeds,
        &mut kept,
    )?;
    let times = kept.noise().len();
    let mut chart = Chart::new("Trajectories of the tutorial's sampler, learned score")
        .x(Axis::linear("step, 50 at each level"))
        .y(Axis::linear("x"));
    for k in 0..PATHS {
        let value = |step: usize| kept.points()[step * PATHS + k];
        let color = if value(times - 1) < 0.0 { RED } else { BLUE };
        // Every fifth state: more would only clutter the picture.
        let line = (0..times).step_by(5).map(|step| (step as f64, value(step)));
        chart = chart.series(Series::line("", line).color(color));
    }
    folder.chart(
        "trajectories",
        &chart,
        &format!("{PATHS} of the 256 samples; orange ones end below 0."),
    )
}

type Drawn = (&'static str, Vec<f64>, GridDensity);

fn histogram(
    folder: &mut PageFolder,
    distribution: &GaussianMixture,
    drawn: &[Drawn],
) -> Result<()> {
    let mut chart = Chart::new("Samples on the learned score")
        .x(Axis::linear("x").range(-8.0, 8.0))
        .y(Axis::linear("density"));
    for (step, x, _) in drawn.iter().filter(|d| d.0 == "fixed") {
        let bars = density(x, (-8.0, 8.0), 80);
        let label = format!("samples, {step} step");
        chart = chart.series(Series::bars(label, bars).color(PALE));
    }
    for ((step, _, moved), color) in drawn.iter().zip([BLUE, GREEN]) {
        let label = format!("{step} step");
        chart = chart.series(Series::line(label, moved.points()).color(color));
    }
    chart = chart
        .series(Series::dashed("true density", curve(distribution, 0.0)?).color(INK))
        .series(Series::dashed("with noise 0.5", curve(distribution, SIGMA.1)?).color(RED));
    folder.chart(
        "histogram",
        &chart,
        "Bars: samples of the tutorial's sampler. Lines: the density of its samples, propagated on \
         a grid, with the fixed step size and with the scaled one.",
    )
}

/// The animation of the densities as the noise level descends, exact score.
fn descent(folder: &mut PageFolder, tutorial: &Tutorial<'_, '_>) -> Result<()> {
    let distribution = &tutorial.distribution;
    let samplers = [false, true].map(|scaled| sampler(&tutorial.levels, REPEATS, scaled));
    // One update per level.
    let updates = samplers
        .each_ref()
        .map(|s| s.updates().iter().step_by(REPEATS).collect::<Vec<_>>());
    let mut densities = [start()?, start()?];
    let every = if tutorial.options.quick {
        REPEATS
    } else {
        BETWEEN_FRAMES
    };
    let mut frames = Vec::new();
    for i in 0..updates[0].len() {
        for done in (0..REPEATS).step_by(every) {
            let sigma = updates[0][i].from.sigma;
            let title = format!(
                "level {} of 16, sigma = {sigma:.2}, step {done} of 50",
                i + 1
            );
            frames.push(frame(&title, distribution, sigma, &densities)?);
            let count = every.min(REPEATS - done);
            for (density, updates) in densities.iter_mut().zip(&updates) {
                advance(density, distribution, updates[i], count)?;
            }
        }
    }
    let end = "the end, sigma = 0.50";
    // The last frame is held for a while.
    for _ in 0..8 {
        frames.push(frame(end, distribution, SIGMA.1, &densities)?);
    }
    folder.section("Animation of the sampling");
    folder.animation(
        "descent",
        &animations::animation(frames)?,
        "The density of the samples under both step sizes, exact score, and the data distribution \
         at the current noise level.",
    )
}

fn frame(
    title: &str,
    distribution: &GaussianMixture,
    sigma: f64,
    [fixed, scaled]: &[GridDensity; 2],
) -> Result<tweedie::report::Picture> {
    Chart::new(title)
        .x(Axis::linear("x").range(-7.0, 7.0))
        .y(Axis::linear("density").range(0.0, 0.45))
        .series(Series::line("fixed step", fixed.points()).color(BLUE))
        .series(Series::line("scaled step", scaled.points()).color(GREEN))
        .series(
            Series::dashed(
                "data distribution at this noise",
                curve(distribution, sigma)?,
            )
            .color(RED),
        )
        .png(640, 400)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture;

    #[test]
    fn property_19_the_tutorials_sampler_and_the_right_step_on_the_exact_score() {
        let target = mixture("tutorial").unwrap();
        // Verified by an independent program on another grid.
        for (scaled, expected) in [
            (false, [0.187_79, 1.862_63, 6.742_10]),
            (true, [0.111_94, 2.347_18, 4.777_26]),
        ] {
            let moved = tutorial_chain(&target, REPEATS, scaled).unwrap();
            assert!((moved.mass() - 1.0).abs() < 1e-9);
            for (found, expected) in moments(&moved).into_iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{scaled}: {found} {expected}"
                );
            }
        }
        let truth = recovery::true_density(&target, 0.5).unwrap();
        for (found, expected) in moments(&truth).into_iter().zip([0.102_92, 2.4, 4.49]) {
            assert!((found - expected).abs() < 2e-4, "{found} {expected}");
        }
    }

    #[test]
    fn samples_agree_with_the_density_on_the_grid() {
        let target = mixture("tutorial").unwrap();
        let levels = Levels::geometric(2.0, 0.5, 16).unwrap();
        let options = crate::StudyOptions {
            seed: 5,
            quick: true,
        };
        for scaled in [false, true] {
            let x = samples(
                &levels,
                scaled,
                &target,
                &options,
                "",
                &mut Monitor::silent(),
            )
            .unwrap();
            let moved = tutorial_chain(&target, REPEATS, scaled).unwrap();
            for (found, exact) in statistics(&x).into_iter().zip(moments(&moved)) {
                assert!(
                    (found.value - exact).abs() < 4.5 * found.standard_error,
                    "{scaled}: {found:?} {exact}"
                );
            }
        }
    }
}
