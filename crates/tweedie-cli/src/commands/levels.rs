//! `tweedie levels`: of data here, of a run in [`super::loss_curve`].

use std::path::Path;

use tweedie::data::Dataset;
use tweedie::run::{self, LevelsReport};
use tweedie::{Error, Result};

use super::{data_config, loss_curve};
use crate::args::Levels;
use crate::output;
use crate::progress::watched;

/// The smallest noise level and Technique 2's constant where none are given.
const SIGMA_MIN: f64 = 0.01;
const OVERLAP: f64 = 0.5;

pub fn run(args: &Levels) -> Result<()> {
    if Path::new(&args.source).join("config.toml").is_file() {
        return loss_curve::run(args);
    }
    if let Some(option) = args.run.given() {
        let reason = "is for runs, and this is not the folder of one; `tweedie train` makes one";
        return Err(Error::setting(&args.source, option, reason));
    }
    let data = data_config(&args.source, &args.set)?.open_data()?;
    note!("comparing {} items with each other", data.len());
    let (sigma_min, overlap) = (
        args.sigma_min.unwrap_or(SIGMA_MIN),
        args.overlap.unwrap_or(OVERLAP),
    );
    let report = watched(|monitor| run::levels(&data, sigma_min, overlap, monitor))?;
    output::result(&report, |report| tell(report, &data));
    Ok(())
}

fn tell(report: &LevelsReport, data: &Dataset) {
    say!(
        "{}: {} items of shape {}",
        data.name(),
        data.len(),
        data.shape()
    );
    for note in data.notes() {
        say!("  {note}");
    }
    say!("values: {}", values(data));
    if let Some(labels) = data.labels() {
        say!("{}", classes(labels));
    }
    let d = &report.distance;
    say!();
    say!("Technique 1, sigma_1: the largest distance between two items");
    match (d.exact, d.standard_error) {
        (true, _) => say!(
            "  {:.4} (exact, {} pairs examined)",
            d.sigma_1,
            d.pairs_examined
        ),
        (false, error) => say!(
            "  {:.4} or a little more, at most {:.4} ({} pairs examined{})",
            d.sigma_1,
            d.upper_bound,
            d.pairs_examined,
            error
                .map(|e| format!("; maxima of subsets vary by {e:.3}"))
                .unwrap_or_default()
        ),
    }
    say!("  median distance {:.4}", d.median);
    say!(
        "Technique 2, L: levels whose neighbours overlap with probability {}",
        report.overlap
    );
    match &report.count {
        Some(count) => say!(
            "  {} levels, a factor of {:.5} apart",
            count.levels,
            count.ratio
        ),
        None => say!("  does not apply below 5 dimensions"),
    }
    say!("Technique 4, eps: the step size of annealed Langevin sampling");
    for step in &report.steps {
        let (n_sigma, choice) = (step.n_sigma, step.choice);
        say!(
            "  n_sigma = {n_sigma}: eps = {:.3e} (eta = {:.5}; noise variance {:.3} of scheduled)",
            choice.eps,
            choice.eta,
            choice.ratio
        );
    }
    say!();
    say!("[noise]");
    say!("distribution = \"geometric\"");
    say!("sigma_max = {}", number(report.sigma_1));
    say!("sigma_min = {}", number(report.sigma_l));
    if let Some(count) = &report.count {
        say!("levels = {}", count.levels);
    }
}

fn values(data: &Dataset) -> String {
    let (mean, std) = data.mean_std();
    let range = match (data.map().raw_range(), data.map().model_range()) {
        (Some([a, b]), Some([low, high])) => format!("{a} to {b} mapped to {low} to {high}, "),
        _ => String::new(),
    };
    format!("{range}mean {mean:.4}, standard deviation {std:.4}")
}

/// How many classes there are, and how many items the smallest and the largest have.
fn classes(labels: &tweedie::data::Labels) -> String {
    let counts = labels.counts();
    let named = |place: usize| {
        let name = labels.classes()[place].escape_debug();
        format!("'{name}' ({} items)", counts[place])
    };
    // The first of those that are equal.
    let smallest = (0..counts.len()).min_by_key(|&place| counts[place]);
    let largest = (0..counts.len()).rev().max_by_key(|&place| counts[place]);
    let (smallest, largest) = (smallest.map(named), largest.map(named));
    format!(
        "classes: {}, the smallest {}, the largest {}",
        counts.len(),
        smallest.unwrap_or_default(),
        largest.unwrap_or_default()
    )
}

/// A float as TOML, without the noise of rounding.
fn number(value: f64) -> String {
    let text = format!("{value:.12}");
    let text = text.trim_end_matches('0');
    if text.ends_with('.') {
        format!("{text}0")
    } else {
        text.to_owned()
    }
}
