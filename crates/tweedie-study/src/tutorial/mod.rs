//! The one-dimensional tutorial of multiple denoising score matching with annealed Langevin
//! dynamics: 0.1 N(-3, 1) + 0.9 N(3, 1), 1024 points, a network of 257 parameters.
//!
//! Everything the tutorial plots, and what it leaves open: how close the loss is to the minimum,
//! and how its sampler, whose step size does not scale with the noise, distorts the weights of the
//! two modes.

mod animations;
mod fitting;
mod loss;
mod recovery;
mod sampling;

use super::{PageFolder, Study, StudyOptions, mixture};
use tweedie::Result;
use tweedie::data::{self, DataSpec, Dataset};
use tweedie::job::Monitor;
use tweedie::noise::Levels;
use tweedie::report::{Axis, Chart, Series, density};
use tweedie::score::{Distribution, GaussianMixture};

pub use recovery::recovered_density;
pub use sampling::tutorial_chain;

pub(super) const STUDY: Study = Study {
    name: "tutorial",
    about: "the one-dimensional tutorial: score, density, losses, sampling and mode weights",
    title: "The one-dimensional tutorial",
    work,
};

/// The tutorial's noise levels.
const SIGMA: (f64, f64) = (2.0, 0.5);
const LEVELS: usize = 16;
/// Its data.
const POINTS: usize = 1024;

/// Colors of exact and of learned or sampled curves.
const INK: [u8; 3] = [31, 41, 55];
const BLUE: [u8; 3] = tweedie::report::PALETTE[0];
const RED: [u8; 3] = tweedie::report::PALETTE[1];
const GREEN: [u8; 3] = tweedie::report::PALETTE[2];
const PALE: [u8; 3] = [190, 205, 220];

/// Shared by all parts of the study.
struct Tutorial<'a, 'b> {
    distribution: GaussianMixture,
    levels: Levels,
    options: &'a StudyOptions,
    monitor: &'a mut Monitor<'b>,
}

fn work(folder: &mut PageFolder, options: &StudyOptions, monitor: &mut Monitor<'_>) -> Result<()> {
    let mut tutorial = Tutorial {
        distribution: mixture("tutorial")?,
        levels: Levels::geometric(SIGMA.0, SIGMA.1, LEVELS)?,
        options,
        monitor,
    };
    folder.lead(
        "\u{201c}Multiple denoising score matching with annealed Langevin dynamics\u{201d}: a \
         network of 257 parameters learns the score of 0.1 N(-3, 1) + 0.9 N(3, 1) from 1024 points \
         under 16 levels of noise from 2 down to 0.5, and Langevin dynamics samples it.",
    );
    let points = points(POINTS, options.seed)?;
    let all: Vec<usize> = (0..points.len()).collect();
    let values: Vec<f64> = points.gather(&all).into_iter().map(f64::from).collect();
    show_data(folder, &tutorial.distribution, &values)?;
    let fitted = fitting::section(folder, &mut tutorial)?;
    recovery::section(folder, &tutorial, &fitted)?;
    animations::training(folder, &tutorial, &fitted)?;
    sampling::section(folder, &mut tutorial, &fitted)
}

/// `count` points of the tutorial's distribution.
fn points(count: usize, seed: u64) -> Result<Dataset> {
    data::open(&DataSpec {
        count: Some(count),
        seed,
        ..DataSpec::new("tutorial")
    })
}

fn show_data(
    folder: &mut PageFolder,
    distribution: &GaussianMixture,
    values: &[f64],
) -> Result<()> {
    let left = values.iter().filter(|x| **x < 0.0).count();
    let chart = Chart::new("The data")
        .x(Axis::linear("x"))
        .y(Axis::linear("density"))
        .series(Series::bars("1024 points", density(values, (-7.0, 7.0), 56)).color(PALE))
        .series(Series::line("true density", curve(distribution, 0.0)?).color(INK))
        .series(Series::dashed("with noise 0.5", curve(distribution, SIGMA.1)?).color(RED));
    folder.section("Data");
    folder.chart(
        "data",
        &chart,
        &format!(
            "The points, {left} of them below 0 ({:.2} %), the distribution they are drawn from, \
             and that distribution under the smallest noise, which is what the network can learn.",
            100.0 * left as f64 / values.len() as f64
        ),
    )
}

/// The density of the noised distribution, as a line of a chart.
fn curve(target: &GaussianMixture, sigma: f64) -> Result<Vec<(f64, f64)>> {
    let grid: Vec<f64> = (0..=280).map(|i| -7.0 + 0.05 * f64::from(i)).collect();
    let mut logs = vec![0.0; grid.len()];
    target.log_density_at(&grid, sigma, &mut logs)?;
    Ok(grid
        .into_iter()
        .zip(logs)
        .map(|(x, log)| (x, log.exp()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_study_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let options = StudyOptions {
            seed: 1,
            quick: true,
        };
        STUDY
            .run(dir.path(), &options, &mut Monitor::silent())
            .unwrap();
        for name in [
            "data.png",
            "score.svg",
            "losses.png",
            "losses.csv",
            "recipes.csv",
            "density.png",
            "density.csv",
            "training.png",
            "descent.png",
            "trajectories.svg",
            "histogram.png",
            "weights.csv",
            "index.html",
        ] {
            assert!(dir.path().join(name).is_file(), "{name}");
        }
    }
}
