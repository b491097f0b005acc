//! What came of optimising each step.

use tweedie::Result;
use tweedie::report::{Axis, Chart, PageFolder, Series, Table};

use crate::job::Found;
use crate::per_step::Steps;
use crate::{Candidate, Refined};

/// Those that were optimised, with their number of calls.
fn refined(all: &[Found]) -> impl Iterator<Item = (usize, &Refined)> {
    all.iter()
        .filter_map(|found| Some((found.tuned.calls, found.per_step.as_ref()?)))
}

/// The section; nothing where no steps were optimised.
pub(super) fn write(page: &mut PageFolder, all: &[Found]) -> Result<()> {
    if refined(all).next().is_none() {
        return Ok(());
    }
    page.section("Each step by itself");
    page.paragraph(
        "From the best setting, the noise level, the amount of noise eps_c and the multistep weight c \
         of each step were optimised by CMA-ES, on fresh seeds in every generation. The gain is the \
         distance of the search's best less that of what was found, at equal and fresh seeds, to the \
         part of the data that no search saw. What is not nearer beyond doubt is not kept, and the \
         recipe is the search's best.",
    );
    page.table("per-step", &gains(all))?;
    page.chart(
        "per-step-levels",
        &chart(all, "Noise levels", Axis::log("sigma"), |steps| {
            steps.levels.clone()
        }),
        "The levels of the setting that it began with, and those found.",
    )?;
    page.chart(
        "per-step-eps-c",
        &chart(all, "Amount of noise", Axis::linear("eps_c"), |steps| {
            // That of the last level has no effect.
            let used = steps.eps_c.len() - 1;
            steps.eps_c[..used].to_vec()
        }),
        "1 adds no noise, 2 is ancestral sampling.",
    )?;
    page.chart(
        "per-step-c",
        &chart(all, "Multistep weight", Axis::linear("c"), |steps| {
            let mut used = steps.c.clone();
            used[0] = 0.0;
            used.pop();
            used
        }),
        "0 is first order; the first step has none before it.",
    )?;
    page.data("per-step-numbers", &numbers(all))
}

fn gains(all: &[Found]) -> Table {
    let mut table = Table::new([
        "calls",
        "began with",
        "search's best",
        "each step",
        "gain",
        "interval",
        "samples",
        "generations",
        "outcome",
    ]);
    for (calls, refined) in refined(all) {
        let [low, high] = refined.gain.interval();
        table.row([
            calls.into(),
            refined.start.to_string().into(),
            refined.before.corrected.into(),
            refined.after.corrected.into(),
            refined.gain.into(),
            format!("{low:.4} to {high:.4}").into(),
            refined.after.samples.into(),
            (refined.generations as usize).into(),
            match refined.kept {
                true => "kept".into(),
                false => "not kept".into(),
            },
        ]);
    }
    table
}

/// A line for what each began with and one for what was found, by the number of the step.
fn chart(all: &[Found], title: &str, y: Axis, of: impl Fn(&Steps) -> Vec<f64>) -> Chart {
    let mut chart = Chart::new(title).x(Axis::linear("step")).y(y);
    for (calls, refined) in refined(all) {
        let lines = [("before", &refined.start), ("found", &refined.found)];
        for (name, candidate) in lines {
            let Some(steps) = Steps::of(candidate) else {
                continue;
            };
            let values = of(&steps).into_iter().enumerate();
            let points = values.map(|(i, value)| ((i + 1) as f64, value));
            // Endless noise has no place on an axis.
            let points = points.filter(|(_, value)| value.is_finite());
            chart = chart.series(Series::line_points(
                format!("{calls} calls, {name}"),
                points,
            ));
        }
    }
    chart
}

fn numbers(all: &[Found]) -> Table {
    let mut table = Table::new([
        "calls",
        "step",
        "sigma before",
        "eps_c before",
        "c before",
        "sigma",
        "eps_c",
        "c",
    ]);
    for (calls, refined) in refined(all) {
        let of = |candidate: &Candidate| Steps::of(candidate);
        let (Some(before), Some(found)) = (of(&refined.start), of(&refined.found)) else {
            continue;
        };
        for i in 0..found.levels.len() {
            table.row([
                calls.into(),
                (i + 1).into(),
                before.levels[i].into(),
                before.eps_c[i].into(),
                before.c[i].into(),
                found.levels[i].into(),
                found.eps_c[i].into(),
                found.c[i].into(),
            ]);
        }
    }
    table
}
