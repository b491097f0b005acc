//! The job `levels`: noise levels and step sizes for a data set, by Techniques 1, 2 and 4 of Song &
//! Ermon 2020.

use serde::Serialize;

use super::DataCard;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::noise::{
    InitialNoise, LevelCount, Levels, StepChoice, technique_1, technique_2, technique_4,
};
use crate::random::{NoiseSource, Stream};

/// Budget of pairs whose distance is computed: seconds of work.
const PAIRS: u64 = 20_000_000;

/// The result of [`levels`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelsReport {
    /// The data.
    pub data: DataCard,
    /// How many items each class has, in the order of the data's classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_counts: Option<Vec<usize>>,
    /// What a person should know of the data.
    pub notes: Vec<String>,
    /// Technique 1.
    pub distance: InitialNoise,
    /// sigma_1, rounded up.
    pub sigma_1: f64,
    /// sigma_L, as given.
    pub sigma_l: f64,
    /// C, as given: with what probability neighbouring levels overlap.
    pub overlap: f64,
    /// Technique 2; none below 5 dimensions, where it does not apply.
    pub count: Option<LevelCount>,
    /// Technique 4 for n_sigma of 1, 3 and 5.
    pub steps: Vec<LangevinStep>,
}

/// Technique 4's step size for so many steps at each level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LangevinStep {
    /// Steps at each level.
    pub n_sigma: usize,
    /// The step size.
    #[serde(flatten)]
    pub choice: StepChoice,
}

/// The largest distance between two items of `data`, exact for small sets.
///
/// # Errors
/// When there are fewer than two items, or all are the same; [`Error::Stopped`] where `monitor`
/// says so.
pub fn largest_distance(data: &Dataset, monitor: &mut Monitor<'_>) -> Result<InitialNoise> {
    if data.len() < 2 {
        let reason = "holds one item, so nothing says how much noise is enough; set \
                      noise.sigma_max";
        return Err(Error::content(data.name(), reason));
    }
    let rows: Vec<usize> = (0..data.len()).collect();
    let source = NoiseSource::new(0, Stream::Evaluation);
    let values = data.gather(&rows);
    let found = technique_1(&values, data.dim(), PAIRS, &source, monitor)?;
    if found.sigma_1 > 0.0 {
        return Ok(found);
    }
    let reason = "all items are the same, so nothing says how much noise is enough; \
                  set noise.sigma_max";
    Err(Error::content(data.name(), reason))
}

/// The three techniques on `data`, down to `sigma_l`, with Technique 2's constant `c`.
///
/// # Errors
/// When there are fewer than two items, or a setting is out of its range; [`Error::Stopped`] where
/// `monitor` says so.
pub fn levels(
    data: &Dataset,
    sigma_l: f64,
    c: f64,
    monitor: &mut Monitor<'_>,
) -> Result<LevelsReport> {
    if !(sigma_l > 0.0 && sigma_l.is_finite()) {
        return Err(Error::setting(
            "sigma_min",
            sigma_l,
            "must be positive, like 0.01",
        ));
    }
    let distance = largest_distance(data, monitor)?;
    let sigma_1 = super::config::round_up(distance.sigma_1);
    let count = match data.dim() {
        0..5 => None,
        dim => Some(technique_2(sigma_1, sigma_l, dim, c)?),
    };
    let number = super::config::level_count(sigma_1, sigma_l, data.dim())?;
    let grid = Levels::geometric(sigma_1, sigma_l, count.map_or(number, |c| c.levels))?;
    let steps = [1, 3, 5].into_iter().map(|n_sigma| {
        let choice = technique_4(&grid, n_sigma)?;
        Ok(LangevinStep { n_sigma, choice })
    });
    Ok(LevelsReport {
        data: DataCard::new(data),
        class_counts: data.labels().map(|labels| labels.counts()),
        notes: data.notes().to_vec(),
        distance,
        sigma_1,
        sigma_l,
        overlap: c,
        count,
        steps: steps.collect::<Result<_>>()?,
    })
}
