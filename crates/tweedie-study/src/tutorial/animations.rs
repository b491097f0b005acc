//! The animations.

use super::fitting::Fitted;
use super::{BLUE, INK, RED, Tutorial, curve, recovery};
use crate::PageFolder;
use tweedie::Result;
use tweedie::report::{Animation, Axis, Chart, Picture, Series};
use tweedie::score::Denoiser;

/// Size of one chart of a frame, in pixels, and how long a frame is shown, in milliseconds.
const SIZE: (usize, usize) = (470, 420);
const DELAY: u16 = 150;

/// An animation of charts of one size.
pub fn animation(frames: Vec<Picture>) -> Result<Animation> {
    Animation::new(frames, DELAY)
}

/// The learned score and the density it implies, in the course of training.
pub fn training(
    folder: &mut PageFolder,
    tutorial: &Tutorial<'_, '_>,
    fitted: &Fitted,
) -> Result<()> {
    let sigma = super::SIGMA.1;
    let grid: Vec<f64> = (0..=280).map(|i| -7.0 + 0.05 * f64::from(i)).collect();
    let score = |denoiser: &dyn Denoiser| {
        let mut score = vec![0.0; grid.len()];
        denoiser.score_at(&grid, sigma, &mut score)?;
        Ok::<_, tweedie::Error>(grid.iter().copied().zip(score).collect::<Vec<_>>())
    };
    let true_score = score(&tutorial.distribution)?;
    let true_density = curve(&tutorial.distribution, sigma)?;
    let mut frames = Vec::new();
    for (epoch, network) in &fitted.snapshots {
        let left = Chart::new(format!("epoch {epoch}"))
            .x(Axis::linear("x").range(-7.0, 7.0))
            .y(Axis::linear("score").range(-4.5, 4.5))
            .series(Series::dashed("true", true_score.clone()).color(INK))
            .series(Series::line("learned", score(network)?).color(BLUE));
        let right = Chart::new("sigma = 0.5")
            .x(Axis::linear("x").range(-7.0, 7.0))
            .y(Axis::linear("density").range(0.0, 0.45))
            .series(Series::dashed("true, noise 0.5", true_density.clone()).color(INK))
            .series(Series::line("recovered", recovery::of(network)?.points()).color(RED));
        let charts = [left.png(SIZE.0, SIZE.1)?, right.png(SIZE.0, SIZE.1)?];
        frames.push(Picture::side_by_side(&charts, 4)?);
    }
    folder.section("Animation of the training");
    folder.animation(
        "training",
        &animation(frames)?,
        "The learned score at sigma = 0.5 and the density recovered from it, over the epochs.",
    )
}
