//! The job `tune`: a run's sampler at several numbers of network calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tweedie::data::Dataset;
use tweedie::job::Monitor;
use tweedie::measure::Frechet;
use tweedie::noise::LossCurve;
use tweedie::report::SavedPage;
use tweedie::run::{Model, Recipe, RunDir};
use tweedie::{Error, Result, write_atomic};

use crate::guard::{Guards, guards};
use crate::recipe::recipe;
use crate::{
    Candidate, Grid, MOST_LEVELS, NetworkNoise, Objective, PerStep, Point, Refined, RunSubject,
    Search, Solver, Space, Subject, Tuned, diffusers, fewest_evaluations, page, per_step, search,
    sigmas_line,
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
    /// The share of the time of a number of calls that goes to its steps one by one, where it has at
    /// most [`MOST_LEVELS`]; less where the search itself could not begin with all its points.
    pub per_step: f64,
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
    /// What came of optimising each of its steps; none where that was not done.
    pub per_step: Option<Refined>,
    /// Whether other measures agree.
    pub guards: Guards,
    /// The recipe's file.
    pub recipe: PathBuf,
}

impl Found {
    /// The setting to use, with its distance on fresh seeds: each step's optimum where that is kept,
    /// otherwise the best of the search.
    pub fn best(&self) -> (&Candidate, Frechet) {
        match &self.per_step {
            Some(refined) if refined.kept => (&refined.found, refined.after),
            _ => (&self.tuned.best, self.tuned.distance),
        }
    }
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
    let mut stand = objective.stand();
    let evaluations = budget(&folder, subject, &calls, job.time, monitor)?;
    let network = NetworkNoise::of(model.config())?;
    let first = first_round(dim);
    let mut neighbours: Vec<Point> = Vec::new();
    let mut found = Vec::new();
    for (&calls, evaluations) in calls.iter().zip(shares(&calls, evaluations)) {
        let mut plan = Search {
            first,
            most: first * 16,
            epsilon: job.epsilon,
            seed: job.seed,
            neighbours: neighbours.clone(),
            ..Search::new(calls, evaluations)
        };
        let steps = PerStep {
            evaluations: for_steps(job.per_step, &plan, space.usual().len()),
            samples: first,
            most: plan.most,
            seed: job.seed,
        };
        plan.evaluations -= steps.evaluations;
        let [by, on] = &references;
        let tuned = search(&mut stand, space, [by, on], &plan, monitor)?;
        neighbours.extend(tuned.point);
        let refined = per_step(&mut stand, [by, on], &tuned.candidates(), &steps, monitor)?;
        let path = run.recipe_path(calls);
        let mut one = Found {
            tuned,
            per_step: refined,
            guards: Guards::default(),
            recipe: path.clone(),
        };
        one.guards = guards(&mut stand, reported, (one.best().0, &one.tuned), monitor)?;
        let made = recipe(model, data, job, &one);
        made.write(&path)?;
        for_others(&made, one.best().0, &network, &path)?;
        found.push(one);
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

/// Writes the recipe `made` at `path` for other tools, beside it.
fn for_others(made: &Recipe, best: &Candidate, network: &NetworkNoise, path: &Path) -> Result<()> {
    let origin = &made.tuned;
    let [low, high] = origin.interval;
    let about = [
        format!(
            "{} network calls; {}: {:.4} (95 % within {low:.4} to {high:.4}) in {}, by {} samples \
             and {} items of {}.",
            origin.calls,
            origin.measure,
            origin.distance,
            origin.features,
            origin.samples,
            origin.items,
            origin.data
        ),
        format!(
            "Found for the weights {} (step {}) on {}, by tweedie {}.",
            origin.weights, origin.step, origin.date, origin.version
        ),
    ];
    let write = |extension: &str, text: &str| {
        write_atomic(&path.with_extension(extension), text.as_bytes())
    };
    write("sigmas.txt", &sigmas_line(&best.levels))?;
    write("diffusers.py", &diffusers(best, network, &about))
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

/// The evaluations of `plan` that go to its steps one by one: the `share`, as far as the search still
/// begins with all its points, and none where they would not move.
fn for_steps(share: f64, plan: &Search, usual: usize) -> u64 {
    let spare = plan.evaluations.saturating_sub(plan.with_all_points(usual));
    let evaluations = spare.min((plan.evaluations as f64 * share) as u64);
    let few = plan.calls <= MOST_LEVELS;
    match few && evaluations >= fewest_evaluations(plan.calls, plan.first) {
        true => evaluations,
        false => 0,
    }
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
    let few = calls.iter().copied().fold(TIMED_CALLS, usize::min);
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
