//! Synthetic data in the plane: Figure 2 of Jolicoeur-Martineau et al. 2021.
//!
//! A small unconditional network, s(x, sigma) = net(x)/sigma, is trained on a swiss roll and on 25
//! Gaussians and sampled by annealed Langevin and by consistent annealed sampling, each as the
//! final state and as the expected denoised sample (EDS). Both distributions are mixtures of
//! Gaussians (the roll in the limit of many), so the samplers are run on the exact scores as well.

use std::f64::consts::PI;

use super::{PageFolder, Study, StudyOptions, Table, mixture};
use crate::fit::Fit;
use tweedie::Result;
use tweedie::data::{self, DataSpec, Dataset};
use tweedie::job::Monitor;
use tweedie::measure::{NearestNeighbours, nearest_neighbours};
use tweedie::nn::{MlpConfig, NetworkConfig};
use tweedie::noise::Levels;
use tweedie::random::{NoiseSource, Stream};
use tweedie::report::{Cloud, PALETTE, Scatter};
use tweedie::sample::{Als, Cas, Sampler, StepSize, StepView, run};
use tweedie::score::{Denoiser, GaussianMixture};
use tweedie::train::{LearningRateSchedule, TrainConfig};

pub(super) const STUDY: Study = Study {
    name: "toy",
    about: "swiss roll and 25 Gaussians, final and denoised (adversarial score matching, Figure 2)",
    title: "Final and denoised samples of toy data",
    work,
};

/// Levels and step size of the reference code, except for the smallest level, which is 0.01 there
/// and too small to see: here a final state carries noise of three to six times the data's width.
const SIGMA: (f64, f64) = (1.0, 0.1);
const LEVELS: usize = 10;
const N_SIGMA: usize = 10;
const ETA: f64 = 0.2;

/// Components that approximate the curve of the roll: 0.2 to 0.9 standard deviations apart.
const ALONG_THE_ROLL: usize = 600;

/// Points drawn of a cloud.
const SHOWN: usize = 2000;
/// What the panels show.
const RANGE: f64 = 2.2;

/// The size of the study.
struct Size {
    steps: u64,
    data: usize,
    samples: usize,
}

/// One data set.
struct Set {
    name: &'static str,
    title: &'static str,
    distribution: GaussianMixture,
}

/// Samples of one kind, and how far they are from the data.
struct Found {
    score: &'static str,
    sampler: &'static str,
    result: &'static str,
    points: Vec<[f64; 2]>,
    distance: NearestNeighbours,
}

fn work(folder: &mut PageFolder, options: &StudyOptions, monitor: &mut Monitor<'_>) -> Result<()> {
    let size = match options.quick {
        false => Size {
            steps: 2000,
            data: 100_000,
            samples: 5000,
        },
        true => Size {
            steps: 60,
            data: 2000,
            samples: 300,
        },
    };
    let sets = [
        Set {
            name: "swiss-roll",
            title: "Swiss roll",
            distribution: roll()?,
        },
        Set {
            name: "gaussians-25",
            title: "25 Gaussians",
            distribution: mixture("gaussians-25")?,
        },
    ];
    introduce(folder, &size);
    let header = [
        "data",
        "score",
        "sampler",
        "result",
        "sample to data",
        "data to sample",
        "symmetric mean",
    ];
    let mut table = Table::new(header);
    let mut pictures = Vec::new();
    for set in &sets {
        let (found, real, floor) = compare(set, &size, options.seed, monitor)?;
        let data = "data, second draw";
        add(&mut table, [set.title, data, "", ""], &floor);
        for f in &found {
            add(
                &mut table,
                [set.title, f.score, f.sampler, f.result],
                &f.distance,
            );
        }
        let sentence = sentence(&found, &floor);
        pictures.push((set, found, real, sentence));
    }
    for (set, found, real, sentence) in &pictures {
        folder.section(set.title);
        folder.paragraph(sentence);
        for (score, name) in [
            (PAPERS, set.name.to_owned()),
            (CONDITIONAL, format!("{}-conditional", set.name)),
            (EXACT, format!("{}-exact", set.name)),
        ] {
            let mut scatter = Scatter::new(format!("{}, {score}", set.title))
                .range(-RANGE, RANGE)
                .cloud(cloud("data", real).color(GREY));
            for f in found.iter().filter(|f| f.score == score) {
                let color = PALETTE[usize::from(f.result == EDS)];
                let title = format!("{}, {}", f.sampler, f.result);
                scatter = scatter.cloud(cloud(title, &f.points).color(color));
            }
            let caption = format!("{}: {score}, {SHOWN} points each at most.", set.title);
            folder.scatter(&name, &scatter, 230, &caption)?;
        }
    }
    folder.section("Distances");
    folder.paragraph(&format!(
        "The mean distance from each of {} points to the nearest of as many others: from samples \
         to data (large where samples lie off the data), from data to samples (large where data \
         are not covered by samples), and the mean of both, with standard errors. \
         \u{201c}Second draw\u{201d} compares two independent draws of the data, which is the \
         lowest value to expect.",
        size.samples
    ));
    folder.table("distances", &table)?;
    folder.paragraph(&verdict(pictures.iter().flat_map(|(_, found, ..)| found)));
    Ok(())
}

const PAPERS: &str = "the paper's network";
const CONDITIONAL: &str = "network conditioned on sigma";
const EXACT: &str = "exact score";
const FINAL: &str = "final";
const EDS: &str = "EDS";
const GREY: [u8; 3] = [110, 117, 128];

fn introduce(folder: &mut PageFolder, size: &Size) {
    folder.lead(
        "Figure 2 of \u{201c}Adversarial score matching and improved sampling for image \
         generation\u{201d} (Jolicoeur-Martineau et al. 2021): samples of two toy data sets, as the \
         final state of the sampler and as the expected denoised sample (EDS).",
    );
    folder.paragraph(
        "The paper states: \u{201c}On both datasets, taking the EDS brings the samples much \
         closer to the real data manifold.\u{201d} It gives no numbers; those below are ours.",
    );
    folder.paragraph(&format!(
        "The network is that of the reference code: three hidden layers of 512 units, leaky ReLU \
         0.01, not conditioned on the noise level, s(x, sigma) = net(x)/sigma; {} updates of Adam \
         at a learning rate of 1e-4 on batches of 256. There are {LEVELS} geometric levels from {} \
         to {}, with {N_SIGMA} steps per level and eta = {ETA}; CAS uses the dilated levels. \
         Samples start from sigma_1 N(0, I), where the reference code starts uniformly on a \
         square. The paper does not state its levels; the reference code ends at 0.01, where the \
         EDS moves the samples of this network by only 1 to 3 %, because so little noise is \
         negligible beside the network's own error. To separate the network's error from the \
         sampler's, there are two more scores: the same network conditioned on sigma and trained \
         with a learning rate that falls from 1e-3 to 0, and the exact score of the data \
         distribution.",
        size.steps, SIGMA.0, SIGMA.1
    ));
}

/// The distribution of the roll, a curve blurred by noise, as Gaussians closely spaced along it.
fn roll() -> Result<GaussianMixture> {
    let means = (0..ALONG_THE_ROLL).flat_map(|k| {
        let share = (k as f64 + 0.5) / ALONG_THE_ROLL as f64;
        let t = 1.5 * PI * (1.0 + 2.0 * share);
        [t * t.cos() / 7.5, t * t.sin() / 7.5]
    });
    let variance = (0.25_f64 / 7.5).powi(2);
    let weights = vec![1.0; ALONG_THE_ROLL];
    GaussianMixture::new(&weights, means.collect(), &vec![variance; ALONG_THE_ROLL])
}

/// Trains on a set and samples it in all ways; also real points, and the distance between two
/// draws of them.
fn compare(
    set: &Set,
    size: &Size,
    seed: u64,
    monitor: &mut Monitor<'_>,
) -> Result<(Vec<Found>, Vec<[f64; 2]>, NearestNeighbours)> {
    let spec = DataSpec {
        count: Some(size.data + 2 * size.samples),
        seed,
        ..DataSpec::new(set.name)
    };
    let (train, held_out) = data::open(&spec)?.split_at(size.data);
    let (real, other) = held_out.split_at(size.samples);
    let (real, other) = (points_of(&real), points_of(&other));

    let levels = Levels::geometric(SIGMA.0, SIGMA.1, LEVELS)?;
    let mut networks = Vec::new();
    for (conditional, lr, schedule) in [
        (false, 1e-4, LearningRateSchedule::Constant),
        (true, 1e-3, LearningRateSchedule::Cosine),
    ] {
        let network = NetworkConfig {
            conditional,
            mlp: Some(MlpConfig::default()),
            ..NetworkConfig::default()
        };
        let config = TrainConfig {
            steps: size.steps,
            batch: 256,
            lr,
            schedule,
            ..TrainConfig::default()
        };
        let mut fit = Fit::new(&train, &levels, &network, &config, seed)?;
        fit.finish(size.steps, &mut |done, _| {
            monitor.step("training", done, size.steps, "updates")
        })?;
        networks.push(fit.denoiser()?);
    }

    let mut found = Vec::new();
    let scores: [(&str, &dyn Denoiser); 3] = [
        (PAPERS, &networks[0]),
        (CONDITIONAL, &networks[1]),
        (EXACT, &set.distribution),
    ];
    for (score, denoiser) in scores {
        let als = Als::new(levels.clone(), N_SIGMA, StepSize::Eta(ETA))?;
        let cas = Cas::new(&levels.dilate(N_SIGMA)?, StepSize::Eta(ETA))?;
        let samplers: [(&str, Box<dyn Sampler>); 2] =
            [("ALS", Box::new(als)), ("CAS", Box::new(cas))];
        for (name, mut sampler) in samplers {
            monitor.go_on()?;
            let source = NoiseSource::new(seed, Stream::Sampling);
            let seeds: Vec<u64> = (0..size.samples as u64).collect();
            let mut watch = |view: &StepView| {
                monitor.at("sampling", view.step as u64 + 1, view.steps as u64, "steps");
            };
            let samples = run(denoiser, sampler.as_mut(), &source, &seeds, &mut watch)?;
            for (result, values) in [(FINAL, samples.x), (EDS, samples.denoised)] {
                let points = values.as_chunks::<2>().0.to_vec();
                found.push(Found {
                    score,
                    sampler: name,
                    result,
                    distance: nearest(&points, &real)?,
                    points,
                });
            }
        }
    }
    let floor = nearest(&other, &real)?;
    Ok((found, real, floor))
}

/// Distances from samples a to data b and back.
fn nearest(samples: &[[f64; 2]], data: &[[f64; 2]]) -> Result<NearestNeighbours> {
    nearest_neighbours(samples.as_flattened(), data.as_flattened(), 2)
}

fn points_of(data: &Dataset) -> Vec<[f64; 2]> {
    let all: Vec<usize> = (0..data.len()).collect();
    let values = data.gather(&all);
    let pairs = values.as_chunks::<2>().0.iter();
    pairs.map(|pair| pair.map(f64::from)).collect()
}

fn cloud(title: impl Into<String>, points: &[[f64; 2]]) -> Cloud {
    Cloud::new(title, points.iter().copied().take(SHOWN))
}

fn add(table: &mut Table, [set, score, sampler, result]: [&str; 4], distance: &NearestNeighbours) {
    table.row([
        set.into(),
        score.into(),
        sampler.into(),
        result.into(),
        distance.from_a.into(),
        distance.from_b.into(),
        distance.symmetric().into(),
    ]);
}

/// How often the paper's claim holds.
fn verdict<'a>(found: impl Iterator<Item = &'a Found>) -> String {
    // Final and EDS follow each other.
    let all: Vec<f64> = found.map(|f| f.distance.from_a.value).collect();
    let pairs = all.as_chunks::<2>().0;
    let closer = pairs.iter().filter(|[last, eds]| eds < last).count();
    format!(
        "The paper's claim, that the EDS is closer to the data than the final state, holds in \
         {closer} of {} cases. How close it comes depends on the network. The unconditional \
         network, after so short a training, leaves many samples between the modes, and the EDS, \
         which the same network computes, does not correct them. With the exact score the EDS can \
         be closer to the data than a second draw of the data: it is the mean of the posterior of \
         a noisy sample, and so less spread out than the data.",
        pairs.len()
    )
}

/// The result in words.
fn sentence(found: &[Found], floor: &NearestNeighbours) -> String {
    let of = |score: &str, sampler: &str, result: &str| {
        let wanted = |f: &&Found| (f.score, f.sampler, f.result) == (score, sampler, result);
        let found = found.iter().find(wanted);
        found.map_or(f64::NAN, |f| f.distance.from_a.value)
    };
    let part = |score: &str, sampler: &str| {
        let (last, eds) = (of(score, sampler, FINAL), of(score, sampler, EDS));
        let change = 100.0 * (eds / last - 1.0);
        format!("{last:.4} to {eds:.4} under {sampler} ({change:+.0} %)")
    };
    let scores = [PAPERS, CONDITIONAL, EXACT];
    let parts = scores.map(|s| format!("{s}, {} and {}", part(s, "ALS"), part(s, "CAS")));
    format!(
        "Taking the EDS moves the mean distance from a sample to the nearest data point as \
         follows: {}. Two draws of the data are {:.4} apart.",
        parts.join("; "),
        floor.from_a.value
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie::score::Distribution;

    #[test]
    fn the_mixtures_are_the_distributions_of_the_data() {
        for (name, target) in [
            ("swiss-roll", roll().unwrap()),
            ("gaussians-25", mixture("gaussians-25").unwrap()),
        ] {
            let spec = DataSpec {
                count: Some(3000),
                ..DataSpec::new(name)
            };
            let (a, b) = data::open(&spec).unwrap().split_at(1500);
            let (a, b) = (points_of(&a), points_of(&b));
            let mut drawn = vec![0.0; 2 * a.len()];
            let seeds: Vec<u64> = (0..a.len() as u64).collect();
            let source = NoiseSource::new(0, Stream::Evaluation);
            target.sample(&source, &seeds, 0.0, &mut drawn).unwrap();
            let drawn = drawn.as_chunks::<2>().0.to_vec();
            let (found, floor) = (nearest(&drawn, &a).unwrap(), nearest(&b, &a).unwrap());
            let (found, floor) = (found.symmetric(), floor.symmetric());
            let error = found.standard_error.hypot(floor.standard_error);
            assert!(
                (found.value - floor.value).abs() < 5.0 * error,
                "{name}: {found:?} {floor:?}"
            );
        }
    }

    #[test]
    fn a_quick_study_is_whole_and_repeats() {
        let options = StudyOptions {
            seed: 2,
            quick: true,
        };
        let make = || {
            let dir = tempfile::tempdir().unwrap();
            let studied = STUDY
                .run(dir.path(), &options, &mut Monitor::silent())
                .unwrap();
            for name in ["swiss-roll.png", "swiss-roll-exact.svg", "gaussians-25.png"] {
                assert!(dir.path().join(name).is_file(), "{name}");
            }
            let table = std::fs::read_to_string(dir.path().join("distances.csv")).unwrap();
            assert_eq!(table.lines().count(), 1 + 2 * 13);
            (std::fs::read(studied.saved.page).unwrap(), table)
        };
        assert!(make() == make());
    }
}
