//! The error of each sampler at a given number of network calls.

use toml::{Table, Value};

use super::{SIGMA, TARGET, target, target_cdf};
use crate::{Cell, PageFolder, StudyOptions};
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::{Estimate, wasserstein_1_to_cdf};
use tweedie::noise::{Levels, Schedule};
use tweedie::ode::DormandPrince;
use tweedie::random::{NoiseSource, Stream};
use tweedie::report::{Axis, Chart, Color, Series};
use tweedie::sample::{Cas, ProbabilityFlow, Sampler, SamplerKind, StepSize, run, run_from};
use tweedie::score::Distribution;

const TEXT: &str = "The Wasserstein-1 distance between samples and the target, at budgets of 4 to \
    1024 network calls, on geometric levels from 50 to 0.01 or on EDM's (rho = 7). The samples are \
    each sampler's expected denoised samples. Langevin sampling takes its step size from Technique \
    4. The dashed line is the distance of equally many exact samples: differences below it are not \
    significant. All values are means over independent parts; the tables have standard errors.";

const STARTS: &str = "N(0, sigma_1^2), from which samplers start, is not the noised data \
    distribution: it lacks the data's mean. A deterministic sampler carries this error to the end, \
    however many steps it takes; under CAS it decays as (sigma_N/sigma_1)^(eps_c - 1). From the \
    exact initial distribution, below, the deterministic samplers reach the line as well.";

const SWEEP: &str = "Figure 1B of Serra et al., with this error in place of speech quality. As in \
    theirs, no eps_c fails at any number of steps. The best value grows from 1 at few steps, where \
    the discretisation error dominates, to between 1.5 and 2 at many, where the error of the \
    initial distribution does; the best step size eta, which is their eps_b in units of sigma_N^2, \
    varies far more.";

/// The budgets, in network calls.
const BUDGETS: [usize; 9] = [4, 8, 16, 32, 64, 128, 256, 512, 1024];
/// Independent parts, for standard errors.
const PARTS: u64 = 4;

/// A color for each sampler, in order: Langevin red, CAS blue, PC orange, flows green, DPM violet.
const COLORS: [Color; 10] = [
    [220, 60, 50],
    [240, 150, 140],
    [10, 50, 120],
    [30, 110, 200],
    [80, 170, 230],
    [160, 215, 245],
    [235, 150, 20],
    [20, 120, 60],
    [130, 60, 160],
    [210, 130, 220],
];
/// That of the adaptive solver.
const ADAPTIVE: Color = [120, 190, 90];

/// A sampler with settings, which may depend on the budget of calls.
struct Entrant {
    name: &'static str,
    kind: SamplerKind,
    settings: fn(usize) -> Table,
}

impl Entrant {
    const fn new(name: &'static str, kind: SamplerKind, settings: fn(usize) -> Table) -> Self {
        Self {
            name,
            kind,
            settings,
        }
    }

    /// The sampler for a budget of `calls`, which it must not exceed.
    fn sampler(&self, setting: &Setting, calls: usize) -> Result<Box<dyn Sampler>> {
        let settings = (self.settings)(calls);
        let levels = setting.levels(self.kind.levels_for(&settings, calls)?)?;
        self.kind.sampler(&settings, &levels)
    }
}

fn settings<const N: usize>(given: [(&str, Value); N]) -> Table {
    given
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

fn eps_c(eps_c: f64) -> Table {
    settings([("eps_c", eps_c.into())])
}

/// The samplers.
const SAMPLERS: &[Entrant] = &[
    Entrant::new("ALS, n_sigma = 1", SamplerKind::Als, |_| Table::new()),
    // Fewer where there are too few calls for two levels of five steps.
    Entrant::new("ALS, n_sigma = 5", SamplerKind::Als, |calls| {
        settings([("n_sigma", ((calls / 2).min(5) as i64).into())])
    }),
    Entrant::new("CAS 1 (DDIM, Euler)", SamplerKind::Cas, |_| eps_c(1.0)),
    Entrant::new("CAS 1.5", SamplerKind::Cas, |_| eps_c(1.5)),
    Entrant::new("CAS 2 (ancestral)", SamplerKind::Cas, |_| eps_c(2.0)),
    Entrant::new("CAS ∞", SamplerKind::Cas, |_| eps_c(f64::INFINITY)),
    Entrant::new("PC", SamplerKind::Pc, |_| {
        settings([("corrector", "ald".into()), ("snr", 0.16.into())])
    }),
    Entrant::new("ODE, Heun", SamplerKind::Heun, |_| Table::new()),
    Entrant::new("DPM-Solver++ 2M", SamplerKind::Dpmpp2m, |_| Table::new()),
    Entrant::new("DPM-Solver++ SDE-2M", SamplerKind::Dpmpp2mSde, |_| {
        Table::new()
    }),
];

/// The schedule of levels, and whether the initial state is drawn from the noised data.
struct Setting {
    name: &'static str,
    title: &'static str,
    schedule: Schedule,
    right_start: bool,
}

const SETTINGS: [Setting; 3] = [
    Setting {
        name: "geometric",
        title: "From N(0, sigma_1²), geometric levels",
        schedule: Schedule::Geometric,
        right_start: false,
    },
    Setting {
        name: "karras",
        title: "From N(0, sigma_1²), EDM's levels",
        schedule: Schedule::Karras,
        right_start: false,
    },
    Setting {
        name: "right-start",
        title: "From the noised data, geometric levels",
        schedule: Schedule::Geometric,
        right_start: true,
    },
];

impl Setting {
    fn levels(&self, count: usize) -> Result<Levels> {
        self.schedule.levels(SIGMA.0, SIGMA.1, count, 7.0)
    }
}

/// Samples in a part, and the seed.
#[derive(Clone, Copy)]
struct Size {
    samples: u64,
    seed: u64,
}

impl Size {
    fn part(self, part: u64) -> Vec<u64> {
        (part * self.samples..(part + 1) * self.samples).collect()
    }

    /// The error of a sampler, and its calls.
    fn error(self, sampler: &mut dyn Sampler, right_start: bool) -> Result<(Estimate, usize)> {
        let target = target()?;
        let source = NoiseSource::new(self.seed, Stream::Sampling);
        let (mut errors, mut calls) = (Vec::new(), 0);
        for part in 0..PARTS {
            let samples = self.part(part);
            let result = if right_start {
                let data = NoiseSource::new(self.seed, Stream::Data);
                let mut start = vec![0.0; samples.len()];
                target.sample(&data, &samples, SIGMA.0, &mut start)?;
                run_from(start, &target, sampler, &source, &samples, &mut ())?
            } else {
                run(&target, sampler, &source, &samples, &mut ())?
            };
            calls = result.most_evaluations().max(calls);
            errors.push(distance(&result.denoised)?);
        }
        Ok((Estimate::mean(&errors), calls))
    }

    /// The error of exact samples.
    fn floor(self) -> Result<Estimate> {
        let source = NoiseSource::new(self.seed ^ 1, Stream::Data);
        let mut errors = Vec::new();
        for part in 0..PARTS {
            let samples = self.part(part);
            let mut x = vec![0.0; samples.len()];
            target()?.sample(&source, &samples, 0.0, &mut x)?;
            errors.push(distance(&x)?);
        }
        Ok(Estimate::mean(&errors))
    }
}

/// W1 to the target.
fn distance(x: &[f64]) -> Result<f64> {
    // Values far outside are moved to the ends.
    let reach = TARGET.iter().map(|(_, mean, std)| mean.abs() + 60.0 * std);
    let reach = reach.fold(0.0, f64::max);
    wasserstein_1_to_cdf(x, target_cdf, -reach, reach)
}

pub fn section(
    folder: &mut PageFolder,
    options: &StudyOptions,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    let size = Size {
        samples: if options.quick { 500 } else { 12_500 },
        seed: options.seed,
    };
    let budgets = if options.quick {
        &BUDGETS[..5]
    } else {
        &BUDGETS
    };
    let floor = size.floor()?;
    folder.section("Error by number of network calls");
    folder.paragraph(TEXT);
    let total = (SETTINGS.len() * SAMPLERS.len() * budgets.len()) as u64;
    let mut done = 0;
    let mut numbers = crate::Table::new(["setting", "sampler", "budget", "calls", "W1"]);
    for setting in &SETTINGS {
        let mut found = Vec::new();
        for entrant in SAMPLERS {
            let mut row = Vec::new();
            for &budget in budgets {
                let mut sampler = entrant.sampler(setting, budget)?;
                let (w, calls) = size.error(sampler.as_mut(), setting.right_start)?;
                numbers.row([
                    setting.name.into(),
                    entrant.name.into(),
                    budget.into(),
                    calls.into(),
                    w.into(),
                ]);
                row.push((calls, w));
                done += 1;
                monitor.step("samplers", done, total, "runs")?;
            }
            found.push((entrant.name, row));
        }
        if setting.right_start {
            folder.paragraph(STARTS);
        }
        let adaptive = adaptive(size, setting, &mut numbers)?;
        let chart = chart(setting, &found, &adaptive, floor);
        folder.chart(setting.name, &chart, setting.title)?;
        let winners = winners(budgets, &found);
        folder.table(&format!("{}-winners", setting.name), &winners)?;
    }
    folder.data("wasserstein", &numbers)?;
    sweep(folder, size, budgets, floor, monitor)
}

/// The adaptive solver at several tolerances: (calls, W1).
fn adaptive(
    size: Size,
    setting: &Setting,
    numbers: &mut crate::Table,
) -> Result<Vec<(usize, f64)>> {
    let mut found = Vec::new();
    for tolerance in [1e-1, 1e-2, 1e-3, 1e-4, 1e-6] {
        let solver = DormandPrince {
            rtol: tolerance,
            atol: tolerance,
            ..DormandPrince::default()
        };
        let mut flow = ProbabilityFlow::new(setting.levels(2)?, solver)?;
        let (w, calls) = size.error(&mut flow, setting.right_start)?;
        numbers.row([
            setting.name.into(),
            format!("ODE, Dormand-Prince, tolerance {tolerance:e}").into(),
            "".into(),
            calls.into(),
            w.into(),
        ]);
        found.push((calls, w.value));
    }
    Ok(found)
}

/// Name, and calls and W1 at each budget.
type Found = (&'static str, Vec<(usize, Estimate)>);

fn chart(setting: &Setting, found: &[Found], adaptive: &[(usize, f64)], floor: Estimate) -> Chart {
    let mut chart = Chart::new(setting.title)
        .x(Axis::log("network calls"))
        .y(Axis::log("Wasserstein-1 distance"));
    for ((name, row), color) in found.iter().zip(COLORS) {
        let points = row.iter().map(|&(calls, w)| (calls as f64, w.value));
        chart = chart.series(Series::line_points(*name, points).color(color));
    }
    let points = adaptive.iter().map(|&(calls, w)| (calls as f64, w));
    chart = chart.series(Series::line_points("ODE, Dormand-Prince", points).color(ADAPTIVE));
    chart.series(
        Series::dashed("exact samples", [(3.0, floor.value), (1100.0, floor.value)])
            .color([120, 120, 120]),
    )
}

/// The best sampler at each budget, and those within two standard errors of it.
fn winners(budgets: &[usize], found: &[Found]) -> crate::Table {
    let mut table = crate::Table::new(["budget", "best", "W1", "within two standard errors"]);
    for (i, &budget) in budgets.iter().enumerate() {
        let mut order: Vec<_> = found.iter().map(|(name, row)| (*name, row[i])).collect();
        order.sort_by(|a, b| a.1.1.value.total_cmp(&b.1.1.value));
        let (name, (_, best)) = order[0];
        let close = order[1..].iter().filter(|(_, (_, other))| {
            let error = best.standard_error.hypot(other.standard_error);
            other.value - best.value < 2.0 * error
        });
        let close: Vec<&str> = close.map(|(name, _)| *name).collect();
        table.row([
            budget.into(),
            name.into(),
            best.into(),
            close.join(", ").into(),
        ]);
    }
    table
}

/// The error over eps_c for several numbers of steps.
fn sweep(
    folder: &mut PageFolder,
    size: Size,
    budgets: &[usize],
    floor: Estimate,
    monitor: &mut Monitor<'_>,
) -> Result<()> {
    folder.section("The best eps_c");
    folder.paragraph(SWEEP);
    let values = [
        1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0, 16.0,
    ];
    let steps: Vec<usize> = budgets
        .iter()
        .copied()
        .filter(|n| (8..=256).contains(n))
        .collect();
    let mut numbers = crate::Table::new(["N", "eps_c", "W1"]);
    let mut best = crate::Table::new([
        "N",
        "best eps_c",
        "its eta",
        "W1",
        "W1 at eps_c = 2",
        "W1 at eps_c = 1",
    ]);
    let mut chart = Chart::new("Error over eps_c")
        .x(Axis::log("eps_c"))
        .y(Axis::log("Wasserstein-1 distance"));
    let total = (steps.len() * values.len()) as u64;
    for (i, &n) in steps.iter().enumerate() {
        let levels = Levels::geometric(SIGMA.0, SIGMA.1, n)?;
        let mut row = Vec::new();
        for (j, eps_c) in values.into_iter().enumerate() {
            let mut cas = Cas::new(&levels, StepSize::EpsC(eps_c))?;
            let (w, _) = size.error(&mut cas, false)?;
            numbers.row([n.into(), eps_c.into(), w.into()]);
            row.push((eps_c, w));
            let done = (i * values.len() + j + 1) as u64;
            monitor.step("step sizes", done, total, "runs")?;
        }
        let at = |eps_c: f64| -> Cell {
            let found = row.iter().find(|(value, _)| *value == eps_c);
            found.map_or("".into(), |&(_, w)| w.into())
        };
        let smallest = row.iter().min_by(|a, b| a.1.value.total_cmp(&b.1.value));
        if let Some(&(eps_c, w)) = smallest {
            let eta = 1.0 - levels.gammas()[0].powf(eps_c);
            best.row([
                n.into(),
                eps_c.into(),
                eta.into(),
                w.into(),
                at(2.0),
                at(1.0),
            ]);
        }
        let points = row.iter().map(|&(eps_c, w)| (eps_c, w.value));
        chart = chart.series(Series::line_points(format!("N = {n}"), points));
    }
    let line = [(1.0, floor.value), (16.0, floor.value)];
    chart = chart.series(Series::dashed("exact samples", line).color([120, 120, 120]));
    folder.chart(
        "eps-c",
        &chart,
        "The error of CAS over eps_c, for numbers of steps N.",
    )?;
    folder.table("best-eps-c", &best)?;
    folder.data("eps-c", &numbers)
}
