//! The job `evaluate`: how far samples are from data, in named feature spaces, each figure with its
//! uncertainty.

mod convention;
mod draw;
mod page;
mod space;
mod statistics;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

pub use convention::{Convention, OfConvention};
pub use draw::{draw_items, drawn_items};
use space::Extracted;
pub use space::{FeatureExtractor, OnnxSpace, Space};
pub use statistics::{OfStatistics, Side, StatisticsJob, evaluate_statistics, statistics};

use crate::data::{Dataset, Shape};
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::measure::{
    ClassDivergence, ClassHistogram, ClassifierTwoSample, Comparison, Estimate, Features, Frechet,
    Halves, InceptionScore, Kernel, Memorisation, NearestItem, Prdc, Reference, Verdict,
    classifier_two_sample, compare_frechet, compare_kernel_distance, energy_distance, frechet,
    inception_score, kernel_distance, memorisation_of, most_likely_classes, nearest_items,
    precision_recall_density_coverage, sliced_wasserstein_2,
};
use crate::report::SavedPage;

/// The neighbours that precision, recall, density and coverage reach to.
const NEIGHBOURS: [usize; 2] = [3, 5];
/// Directions of the sliced Wasserstein distance.
const DIRECTIONS: usize = 256;
/// Permutations of the two-sample test, and its neighbours.
const PERMUTATIONS: usize = 999;
const TEST_NEIGHBOURS: usize = 5;
/// Items that halves with a covariance take.
const FEWEST: usize = 4;
/// Items of each set that the two-sample test takes at most: it looks at every permutation.
const TESTED: usize = 2000;

/// What to evaluate.
#[derive(Clone, Debug)]
pub struct EvaluateJob {
    /// The feature spaces, one or more.
    pub spaces: Vec<Space>,
    /// Determines halves, directions and permutations.
    pub seed: u64,
    /// Figures as other tools print them, besides.
    pub conventions: Vec<Convention>,
    /// A folder for a page with pictures; none when missing.
    pub page: Option<PathBuf>,
}

/// The sets that are compared. All have items of one shape.
#[derive(Clone, Copy, Debug)]
pub struct Sets<'a> {
    /// The samples.
    pub samples: &'a Dataset,
    /// What they should be like, usually the training data.
    pub reference: &'a Dataset,
    /// Items of the data's distribution that were not trained on: for the memorisation test, in
    /// which the reference stands for the training data.
    pub held_out: Option<&'a Dataset>,
    /// Other samples at the same seeds, to compare with.
    pub versus: Option<&'a Dataset>,
}

/// A set by name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetCard {
    /// What it is called.
    pub name: String,
    /// How many items it has.
    pub count: usize,
}

/// What [`evaluate`] finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The samples.
    pub samples: SetCard,
    /// What they are compared with.
    pub reference: SetCard,
    /// The items that were not trained on.
    pub held_out: Option<SetCard>,
    /// The other samples.
    pub versus: Option<SetCard>,
    /// Values of an item: `[C, H, W]`, `[C, T]` or `[D]`.
    pub shape: Vec<usize>,
    /// The figures, by feature space.
    pub spaces: Vec<InSpace>,
    /// Seconds it took.
    pub seconds: f64,
    /// The page, where one was written.
    #[serde(flatten)]
    pub page: Option<SavedPage>,
}

/// The figures in one feature space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InSpace {
    /// The space's name.
    pub features: String,
    /// What is done to items besides, where tools differ in that.
    pub preparation: Option<String>,
    /// How many features it has.
    pub dim: usize,
    /// The squared Frechet distance, with and without its 1/n bias.
    pub frechet: Frechet,
    /// Whether there are too few items for the number of features: the Frechet distance then says
    /// little.
    pub too_few: bool,
    /// The kernel distance under (x . y/d + 1)^3: of Inception features it is the KID.
    pub kernel_polynomial: Estimate,
    /// The kernel distance under Gaussian kernels of five widths about the median distance.
    pub kernel_rbf: Estimate,
    /// Figures as other tools print them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conventions: Vec<OfConvention>,
    /// Precision, recall, density and coverage by 3 and by 5 neighbours.
    pub neighbours: Vec<Prdc>,
    /// Each sample's nearest item of the reference: quantiles of the ratio of its distance to that
    /// of the second nearest, near 0 for copies.
    pub nearest_ratio: Quantiles,
    /// The memorisation test, where there are held-out items.
    pub memorisation: Option<Memorisation>,
    /// By a classifier: which classes the samples are of.
    pub classes: Option<OfClasses>,
    /// For vectors as they are.
    pub vectors: Option<OfVectors>,
    /// The difference from the other samples, where there are any.
    pub versus: Option<Versus>,
}

/// Quantiles of a set of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// The smallest.
    pub least: f64,
    /// The quantile of 1 %.
    pub percent_1: f64,
    /// The quantile of 10 %.
    pub percent_10: f64,
    /// The median.
    pub median: f64,
}

impl Quantiles {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
        Self {
            least: at(0.0),
            percent_1: at(0.01),
            percent_10: at(0.1),
            median: at(0.5),
        }
    }
}

/// What a classifier makes of the samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfClasses {
    /// The classes' names.
    pub names: Vec<String>,
    /// Samples that it puts into each.
    pub samples: Vec<u64>,
    /// Items of the reference that it puts into each.
    pub reference: Vec<u64>,
    /// Classes with a sample: the modes covered.
    pub covered: usize,
    /// The divergence KL of the samples' shares from equal ones, with what equal distributions
    /// would have at this n.
    pub kl_uniform: ClassDivergence,
    /// The same from the reference's shares.
    pub kl_reference: ClassDivergence,
    /// The Inception score by the classifier's probabilities.
    pub inception_score: InceptionScore,
}

/// What is measured of vectors besides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfVectors {
    /// The energy distance 2 E|x - y| - E|x - x'| - E|y - y'|, unbiased.
    pub energy: Estimate,
    /// The sliced Wasserstein-2 distance, with its error over directions.
    pub sliced_wasserstein: Estimate,
    /// How well 5 nearest neighbours tell samples from the reference, by at most the first 2000
    /// items of both.
    pub two_sample: ClassifierTwoSample,
}

/// How the samples compare with others at the same seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Versus {
    /// The difference of the Frechet distances without their bias.
    pub frechet: Compared,
    /// The difference of the kernel distances under Gaussian kernels.
    pub kernel_rbf: Compared,
}

/// A paired difference in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// This set's distance less the other's, with its standard error.
    pub difference: Estimate,
    /// Its interval of 95 %.
    pub interval: [f64; 2],
    /// What the interval says.
    pub verdict: Verdict,
    /// Where it cannot tell: samples of each that would, were the difference as found; none where
    /// no number would.
    pub deciding_samples: Option<u64>,
}

impl Compared {
    fn new(comparison: &Comparison) -> Self {
        Self {
            difference: comparison.difference,
            interval: comparison.difference.interval(),
            verdict: comparison.verdict(),
            deciding_samples: comparison.deciding_samples(),
        }
    }
}

/// Measures `sets.samples` against `sets.reference`.
///
/// # Errors
/// [`Error::Shape`] where a set has items of another shape, or `versus` another number of samples;
/// [`Error::Setting`] for fewer items than a measure needs; [`Error::Stopped`] where `monitor` says
/// so; and when the page cannot be written.
pub fn evaluate(
    sets: Sets<'_>,
    job: &EvaluateJob,
    monitor: &mut Monitor<'_>,
) -> Result<Evaluation> {
    let began = Instant::now();
    sets.check()?;
    if job.spaces.is_empty() {
        let reason = "name a feature space, such as pixels";
        return Err(Error::setting("features", "none", reason));
    }
    let (mut spaces, mut pictured) = (Vec::new(), Vec::new());
    for space in &job.spaces {
        let (figures, items) = in_space(&sets, space, job, monitor)?;
        spaces.push(figures);
        pictured.push(items);
    }
    let card = |data: &Dataset| SetCard {
        name: data.name().into(),
        count: data.len(),
    };
    let mut evaluation = Evaluation {
        samples: card(sets.samples),
        reference: card(sets.reference),
        held_out: sets.held_out.map(card),
        versus: sets.versus.map(card),
        shape: sets.samples.shape().to_vec(),
        spaces,
        seconds: began.elapsed().as_secs_f64(),
        page: None,
    };
    if let Some(folder) = &job.page {
        evaluation.page = Some(page::write(folder, &sets, &evaluation, &pictured)?);
    }
    Ok(evaluation)
}

impl Sets<'_> {
    /// Checks that the sets go together.
    ///
    /// # Errors
    /// [`Error::Setting`] for fewer than four items; [`Error::Shape`] where a set has items of another shape, or `versus` another number of
    /// samples.
    pub fn check(&self) -> Result<()> {
        let shape = self.samples.shape();
        for data in [self.samples, self.reference] {
            if data.len() < FEWEST {
                let reason = "items, where a measure and its uncertainty need at least four";
                return Err(Error::setting(data.name(), data.len(), reason));
            }
        }
        let others = [Some(self.reference), self.held_out, self.versus];
        for other in others.into_iter().flatten() {
            if other.shape() != shape {
                return Err(Error::Shape {
                    what: format!("an item of {}", other.name()),
                    expected: shape.to_vec(),
                    found: other.shape().to_vec(),
                });
            }
        }
        match self.versus {
            Some(versus) if versus.len() != self.samples.len() => Err(Error::Shape {
                what: format!("{}, to be compared seed by seed,", versus.name()),
                expected: vec![self.samples.len()],
                found: vec![versus.len()],
            }),
            _ => Ok(()),
        }
    }
}

/// Measures of a space, for progress.
const PARTS: u64 = 7;

/// What pictures show of the samples in a space.
struct Pictured {
    /// Each sample's nearest item of the reference.
    nearest: Vec<NearestItem>,
    /// By a classifier, each sample's class.
    classes: Option<Vec<usize>>,
}

fn in_space(
    sets: &Sets<'_>,
    space: &Space,
    job: &EvaluateJob,
    monitor: &mut Monitor<'_>,
) -> Result<(InSpace, Pictured)> {
    let (name, seed) = (space.to_string(), job.seed);
    let mut done = 0;
    let mut next = |monitor: &mut Monitor<'_>| {
        done += 1;
        monitor.step(&format!("measuring {name}"), done - 1, PARTS, "measures")
    };
    next(monitor)?;
    let extractor = space.extractor(sets.reference)?;
    let dim = extractor.dim();
    let mut of = |data: &Dataset| extractor.extract(data, monitor);
    let (samples, reference) = (of(sets.samples)?, of(sets.reference)?);
    let held_out = sets.held_out.map(&mut of).transpose()?;
    let versus = sets.versus.map(&mut of).transpose()?;
    let x = Features::new(sets.samples.name(), &samples.features, dim)?;
    let y = Features::new(sets.reference.name(), &reference.features, dim)?;
    let (classes, labels) = match of_classes(extractor.classes(), &samples, &reference)? {
        Some((classes, labels)) => (Some(classes), Some(labels)),
        None => (None, None),
    };

    next(monitor)?;
    let halves = Halves::for_features(dim, seed);
    let distance = frechet(x, Reference::Sampled(y), halves)?;
    next(monitor)?;
    let rbf = Kernel::rbf(y)?;
    let kernel_polynomial = kernel_distance(x, y, Kernel::Polynomial)?;
    let kernel_rbf = kernel_distance(x, y, rbf)?;
    let conventions = job.conventions.iter();
    let conventions = conventions.map(|convention| convention.measure(x, y));
    let conventions = conventions.collect::<Result<_>>()?;
    next(monitor)?;
    let neighbours = precision_recall_density_coverage(x, y, &NEIGHBOURS)?;
    next(monitor)?;
    let nearest = nearest_items(x, y)?;
    let memorised = match (sets.held_out, &held_out) {
        (Some(data), Some(found)) => {
            let held_out = Features::new(data.name(), &found.features, dim)?;
            Some(memorisation_of(&nearest, x, y, held_out)?)
        }
        _ => None,
    };
    next(monitor)?;
    let plain =
        matches!(space, Space::Pixels) && matches!(sets.samples.shape(), Shape::Vector { .. });
    let vectors = match plain {
        true => Some(of_vectors(x, y, seed)?),
        false => None,
    };
    next(monitor)?;
    let versus = match (sets.versus, &versus) {
        (Some(data), Some(found)) => {
            let other = Features::new(data.name(), &found.features, dim)?;
            let frechet = compare_frechet(x, other, Reference::Sampled(y), halves)?;
            let kernel = compare_kernel_distance(x, other, y, rbf)?;
            Some(Versus {
                frechet: Compared::new(&frechet),
                kernel_rbf: Compared::new(&kernel),
            })
        }
        _ => None,
    };
    let ratios = nearest.iter().map(NearestItem::ratio).collect();
    let figures = InSpace {
        features: name,
        preparation: extractor.preparation().map(String::from),
        dim,
        too_few: distance.too_few(),
        frechet: distance,
        kernel_polynomial,
        kernel_rbf,
        conventions,
        neighbours,
        nearest_ratio: Quantiles::of(ratios),
        memorisation: memorised,
        classes,
        vectors,
        versus,
    };
    let pictured = Pictured {
        nearest,
        classes: labels,
    };
    Ok((figures, pictured))
}

fn of_classes(
    names: &[String],
    samples: &Extracted,
    reference: &Extracted,
) -> Result<Option<(OfClasses, Vec<usize>)>> {
    let (Some(of_samples), Some(of_reference)) = (&samples.probabilities, &reference.probabilities)
    else {
        return Ok(None);
    };
    let rows = |values| Features::new("the probabilities", values, names.len());
    let (of_samples, of_reference) = (rows(of_samples)?, rows(of_reference)?);
    let labels = most_likely_classes(of_samples);
    let samples = ClassHistogram::of_labels(&labels, names.len())?;
    let reference = most_likely_classes(of_reference);
    let reference = ClassHistogram::of_labels(&reference, names.len())?;
    let classes = OfClasses {
        names: names.to_vec(),
        covered: samples.covered(),
        kl_uniform: samples.divergence_to_uniform(),
        kl_reference: samples.divergence_to(&reference)?,
        inception_score: inception_score(of_samples)?,
        samples: samples.counts().to_vec(),
        reference: reference.counts().to_vec(),
    };
    Ok(Some((classes, labels)))
}

fn of_vectors(x: Features, y: Features, seed: u64) -> Result<OfVectors> {
    let dim = x.dim();
    let first = |rows: Features<'_>| rows.values()[..rows.len().min(TESTED) * dim].to_vec();
    let (some_x, some_y) = (first(x), first(y));
    let two_sample = classifier_two_sample(
        Features::new("the samples", &some_x, dim)?,
        Features::new("the reference", &some_y, dim)?,
        TEST_NEIGHBOURS,
        PERMUTATIONS,
        seed,
    )?;
    Ok(OfVectors {
        energy: energy_distance(x, y)?,
        sliced_wasserstein: sliced_wasserstein_2(x.values(), y.values(), dim, DIRECTIONS, seed)?,
        two_sample,
    })
}
