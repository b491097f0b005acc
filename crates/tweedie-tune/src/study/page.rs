//! The page of a run's figures.

use std::path::Path;

use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::Estimate;
use tweedie::report::{Axis, Cell, Chart, PageFolder, SavedPage, Series, Table};
use tweedie::run::Model;
use tweedie::sample::SamplerKind;

use super::{LastStepFigure, StepSizeFigure, TuningStudy, UntunedFigure};
use crate::page::{line, samples};
use crate::{Profile, RunSubject};

/// Where eps_c - 1 = 0 and infinity stand on a logarithmic axis, as factors of the smallest and the
/// largest that are drawn.
const BEYOND: f64 = 2.5;
/// Grey of what is not feasible.
const GREY: [u8; 3] = [165, 165, 165];

pub(super) fn write(
    out: &Path,
    found: &TuningStudy,
    model: &Model,
    subject: &RunSubject<'_>,
    monitor: &mut Monitor<'_>,
) -> Result<SavedPage> {
    let mut page = PageFolder::create(out, "tweedie: what quality depends on")?;
    page.lead(&format!(
        "The network of step {}, in {} against {} items of {}. Distances are squared Frechet distances \
         without their 1/n bias; intervals are of 95 %; all settings have the same seeds.",
        found.step, found.features, found.items, found.reference
    ));
    step_size(&mut page, &found.step_size)?;
    last_step(&mut page, &found.last_step)?;
    page.section("Grids of noise levels at equal everything");
    page.paragraph(
        "The same sampler, range of noise and number of calls, on different grids. Differences are from \
         the loss-curve grid: above 0 that one is better.",
    );
    page.table("grids", &grids(found))?;
    if let Some(untuned) = &found.untuned {
        many_and_few(&mut page, untuned, model, subject, monitor)?;
    }
    page.list_files();
    page.save()
}

fn cell(estimate: Option<Estimate>) -> Cell {
    estimate.map_or("none".into(), Into::into)
}

/// The points of a profile that have a distance, at `place` of their eps_c.
fn points(profile: &Profile, place: impl Fn(f64) -> f64) -> Vec<(f64, Estimate)> {
    let points = profile.points.iter();
    points
        .filter_map(|point| Some((place(point.at), point.distance?.corrected)))
        .collect()
}

/// The axis of eps_c - 1, with 0 and infinity at its ends.
struct Beyond {
    low: f64,
    high: f64,
}

impl Beyond {
    fn new(profiles: &[Profile]) -> Self {
        let all = profiles.iter().flat_map(|profile| &profile.points);
        let finite = all.map(|point| point.at - 1.0);
        let (low, high) = finite
            .filter(|excess| *excess > 0.0 && excess.is_finite())
            .fold((f64::INFINITY, 0.0f64), |(low, high), excess| {
                (low.min(excess), high.max(excess))
            });
        match low < high {
            true => Self { low, high },
            false => Self {
                low: 0.1,
                high: 10.0,
            },
        }
    }

    fn place(&self, eps_c: f64) -> f64 {
        match eps_c - 1.0 {
            excess if excess <= 0.0 => self.low / BEYOND,
            excess if excess.is_infinite() => self.high * BEYOND,
            excess => excess,
        }
    }

    fn axis(&self) -> Axis {
        let round = [
            0.01, 0.03, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0,
        ];
        let inside = round
            .into_iter()
            .filter(|excess| (self.low..=self.high).contains(excess))
            .map(|excess| (excess, excess.to_string()));
        let ends = [
            (self.low / BEYOND, "0".to_owned()),
            (self.high * BEYOND, "inf".to_owned()),
        ];
        let [zero, infinity] = ends;
        let ticks = std::iter::once(zero).chain(inside).chain([infinity]);
        Axis::log("eps_c - 1").ticks(ticks)
    }
}

fn step_size(page: &mut PageFolder, figure: &StepSizeFigure) -> Result<()> {
    page.section("Quality against the step size");
    page.paragraph(&format!(
        "Consistent annealed sampling on geometric levels, {} samples of each setting. One set of \
         measurements in both units: eta = eps_b/sigma_L^2 = 1 - gamma^eps_c. An eps_b that leaves \
         more noise than the next level has is not feasible: from the left up to the grey edge of \
         each number of calls.",
        figure.samples
    ));
    let mut by_eps_b = Chart::new("Against eps_b")
        .x(Axis::log("eps_b"))
        .y(Axis::linear("squared Frechet distance"));
    let all = figure.profiles.iter().flat_map(|profile| &profile.points);
    let (low, high) = all
        .filter_map(|point| Some(point.distance?.corrected.value))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    let first = figure.moved.iter().map(|moved| moved.least_eps_b);
    let first = first.fold(f64::INFINITY, f64::min) / 2.0;
    for moved in &figure.moved {
        // Light greys lie over each other: darker where more numbers of calls are not feasible.
        let edge = moved.least_eps_b;
        let shade = [(first, low.min(0.0), high), (edge, low.min(0.0), high)];
        by_eps_b = by_eps_b.series(Series::line("", []).color(GREY).band(shade));
    }
    let beyond = Beyond::new(&figure.profiles);
    let mut by_eps_c = Chart::new("Against eps_c")
        .x(beyond.axis())
        .y(Axis::linear("squared Frechet distance"));
    for (profile, moved) in figure.profiles.iter().zip(&figure.moved) {
        let label = format!("{} calls", profile.calls);
        let gamma_log = (1.0 - moved.least_eps_b / figure.unit).ln();
        let eps_b = |eps_c: f64| -(eps_c * gamma_log).exp_m1() * figure.unit;
        by_eps_b = by_eps_b.series(line(&label, &points(profile, eps_b)));
        let place = |eps_c| beyond.place(eps_c);
        by_eps_c = by_eps_c.series(line(&label, &points(profile, place)));
    }
    page.chart(
        "step-size-eps-b",
        &by_eps_b,
        "Where sampling breaks moves with the number of calls.",
    )?;
    page.chart(
        "step-size-eps-c",
        &by_eps_c,
        "1 is DDIM, 2 ancestral sampling, infinity fresh noise.",
    )?;
    let mut table = Table::new([
        "calls",
        "best eps_c",
        "optimum within",
        "best eps_b",
        "optimum within (eps_b)",
        "least feasible eps_b",
        "distance at the best",
    ]);
    let between = |ends: Option<[f64; 2]>| match ends {
        Some([low, high]) => format!("{} to {}", short(low), short(high)),
        None => "none".into(),
    };
    for (moved, profile) in figure.moved.iter().zip(&figure.profiles) {
        let best = profile.best.and_then(|best| profile.points[best].distance);
        table.row([
            moved.calls.into(),
            moved
                .eps_c
                .map_or("none".into(), |eps_c| short(eps_c).into()),
            between(moved.eps_c_within).into(),
            moved
                .eps_b
                .map_or("none".into(), |eps_b| short(eps_b).into()),
            between(moved.eps_b_within).into(),
            short(moved.least_eps_b).into(),
            cell(best.map(|best| best.corrected)),
        ]);
    }
    page.table("step-size", &table)?;
    transfer(page, figure)?;
    let mut all = Table::new(["calls", "eps_c", "distance", "less the best"]);
    for profile in &figure.profiles {
        for point in &profile.points {
            all.row([
                profile.calls.into(),
                point.at.into(),
                cell(point.distance.map(|distance| distance.corrected)),
                cell(point.behind),
            ]);
        }
    }
    page.data("step-size-all", &all)
}

fn short(value: f64) -> String {
    match value {
        value if value.is_infinite() => "inf".into(),
        value if value < 0.01 => format!("{value:.2e}"),
        value => format!("{value:.3}"),
    }
}

fn transfer(page: &mut PageFolder, figure: &StepSizeFigure) -> Result<()> {
    page.section("What a tuned step size is worth elsewhere");
    page.paragraph(&format!(
        "The best step size at {} calls, used at every other number of calls: its distance less that of \
         the best measured there, at equal seeds. Both bests are chosen among the settings measured, on \
         the same samples.",
        figure.tuned_at
    ));
    let of = |pick: fn(&super::Transfer) -> Option<Estimate>| {
        let transfer = figure.transfer.iter();
        transfer
            .filter_map(|row| Some((row.calls as f64, pick(row)?)))
            .collect::<Vec<_>>()
    };
    let chart = Chart::new("Regret of a step size tuned elsewhere")
        .x(Axis::log("network calls"))
        .y(Axis::linear("distance less the best"))
        .series(line("the same eps_c", &of(|row| row.eps_c)))
        .series(line("the same eps_b", &of(|row| row.eps_b)));
    page.chart(
        "transfer",
        &chart,
        "Below its feasible range an eps_b has no value.",
    )?;
    let mut table = Table::new(["calls", "the same eps_c", "the same eps_b"]);
    for row in &figure.transfer {
        let eps_b = row.eps_b.map_or("not feasible".into(), Cell::from);
        table.row([row.calls.into(), cell(row.eps_c), eps_b]);
    }
    page.table("transfer", &table)
}

fn last_step(page: &mut PageFolder, figure: &LastStepFigure) -> Result<()> {
    page.section("Annealed Langevin and consistent sampling, denoised and not");
    page.paragraph(&format!(
        "{} calls on geometric levels, {} samples of each setting.",
        figure.calls, figure.samples
    ));
    let mut chart = Chart::new("Quality against the step size")
        .x(Axis::log("eta"))
        .y(Axis::log("squared Frechet distance"));
    for (sampler, denoised) in [
        (SamplerKind::Als, false),
        (SamplerKind::Als, true),
        (SamplerKind::Cas, false),
        (SamplerKind::Cas, true),
    ] {
        let chosen = figure
            .points
            .iter()
            .filter(|point| (point.sampler, point.denoised) == (sampler, denoised));
        let points: Vec<(f64, Estimate)> = chosen
            .filter_map(|point| Some((point.eta, point.distance?.corrected)))
            .collect();
        let label = match denoised {
            true => format!("{}, denoised", sampler.label()),
            false => sampler.label().to_owned(),
        };
        chart = chart.series(line(&label, &points));
    }
    page.chart(
        "last-step",
        &chart,
        "Without denoising the noise of the last level stays.",
    )?;
    let mut table = Table::new(["sampler", "denoised", "eta", "distance"]);
    for point in &figure.points {
        table.row([
            point.sampler.label().into(),
            if point.denoised { "yes" } else { "no" }.into(),
            point.eta.into(),
            cell(point.distance.map(|distance| distance.corrected)),
        ]);
    }
    page.table("last-step", &table)
}

fn grids(found: &TuningStudy) -> Table {
    let mut table = Table::new([
        "calls",
        "sampler",
        "grid",
        "distance",
        "less the loss curve's",
    ]);
    for row in &found.grids.rows {
        table.row([
            row.calls.into(),
            row.sampler.clone().into(),
            row.grid.to_string().into(),
            cell(row.distance.map(|distance| distance.corrected)),
            cell(row.behind),
        ]);
    }
    table
}

/// The table of many untuned steps beside few tuned ones, and their samples.
fn many_and_few(
    page: &mut PageFolder,
    figure: &UntunedFigure,
    model: &Model,
    subject: &RunSubject<'_>,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    page.section("Many untuned steps, few tuned ones");
    page.paragraph(&format!(
        "The run's own sampler with many steps, then the recipes that `tweedie tune` wrote: {} samples \
         of each at equal seeds. Above 0, a difference says that many untuned steps are better.",
        figure.samples
    ));
    let mut table = Table::new([
        "calls",
        "setting",
        "distance",
        "less the untuned",
        "milliseconds a sample",
    ]);
    for (i, row) in figure.rows.iter().enumerate() {
        table.row([
            row.calls.into(),
            match i {
                0 => format!("untuned: {}", row.candidate).into(),
                _ => row.candidate.to_string().into(),
            },
            cell(row.distance.map(|distance| distance.corrected)),
            cell(row.behind),
            (1e3 * row.seconds).into(),
        ]);
    }
    page.table("untuned", &table)?;
    let rows = figure.rows.iter().enumerate().map(|(i, row)| {
        let name = if i == 0 { "untuned" } else { "tuned" };
        (format!("{name} {}", row.calls), &row.candidate)
    });
    match samples(&rows.collect::<Vec<_>>(), model, subject, monitor)? {
        Some(picture) => page.pixels("samples", &picture, "Seeds 0 to 11, by each setting."),
        None => Ok(()),
    }
}
