//! The page of a tuning.

mod per_step;

use std::path::Path;

use tweedie::Result;
use tweedie::data::Shape;
use tweedie::job::Monitor;
use tweedie::measure::Estimate;
use tweedie::report::{Axis, Chart, Grid, PageFolder, Picture, SavedPage, Series, Table};
use tweedie::run::Model;

use crate::job::{Found, Tuning};
use crate::{Candidate, Outcome, RunSubject, Stop};

/// Samples in the picture at equal seeds.
const SHOWN: u64 = 12;
/// Usual settings in the chart of quality.
const CURVES: usize = 4;

pub(crate) fn write(
    folder: &Path,
    tuning: &Tuning,
    model: &Model,
    subject: &RunSubject<'_>,
    monitor: &mut Monitor<'_>,
) -> Result<SavedPage> {
    let mut page = PageFolder::create(folder, "tweedie: tuning")?;
    page.lead(&format!(
        "The sampler of step {}, tuned in {} by {} items of {} and measured by {} others, on fresh \
         seeds.",
        tuning.step, tuning.features, tuning.searched, tuning.reference, tuning.reported
    ));
    page.section("What was found");
    page.paragraph(
        "The squared Frechet distance without its 1/n bias, with its interval of 95 %. A winner is \
         better than every other setting measured, beyond doubt; of a tie it is one that cannot be \
         told from others at this number of samples. No claim is made of a global optimum.",
    );
    page.table("found", &found(&tuning.found))?;
    page.section("Quality against network calls");
    page.paragraph("The best setting at each number of calls, beside settings that people use.");
    page.chart(
        "quality",
        &quality(&tuning.found),
        "Bands are intervals of 95 %.",
    )?;
    page.section("The noise levels found");
    page.chart(
        "levels",
        &levels(&tuning.found),
        "Each level, from the first step to the last.",
    )?;
    per_step::write(&mut page, &tuning.found)?;
    page.section("Beside the usual settings");
    page.paragraph(
        "Differences at equal seeds, the usual setting's distance less that of the search's best: \
         above 0 the best is better.",
    );
    page.table("usual", &usual(&tuning.found))?;
    page.section("Guards");
    page.paragraph(
        "Other measures of the best setting less those of the nearest usual one. What is worse beyond \
         doubt is named: a network that is wrong in a compensating way can be best by one measure \
         only.",
    );
    page.table("guards", &guards(&tuning.found))?;
    pictures(&mut page, tuning, model, subject, monitor)?;
    page.section("Every setting that was left");
    page.data("left", &left(&tuning.found))?;
    page.list_files();
    page.save()
}

fn found(all: &[Found]) -> Table {
    let mut table = Table::new([
        "calls",
        "best setting",
        "distance",
        "interval",
        "outcome",
        "settings measured",
        "samples",
        "ended by",
    ]);
    for found in all {
        let Found { tuned, .. } = found;
        let (best, distance) = found.best();
        let distance = distance.corrected;
        let [low, high] = distance.interval();
        table.row([
            tuned.calls.into(),
            best.to_string().into(),
            distance.into(),
            format!("{low:.4} to {high:.4}").into(),
            match tuned.outcome {
                Outcome::Winner => "winner".into(),
                Outcome::Tie => format!("tie of {}", tuned.ties.len() + 1).into(),
            },
            tuned.settings.into(),
            tuned.distance.samples.into(),
            match tuned.stop {
                Stop::Resolved => "no rival within epsilon".into(),
                Stop::Samples => "the most samples".into(),
                Stop::Budget => "the budget".into(),
            },
        ]);
    }
    table
}

/// A line of measured values with their intervals.
pub(crate) fn line(label: &str, points: &[(f64, Estimate)]) -> Series {
    let band = points.iter().map(|(at, found)| {
        let [low, high] = found.interval();
        (*at, low, high)
    });
    let values = points.iter().map(|(at, found)| (*at, found.value));
    Series::line_points(label, values).band(band)
}

fn quality(all: &[Found]) -> Chart {
    let best: Vec<(f64, Estimate)> = all
        .iter()
        .map(|found| (found.tuned.calls as f64, found.best().1.corrected))
        .collect();
    let mut chart = Chart::new("Distance from the data")
        .x(Axis::log("network calls"))
        // Not logarithmic: without its bias a distance near 0 may be negative.
        .y(Axis::linear("squared Frechet distance"))
        .series(line("tuned", &best));
    for name in names(all).into_iter().take(CURVES) {
        let points: Vec<(f64, Estimate)> = all
            .iter()
            .filter_map(|found| {
                let mut usual = found.tuned.baselines.iter();
                let known = usual.find(|usual| usual.candidate.to_string() == name)?;
                Some((found.tuned.calls as f64, known.distance.corrected))
            })
            .collect();
        chart = chart.series(line(&name, &points));
    }
    chart
}

/// The usual settings by name, those that are measured at most numbers of calls first.
fn names(all: &[Found]) -> Vec<String> {
    let mut names: Vec<(String, usize)> = Vec::new();
    for usual in all.iter().flat_map(|found| &found.tuned.baselines) {
        let name = usual.candidate.to_string();
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => names.push((name, 1)),
        }
    }
    names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    names.into_iter().map(|(name, _)| name).collect()
}

fn levels(all: &[Found]) -> Chart {
    let mut chart = Chart::new("Noise levels")
        .x(Axis::linear("share of the steps"))
        .y(Axis::log("sigma"));
    for found in all {
        let (best, _) = found.best();
        let levels = &best.levels;
        let last = (levels.len().max(2) - 1) as f64;
        let points = levels.as_slice().iter().enumerate();
        let points = points.map(|(i, sigma)| (i as f64 / last, *sigma));
        let label = format!("{} calls", found.tuned.calls);
        chart = chart.series(Series::line_points(label, points));
    }
    chart
}

fn usual(all: &[Found]) -> Table {
    let mut table = Table::new(["calls", "usual setting", "distance", "less the best's"]);
    for Found { tuned, .. } in all {
        for usual in &tuned.baselines {
            table.row([
                tuned.calls.into(),
                usual.candidate.to_string().into(),
                usual.distance.corrected.into(),
                usual.behind.into(),
            ]);
        }
    }
    table
}

fn guards(all: &[Found]) -> Table {
    let mut table = Table::new([
        "calls",
        "beside",
        "kernel distance",
        "precision",
        "recall",
        "worse beyond doubt",
    ]);
    for Found { tuned, guards, .. } in all {
        let cell = |estimate: Option<Estimate>| estimate.map_or("".into(), Into::into);
        table.row([
            tuned.calls.into(),
            guards.beside.clone().unwrap_or_default().into(),
            cell(guards.kernel),
            cell(guards.precision),
            cell(guards.recall),
            match guards.worse.is_empty() {
                true => "nothing".into(),
                false => guards.worse.join(", ").into(),
            },
        ]);
    }
    table
}

/// Samples of the best settings and of the nearest usual ones, at equal seeds.
fn pictures(
    page: &mut PageFolder,
    tuning: &Tuning,
    model: &Model,
    subject: &RunSubject<'_>,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    let mut rows = Vec::new();
    for found in &tuning.found {
        let calls = found.tuned.calls;
        rows.push((format!("tuned {calls}"), found.best().0));
        let usual = found.tuned.baselines.first();
        rows.extend(usual.map(|usual| (format!("usual {calls}"), &usual.candidate)));
    }
    let Some(picture) = samples(&rows, model, subject, monitor)? else {
        return Ok(());
    };
    page.section("Samples at equal seeds");
    page.pixels(
        "samples",
        &picture,
        "The best setting and the nearest usual one, seeds 0 to 11.",
    )
}

/// Samples 0 to 11 by each setting in a row of its own, with its label; none of vectors.
pub(crate) fn samples(
    rows: &[(String, &Candidate)],
    model: &Model,
    subject: &RunSubject<'_>,
    monitor: &mut Monitor<'_>,
) -> Result<Option<Picture>> {
    let Shape::Image {
        channels,
        height,
        width,
    } = model.data().shape
    else {
        return Ok(None);
    };
    let mut images = Vec::new();
    for (i, (_, candidate)) in rows.iter().enumerate() {
        let (done, total) = (i as u64, rows.len() as u64);
        monitor.step("samples for the page", done, total, "settings")?;
        let (drawn, _) = monitor.inside(|part| subject.sample(candidate, 0..SHOWN, part))?;
        images.extend(drawn.to_u8(model));
    }
    let grid = Grid::new([channels, height, width]).columns(SHOWN as usize);
    let labels = rows.iter().map(|(label, _)| label);
    grid.row_labels(labels).render(&images).map(Some)
}

fn left(all: &[Found]) -> Table {
    let mut table = Table::new(["calls", "setting", "samples", "distance", "why"]);
    for Found { tuned, .. } in all {
        for left in &tuned.dropped {
            table.row([
                tuned.calls.into(),
                left.candidate.to_string().into(),
                left.samples.into(),
                left.distance.map_or("".into(), Into::into),
                left.reason.clone().into(),
            ]);
        }
    }
    table
}
