//! A race of candidates: all are measured at equal seeds, those that are worse beyond doubt drop
//! out, and the rest are measured on twice as many samples (successive halving: Karnin, Koren and
//! Somekh 2013; racing: Maron and Moore 1994).
//!
//! With K candidates and R rounds a difference from the leader counts as one where its interval of
//! level 1 - 0.05/(K R) excludes 0, so that in all rounds together no candidate as good as the best
//! is dropped in 95 % of races. A candidate whose interval overlaps 0 is dropped only where the
//! budget does not pay for it, and the race then says that it is not resolved.

use std::ops::Range;

use serde::Serialize;
use tweedie::Result;
use tweedie::job::{Monitor, Progress};
use tweedie::measure::{Estimate, Features, Frechet, FrechetMeasured, FrechetReference};
use tweedie::noise::normal_quantile;

use crate::fault::{none_left, of_setting};
use crate::{Candidate, Stand};

/// How a race is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Race {
    /// Network calls of a sample.
    pub calls: usize,
    /// The number of the first sample.
    pub seed: u64,
    /// Samples in the first round.
    pub first: usize,
    /// Samples in the last round at most.
    pub most: usize,
    /// Network evaluations it may take.
    pub evaluations: u64,
    /// A share of the leader's distance that does not matter: the race ends when no candidate can be
    /// better by more.
    pub epsilon: f64,
}

/// A candidate that finished.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// The candidate.
    pub candidate: Candidate,
    /// Its distance from the reference.
    pub distance: Frechet,
    /// Its distance less the leader's, at equal seeds; 0 without error for the leader.
    pub behind: Estimate,
}

/// A candidate that did not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dropped {
    /// The candidate.
    pub candidate: Candidate,
    /// Samples it was measured on; 0 where it gave none.
    pub samples: usize,
    /// Its last distance.
    pub distance: Option<Estimate>,
    /// Why: worse beyond doubt, too dear, or what went wrong.
    pub reason: String,
}

/// How a race came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranking {
    /// Those that finished, the leader first.
    pub standings: Vec<Standing>,
    /// Those that did not.
    pub dropped: Vec<Dropped>,
    /// Samples of each that finished.
    pub samples: usize,
    /// Whether all are known to be no better than the leader by more than epsilon.
    pub resolved: bool,
    /// Whether a candidate was dropped for want of evaluations.
    pub short_of_budget: bool,
}

/// One candidate on its way.
struct Runner {
    candidate: Candidate,
    features: Vec<f64>,
    measured: Option<FrechetMeasured>,
}

impl Runner {
    fn distance(&self) -> Option<Estimate> {
        let measured = self.measured.as_ref()?;
        Some(measured.distance().corrected)
    }

    fn value(&self) -> f64 {
        self.distance().map_or(f64::INFINITY, |found| found.value)
    }

    fn drop(self, samples: usize, reason: impl Into<String>) -> Dropped {
        Dropped {
            samples,
            distance: self.distance(),
            candidate: self.candidate,
            reason: reason.into(),
        }
    }
}

/// Races `candidates` against `reference`.
///
/// # Errors
/// [`tweedie::Error::Setting`] where no candidate gives samples, with what the first one says, or there are
/// none; [`tweedie::Error::Stopped`] where `monitor` says so; those of the cache.
pub fn race(
    stand: &mut Stand<'_>,
    reference: &FrechetReference<'_>,
    candidates: Vec<Candidate>,
    race: &Race,
    monitor: &mut Monitor<'_>,
) -> Result<Ranking> {
    let mut runners = distinct(candidates);
    let rounds = (race.most / race.first.max(1)).max(1).ilog2() + 1;
    let doubt = critical_value(runners.len(), rounds as usize);
    let before = stand.spent();
    let (mut dropped, mut short_of_budget) = (Vec::new(), false);
    let mut samples = 0..race.first as u64;
    loop {
        let done = samples.start as usize;
        runners = advance(
            stand,
            reference,
            runners,
            race,
            samples.clone(),
            &mut dropped,
            monitor,
        )?;
        let Some(leader) = leader(&runners) else {
            return Err(none_left(&dropped, done));
        };
        runners.swap(0, leader);
        let behind = behind(&runners)?;
        let n = samples.end as usize;
        let best = runners[0].value();
        let (mut kept, mut unresolved) = (Vec::new(), false);
        for (runner, behind) in runners.into_iter().zip(behind) {
            let low = behind.value - doubt * behind.standard_error;
            if low > 0.0 {
                dropped.push(runner.drop(n, "worse beyond doubt"));
                continue;
            }
            unresolved |= low < -race.epsilon * best.abs() && behind.standard_error > 0.0;
            kept.push((runner, behind));
        }
        let finished = !unresolved || 2 * n > race.most;
        // What another round would cost, and whom it could take.
        let left = race.evaluations.saturating_sub(stand.spent() - before);
        let each = (n * race.calls) as u64;
        let affordable = (left / each.max(1)) as usize;
        if finished || affordable < 2 {
            short_of_budget |= !finished;
            kept.sort_by(|a, b| a.0.value().total_cmp(&b.0.value()));
            let standings = kept.into_iter().filter_map(|(runner, behind)| {
                let distance = runner.measured.as_ref()?.distance();
                let candidate = runner.candidate;
                Some(Standing {
                    candidate,
                    distance,
                    behind,
                })
            });
            return Ok(Ranking {
                standings: standings.collect(),
                dropped,
                samples: n,
                resolved: !unresolved,
                short_of_budget,
            });
        }
        kept.sort_by(|a, b| a.0.value().total_cmp(&b.0.value()));
        while kept.len() > affordable {
            let Some((runner, _)) = kept.pop() else { break };
            dropped.push(runner.drop(n, "not resolved: the budget does not pay for more samples"));
            short_of_budget = true;
        }
        runners = kept.into_iter().map(|(runner, _)| runner).collect();
        samples = samples.end..2 * samples.end;
    }
}

/// Equal candidates once.
fn distinct(candidates: Vec<Candidate>) -> Vec<Runner> {
    let mut runners: Vec<Runner> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        if runners.iter().all(|known| known.candidate != candidate) {
            runners.push(Runner {
                candidate,
                features: Vec::new(),
                measured: None,
            });
        }
    }
    runners
}

/// Draws the samples numbered `samples` of every runner and measures it on all it has.
fn advance(
    stand: &mut Stand<'_>,
    reference: &FrechetReference<'_>,
    runners: Vec<Runner>,
    race: &Race,
    samples: Range<u64>,
    dropped: &mut Vec<Dropped>,
    monitor: &mut Monitor<'_>,
) -> Result<Vec<Runner>> {
    let (total, dim) = (runners.len() as u64, stand.subject().dim());
    let seeds = race.seed + samples.start..race.seed + samples.end;
    let mut advanced: Vec<Runner> = Vec::with_capacity(runners.len());
    for (done, mut runner) in runners.into_iter().enumerate() {
        let leader = leader(&advanced).map(|leader| &advanced[leader]);
        let note = match leader {
            Some(leader) => format!("best so far {:.4}: {}", leader.value(), leader.candidate),
            None => String::new(),
        };
        monitor.tell(&Progress {
            what: &format!("{} calls, {} samples each", race.calls, samples.end),
            done: done as u64,
            total,
            unit: "settings",
            note: &note,
        });
        monitor.go_on()?;
        let found = stand.features(&runner.candidate, seeds.clone(), monitor);
        let measured = found.and_then(|features| {
            runner.features.extend(features);
            let features = Features::new("the samples", &runner.features, dim)?;
            reference.measure(features)
        });
        match measured {
            Ok(measured) => {
                runner.measured = Some(measured);
                advanced.push(runner);
            }
            Err(error) => {
                let reason = of_setting(error)?.to_string();
                dropped.push(runner.drop(samples.start as usize, reason));
            }
        }
    }
    Ok(advanced)
}

/// The place of the smallest distance.
fn leader(runners: &[Runner]) -> Option<usize> {
    let places = runners.iter().enumerate();
    let best = places.min_by(|a, b| a.1.value().total_cmp(&b.1.value()));
    best.map(|(place, _)| place)
}

/// The distance of each less the first's.
fn behind(runners: &[Runner]) -> Result<Vec<Estimate>> {
    let nothing = Estimate {
        value: 0.0,
        standard_error: 0.0,
    };
    let Some((
        Runner {
            measured: Some(best),
            ..
        },
        rest,
    )) = runners.split_first()
    else {
        return Ok(vec![nothing; runners.len()]);
    };
    let mut behind = vec![nothing];
    for runner in rest {
        behind.push(match &runner.measured {
            Some(measured) => measured.compare(best)?.difference,
            None => nothing,
        });
    }
    Ok(behind)
}

/// The quantile of the normal distribution for one of `candidates` in one of `rounds` at 5 % for
/// all together, two-sided.
pub(crate) fn critical_value(candidates: usize, rounds: usize) -> f64 {
    let others = candidates.saturating_sub(1).max(1) * rounds.max(1);
    normal_quantile(1.0 - 0.025 / others as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values() {
        assert!((critical_value(2, 1) - 1.959_963_984_540_054).abs() < 1e-9);
        // 1 - 0.025/10.
        assert!((critical_value(11, 1) - 2.807_033_768).abs() < 1e-8);
        assert_eq!(critical_value(6, 2), critical_value(11, 1));
        assert_eq!(critical_value(1, 1), critical_value(2, 1));
    }
}
