//! Regret per network evaluation: this crate's search beside random search and Optuna's TPE, on a
//! trained run.
//!
//! Usage: python3 -m venv venv && venv/bin/pip install optuna==5.0.0
//!        cargo run --release --package tweedie-tune --example tuning_regret -- \
//!            RUN --python venv/bin/python [--calls 8] [--settings 30,60,120] [--seeds 5] \
//!            [--samples 256] [--fresh 8000] [--known 1000000] [--out docs/results]
//!
//! A budget is what so many settings of `--samples` samples cost in network evaluations. Every method
//! measures against the same half of the data and returns one setting. Its true distance is that of
//! `--fresh` samples, of seeds that nobody searched with, from all of the data; its regret is that
//! less the smallest true distance of any setting here: those returned, those that people use, those
//! that need no search (Align Your Steps, levels by trajectories), and that of one search with
//! `--known` evaluations, where that is not 0. Writes tuning-regret.csv (every search and, without a
//! budget, the settings that need none),
//! tuning-regret-mean.csv and tuning-regret.png. RUN/tune keeps what was measured, so that a second
//! call is quick: copy the run first if that is not wanted. The run needs a loss curve
//! (`tweedie levels RUN --measure`) for grids by the loss to be searched.
//!
//! `mixture` in place of RUN is a mixture in 8 dimensions whose denoiser leaves a tenth of the noise
//! where sigma > 0.5: many searches in minutes, the distance being that from the exact moments.

use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tweedie::job::Monitor;
use tweedie::measure::{Estimate, Features, FrechetReference, Halves, Moments, Reference};
use tweedie::noise::Levels;
use tweedie::random::{NoiseSource, Stream};
use tweedie::report::{Axis, Chart, Series, Table};
use tweedie::run::{Model, RunDir};
use tweedie::score::{Denoiser, GaussianMixture, Posterior, Query};
use tweedie::{Error, Result};
use tweedie_tune::rival::{AlignYourSteps, Points, RandomSearch, Trajectories};
use tweedie_tune::{
    Candidate, DenoiserSubject, Grid, Objective, Search, Solver, Space, Stand, TuneJob, search,
};

const SEARCH: &str = "search";
const RANDOM: &str = "random search";
const TPE: &str = "TPE (Optuna)";
const KNOWN: &str = "without a search";
const METHODS: [&str; 3] = [SEARCH, RANDOM, TPE];
/// The number of the first fresh sample, far from those of searches, reports and guards.
const FRESH: u64 = 7 << 40;
/// The number of the first of the trajectories.
const TEACHER: u64 = 8 << 40;
/// Fresh samples that are kept in one piece.
const PIECE: u64 = 1000;
/// The number of the first sample of a search by seed 0.
const SEARCHED: u64 = 1 << 40;

struct Options {
    run: PathBuf,
    python: PathBuf,
    calls: usize,
    settings: Vec<u64>,
    seeds: u32,
    samples: u64,
    fresh: u64,
    known: u64,
    out: PathBuf,
}

impl Options {
    fn parse() -> Result<Self> {
        let mut options = Self {
            run: PathBuf::new(),
            python: "python3".into(),
            calls: 8,
            settings: vec![30, 60, 120],
            seeds: 5,
            samples: 256,
            fresh: 8000,
            known: 1_000_000,
            out: "docs/results".into(),
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            if !arg.starts_with("--") {
                options.run = arg.into();
                continue;
            }
            let value = args.next().unwrap_or_default();
            match arg.as_str() {
                "--python" => options.python = value.into(),
                "--out" => options.out = value.into(),
                "--settings" => {
                    let parts = value.split(',').map(|part| number(&arg, part));
                    options.settings = parts.collect::<Result<_>>()?;
                }
                "--calls" => options.calls = number(&arg, &value)?,
                "--seeds" => options.seeds = number(&arg, &value)?,
                "--samples" => options.samples = number(&arg, &value)?,
                "--fresh" => options.fresh = number(&arg, &value)?,
                "--known" => options.known = number(&arg, &value)?,
                _ => return Err(Error::setting("argument", arg, "is not known")),
            }
        }
        Ok(options)
    }

    fn budget(&self, settings: u64) -> u64 {
        settings * self.samples * self.calls as u64
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T> {
    text.parse()
        .map_err(|_| Error::setting(name, text, "must be a whole number"))
}

/// What a method returned.
struct Returned {
    method: &'static str,
    settings: u64,
    seed: u32,
    evaluations: u64,
    candidate: Candidate,
    truth: Estimate,
}

fn main() -> Result<()> {
    let options = Options::parse()?;
    match options.run.to_str() {
        Some("mixture") => of_mixture(&options),
        _ => of_run(&options),
    }
}

fn of_run(options: &Options) -> Result<()> {
    let run = RunDir::open(&options.run)?;
    let config = run.config()?;
    let data = config.open_data()?;
    let model = Model::load(&run, None, &config.sample)?;
    let job = TuneJob {
        calls: vec![options.calls],
        time: Duration::ZERO,
        space: tweedie::run::Space::Pixels,
        solvers: Vec::new(),
        epsilon: 0.02,
        per_step: 0.0,
        curve: model.loss_curve().ok().map(|kept| kept.curve.clone()),
        seed: 0,
    };
    let objective = Objective::new(&run, &model, &data, &job, &mut Monitor::silent())?;
    let by = objective.reference(objective.searched()?)?;
    let on = objective.reference(objective.reported()?)?;
    let all = objective.reference(objective.all()?)?;
    let mut stand = objective.stand();
    let space = objective.space();
    let mut known = Vec::new();
    // What needs no search: published recipes, and levels by trajectories.
    if let Some(point) = space.point(Solver::DpmSolverSde, 1.0, Grid::Geometric) {
        let base = space.candidate(&point, options.calls)?;
        let (max, min, count) = (space.sigma_max, space.sigma_min, base.levels.len());
        for of in AlignYourSteps::ALL {
            known.push(Candidate {
                levels: of.levels(max, min, count)?,
                grid: Grid::AlignYourSteps { of },
                ..base.clone()
            });
        }
        let (trajectories, calls) = Trajectories::USUAL;
        let fine = Levels::karras(max, min, calls, 7.0)?;
        let seeds = TEACHER..TEACHER + trajectories;
        let solved = Trajectories::of_run(&model, &config.sample, fine, seeds)?;
        known.push(solved.deviations()?.candidate(&base, 1.0)?);
    }
    compare(options, &mut stand, space, [&by, &on, &all], known)
}

/// The mixture's denoiser, wrong where there is much noise.
struct Wrong(GaussianMixture);

impl Denoiser for Wrong {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        self.0.denoise(query, posterior)?;
        let dim = self.dim();
        let rows = posterior.mean.chunks_exact_mut(dim);
        for ((h, x), sigma) in rows.zip(query.x.chunks_exact(dim)).zip(query.sigmas) {
            if *sigma > 0.5 {
                h.iter_mut().zip(x).for_each(|(h, x)| *h += 0.1 * (x - *h));
            }
        }
        Ok(())
    }
}

fn of_mixture(options: &Options) -> Result<()> {
    const DIM: usize = 8;
    const MODES: usize = 10;
    let source = NoiseSource::new(11, Stream::Data);
    let mut means = vec![0.0; MODES * DIM];
    source.fill_normal(0, 0, &mut means);
    let variances: Vec<f64> = (0..MODES * DIM)
        .map(|i| 0.02 + 0.3 * source.uniform(i as u64, 1, 0).powi(2))
        .collect();
    let weights: Vec<f64> = (1..=MODES).map(|k| k as f64).collect();
    let mixture = GaussianMixture::new(&weights, means, &variances)?;
    let (mean, covariance) = mixture.moments();
    let moments = Moments::new(mean, covariance)?;
    let reference = FrechetReference::new(Reference::Exact(&moments), Halves::default())?;
    let denoiser = Wrong(mixture);
    let subject = DenoiserSubject {
        denoiser: &denoiser,
        name: "mixture".into(),
        sigma_range: [20.0, 0.01],
    };
    let space = Space::new(subject.sigma_range);
    let mut stand = Stand::new(&subject, None);
    compare(options, &mut stand, &space, [&reference; 3], Vec::new())
}

/// All methods at all budgets; `by` is searched by, `on` is what the search reports on, `all` tells
/// the truth; `known` are settings to compare with besides those that people use.
fn compare(
    options: &Options,
    stand: &mut Stand<'_>,
    space: &Space,
    [by, on, all]: [&FrechetReference<'_>; 3],
    mut known: Vec<Candidate>,
) -> Result<()> {
    let mut returned = Vec::new();
    for point in space.usual() {
        known.extend(space.candidate(&point, options.calls));
    }
    for seed in 0..options.seeds {
        for &settings in &options.settings {
            for method in METHODS {
                let plan = (options.budget(settings), seed);
                let found = match method {
                    SEARCH => ours(options, stand, space, [by, on], plan),
                    RANDOM => random(options, stand, space, by, plan),
                    _ => tpe(options, stand, space, by, plan),
                };
                let (candidate, evaluations) = match found {
                    Ok(found) => found,
                    Err(error) => {
                        println!("{method}, {settings} settings, seed {seed}: {error}");
                        continue;
                    }
                };
                let truth = truth(options, stand, all, &candidate)?;
                println!(
                    "{method}, {settings} settings, seed {seed}: {:.4} +- {:.4} ({evaluations}) \
                     {candidate}",
                    truth.value, truth.standard_error
                );
                returned.push(Returned {
                    method,
                    settings,
                    seed,
                    evaluations,
                    candidate,
                    truth,
                });
            }
        }
    }
    if options.known > 0 {
        let plan = (options.known, options.seeds);
        known.push(ours(options, stand, space, [by, on], plan)?.0);
    }
    let mut best = f64::INFINITY;
    for candidate in known {
        // A usual setting that fails is not the best.
        if let Ok(truth) = truth(options, stand, all, &candidate) {
            println!("known: {:.4} {candidate}", truth.value);
            best = best.min(truth.value);
            returned.push(Returned {
                method: KNOWN,
                settings: 0,
                seed: 0,
                evaluations: 0,
                candidate,
                truth,
            });
        }
    }
    best = returned
        .iter()
        .fold(best, |best, found| best.min(found.truth.value));
    write(options, &returned, best)
}

/// This crate's search, its report included.
fn ours(
    options: &Options,
    stand: &mut Stand<'_>,
    space: &Space,
    references: [&FrechetReference<'_>; 2],
    (evaluations, seed): (u64, u32),
) -> Result<(Candidate, u64)> {
    let plan = Search {
        first: options.samples as usize,
        seed,
        ..Search::new(options.calls, evaluations)
    };
    let found = search(stand, space, references, &plan, &mut Monitor::silent())?;
    Ok((found.best, found.evaluations))
}

fn random(
    options: &Options,
    stand: &mut Stand<'_>,
    space: &Space,
    reference: &FrechetReference<'_>,
    (evaluations, seed): (u64, u32),
) -> Result<(Candidate, u64)> {
    let plan = RandomSearch {
        calls: options.calls,
        samples: options.samples,
        first: SEARCHED + (u64::from(seed) << 20),
        evaluations,
        seed: seed.into(),
    };
    let found = plan.run(stand, space, reference, &mut Monitor::silent())?;
    Ok((found.candidate, found.evaluations))
}

/// Optuna's, by scripts/tune-optuna.py.
fn tpe(
    options: &Options,
    stand: &mut Stand<'_>,
    space: &Space,
    reference: &FrechetReference<'_>,
    (evaluations, seed): (u64, u32),
) -> Result<(Candidate, u64)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/tune-optuna.py");
    let io = |error| Error::io("start", &options.python)(error);
    let mut optuna = Command::new(&options.python)
        .args([script, "--stdio", "--trials", "1000000"])
        .args(["--evaluations", &evaluations.to_string()])
        .args(["--samples", &options.samples.to_string()])
        .args(["--seed", &seed.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(io)?;
    let (Some(asked), Some(answers)) = (optuna.stdout.take(), optuna.stdin.take()) else {
        return Err(Error::setting(
            "python",
            options.python.display(),
            "has no pipes",
        ));
    };
    let mut points = Points::new(stand, space, reference, options.calls);
    points.serve(BufReader::new(asked), answers, &mut Monitor::silent())?;
    if !optuna.wait().map_err(io)?.success() {
        let reason = "failed; it needs optuna (see its usage)";
        return Err(Error::setting("tune-optuna.py", script, reason));
    }
    let found = points.best()?;
    Ok((found.candidate, found.evaluations))
}

/// The distance of fresh samples from all of the data.
fn truth(
    options: &Options,
    stand: &mut Stand<'_>,
    all: &FrechetReference<'_>,
    candidate: &Candidate,
) -> Result<Estimate> {
    let mut features = Vec::new();
    let mut first = FRESH;
    let end = FRESH + options.fresh;
    while first < end {
        let last = end.min(first + PIECE);
        features.extend(stand.features(candidate, first..last, &mut Monitor::silent())?);
        first = last;
    }
    let dim = stand.subject().dim();
    let measured = all.measure(Features::new("the samples", &features, dim)?)?;
    Ok(measured.distance().corrected)
}

fn write(options: &Options, returned: &[Returned], best: f64) -> Result<()> {
    let mut every = Table::new([
        "method",
        "settings",
        "budget",
        "seed",
        "evaluations",
        "distance",
        "regret",
        "candidate",
    ]);
    for found in returned {
        every.row([
            found.method.into(),
            (found.settings as usize).into(),
            (options.budget(found.settings) as f64).into(),
            (found.seed as usize).into(),
            (found.evaluations as f64).into(),
            found.truth.into(),
            (found.truth.value - best).into(),
            found.candidate.to_string().into(),
        ]);
    }
    let mut means = Table::new(["method", "settings", "evaluations", "searches", "regret"]);
    let mut chart = Chart::new(format!("Regret of tuning, {} network calls", options.calls))
        .x(Axis::log("network evaluations of the search"))
        .y(Axis::linear(
            "true squared Frechet distance less the best known",
        ))
        .note(format!(
            "{} searches each, bands of one standard error; the best known is {best:.4}.",
            options.seeds
        ));
    println!("best known {best:.4}");
    for method in METHODS {
        let mut points = Vec::new();
        for &settings in &options.settings {
            let mine = || {
                returned
                    .iter()
                    .filter(|found| found.method == method && found.settings == settings)
            };
            let regrets: Vec<f64> = mine().map(|found| found.truth.value - best).collect();
            if regrets.is_empty() {
                continue;
            }
            let regret = Estimate::mean(&regrets);
            let spent = mine().map(|found| found.evaluations as f64).sum::<f64>();
            let spent = spent / regrets.len() as f64;
            println!(
                "{method}, {settings} settings: regret {:.4} +- {:.4}, {spent:.0} evaluations, {} \
                 searches",
                regret.value,
                regret.standard_error,
                regrets.len()
            );
            means.row([
                method.into(),
                (settings as usize).into(),
                spent.into(),
                regrets.len().into(),
                regret.into(),
            ]);
            points.push((options.budget(settings) as f64, regret));
        }
        let band = points.iter().map(|(x, regret)| {
            let [low, high] = [-1.0, 1.0].map(|side| regret.value + side * regret.standard_error);
            (*x, low, high)
        });
        let line = points.iter().map(|(x, regret)| (*x, regret.value));
        chart = chart.series(Series::line_points(method, line).band(band));
    }
    std::fs::create_dir_all(&options.out).map_err(Error::io("make", &options.out))?;
    let file = |name: &str| options.out.join(name);
    tweedie::write_atomic(&file("tuning-regret.csv"), &every.csv())?;
    tweedie::write_atomic(&file("tuning-regret-mean.csv"), &means.csv())?;
    chart.png(900, 560)?.save_png(file("tuning-regret.png"))
}
