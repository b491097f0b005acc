//! The loss curve of a run and the noise levels that follow from it, in numbers and as a picture.

use std::path::PathBuf;

use serde::Serialize;

use super::KeptCurve;
use crate::error::Result;
use crate::files::write_atomic;
use crate::job;
use crate::noise::{Levels, LossCurve, LossSchedule, Schedule};
use crate::report::{Axis, Chart, Picture, Series, Style};
use crate::run::{RunDir, SampleConfig};

/// Beside `loss-curve.json`.
const PICTURE: &str = "loss-curve.png";

/// The noise levels of one schedule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelsBySchedule {
    /// The schedule.
    pub schedule: &'static str,
    /// The levels, from the largest down; none where the curve says nothing about them.
    pub sigmas: Option<Levels>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The result of [`show_levels`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunLevels {
    /// The curve.
    pub curve: LossCurve,
    /// The SHA-256 of its file.
    pub digest: String,
    /// How many levels each schedule has here.
    pub steps: usize,
    /// The levels by each schedule.
    pub schedules: Vec<LevelsBySchedule>,
    /// The curve's file.
    #[serde(serialize_with = "job::text::path")]
    pub file: PathBuf,
    /// Its picture.
    #[serde(serialize_with = "job::text::path")]
    pub picture: PathBuf,
}

/// The loss curve that `run` keeps, and the `steps` >= 2 noise levels that follow from it beside
/// geometric and Karras ones, with rho and p as in `sample`. The picture is written beside the
/// curve.
///
/// # Errors
/// When the number of steps is impossible, or the disk refuses.
pub fn show_levels(
    run: &RunDir,
    kept: KeptCurve,
    steps: usize,
    sample: &SampleConfig,
) -> Result<RunLevels> {
    let (max, min) = run.config()?.sigma_range()?;
    let mut schedules = Vec::new();
    for schedule in [Schedule::Geometric, Schedule::Karras] {
        schedules.push(LevelsBySchedule {
            schedule: schedule.name(),
            sigmas: Some(schedule.levels(max, min, steps, sample.rho)?),
            refused: None,
        });
    }
    for &schedule in LossSchedule::ALL {
        let levels = schedule.levels(&kept.curve, max, min, steps, sample.p);
        schedules.push(LevelsBySchedule {
            schedule: schedule.name(),
            refused: levels.as_ref().err().map(ToString::to_string),
            sigmas: levels.ok(),
        });
    }
    let picture = run.path().join(PICTURE);
    write_atomic(
        &picture,
        &draw(&kept.curve, steps, &schedules)?.png_bytes()?,
    )?;
    Ok(RunLevels {
        curve: kept.curve,
        digest: kept.digest,
        steps,
        schedules,
        file: run.loss_curve_path(),
        picture,
    })
}

/// The curve with its error bars, and below it a row of dots for each schedule.
fn draw(curve: &LossCurve, steps: usize, schedules: &[LevelsBySchedule]) -> Result<Picture> {
    let points = curve.points();
    let (top, bottom) = curve.range();
    // Between the levels too.
    let fine = Levels::geometric(top, bottom, 400)?;
    let smooth = fine
        .as_slice()
        .iter()
        .map(|&sigma| (sigma, curve.loss(sigma)));
    let losses = || {
        points
            .iter()
            .map(|point| point.loss)
            .filter(|&loss| loss > 0.0)
    };
    let largest = losses().fold(f64::MIN_POSITIVE, f64::max);
    // An exact denoiser's loss may fall by hundreds of orders of magnitude.
    let least = losses().fold(largest, f64::min).max(1e-9 * largest);
    let row = (largest / least).max(10.0).powf(0.09);
    let lowest = least / row.powi(schedules.len() as i32 + 2);
    let measured = curve.measured();
    let of = match (&measured.data, measured.count, measured.step) {
        (Some(data), Some(count), Some(step)) => {
            format!("{count} items of {data}, step {step}; ")
        }
        _ => String::new(),
    };
    let mut chart = Chart::new(format!("Denoising loss, and {steps} noise levels"))
        .x(Axis::log("noise level σ"))
        .y(Axis::log("E ‖x₀ − H‖²").range(lowest, largest * row))
        .series(Series::line("loss, fitted", smooth))
        .series(
            Series::points(
                "loss, measured",
                points.iter().map(|point| (point.sigma, point.loss)),
            )
            .color(INK),
        );
    for point in points {
        let half = 1.96 * point.standard_error.unwrap_or(0.0);
        let ends = [point.loss - half, point.loss + half].map(|y| (point.sigma, y.max(lowest)));
        chart = chart.series(Series::line("", ends).color(INK));
    }
    let mut y = least / row;
    for LevelsBySchedule {
        schedule, sigmas, ..
    } in schedules
    {
        y /= row;
        let sigmas = sigmas.iter().flat_map(|levels| levels.as_slice());
        let dots = sigmas.map(|&sigma| (sigma, y));
        chart = chart.series(Series::new(*schedule, dots, Style::Points));
    }
    chart
        .note(format!(
            "{of}bars, where longer than the dots: 95 % intervals"
        ))
        .png(960, 640)
}

/// The color of what was measured.
const INK: [u8; 3] = [85, 85, 85];
