//! Statistics of items in a feature space, kept in files, and distances by them.
//!
//! A mean and a covariance give the Frechet distance and nothing else, and no uncertainty of their
//! own; where only the reference is so given, the samples' bias and error are still known.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::{SetCard, Space};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::measure::{
    Features, Frechet, Halves, Moments, Reference, RunningMoments, frechet, frechet_distance,
};

/// What is compared: items, or statistics of items.
#[derive(Clone, Copy, Debug)]
pub enum Side<'a> {
    /// Items.
    Items(&'a Dataset),
    /// Moments by the name of their file, in whatever feature space they were computed.
    Statistics(&'a str, &'a Moments),
}

/// What to compare statistics by.
#[derive(Clone, Debug)]
pub struct StatisticsJob {
    /// The feature space of the statistics.
    pub space: Space,
    /// Determines halves.
    pub seed: u64,
}

/// What [`evaluate_statistics`] finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfStatistics {
    /// The samples; a count of 0 where their file does not say how many.
    pub samples: SetCard,
    /// What they are compared with, likewise.
    pub reference: SetCard,
    /// The feature space, which a file does not know: that of the job.
    pub features: String,
    /// How many features.
    pub dim: usize,
    /// The squared Frechet distance as published figures have it.
    pub frechet_plain: f64,
    /// Of items against statistics: without the samples' 1/n bias, and with its error.
    pub frechet: Option<Frechet>,
    /// Seconds it took.
    pub seconds: f64,
}

impl Side<'_> {
    fn card(&self) -> SetCard {
        match self {
            Self::Items(data) => SetCard {
                name: data.name().into(),
                count: data.len(),
            },
            Self::Statistics(name, moments) => SetCard {
                name: (*name).into(),
                count: moments.count().unwrap_or(0) as usize,
            },
        }
    }
}

/// The moments of the features of `data` in `space`, batch by batch.
///
/// # Errors
/// [`Error::Setting`] for fewer than two items, or principal components, which depend on a
/// reference; those of the space.
pub fn statistics(data: &Dataset, space: &Space, monitor: &mut Monitor<'_>) -> Result<Moments> {
    check_space(space)?;
    let extractor = space.extractor(data)?;
    let mut moments = RunningMoments::new(extractor.dim());
    moments.add(&extractor.extract(data, monitor)?.features)?;
    moments.moments()
}

/// The Frechet distance where a side is statistics.
///
/// # Errors
/// [`Error::Shape`] where the statistics are of another number of features than the space or the
/// other side has; as for [`statistics`].
pub fn evaluate_statistics(
    samples: Side<'_>,
    reference: Side<'_>,
    job: &StatisticsJob,
    monitor: &mut Monitor<'_>,
) -> Result<OfStatistics> {
    let began = Instant::now();
    let (dim, frechet_plain, estimated) = match (samples, reference) {
        (Side::Items(data), Side::Statistics(name, moments)) => {
            check_space(&job.space)?;
            let extractor = job.space.extractor(data)?;
            same_dim(name, moments, extractor.dim(), &job.space)?;
            let found = extractor.extract(data, monitor)?;
            let features = Features::new(data.name(), &found.features, extractor.dim())?;
            let halves = Halves::for_features(extractor.dim(), job.seed);
            let found = frechet(features, Reference::Exact(moments), halves)?;
            (extractor.dim(), found.plain.value, Some(found))
        }
        (samples, reference) => {
            let moments = |side: Side<'_>, monitor: &mut Monitor<'_>| match side {
                Side::Items(data) => statistics(data, &job.space, monitor),
                Side::Statistics(_, moments) => Ok(moments.clone()),
            };
            let (a, b) = (moments(samples, monitor)?, moments(reference, monitor)?);
            if let Side::Statistics(name, moments) = samples {
                same_dim(name, moments, b.dim(), &job.space)?;
            }
            (a.dim(), frechet_distance(&a, &b)?, None)
        }
    };
    Ok(OfStatistics {
        samples: samples.card(),
        reference: reference.card(),
        features: job.space.to_string(),
        dim,
        frechet_plain,
        frechet: estimated,
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn check_space(space: &Space) -> Result<()> {
    match space {
        Space::Principal(..) => {
            let reason = "principal components depend on the reference's items, so that statistics \
                          of two sets cannot be compared; take pixels or a network's features";
            Err(Error::setting("features", space, reason))
        }
        _ => Ok(()),
    }
}

fn same_dim(name: &str, moments: &Moments, dim: usize, space: &Space) -> Result<()> {
    if moments.dim() == dim {
        return Ok(());
    }
    let reason = format!(
        "are statistics of {} features, where {dim} of {space} are compared with; name their space \
         with --features",
        moments.dim()
    );
    Err(Error::content(PathBuf::from(name), reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Shape, ValueMap};
    use crate::random::{NoiseSource, Stream};

    fn normals(n: usize, mean: f32, seed: u64) -> Dataset {
        let mut z = vec![0.0; n * 2];
        NoiseSource::new(seed, Stream::Data).fill_normal(0, 0, &mut z);
        let values = z.into_iter().map(|z: f64| z as f32 + mean).collect();
        let map = ValueMap::identity();
        Dataset::from_f32("normals", Shape::Vector { dim: 2 }, values, map).unwrap()
    }

    #[test]
    fn shards_merge_to_the_whole_and_each_way_of_comparing_agrees() {
        let (a, b) = (normals(2000, 1.0, 0), normals(3000, 0.0, 1));
        let silent = &mut Monitor::silent();
        let of = |data: &Dataset| statistics(data, &Space::Pixels, &mut Monitor::silent()).unwrap();
        let (of_a, of_b) = (of(&a), of(&b));
        let job = StatisticsJob {
            space: Space::Pixels,
            seed: 0,
        };
        let mut compare = |samples: Side<'_>, reference: Side<'_>| {
            evaluate_statistics(samples, reference, &job, silent).unwrap()
        };
        let (stored_a, stored_b) = (Side::Statistics("a", &of_a), Side::Statistics("b", &of_b));
        let plain = compare(stored_a, stored_b);
        assert_eq!((plain.samples.count, plain.reference.count), (2000, 3000));
        assert!((plain.frechet_plain - 2.0).abs() < 0.3);
        for (samples, reference) in [(Side::Items(&a), stored_b), (stored_a, Side::Items(&b))] {
            let found = compare(samples, reference);
            assert!((found.frechet_plain - plain.frechet_plain).abs() < 1e-9);
        }
        let estimated = compare(Side::Items(&a), stored_b).frechet.unwrap();
        let error = estimated.corrected.standard_error;
        assert!(error > 0.01 && error < 0.2, "{error}");
        let itself = compare(stored_a, stored_a);
        assert!(itself.frechet_plain < 1e-10);
    }

    #[test]
    fn other_features_are_refused_by_name() {
        let data = normals(10, 0.0, 0);
        let three = Moments::new(vec![0.0; 3], vec![0.0; 9]).unwrap();
        let silent = &mut Monitor::silent();
        let (items, stored) = (Side::Items(&data), Side::Statistics("other.npz", &three));
        for (samples, reference) in [(items, stored), (stored, items)] {
            let job = StatisticsJob {
                space: Space::Pixels,
                seed: 0,
            };
            let error = evaluate_statistics(samples, reference, &job, silent).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("other.npz") && error.contains("3 features"),
                "{error}"
            );
        }
        assert!(statistics(&data, &Space::Principal(1, Box::new(Space::Pixels)), silent).is_err());
    }
}
