//! Quality along one setting: a family's amount of noise at several numbers of calls, all at equal
//! seeds.

use serde::Serialize;
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::{Estimate, Frechet, FrechetMeasured, FrechetReference};

use crate::race::critical_value;
use crate::{Candidate, Stand};

/// One setting measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProfilePoint {
    /// The setting's value on the axis, such as eps_c.
    pub at: f64,
    /// The candidate.
    pub candidate: Candidate,
    /// Its distance; none where it is not feasible or gives no finite samples.
    pub distance: Option<Frechet>,
    /// Its distance less the best one's, at equal seeds.
    pub behind: Option<Estimate>,
}

/// A family measured along its axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// Network calls.
    pub calls: usize,
    /// Samples of each point.
    pub samples: u64,
    /// In the order of the axis.
    pub points: Vec<ProfilePoint>,
    /// The place of the best in `points`; none where no point is feasible.
    pub best: Option<usize>,
    /// Where the optimum lies: between the neighbours of the settings that cannot be told from the
    /// best at 5 % for all together.
    pub interval: Option<[f64; 2]>,
}

/// Measures `family`, values of an axis in increasing order with their candidates, on the samples
/// `first .. first + samples`.
///
/// # Errors
/// [`tweedie::Error::Stopped`] where `monitor` says so; those of the cache.
pub fn profile(
    stand: &mut Stand<'_>,
    reference: &FrechetReference<'_>,
    family: Vec<(f64, Candidate)>,
    calls: usize,
    (first, samples): (u64, u64),
    monitor: &mut Monitor<'_>,
) -> Result<Profile> {
    let total = family.len() as u64;
    let mut measured: Vec<Option<FrechetMeasured>> = Vec::new();
    for (done, (_, candidate)) in family.iter().enumerate() {
        monitor.step(
            &format!("profile at {calls} calls"),
            done as u64,
            total,
            "settings",
        )?;
        let seeds = first..first + samples;
        let found = stand.attempt(candidate, seeds, reference, monitor)?;
        measured.push(found);
    }
    let distances: Vec<Option<Frechet>> = measured
        .iter()
        .map(|found| found.as_ref().map(FrechetMeasured::distance))
        .collect();
    let places = distances.iter().enumerate();
    let values = places.filter_map(|(i, found)| Some((i, found.as_ref()?.corrected.value)));
    let best = values
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(place, _)| place);
    let mut behind = vec![None; family.len()];
    if let Some(Some(leader)) = best.map(|best| &measured[best]) {
        for (behind, measured) in behind.iter_mut().zip(&measured) {
            if let Some(measured) = measured {
                *behind = Some(measured.compare(leader)?.difference);
            }
        }
    }
    let doubt = critical_value(family.len(), 1);
    let tied = |place: usize| {
        let low = |behind: Estimate| behind.value - doubt * behind.standard_error;
        Some(place) == best || behind[place].is_some_and(|behind| low(behind) <= 0.0)
    };
    let interval = best.map(|best| {
        let low = (0..=best)
            .rev()
            .take_while(|place| tied(*place))
            .last()
            .unwrap_or(best);
        let high = (best..family.len())
            .take_while(|place| tied(*place))
            .last()
            .unwrap_or(best);
        let last = family.len() - 1;
        [
            family[low.saturating_sub(1)].0,
            family[(high + 1).min(last)].0,
        ]
    });
    let points = family.into_iter().zip(distances).zip(behind);
    Ok(Profile {
        calls,
        samples,
        points: points
            .map(|(((at, candidate), distance), behind)| ProfilePoint {
                at,
                candidate,
                distance,
                behind,
            })
            .collect(),
        best,
        interval,
    })
}
