//! The loss curve of a run: measured by a job of its own, once for every number of steps, and used
//! by sampling.

mod kept;
mod show;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::noise::{Levels, LossCurve, Measured};
use crate::random::{NoiseSource, Stream};
use crate::score::{Batch, denoising_loss};

use super::Model;

pub use kept::KeptCurve;
pub(super) use kept::ModelCurve;
pub use show::{LevelsBySchedule, RunLevels, show_levels};

/// What to measure.
#[derive(Clone, Debug)]
pub struct LossCurveJob {
    /// How many items, chosen at random; items of a smaller data set are taken several times, each
    /// time with other noise.
    pub count: usize,
    /// The number of noise levels, even in ln sigma from the run's sigma_max to its sigma_min.
    pub levels: usize,
    /// The seed of the choice and of the noise.
    pub seed: u64,
    /// Items noised at a time; bounds the memory and does not affect the results.
    pub batch: usize,
}

impl Default for LossCurveJob {
    fn default() -> Self {
        Self {
            count: 1000,
            levels: 40,
            seed: 0,
            batch: 32,
        }
    }
}

/// The loss curve of `model` on `data`, conditioned on no class.
///
/// `data` must be in the model's units: vectors under the map of the run's own data
/// ([`Dataset::remapped`]), images on the same range. There are two network calls an item and
/// level.
///
/// # Errors
/// When the data's shape is not the model's, a setting is out of range, or the network's output is
/// not finite at some noise level, which is named; [`Error::Stopped`] where `monitor` says so.
pub fn measure_loss_curve(
    model: &Model,
    data: &Dataset,
    job: &LossCurveJob,
    monitor: &mut Monitor<'_>,
) -> Result<LossCurve> {
    if data.shape() != model.data().shape {
        return Err(Error::Shape {
            what: format!("{} (the model was trained on another shape)", data.name()),
            expected: model.data().shape.to_vec(),
            found: data.shape().to_vec(),
        });
    }
    for (name, value) in [("count", job.count), ("batch", job.batch)] {
        if value == 0 {
            return Err(Error::setting(name, value, "must be 1 or more"));
        }
    }
    let values = job.count.checked_mul(data.dim());
    if values.is_none_or(|values| values > MOST_VALUES) {
        let reason = "too many to hold at once; a thousand are enough";
        return Err(Error::setting("count", job.count, reason));
    }
    let (max, min) = model.config().sigma_range()?;
    let levels = Levels::geometric(max, min, job.levels)?;
    let source = NoiseSource::new(job.seed, Stream::Evaluation);
    let order = source.permutation(0, data.len());
    let rows: Vec<usize> = order.into_iter().cycle().take(job.count).collect();
    let items: Vec<f64> = data.gather(&rows).into_iter().map(f64::from).collect();
    // By the place in the order, so that an item taken again has other noise.
    let numbers: Vec<u64> = (0..job.count as u64).collect();
    let batch = Batch::new(&numbers);
    let denoiser = model.denoiser();
    let points = denoising_loss(
        denoiser, &items, batch, &levels, &source, job.batch, monitor,
    )?;
    LossCurve::new(
        points,
        Measured {
            step: Some(model.step()),
            weights: model.digest().map(str::to_owned),
            data: Some(data.name().to_owned()),
            count: Some(job.count),
            seed: Some(job.seed),
        },
    )
}

/// Values that the items of one measurement may have: 4 GiB of them.
const MOST_VALUES: usize = 1 << 29;
