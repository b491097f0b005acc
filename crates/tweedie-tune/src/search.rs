//! The search at one number of network calls.
//!
//! 1. Usual settings, the winners of other numbers of calls and points of a scrambled Sobol sequence
//!    (Owen 1995) race.
//! 2. Points about the three best race with them, on fresh seeds, twice, nearer the second time.
//! 3. The winner is frozen, and measured on fresh seeds against a part of the data that the search
//!    did not see, beside those it tied with and the usual settings. Only this figure is reported.
//!
//! It is called the winner only where the intervals of all paired differences, of 95 % for all
//! together, lie below 0; otherwise it is one of a tie. No claim is made of a global optimum.

use serde::Serialize;
use tweedie::job::Monitor;
use tweedie::measure::{Estimate, Frechet, FrechetReference};
use tweedie::{Error, Result};

use crate::race::critical_value;
use crate::{AXES, Candidate, Dropped, Point, Race, Ranking, Space, Stand, race};

/// How a search is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Network calls of a sample at most.
    pub calls: usize,
    /// Network evaluations of the whole search at most.
    pub evaluations: u64,
    /// Points of the Sobol sequence.
    pub points: usize,
    /// Samples in the first round.
    pub first: usize,
    /// Samples in the last round at most.
    pub most: usize,
    /// A share of the best distance that does not matter.
    pub epsilon: f64,
    /// Scrambles the sequence and numbers the samples.
    pub seed: u32,
    /// Points to begin with besides, such as the best of other numbers of calls.
    pub neighbours: Vec<Point>,
}

impl Search {
    /// A search within `evaluations` at `calls`.
    pub fn new(calls: usize, evaluations: u64) -> Self {
        Self {
            calls,
            evaluations,
            points: 48,
            first: 256,
            most: 4096,
            epsilon: 0.02,
            seed: 0,
            neighbours: Vec::new(),
        }
    }

    /// The evaluations with which the search begins with all its points, `usual` settings that
    /// people use among them.
    pub fn with_all_points(&self, usual: usize) -> u64 {
        let points = self.points + usual + self.neighbours.len();
        let first = 2 * points * self.first * self.calls;
        (first as f64 / SHARES[0]).ceil() as u64
    }
}

/// What a search ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Better than every other, beyond doubt.
    Winner,
    /// Not to be told from another at this number of samples.
    Tie,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// No challenger can be better by more than epsilon.
    Resolved,
    /// The most samples were drawn.
    Samples,
    /// The evaluations were used up.
    Budget,
}

/// A setting that people use, beside the winner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Baseline {
    /// The setting.
    pub candidate: Candidate,
    /// Its distance on the fresh seeds.
    pub distance: Frechet,
    /// Its distance less the winner's, at equal seeds.
    pub behind: Estimate,
}

/// What a search finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tuned {
    /// The number of network calls.
    pub calls: usize,
    /// The best setting.
    pub best: Candidate,
    /// Its place in the space, to begin other searches with.
    #[serde(skip)]
    pub point: Option<Point>,
    /// Whether it is the only one.
    pub outcome: Outcome,
    /// Its distance on fresh seeds from data that the search did not see.
    pub distance: Frechet,
    /// The settings that cannot be told from it there.
    pub ties: Vec<Baseline>,
    /// Usual settings there, from the nearest on.
    pub baselines: Vec<Baseline>,
    /// The settings measured, and why each was left.
    pub dropped: Vec<Dropped>,
    /// How many settings were measured.
    pub settings: usize,
    /// Network evaluations.
    pub evaluations: u64,
    /// Why it ended.
    pub stop: Stop,
}

/// Shares of the evaluations: the first race, each of the two about the best, the report.
const SHARES: [f64; 3] = [0.45, 0.15, 0.25];
/// Settings about each of the best.
const ABOUT: usize = 6;
/// How far these lie, in shares of an axis, the first and the second time.
const RADII: [f64; 2] = [0.18, 0.07];
/// Best settings that are varied.
const VARIED: usize = 3;
/// Settings in the report that the search could not tell from the best.
const TIED: usize = 3;
/// The numbers of the samples of the races and of the report: far from those that users draw.
const SEEDS: [u64; 4] = [1 << 40, 2 << 40, 3 << 40, 4 << 40];

/// Searches `space` for the setting nearest to the data: by `searched`, reported by `reported`.
///
/// # Errors
/// [`Error::Setting`] where the evaluations do not pay for a search, or no setting gives samples;
/// [`Error::Stopped`] where `monitor` says so; those of the cache.
pub fn search(
    stand: &mut Stand<'_>,
    space: &Space,
    [searched, reported]: [&FrechetReference<'_>; 2],
    search: &Search,
    monitor: &mut Monitor<'_>,
) -> Result<Tuned> {
    let before = stand.spent();
    let share = |share: f64| (search.evaluations as f64 * share) as u64;
    let (usual, baselines) = usual(space, search.calls);
    let points = points(search, &usual, share(SHARES[0]))?;
    let mut dropped = Vec::new();
    let mut runners: Vec<(Point, Candidate)> = Vec::new();
    let place = |point: Point, runners: &mut Vec<(Point, Candidate)>| {
        // What is not feasible has no levels to be named by.
        if let Ok(candidate) = space.candidate(&point, search.calls) {
            runners.push((point, candidate));
        }
    };
    points
        .into_iter()
        .for_each(|point| place(point, &mut runners));
    let mut settings = runners.len();
    let mut ranking: Option<Ranking> = None;
    for (round, seed) in SEEDS[..3].iter().enumerate() {
        if round > 0 {
            let best: Vec<Point> = runners
                .iter()
                .take(VARIED)
                .map(|(point, _)| *point)
                .collect();
            let radius = RADII[round - 1];
            for (which, point) in best.iter().enumerate() {
                for number in 0..ABOUT {
                    let stream = (round * VARIED + which) as u32;
                    let varied = about(point, radius, number as u32, search.seed ^ stream << 16);
                    let before = runners.len();
                    place(varied, &mut runners);
                    settings += runners.len() - before;
                }
            }
        }
        let plan = Race {
            calls: search.calls,
            seed: seed + (u64::from(search.seed) << 20),
            first: search.first,
            most: search.most,
            evaluations: share(SHARES[round.min(1)]),
            epsilon: search.epsilon,
        };
        let candidates = runners.iter().map(|(_, candidate)| candidate.clone());
        let found = race(stand, searched, candidates.collect(), &plan, monitor)?;
        // Those that finished, in their order, with their points.
        runners = found
            .standings
            .iter()
            .filter_map(|standing| {
                let known = runners
                    .iter()
                    .find(|(_, known)| *known == standing.candidate);
                known.cloned()
            })
            .collect();
        dropped.extend(found.dropped.iter().cloned());
        ranking = Some(found);
    }
    let (Some(ranking), Some((point, best))) = (ranking, runners.first().cloned()) else {
        return Err(Error::setting("candidates", 0, "there are none"));
    };

    let tied: Vec<Candidate> = runners[1..]
        .iter()
        .take(TIED)
        .map(|(_, candidate)| candidate.clone())
        .collect();
    let compared = report(stand, reported, (&best, &tied, &baselines), search, monitor)?;
    let stop = match (ranking.resolved, ranking.short_of_budget) {
        (true, false) => Stop::Resolved,
        (_, true) => Stop::Budget,
        (false, false) => Stop::Samples,
    };
    Ok(Tuned {
        calls: search.calls,
        best,
        point: Some(point),
        outcome: compared.outcome,
        distance: compared.distance,
        ties: compared.ties,
        baselines: compared.baselines,
        dropped,
        settings,
        evaluations: stand.spent() - before,
        stop,
    })
}

/// Usual settings that are feasible in `calls`: their points, and the candidates there.
fn usual(space: &Space, calls: usize) -> (Vec<Point>, Vec<Candidate>) {
    let feasible = |point: Point| {
        let candidate = space.candidate(&point, calls).ok()?;
        candidate.sampler().ok()?;
        Some((point, candidate))
    };
    space.usual().into_iter().filter_map(feasible).unzip()
}

/// The points of the first race: as many as `evaluations` pay for in its first round with half of
/// them.
fn points(search: &Search, usual: &[Point], evaluations: u64) -> Result<Vec<Point>> {
    let each = (search.first * search.calls).max(1) as u64;
    let affordable = (evaluations / 2 / each) as usize;
    let mut points: Vec<Point> = search.neighbours.clone();
    points.extend(usual);
    if affordable < points.len().max(4) {
        let least = (points.len().max(4) as u64) * each * 2;
        let needed = (least as f64 / SHARES[0]).ceil();
        let reason = format!(
            "is too few for a search at {} calls: it begins with {} settings of {} samples and takes \
             about {needed}; give it more time, or fewer numbers of calls",
            search.calls,
            points.len().max(4),
            search.first
        );
        return Err(Error::setting("evaluations", search.evaluations, reason));
    }
    let sobol = (0..search.points as u32).map(|number| {
        std::array::from_fn(|axis| {
            f64::from(sobol_burley::sample(number, axis as u32, search.seed))
        })
    });
    points.extend(sobol);
    points.truncate(affordable);
    Ok(points)
}

/// A point near `point`, with its sampler and kind of grid.
fn about(point: &Point, radius: f64, number: u32, seed: u32) -> Point {
    /// The axes that stay.
    const KEPT: [usize; 2] = [0, 2];
    let mut varied = *point;
    for axis in (0..AXES).filter(|axis| !KEPT.contains(axis)) {
        let u = f64::from(sobol_burley::sample(number, axis as u32, seed));
        varied[axis] = (point[axis] + radius * (2.0 * u - 1.0)).clamp(0.0, 1.0);
    }
    varied
}

struct Compared {
    outcome: Outcome,
    distance: Frechet,
    ties: Vec<Baseline>,
    baselines: Vec<Baseline>,
}

/// Measures the frozen best beside the others on fresh seeds.
fn report(
    stand: &mut Stand<'_>,
    reference: &FrechetReference<'_>,
    (best, tied, baselines): (&Candidate, &[Candidate], &[Candidate]),
    search: &Search,
    monitor: &mut Monitor<'_>,
) -> Result<Compared> {
    let mut others: Vec<&Candidate> = Vec::new();
    for candidate in tied.iter().chain(baselines) {
        if candidate != best && !others.contains(&candidate) {
            others.push(candidate);
        }
    }
    let each = ((others.len() + 1) * search.calls) as f64;
    let affordable = (search.evaluations as f64 * SHARES[2] / each) as usize;
    let samples = affordable.clamp(search.first, search.most.max(search.first)) as u64;
    let first = SEEDS[3] + (u64::from(search.seed) << 20);
    let total = others.len() as u64 + 1;
    let mut measure = |candidate: &Candidate, done: u64| {
        let what = format!("{} calls, {samples} fresh samples each", search.calls);
        monitor.step(&what, done, total, "settings")?;
        let seeds = first..first + samples;
        stand.measure(candidate, seeds, reference, monitor)
    };
    let winner = measure(best, 0)?;
    let doubt = critical_value(others.len() + 1, 1);
    let (mut ties, mut usual) = (Vec::new(), Vec::new());
    for (done, candidate) in others.iter().enumerate() {
        let measured = match measure(candidate, done as u64 + 1) {
            Ok(measured) => measured,
            Err(error @ (Error::Stopped | Error::Io { .. })) => return Err(error),
            // A usual setting that gives no samples is no rival.
            Err(_) => continue,
        };
        let beside = Baseline {
            candidate: (*candidate).clone(),
            distance: measured.distance(),
            behind: measured.compare(&winner)?.difference,
        };
        let told = beside.behind.value - doubt * beside.behind.standard_error > 0.0;
        if !told {
            ties.push(beside.clone());
        }
        if baselines.contains(candidate) {
            usual.push(beside);
        }
    }
    let nearest = |a: &Baseline, b: &Baseline| {
        a.distance
            .corrected
            .value
            .total_cmp(&b.distance.corrected.value)
    };
    usual.sort_by(nearest);
    ties.sort_by(nearest);
    Ok(Compared {
        outcome: if ties.is_empty() {
            Outcome::Winner
        } else {
            Outcome::Tie
        },
        distance: winner.distance(),
        ties,
        baselines: usual,
    })
}
