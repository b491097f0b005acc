//! The job `tune`: a run's sampler at several numbers of network calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tweedie::data::Dataset;
use tweedie::job::Monitor;
use tweedie::noise::LossCurve;
use tweedie::report::SavedPage;
use tweedie::run::{Model, RunDir};
use tweedie::{Error, Result, write_atomic};

use crate::guard::{Guards, guards};
use crate::recipe::recipe;
use crate::{
    Grid, Objective, Point, RunSubject, Search, Solver, Space, Subject, Tuned, page, search,
};

/// What to tune, and for how long.
#[derive(Clone, Debug)]
pub struct TuneJob {
    /// Numbers of network calls.
    pub calls: Vec<usize>,
    /// How long it may take in all, by a measurement at the beginning.
    pub time: Duration,
    /// The feature space in which samples are compared with data.
    pub space: tweedie::run::Space,
    /// The families of samplers; all where empty.
    pub solvers: Vec<Solver>,
    /// A share of the best distance that does not matter.
    pub epsilon: f64,
    /// The network's denoising loss by noise level; without it, grids by the loss are not searched.
    pub curve: Option<LossCurve>,
    /// Scrambles the search, numbers its samples, and divides the data.
    pub seed: u32,
}

/// What [`tune`] finds.
#[derive(Clone, Debug, Serialize)]
pub struct Tuning {
    /// Training step of the weights.
    pub step: u64,
    /// The SHA-256 of the weights.
    pub weights: Option<String>,
    /// The feature space.
    pub features: String,
    /// The data, and how many items the search saw and the report.
    pub reference: String,
    /// Items that the search saw.
    pub searched: usize,
    /// Items that the figures are of.
    pub reported: usize,
    /// What was found at each number of calls.
    pub found: Vec<Found>,
    /// Network evaluations, remembered ones included.
    pub evaluations: u64,
    /// Seconds this call took.
    pub seconds: f64,
    /// The page.
    #[serde(flatten)]
    pub page: Option<SavedPage>,
}

/// What was found at one number of calls.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The setting and its figures.
    #[serde(flatten)]
    pub tuned: Tuned,
    /// Whether other measures agree.
    pub guards: Guards,
    /// The recipe's file.
    pub recipe: PathBuf,
}

/// Samples of the measurement of speed.
const TIMED: u64 = 64;
/// Their network calls at most.
const TIMED_CALLS: usize = 8;
/// The share of the time that the search plans with: the rest is for features, distances, pictures.
const PLANNED: f64 = 0.85;

/// Tunes `model`, the network of `run`, against `data`. Writes `RUN/tune`: evaluations, by which a
/// tuning that was stopped resumes, a recipe for each number of calls, and a page.
///
/// # Errors
/// [`Error::Setting`] where the time is too short for a search, or the data are too few;
/// [`Error::Stopped`] where `monitor` says so; where a setting is not feasible or the system
/// refuses.
pub fn tune(
    run: &RunDir,
    model: &Model,
    data: &Dataset,
    job: &TuneJob,
    monitor: &mut Monitor<'_>,
) -> Result<Tuning> {
    let began = Instant::now();
    let calls = numbers(&job.calls)?;
    let objective = Objective::new(run, model, data, job, monitor)?;
    let (subject, space) = (objective.subject(), objective.space());
    let dim = subject.dim();
    let [searched, reported] = [objective.searched()?, objective.reported()?];
    let references = [
        objective.reference(searched)?,
        objective.reference(reported)?,
    ];

    let folder = run.tuning_path();
    let mut stand = objective.stand()?;
    let evaluations = budget(&folder, subject, &calls, job.time, monitor)?;
    let first = first_round(dim);
    let mut neighbours: Vec<Point> = Vec::new();
    let mut found = Vec::new();
    for (&calls, evaluations) in calls.iter().zip(shares(&calls, evaluations)) {
        let plan = Search {
            first,
            most: first * 16,
            epsilon: job.epsilon,
            seed: job.seed,
            neighbours: neighbours.clone(),
            ..Search::new(calls, evaluations)
        };
        let [by, on] = &references;
        let tuned = search(&mut stand, space, [by, on], &plan, monitor)?;
        neighbours.extend(tuned.point);
        let guards = guards(&mut stand, reported, &tuned, monitor)?;
        let path = run.recipe_path(calls);
        recipe(model, data, job, &tuned, &guards).write(&path)?;
        found.push(Found {
            tuned,
            guards,
            recipe: path,
        });
    }
    let mut tuning = Tuning {
        step: model.step(),
        weights: model.digest().map(str::to_owned),
        features: job.space.to_string(),
        reference: data.name().into(),
        searched: searched.len(),
        reported: reported.len(),
        found,
        evaluations: stand.spent(),
        seconds: began.elapsed().as_secs_f64(),
        page: None,
    };
    tuning.page = Some(page::write(
        &folder.join("page"),
        &tuning,
        model,
        subject,
        monitor,
    )?);
    tuning.seconds = began.elapsed().as_secs_f64();
    Ok(tuning)
}

/// The numbers of calls in increasing order, each once.
fn numbers(calls: &[usize]) -> Result<Vec<usize>> {
    if calls.is_empty() || calls.contains(&0) {
        let reason = "name numbers of network calls, 1 or more each";
        return Err(Error::setting("calls", format!("{calls:?}"), reason));
    }
    let mut calls = calls.to_vec();
    calls.sort_unstable();
    calls.dedup();
    Ok(calls)
}

/// Samples in the first round: a half has more than features, from 256 on.
fn first_round(dim: usize) -> usize {
    (2 * dim + 2).next_power_of_two().clamp(256, 4096)
}

/// The evaluations of each number of calls: a search at twice as many has half as many settings
/// more.
fn shares(calls: &[usize], evaluations: u64) -> Vec<u64> {
    let weight = |calls: usize| (calls as f64).powf(0.75);
    let total: f64 = calls.iter().map(|&calls| weight(calls)).sum();
    let share = |&calls: &usize| (evaluations as f64 * weight(calls) / total) as u64;
    calls.iter().map(share).collect()
}

/// What a tuning was begun with: resuming it must decide as it did, whatever the machine's speed.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Budget {
    subject: String,
    calls: Vec<usize>,
    seconds: u64,
    evaluations: u64,
}

/// The evaluations that `time` pays for: measured, or as written when the tuning began.
fn budget(
    folder: &Path,
    subject: &RunSubject<'_>,
    calls: &[usize],
    time: Duration,
    monitor: &mut Monitor<'_>,
) -> Result<u64> {
    let path = folder.join("budget.toml");
    let of = |evaluations| Budget {
        subject: subject.fingerprint(),
        calls: calls.to_vec(),
        seconds: time.as_secs(),
        evaluations,
    };
    match fs::read_to_string(&path) {
        Ok(text) => {
            let known: Result<Budget, _> = toml::from_str(&text);
            if let Ok(known) = known
                && known == of(known.evaluations)
            {
                return Ok(known.evaluations);
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("read", &path)(error)),
    }
    let usual = Space::new(subject.sigma_range());
    let Some(point) = usual.point(Solver::Cas, 2.0, Grid::Geometric) else {
        return Err(Error::setting("solver", "cas", "is not among the families"));
    };
    let few = calls
        .iter()
        .copied()
        .min()
        .unwrap_or(TIMED_CALLS)
        .min(TIMED_CALLS);
    let candidate = usual.candidate(&point, few)?;
    let mut speed = f64::INFINITY;
    // The first is slower: memory is fresh, weights are not packed.
    for seed in 0..2 {
        let began = Instant::now();
        let seeds = seed * TIMED..(seed + 1) * TIMED;
        let drawing = subject.draw(&candidate, seeds, monitor)?;
        let seconds = began.elapsed().as_secs_f64() / drawing.evaluations.max(1) as f64;
        speed = speed.min(seconds);
    }
    let found = of((time.as_secs_f64() * PLANNED / speed) as u64);
    // Numbers, words and lists always have a TOML form.
    let text = toml::to_string(&found).unwrap_or_default();
    write_atomic(&path, text.as_bytes())?;
    Ok(found.evaluations)
}
