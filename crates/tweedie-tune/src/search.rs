//! The search at one number of network calls.
//!
//! 1. Many settings are measured on few samples, each on fresh ones: usual settings, the winners of other
//!    numbers of calls, a few points that fill the space, and then those where a model of what was
//!    measured expects most (`explore.rs`).
//! 2. The best of them race on fresh seeds, on more and more samples.
//! 3. The winner is frozen, and measured on fresh seeds against a part of the data that the search
//!    did not see, beside those it tied with and the usual settings. Only this figure is reported.
//!
//! It is called the winner only where the intervals of all paired differences, of 95 % for all
//! together, lie below 0; otherwise it is one of a tie. No claim is made of a global optimum.

use serde::Serialize;
use tweedie::job::Monitor;
use tweedie::measure::{Estimate, Frechet, FrechetReference};
use tweedie::{Error, Result};

use crate::explore::{Explored, Seen, explore};
use crate::fault::{none_left, unless_of_setting};
use crate::race::critical_value;
use crate::seeds::Seeds;
use crate::{Candidate, Dropped, Point, Race, Space, Stand, race};

/// How a search is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Network calls of a sample at most.
    pub calls: usize,
    /// Network evaluations of the whole search at most.
    pub evaluations: u64,
    /// Settings of the first stage at most, beside the usual ones.
    pub points: usize,
    /// Samples of each there, and in the first round of the race.
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
            points: 96,
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
        let first = points * self.first * self.calls;
        (first as f64 / EXPLORED).ceil() as u64
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

/// The share of the evaluations that the first stage takes, and of what it leaves, the report's.
const EXPLORED: f64 = 0.6;
const REPORTED: f64 = 0.5;
/// Settings in the race: one for so many that the evaluations pay for, at least, at most.
const EACH_RACER: usize = 3;
const RACERS: [usize; 2] = [2, 12];
/// Settings in the report that the search could not tell from the best.
const TIED: usize = 3;

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
    // What one setting costs on as few samples as are drawn.
    let each = (search.first * search.calls).max(1) as u64;
    let affordable = |evaluations: u64| (evaluations / each) as usize;
    let (usual, baselines) = usual(space, search.calls);
    let begin: Vec<Point> = search.neighbours.iter().chain(&usual).copied().collect();
    let dim = stand.subject().dim();
    let (settings, samples) = first_stage(search, (each, dim), begin.len())?;
    let first = Search {
        first: samples,
        ..search.clone()
    };
    let mut explored = explore(stand, space, searched, &first, (&begin, settings), monitor)?;
    let settings = explored.seen.len() + explored.failed.len();

    let left = search.evaluations.saturating_sub(stand.spent() - before);
    let for_race = left - (left as f64 * REPORTED) as u64;
    let [fewest, most] = RACERS;
    let racers = (affordable(for_race) / EACH_RACER).clamp(fewest, most);
    let runners: Vec<Seen> = explored.seen.iter().take(racers).cloned().collect();
    let plan = Race {
        calls: search.calls,
        seed: Seeds::Race.first(search.seed),
        first: search.first,
        most: search.most,
        evaluations: for_race,
        epsilon: search.epsilon,
    };
    let candidates = runners.iter().map(|seen| seen.candidate.clone()).collect();
    let ranking = race(stand, searched, candidates, &plan, monitor)?;
    let mut dropped = std::mem::take(&mut explored.failed);
    dropped.extend(explored.seen.iter().skip(racers).map(|seen| Dropped {
        candidate: seen.candidate.clone(),
        samples: first.first,
        distance: Some(seen.distance),
        reason: "not among the best of the first stage".into(),
    }));
    dropped.extend(ranking.dropped.iter().cloned());
    let Some(best) = ranking
        .standings
        .first()
        .map(|first| first.candidate.clone())
    else {
        return Err(none_left(&[], 0));
    };
    let point = runners
        .iter()
        .find(|seen| seen.candidate == best)
        .map(|seen| seen.point);

    let tied = ranking.standings[1..].iter().take(TIED);
    let tied: Vec<Candidate> = tied.map(|standing| standing.candidate.clone()).collect();
    let baselines = nearest_first(baselines, &explored);
    let left = search.evaluations.saturating_sub(stand.spent() - before);
    let compared = report(
        stand,
        reported,
        (&best, &tied, &baselines),
        (search, left),
        monitor,
    )?;
    let stop = match (ranking.resolved, ranking.short_of_budget) {
        (true, false) => Stop::Resolved,
        (_, true) => Stop::Budget,
        (false, false) => Stop::Samples,
    };
    Ok(Tuned {
        calls: search.calls,
        best,
        point,
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

/// The settings of the first stage, of which `begin` are given, and the samples of each: as many
/// settings as are asked for where they can be paid with half of the samples of the race's first round,
/// which is enough for a mean over many; with what is left over each of them is surer.
fn first_stage(search: &Search, (each, dim): (u64, usize), begin: usize) -> Result<(usize, usize)> {
    /// So few that a search is one, beside a race and a report.
    const FEWEST: usize = 4;
    let affordable = (search.evaluations as f64 * EXPLORED / each as f64) as usize;
    if affordable < FEWEST {
        let needed = ((FEWEST as u64 * each) as f64 / EXPLORED).ceil();
        let reason = format!(
            "is too few for a search at {} calls: it begins with {FEWEST} settings of {} samples and \
             takes about {needed}; give it more time, or fewer numbers of calls",
            search.calls, search.first
        );
        return Err(Error::setting("evaluations", search.evaluations, reason));
    }
    // A half has more samples than features.
    let least = (search.first / 2).max(2 * dim + 2).min(search.first);
    let samples = (search.evaluations as f64 * EXPLORED / search.calls as f64) as usize;
    let wanted = search.points + begin;
    let of_each = (samples / wanted).clamp(least, search.most.max(search.first));
    Ok(((samples / of_each).clamp(FEWEST, wanted), of_each))
}

/// The usual settings, those that the first stage found nearest first; those that failed there last.
fn nearest_first(mut usual: Vec<Candidate>, explored: &Explored) -> Vec<Candidate> {
    let place = |candidate: &Candidate| {
        let found = explored
            .seen
            .iter()
            .position(|seen| seen.candidate == *candidate);
        found.unwrap_or(usize::MAX)
    };
    usual.sort_by_key(place);
    usual
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
    (search, evaluations): (&Search, u64),
    monitor: &mut Monitor<'_>,
) -> Result<Compared> {
    let mut others: Vec<&Candidate> = Vec::new();
    // The nearest usual setting before the ties: without one there is nothing to compare with.
    let (nearest, usual) = baselines.split_at(baselines.len().min(1));
    for candidate in nearest.iter().chain(tied).chain(usual) {
        if candidate != best && !others.contains(&candidate) {
            others.push(candidate);
        }
    }
    let affordable =
        |settings: usize| (evaluations / (settings * search.calls).max(1) as u64) as usize;
    while others.len() > 1 && affordable(others.len() + 1) < search.first {
        others.pop();
    }
    let samples = affordable(others.len() + 1);
    let samples = samples.clamp(search.first, search.most.max(search.first)) as u64;
    let first = Seeds::Report.first(search.seed);
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
        // A usual setting that gives no samples is no rival.
        let Some(measured) = unless_of_setting(measure(candidate, done as u64 + 1))? else {
            continue;
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
