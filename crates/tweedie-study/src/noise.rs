//! The noise during idealised sampling: Figure 1 of Jolicoeur-Martineau et al. 2021.
//!
//! With the exact score of data that are a single point, a sample is that point plus noise. Under
//! annealed Langevin sampling the variance of the noise follows
//!
//! v <- (1 - eta)^2 v + 2 eta sigma_i^2,
//!
//! with the fixed point sigma_i^2/(1 - eta/2) (their Proposition 1); under consistent annealed
//! sampling it is sigma_i^2 (Proposition 2).

use super::{PageFolder, Study, StudyOptions, Table};
use tweedie::Result;
use tweedie::job::Monitor;
use tweedie::measure::Estimate;
use tweedie::noise::Levels;
use tweedie::random::{NoiseSource, Stream};
use tweedie::report::{Axis, Chart, Series};
use tweedie::sample::{Als, Cas, Sampler, StepSize, StepView, run};
use tweedie::score::GaussianMixture;

pub(super) const STUDY: Study = Study {
    name: "noise",
    about: "noise during idealised ALS and CAS (adversarial score matching, Figure 1)",
    title: "The noise during idealised sampling",
    work,
};

/// The figure's levels and step sizes.
const SIGMA: (f64, f64) = (50.0, 0.01);
const LEVELS: usize = 232;
const ALS_ETA: f64 = 0.02;
const CAS_ETA: f64 = 0.2;
/// Levels of consistent annealed sampling, and the steps between two that are shown.
const CAS_LEVELS: usize = 23_201;
const CAS_SHOWN: usize = 100;

/// n_sigma, and the final standard deviation under ALS, computed independently of this library.
const REFERENCE: [(usize, f64); 5] = [
    (1, 0.69408),
    (2, 0.030254),
    (5, 0.0123883),
    (20, 0.0103746),
    (100, 0.0100573),
];

/// Values of a simulated sample: each is a coordinate of its own, so the number of independent
/// values is this times the number of samples.
const DIM: usize = 64;

/// The standard deviation of the noise under annealed Langevin sampling on one point, from
/// sigma_1 N(0, 1): at the start, then after each of `levels.len() * n_sigma` steps.
pub fn langevin_noise(levels: &Levels, eta: f64, n_sigma: usize) -> Vec<f64> {
    let mut v = levels.first() * levels.first();
    let mut noise = vec![levels.first()];
    for sigma in levels.as_slice() {
        for _ in 0..n_sigma {
            v = (1.0 - eta) * (1.0 - eta) * v + 2.0 * eta * sigma * sigma;
            noise.push(v.sqrt());
        }
    }
    noise
}

/// The noise after the last step at each level.
struct Curve {
    label: String,
    /// From the recursion.
    predicted: Vec<f64>,
    /// From the sampler itself, with the standard error.
    simulated: Vec<Estimate>,
    /// sigma_i.
    scheduled: Vec<f64>,
}

fn work(folder: &mut PageFolder, options: &StudyOptions, monitor: &mut Monitor<'_>) -> Result<()> {
    let levels = Levels::geometric(SIGMA.0, SIGMA.1, LEVELS)?;
    let samples = if options.quick { 16 } else { 256 };
    let point = GaussianMixture::gaussian(vec![0.0; DIM], 0.0)?;
    let source = NoiseSource::new(options.seed, Stream::Sampling);
    let seeds: Vec<u64> = (0..samples).collect();
    let total = (REFERENCE.iter().map(|(n, _)| n * LEVELS).sum::<usize>() + CAS_LEVELS) as u64;
    let mut done = 0;
    // The noise after the steps that `wanted` picks: on one point, x itself is noise.
    let mut simulate = |sampler: &mut dyn Sampler, wanted: &dyn Fn(usize) -> bool| {
        monitor.go_on()?;
        let mut found = Vec::new();
        run(&point, sampler, &source, &seeds, &mut |view: &StepView| {
            if wanted(view.step) {
                found.push(deviation(view.x));
            }
            done += 1;
            monitor.at("simulating", done, total, "steps");
        })?;
        Ok::<_, tweedie::Error>(found)
    };

    let mut curves = Vec::new();
    for (n, _) in REFERENCE {
        let mut als = Als::new(levels.clone(), n, StepSize::Eta(ALS_ETA))?;
        let predicted = langevin_noise(&levels, ALS_ETA, n);
        curves.push(Curve {
            label: format!("ALS n_sigma = {n}"),
            predicted: predicted.into_iter().skip(n).step_by(n).collect(),
            simulated: simulate(&mut als, &|step| (step + 1) % n == 0)?,
            scheduled: levels.as_slice().to_vec(),
        });
    }
    let fine = Levels::geometric(SIGMA.0, SIGMA.1, CAS_LEVELS)?;
    let mut cas = Cas::new(&fine, StepSize::Eta(CAS_ETA))?;
    // A step ends at the next level; that before the last, which goes to the data, at sigma_L.
    let simulated = simulate(&mut cas, &|step| (step + 1) % CAS_SHOWN == 0)?;
    let scheduled = fine.as_slice().iter().skip(CAS_SHOWN).step_by(CAS_SHOWN);
    let scheduled: Vec<f64> = scheduled.copied().collect();
    curves.push(Curve {
        label: format!("CAS {CAS_LEVELS} levels"),
        predicted: scheduled.clone(),
        simulated,
        scheduled,
    });
    write(folder, &curves, &levels)
}

/// The standard deviation of values whose mean is known to be 0, and its standard error.
fn deviation(x: &[f64]) -> Estimate {
    let squares: Vec<f64> = x.iter().map(|x| x * x).collect();
    let square = Estimate::mean(&squares);
    let value = square.value.sqrt();
    Estimate {
        value,
        standard_error: 0.5 * square.standard_error / value,
    }
}

fn write(folder: &mut PageFolder, curves: &[Curve], levels: &Levels) -> Result<()> {
    folder.lead(
        "Figure 1 of \u{201c}Adversarial score matching and improved sampling for image \
         generation\u{201d} (Jolicoeur-Martineau et al. 2021): how much noise is in a sample after \
         each noise level, if the score is exact and the data are a single point.",
    );
    folder.paragraph(&format!(
        "There are {LEVELS} geometric noise levels from {} to {}. Annealed Langevin sampling (ALS) \
         uses eta = {ALS_ETA} and n_sigma steps per level; consistent annealed sampling (CAS) uses \
         eta = {CAS_ETA} and {CAS_LEVELS} levels. Lines are the recursion of the variance, \
         v <- (1 - eta)^2 v + 2 eta sigma^2 for ALS and the schedule itself for CAS; dots are the \
         library's samplers, run on the single point.",
        SIGMA.0, SIGMA.1
    ));
    folder.section("Figure 1a: the noise");
    folder.chart(
        "noise",
        &noise_chart(curves, levels),
        "With few steps per level the noise lags behind the schedule: at n_sigma = 1 it is never \
         close to it. CAS follows the schedule exactly.",
    )?;
    folder.section("Figure 1b: the deviation from the schedule");
    folder.chart(
        "excess",
        &excess_chart(curves),
        "The same as the ratio of noise to schedule, minus 1. However many steps it takes, ALS \
         stays above the schedule: the limit is 1/sqrt(1 - eta/2) - 1 = 0.0050. CAS deviates by 0, \
         which a logarithmic axis cannot show.",
    )?;
    folder.section("The noise at the end");
    let mut table = Table::new([
        "sampler",
        "reference",
        "recursion",
        "simulated",
        "relative to sigma_L",
    ]);
    let references = REFERENCE.iter().map(|(_, value)| *value);
    for (curve, reference) in curves.iter().zip(references.chain([SIGMA.1])) {
        let predicted = last(&curve.predicted);
        // Both curves have a point for every level.
        let simulated = curve
            .simulated
            .last()
            .map_or("".into(), |&found| found.into());
        let over = predicted / SIGMA.1;
        table.row([
            curve.label.as_str().into(),
            reference.into(),
            predicted.into(),
            simulated,
            over.into(),
        ]);
    }
    let limit = SIGMA.1 / (1.0 - ALS_ETA / 2.0).sqrt();
    let over = limit / SIGMA.1;
    let never = "ALS n_sigma to infinity";
    table.row([
        never.into(),
        0.0100504.into(),
        limit.into(),
        "".into(),
        over.into(),
    ]);
    folder.table("final", &table)?;
    folder.paragraph(
        "The paper plots these values but does not state them. The reference column is the \
         recursion computed independently of this library. The value for CAS is that at its last \
         level, before the step to the data.",
    );
    let mut along = Table::new(["sampler", "progress", "scheduled", "recursion", "simulated"]);
    for curve in curves {
        let rows = curve
            .scheduled
            .iter()
            .zip(&curve.predicted)
            .zip(&curve.simulated);
        for (i, ((&scheduled, &predicted), &simulated)) in rows.enumerate() {
            along.row([
                curve.label.as_str().into(),
                progress(curve, i).into(),
                scheduled.into(),
                predicted.into(),
                simulated.into(),
            ]);
        }
    }
    folder.data("along", &along)
}

/// The last value of a list that is never empty.
fn last<T: Copy + Default>(values: &[T]) -> T {
    values.last().copied().unwrap_or_default()
}

/// The fraction of the sampling that is done at a curve's value.
fn progress(curve: &Curve, i: usize) -> f64 {
    (i + 1) as f64 / curve.scheduled.len() as f64
}

fn noise_chart(curves: &[Curve], levels: &Levels) -> Chart {
    let schedule = levels.as_slice().iter().enumerate();
    let mut chart = Chart::new("Standard deviation of the noise during sampling")
        .x(Axis::linear("fraction of the steps"))
        .y(Axis::log("standard deviation"))
        .series(
            Series::dashed(
                "schedule",
                schedule.map(|(i, &s)| ((i + 1) as f64 / LEVELS as f64, s)),
            )
            .color([31, 41, 55]),
        );
    for (k, curve) in curves.iter().enumerate() {
        let color = tweedie::report::PALETTE[k % tweedie::report::PALETTE.len()];
        let line = curve.predicted.iter().enumerate();
        let line = line.map(|(i, &v)| (progress(curve, i), v));
        // Dots far enough apart to be distinguished from one another, and from those of other
        // curves.
        let dots = curve.simulated.iter().enumerate().skip(2 * k).step_by(21);
        let dots = dots.map(|(i, found)| (progress(curve, i), found.value));
        chart = chart
            .series(Series::line(curve.label.as_str(), line).color(color))
            .series(Series::points("", dots).color(color));
    }
    chart
}

fn excess_chart(curves: &[Curve]) -> Chart {
    let limit = 1.0 / (1.0 - ALS_ETA / 2.0).sqrt() - 1.0;
    let ends = [(0.0, limit), (1.0, limit)];
    let mut chart = Chart::new("Ratio of noise to schedule, minus 1")
        .x(Axis::linear("fraction of the steps"))
        .y(Axis::log("excess"))
        .series(Series::dashed("limit, n_sigma to infinity", ends).color([31, 41, 55]));
    for curve in curves {
        let pairs = curve.predicted.iter().zip(&curve.scheduled).enumerate();
        let excess = pairs.map(|(i, (v, s))| (progress(curve, i), v / s - 1.0));
        if curve.predicted != curve.scheduled {
            chart = chart.series(Series::line(curve.label.as_str(), excess));
        }
    }
    chart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_5_the_recursion_ends_at_the_known_values() {
        let levels = Levels::geometric(SIGMA.0, SIGMA.1, LEVELS).unwrap();
        for (n, reference) in REFERENCE {
            let noise = langevin_noise(&levels, ALS_ETA, n);
            assert_eq!(noise.len(), LEVELS * n + 1);
            let end: f64 = last(&noise);
            assert!((end / reference - 1.0).abs() < 1e-5, "{n}: {end}");
            let after = noise[n..].iter().step_by(n).zip(levels.as_slice());
            assert!(after.into_iter().all(|(v, s)| v > s));
        }
    }

    #[test]
    fn the_samplers_agree_with_the_recursion() {
        let dir = tempfile::tempdir().unwrap();
        let options = StudyOptions {
            seed: 1,
            quick: true,
        };
        let studied = STUDY
            .run(dir.path(), &options, &mut Monitor::silent())
            .unwrap();
        assert!(studied.saved.page.is_file());
        let mut table = csv::Reader::from_path(dir.path().join("final.csv")).unwrap();
        let rows: Vec<Vec<String>> = table
            .records()
            .map(|row| row.unwrap().iter().map(str::to_owned).collect())
            .collect();
        assert_eq!(rows.len(), 7);
        for row in &rows[..6] {
            let [recursion, simulated, error] = [2, 3, 4].map(|i| row[i].parse::<f64>().unwrap());
            assert!((recursion - simulated).abs() < 4.5 * error, "{row:?}");
        }
    }
}
