//! Per-step optimisation: levels, amount of noise and multistep weight of each step, from the best
//! setting of a search.
//!
//! First-order CAS and DPM-Solver++ SDE-2M are members of the sampler `exponential`: with eps_c_i and
//! c_i at every level it has 3 N - 4 numbers for N levels, all of them free here but sigma_1. CMA-ES
//! moves them by the distance of n samples from the half of the data that the search saw.
//!
//! All points of a generation are measured at equal seeds, so that what they have in common falls
//! out, and every generation at fresh ones: numbers as many as these learn a fixed set of seeds by
//! heart, and then lose on others. CMA-ES takes nothing but the order within a generation, so that
//! fresh seeds cost nothing. The samples double after each third of the evaluations: far from the
//! optimum differences are large, near it they are lost in few samples. (On the Gaussian of
//! `tests/per_step.rs` with 8 levels and 10^6 evaluations, from 0.163: 0.0007 with doubling, 0.0032
//! with 256 samples throughout, mean of 6 searches.)
//!
//! What is found is kept only where it is nearer, beyond doubt, than the best of the search, at
//! equal and fresh seeds, to the half of the data that no search saw.

use serde::Serialize;
use toml::{Table, Value};
use tweedie::Result;
use tweedie::job::{Monitor, Progress};
use tweedie::measure::{Estimate, Frechet, FrechetReference};
use tweedie::noise::Levels;
use tweedie::sample::{Exponential, SamplerKind};

use crate::fault::unless_of_setting;
use crate::race::critical_value;
use crate::seeds::Seeds;
use crate::{Candidate, CmaEs, Grid, Stand, Tuned, usual_points};

/// How a per-step optimisation is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerStep {
    /// Network evaluations at most, the test among them.
    pub evaluations: u64,
    /// Samples of a point in the first generations.
    pub samples: usize,
    /// Samples of the test at most.
    pub most: usize,
    /// The seed of the points and the samples.
    pub seed: u32,
}

/// What a per-step optimisation ends with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refined {
    /// The setting that it began with, as the search found it.
    pub start: Candidate,
    /// What was found.
    pub found: Candidate,
    /// Whether it is nearer than the best of the search, beyond doubt.
    pub kept: bool,
    /// The best of the search on the test's seeds.
    pub before: Frechet,
    /// What was found on the same.
    pub after: Frechet,
    /// `before` less `after`, at equal seeds.
    pub gain: Estimate,
    /// Generations of the search.
    pub generations: u32,
    /// Network evaluations.
    pub evaluations: u64,
}

/// Most levels that are optimised one by one.
pub const MOST_LEVELS: usize = 16;
/// The share of the evaluations that the test takes.
const TEST: f64 = 0.2;
/// The parts of the evaluations with twice as many samples as the part before.
const PARTS: u64 = 3;
/// In the evaluations of fewer generations of the first part the distribution has hardly moved.
const FEWEST: u64 = 20;
/// sigma_0 in units of the scales below.
const STEP: f64 = 1.0;
/// What counts as one unit: a log gap between levels, ln of the amount of noise, a multistep weight.
const SCALES: [f64; 3] = [0.12, 0.3, 0.15];
/// eps_c = max(1, 1 - this + e^v): far above 1 by ratios, near 1 by differences, and 1 itself.
const SOFT: f64 = 0.1;

/// The numbers of a setting of `exponential`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Steps {
    pub(crate) levels: Vec<f64>,
    /// One for each level; the last has no effect.
    pub(crate) eps_c: Vec<f64>,
    /// One for each level; the first and the last have no effect.
    pub(crate) c: Vec<f64>,
}

impl Steps {
    /// Those of DPM-Solver++ SDE-2M with eta = `eps_c` - 1 down `levels`.
    pub(crate) fn second_order(levels: &Levels, eps_c: f64) -> Self {
        Self {
            levels: levels.as_slice().to_vec(),
            eps_c: vec![eps_c; levels.len()],
            c: Exponential::second_order(levels),
        }
    }

    /// Those of `candidate`; none where it is no member of the family.
    pub(crate) fn of(candidate: &Candidate) -> Option<Self> {
        let levels = &candidate.levels;
        let number = |name: &str| {
            let value = candidate.settings.get(name)?;
            value.as_float().or(value.as_integer().map(|i| i as f64))
        };
        let list = |name: &str| match candidate.settings.get(name) {
            Some(Value::Array(list)) => list.iter().map(Value::as_float).collect(),
            _ => number(name).map(|value| vec![value; levels.len()]),
        };
        let (eps_c, c) = match candidate.sampler {
            SamplerKind::Cas => (list("eps_c")?, vec![0.0; levels.len()]),
            SamplerKind::Dpmpp2m => return Some(Self::second_order(levels, 1.0)),
            SamplerKind::Dpmpp2mSde => {
                return Some(Self::second_order(levels, 1.0 + number("eta")?));
            }
            SamplerKind::Exponential => (
                list("eps_c")?,
                match candidate.settings.contains_key("c") {
                    true => list("c")?,
                    false => Exponential::second_order(levels),
                },
            ),
            _ => return None,
        };
        let levels = levels.as_slice().to_vec();
        Some(Self { levels, eps_c, c })
    }

    /// The setting at the point `x` of the space about this one, whose levels do not fall below
    /// `lowest`.
    fn at(&self, x: &[f64], lowest: f64) -> Self {
        let count = self.levels.len();
        let [gaps, noise, weights] = parts(x, count);
        let pairs = self.levels.windows(2).zip(gaps);
        let gaps = pairs.map(|(pair, x)| (pair[0] / pair[1]).ln() * (SCALES[0] * x).exp());
        let mut gaps: Vec<f64> = gaps.collect();
        // All gaps shrink by one factor where they would lead below what the denoiser knows.
        let most = (self.levels[0] / lowest.min(self.levels[count - 1])).ln();
        let total: f64 = gaps.iter().sum();
        if total > most {
            gaps.iter_mut().for_each(|gap| *gap *= most / total);
        }
        let mut levels = vec![self.levels[0]];
        let mut fallen = 0.0;
        levels.extend(gaps.iter().map(|gap| {
            fallen += gap;
            self.levels[0] * f64::exp(-fallen)
        }));
        let mut eps_c = self.eps_c.clone();
        for (eps_c, x) in eps_c.iter_mut().zip(noise) {
            let v = (*eps_c - 1.0 + SOFT).ln() + SCALES[1] * x;
            *eps_c = (1.0 - SOFT + v.exp()).max(1.0);
        }
        let mut c = self.c.clone();
        for (c, x) in c.iter_mut().skip(1).zip(weights) {
            *c += SCALES[2] * x;
        }
        Self { levels, eps_c, c }
    }

    /// How many numbers a point has.
    fn variables(&self) -> usize {
        let count = self.levels.len();
        2 * (count - 1) + count.saturating_sub(2)
    }

    /// As a candidate, denoised or not as `start`.
    fn candidate(&self, start: &Candidate) -> Result<Candidate> {
        let list = |values: &[f64]| Value::from(values.to_vec());
        let settings = [
            ("eps_c".to_owned(), list(&self.eps_c)),
            ("c".to_owned(), list(&self.c)),
        ];
        Ok(Candidate {
            sampler: SamplerKind::Exponential,
            grid: Grid::Listed,
            levels: Levels::new(self.levels.clone())?,
            denoise: start.denoise,
            guidance: start.guidance,
            settings: Table::from_iter(settings),
        })
    }
}

/// The parts of a point: gaps, amounts of noise, multistep weights.
fn parts(x: &[f64], levels: usize) -> [&[f64]; 3] {
    let (gaps, rest) = x.split_at(levels - 1);
    let (noise, weights) = rest.split_at(levels - 1);
    [gaps, noise, weights]
}

impl Tuned {
    /// What a search measured, the best first, the others by their last distance.
    pub fn candidates(&self) -> Vec<&Candidate> {
        let beside = self.ties.iter().chain(&self.baselines);
        let beside = beside.map(|other| (&other.candidate, other.distance.corrected.value));
        let left = self
            .dropped
            .iter()
            .filter_map(|left| Some((&left.candidate, left.distance?.value)));
        let mut others: Vec<(&Candidate, f64)> = beside.chain(left).collect();
        others.sort_by(|a, b| a.1.total_cmp(&b.1));
        let others = others.into_iter().map(|(candidate, _)| candidate);
        std::iter::once(&self.best).chain(others).collect()
    }
}

/// The evaluations below which nothing is begun, for `levels` levels and `samples` of a point.
pub fn fewest_evaluations(levels: usize, samples: usize) -> u64 {
    let points = usual_points(3 * levels) * samples * levels;
    ((FEWEST * points as u64) as f64 / (1.0 - TEST)).ceil() as u64
}

/// Optimises each step of the first of `candidates` that is a member of the family, by `searched`,
/// and tests it against the first of all, the best of a search, by `reported`. None where there is no
/// member, it has one level or more than [`MOST_LEVELS`], the evaluations do not pay for a search, or
/// what is found gives no samples.
///
/// # Errors
/// [`tweedie::Error::Stopped`] where `monitor` says so; those of the cache; those of the first of
/// `candidates`.
pub fn per_step(
    stand: &mut Stand<'_>,
    [searched, reported]: [&FrechetReference<'_>; 2],
    candidates: &[&Candidate],
    plan: &PerStep,
    monitor: &mut Monitor<'_>,
) -> Result<Option<Refined>> {
    let mut members = candidates
        .iter()
        .filter_map(|candidate| Some((*candidate, Steps::of(candidate)?)));
    let (Some(best), Some((start, steps))) = (candidates.first(), members.next()) else {
        return Ok(None);
    };
    let levels = steps.levels.len();
    let fewest = fewest_evaluations(levels, plan.samples);
    if !(2..=MOST_LEVELS).contains(&levels) || plan.evaluations < fewest {
        return Ok(None);
    }
    let before = stand.spent();
    let lowest = stand.subject().sigma_range()[1];
    let variables = steps.variables();
    let points = usual_points(variables);
    let budget = (plan.evaluations as f64 * (1.0 - TEST)) as u64;
    let origin = vec![0.0; variables];
    let mut search = CmaEs::new(origin, STEP, points, u64::from(plan.seed))?;
    // What a sample takes, guidance included, is known after the first.
    let mut each = levels as u64;
    let mut first = Seeds::PerStep.first(plan.seed);
    let mut values = Vec::new();
    loop {
        let spent = stand.spent() - before;
        let part = (PARTS * spent / budget.max(1)).min(PARTS - 1);
        let samples = (plan.samples as u64) << part;
        if spent + points as u64 * samples * each > budget {
            break;
        }
        let progress = Progress {
            what: &format!("each of {levels} steps, {samples} samples"),
            done: spent,
            total: budget,
            unit: "evaluations",
            note: &median(&values).map_or(String::new(), |m| format!("about {m:.4}")),
        };
        monitor.tell(&progress);
        monitor.go_on()?;
        let seeds = first..first + samples;
        first = seeds.end;
        values.clear();
        for x in search.ask() {
            values.push(value(
                steps.at(&x, lowest).candidate(start),
                |candidate, monitor| {
                    let measured = stand.measure(candidate, seeds.clone(), searched, monitor)?;
                    Ok(measured.distance().corrected.value)
                },
                monitor,
            )?);
        }
        search.tell(&values)?;
        let took = stand.spent() - before - spent;
        if took == 0 {
            // No point gives samples.
            return Ok(None);
        }
        each = each.max(took.div_ceil(points as u64 * samples));
    }
    let Some(found) = unless_of_setting(steps.at(search.mean(), lowest).candidate(start))? else {
        return Ok(None);
    };
    let left = plan.evaluations.saturating_sub(stand.spent() - before);
    let affordable = (left / (2 * levels as u64)) as usize;
    let samples = affordable.clamp(plan.samples, plan.most.max(plan.samples)) as u64;
    let first = Seeds::PerStepTest.first(plan.seed);
    let what = format!("{samples} fresh samples of each step's optimum");
    monitor.step(&what, 0, 2, "settings")?;
    let rival = stand.measure(best, first..first + samples, reported, monitor)?;
    monitor.step(&what, 1, 2, "settings")?;
    let after = stand.measure(&found, first..first + samples, reported, monitor);
    let Some(after) = unless_of_setting(after)? else {
        return Ok(None);
    };
    let gain = rival.compare(&after)?.difference;
    Ok(Some(Refined {
        start: start.clone(),
        found,
        kept: gain.value - critical_value(2, 1) * gain.standard_error > 0.0,
        before: rival.distance(),
        after: after.distance(),
        gain,
        generations: search.generation(),
        evaluations: stand.spent() - before,
    }))
}

/// The objective at a candidate; one that gives no samples is the worst.
fn value(
    candidate: Result<Candidate>,
    measure: impl FnOnce(&Candidate, &mut Monitor<'_>) -> Result<f64>,
    monitor: &mut Monitor<'_>,
) -> Result<f64> {
    let found = unless_of_setting(candidate.and_then(|candidate| measure(&candidate, monitor)))?;
    Ok(found.unwrap_or(f64::INFINITY))
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(sampler: SamplerKind, name: &str, value: f64) -> Candidate {
        Candidate {
            sampler,
            grid: Grid::Geometric,
            levels: Levels::karras(20.0, 0.02, 6, 7.0).unwrap(),
            denoise: true,
            guidance: None,
            settings: Table::from_iter([(name.to_owned(), value.into())]),
        }
    }

    #[test]
    fn the_start_is_the_origin_and_every_point_is_feasible() {
        for start in [
            candidate(SamplerKind::Cas, "eps_c", 1.0),
            candidate(SamplerKind::Cas, "eps_c", 2.5),
            candidate(SamplerKind::Dpmpp2mSde, "eta", 0.7),
        ] {
            let steps = Steps::of(&start).unwrap();
            assert_eq!(steps.variables(), 3 * 6 - 4);
            let same = steps.at(&[0.0; 14], 0.01);
            let all = |steps: &Steps| [&steps.levels[..], &steps.eps_c, &steps.c].concat();
            for (a, b) in all(&same).iter().zip(all(&steps)) {
                assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} {b}");
            }
            for i in 0..200 {
                let x: Vec<f64> = (0..14)
                    .map(|axis| 30.0 * f64::from(sobol_burley::sample(i, axis, 2)) - 15.0)
                    .collect();
                let found = steps.at(&x, 0.01);
                assert!(found.levels[5] > 0.0099 && found.levels[0] == 20.0);
                let made = found.candidate(&start).and_then(|c| c.sampler());
                assert!(made.is_ok(), "{:?}", made.err());
            }
            // 1 is reached, and left again.
            let low = steps.at(&[-20.0; 14], 0.01);
            assert!(low.eps_c[..5].iter().all(|eps_c| *eps_c == 1.0));
        }
        assert!(Steps::of(&candidate(SamplerKind::SaSolver, "tau", 1.0)).is_none());
    }
}
