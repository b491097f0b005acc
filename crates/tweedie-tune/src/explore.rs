//! The first stage of a search: many settings, few samples of each, fresh ones for every setting.
//!
//! First the winners of other numbers of calls, usual settings and a few points of a scrambled Sobol
//! sequence (Owen 1995); then, one by one, the setting whose improvement has the largest expectation by
//! a model of what was measured ([`Surrogate`]).

use tweedie::Result;
use tweedie::job::{Monitor, Progress};
use tweedie::measure::{Estimate, FrechetReference};

use crate::fault::{none_left, of_setting};
use crate::search::Search;
use crate::seeds::Seeds;
use crate::space::GRIDS;
use crate::surrogate::{Category, Surrogate};
use crate::{AXES, Candidate, Dropped, Point, Space, Stand};

/// A setting measured.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) point: Point,
    pub(crate) candidate: Candidate,
    pub(crate) distance: Estimate,
}

/// What was measured, the nearest first as the model has it, and what failed.
#[derive(Debug, Default)]
pub(crate) struct Explored {
    pub(crate) seen: Vec<Seen>,
    pub(crate) failed: Vec<Dropped>,
    /// Points that failed, for the model.
    failed_at: Vec<Point>,
}

/// Points all over the cube, and near each of the best, of which the most promising is taken.
const ANYWHERE: u32 = 512;
const NEARBY: u32 = 64;
/// How far those lie, in shares of an axis.
const RADII: [f64; 3] = [0.3, 0.12, 0.04];
/// Best settings that are varied.
const VARIED: usize = 4;
/// The share of the settings proposed that is Sobol's.
const SOBOL: f64 = 0.2;

/// Measures up to `settings` settings of `space`, `begin` first.
pub(crate) fn explore(
    stand: &mut Stand<'_>,
    space: &Space,
    reference: &FrechetReference<'_>,
    search: &Search,
    (begin, settings): (&[Point], usize),
    monitor: &mut Monitor<'_>,
) -> Result<Explored> {
    let mut found = Explored::default();
    let begin = &begin[..begin.len().min(settings)];
    let sobol = ((settings - begin.len()) as f64 * SOBOL).ceil() as u32;
    let mut queue: Vec<Point> = begin.to_vec();
    queue.extend((0..sobol).map(|number| anywhere(number, search.seed)));
    let mut queue = queue.into_iter();
    let seed = Seeds::Explore.first(search.seed);
    for number in 0..settings {
        let best = found.seen.iter().min_by(|a, b| {
            let value = |seen: &Seen| seen.distance.value;
            value(a).total_cmp(&value(b))
        });
        let note = match best {
            Some(best) => format!("best so far {:.4}: {}", best.distance.value, best.candidate),
            None => String::new(),
        };
        monitor.tell(&Progress {
            what: &format!("{} calls, {} samples each", search.calls, search.first),
            done: number as u64,
            total: settings as u64,
            unit: "settings",
            note: &note,
        });
        monitor.go_on()?;
        let queued = queue
            .next()
            .map(|point| (point, space.candidate(&point, search.calls)));
        let (point, candidate) = match queued {
            // What is not feasible has no levels to be named by.
            Some((_, Err(_))) => continue,
            Some((point, Ok(candidate))) => (point, candidate),
            None => match found.promising(space, search, number as u32) {
                Some(next) => next,
                None => break,
            },
        };
        if found.knows(&candidate) {
            continue;
        }
        let point = space.essential(&point);
        // Fresh samples for each: the model's mean over settings then has less noise than any of
        // them, which it would share at equal seeds.
        let seeds = seed + (number * search.first) as u64;
        let seeds = seeds..seeds + search.first as u64;
        match stand.measure(&candidate, seeds, reference, monitor) {
            Ok(measured) => found.seen.push(Seen {
                point,
                candidate,
                distance: measured.distance().corrected,
            }),
            Err(error) => {
                let error = of_setting(error)?;
                found.failed_at.push(point);
                found.failed.push(Dropped {
                    candidate,
                    samples: 0,
                    distance: None,
                    reason: error.to_string(),
                });
            }
        }
    }
    if found.seen.is_empty() {
        return Err(none_left(&found.failed, settings));
    }
    found.rank(space);
    Ok(found)
}

impl Explored {
    fn knows(&self, candidate: &Candidate) -> bool {
        self.seen.iter().any(|seen| seen.candidate == *candidate)
            || self
                .failed
                .iter()
                .any(|failed| failed.candidate == *candidate)
    }

    /// The model of what was measured; what failed counts as the worst.
    fn model(&self, space: &Space, values: &[f64]) -> Option<Surrogate> {
        let worst = values.iter().fold(0.0f64, |a, b| a.max(*b));
        let seen = self.seen.iter().map(|seen| seen.point);
        let points: Vec<Point> = seen.chain(self.failed_at.iter().copied()).collect();
        let mut all = values.to_vec();
        all.resize(points.len(), worst);
        let categories = [
            Category {
                axis: 0,
                parts: space.solvers.len(),
            },
            Category {
                axis: 2,
                parts: GRIDS,
            },
        ];
        Surrogate::fit(&categories, &points, &all)
    }

    /// Sorts what was measured by the mean of the model, which has less of each sample's luck than the
    /// measurements.
    fn rank(&mut self, space: &Space) {
        let values = warped(&self.seen);
        let model = self.model(space, &values);
        let mean = |(seen, value): (Seen, f64)| match &model {
            Some(model) => (model.predict(&seen.point).0, seen),
            None => (value, seen),
        };
        let seen = std::mem::take(&mut self.seen).into_iter().zip(values);
        let mut means: Vec<(f64, Seen)> = seen.map(mean).collect();
        means.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.seen = means.into_iter().map(|(_, seen)| seen).collect();
    }

    /// The setting of the largest expected improvement among many, not yet known.
    fn promising(&self, space: &Space, search: &Search, round: u32) -> Option<(Point, Candidate)> {
        let values = warped(&self.seen);
        let points: Vec<Point> = self.seen.iter().map(|seen| seen.point).collect();
        let model = self.model(space, &values);
        let seed = search.seed ^ (round + 1) << 16;
        let mut pool: Vec<Point> = (0..ANYWHERE).map(|i| anywhere(i, seed)).collect();
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        for (which, &best) in order.iter().take(VARIED).enumerate() {
            for number in 0..NEARBY {
                let radius = RADII[number as usize % RADII.len()];
                let stream = seed ^ (which as u32 + 1) << 8;
                pool.push(about(&points[best], radius, number, stream));
            }
        }
        pool.iter_mut()
            .for_each(|point| *point = space.essential(point));
        if let Some(model) = model {
            // The best without its luck.
            let means = points[..values.len()]
                .iter()
                .map(|point| model.predict(point).0);
            let best = means.fold(f64::INFINITY, f64::min);
            let mut gains: Vec<(f64, Point)> = pool
                .into_iter()
                .map(|point| (model.expected_improvement(&point, best), point))
                .collect();
            gains.sort_by(|a, b| b.0.total_cmp(&a.0));
            pool = gains.into_iter().map(|(_, point)| point).collect();
        }
        pool.into_iter().find_map(|point| {
            let candidate = space.candidate(&point, search.calls).ok()?;
            (!self.knows(&candidate)).then_some((point, candidate))
        })
    }
}

/// The distances on a scale on which all differences count: linear where the best ones are, by ratios
/// far above them.
fn warped(seen: &[Seen]) -> Vec<f64> {
    let mut sorted: Vec<f64> = seen.iter().map(|seen| seen.distance.value).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(&best) = sorted.first() else {
        return Vec::new();
    };
    let spread = sorted[sorted.len() / 4] - best;
    let errors = seen.iter().map(|seen| seen.distance.standard_error);
    let error = errors.fold(f64::INFINITY, f64::min);
    let unit = spread.max(error).max(f64::MIN_POSITIVE);
    let warp = |seen: &Seen| ((seen.distance.value - best) / unit).ln_1p();
    seen.iter().map(warp).collect()
}

/// Point `number` of a scrambled Sobol sequence.
fn anywhere(number: u32, seed: u32) -> Point {
    std::array::from_fn(|axis| f64::from(sobol_burley::sample(number, axis as u32, seed)))
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
