//! Per-step optimisation where the truth is known.
//!
//! Target N(0, diag(1/k)), k = 1 ... 16, with its exact denoiser. Every x of `exponential` is linear
//! in the draws, so that along an axis it is a row of coefficients, and the distance of its samples
//! follows without sampling.

use std::cell::Cell;
use std::ops::{ControlFlow, Range};

use tweedie::job::{Monitor, Progress};
use tweedie::measure::{FrechetReference, Halves, Moments, Reference};
use tweedie::noise::Levels;
use tweedie::random::{NoiseSource, Stream};
use tweedie::sample::{Exponential, SamplerKind};
use tweedie::score::{Denoiser, Posterior, Query, by_level};
use tweedie::{Error, Result};
use tweedie_tune::{Cache, Candidate, CmaEs, DenoiserSubject, Drawing, Grid, PerStep, Refined};
use tweedie_tune::{Stand, Subject, per_step, usual_points};

const DIM: usize = 16;
const SIGMA: [f64; 2] = [10.0, 0.01];

struct Gaussian;

impl Gaussian {
    fn variance(axis: usize) -> f64 {
        1.0 / (axis + 1) as f64
    }

    fn gain(axis: usize, sigma: f64) -> f64 {
        Self::variance(axis) / (Self::variance(axis) + sigma * sigma)
    }

    /// The squared Frechet distance of the denoised samples of `exponential`.
    fn distance(levels: &Levels, eps_c: &[f64], c: &[f64]) -> f64 {
        let sampler = Exponential::new(levels, eps_c, c).unwrap();
        let steps = sampler.coefficients();
        let along = (0..DIM).map(|axis| {
            // Coefficients of x on the start's draw and on each step's.
            let mut x = vec![0.0; steps.len() + 1];
            x[0] = levels.first();
            let mut before = vec![0.0; x.len()];
            for (i, step) in steps.iter().enumerate() {
                let h: Vec<f64> = x.iter().map(|x| Self::gain(axis, step.sigma) * x).collect();
                if step.sigma_next == 0.0 {
                    x = h;
                    break;
                }
                for (j, x) in x.iter_mut().enumerate() {
                    let d = h[j] + step.multistep * (h[j] - before[j]);
                    *x = step.kept * *x + (1.0 - step.kept) * d;
                }
                x[i + 1] += step.noise;
                before = h;
            }
            let deviation = x.iter().map(|x| x * x).sum::<f64>().sqrt();
            (deviation - Self::variance(axis).sqrt()).powi(2)
        });
        along.sum()
    }

    fn moments() -> Moments {
        let mut covariance = vec![0.0; DIM * DIM];
        for axis in 0..DIM {
            covariance[axis * (DIM + 1)] = Self::variance(axis);
        }
        Moments::new(vec![0.0; DIM], covariance).unwrap()
    }
}

impl Denoiser for Gaussian {
    fn dim(&self) -> usize {
        DIM
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        by_level(DIM, query, posterior, |x, sigma, out| {
            for (x, out) in x.chunks_exact(DIM).zip(out.chunks_exact_mut(DIM)) {
                for (axis, (x, out)) in x.iter().zip(out).enumerate() {
                    *out = Self::gain(axis, sigma) * x;
                }
            }
            Ok(())
        })
    }
}

fn geometric(calls: usize) -> Levels {
    Levels::geometric(SIGMA[0], SIGMA[1], calls).unwrap()
}

fn cas(eps_c: f64, levels: Levels) -> Candidate {
    Candidate {
        sampler: SamplerKind::Cas,
        grid: Grid::Geometric,
        levels,
        denoise: true,
        guidance: None,
        settings: toml::Table::from_iter([("eps_c".to_owned(), eps_c.into())]),
    }
}

fn list(candidate: &Candidate, name: &str) -> Vec<f64> {
    let list = candidate.settings[name].as_array().unwrap();
    list.iter().map(|value| value.as_float().unwrap()).collect()
}

/// Of a setting of `exponential`, or of a CAS.
fn exactly(candidate: &Candidate) -> f64 {
    let levels = &candidate.levels;
    match candidate.sampler {
        SamplerKind::Exponential => {
            Gaussian::distance(levels, &list(candidate, "eps_c"), &list(candidate, "c"))
        }
        _ => {
            let eps_c = candidate.settings["eps_c"].as_float().unwrap();
            let count = levels.len();
            Gaussian::distance(levels, &vec![eps_c; count], &vec![0.0; count])
        }
    }
}

fn refined(start: &Candidate, plan: PerStep) -> Refined {
    let subject = DenoiserSubject {
        denoiser: &Gaussian,
        name: "gaussian".into(),
        sigma_range: SIGMA,
    };
    let moments = Gaussian::moments();
    let reference = FrechetReference::new(Reference::Exact(&moments), Halves::default()).unwrap();
    let mut stand = Stand::new(&subject, None);
    let silent = &mut Monitor::silent();
    let found = per_step(&mut stand, [&reference; 2], &[start], &plan, silent);
    let found = found.unwrap().unwrap();
    assert!(found.evaluations <= plan.evaluations && found.evaluations > plan.evaluations / 2);
    assert_eq!(stand.spent(), found.evaluations);
    println!(
        "{} generations: exactly {:.5} -> {:.5}, measured {:.5} ± {:.5}, kept {}",
        found.generations,
        exactly(start),
        exactly(&found.found),
        found.gain.value,
        found.gain.standard_error,
        found.kept
    );
    found
}

fn plan(evaluations: u64, samples: usize) -> PerStep {
    PerStep {
        evaluations,
        samples,
        most: 8192,
        seed: 0,
    }
}

/// From a geometric grid of first order, whose levels are far from the best: what is found is
/// several times nearer, exactly, and the test says so with a gain that is true.
#[test]
fn a_poor_grid_is_made_better_beyond_doubt() {
    for calls in [4, 8] {
        let start = cas(1.0, geometric(calls));
        let found = refined(&start, plan(2_500_000, 256));
        let (before, after) = (exactly(&start), exactly(&found.found));
        assert!(found.kept);
        assert!(after < 0.25 * before, "{after} of {before}");
        let away = (found.gain.value - (before - after)) / found.gain.standard_error;
        assert!(away.abs() < 4.5, "{away}");
        assert_eq!(found.found.levels.first(), SIGMA[0]);
    }
}

/// From the best there is, found by the exact distance: samples cannot lead further, and what they
/// lead to is refused.
#[test]
fn what_is_best_already_is_kept_as_it_is() {
    let calls = 4;
    let at = |x: &[f64]| {
        let mut levels = vec![SIGMA[0]];
        for i in 0..calls - 1 {
            levels.push(levels[i] * f64::exp(-x[i].exp()));
        }
        let mut c = vec![0.0; calls];
        c[1..calls - 1].copy_from_slice(&x[calls - 1..]);
        (Levels::new(levels), c)
    };
    // An exact denoiser is best without noise; levels and weights are free.
    let variables = 2 * calls - 3;
    let mut start = vec![(1000f64.ln() / 3.0).ln(); calls - 1];
    start.resize(variables, 0.5);
    let mut search = CmaEs::new(start, 0.3, usual_points(variables), 1).unwrap();
    for _ in 0..400 {
        let values = search.ask().into_iter().map(|x| match at(&x) {
            (Ok(levels), c) => Gaussian::distance(&levels, &vec![1.0; calls], &c),
            _ => f64::NAN,
        });
        let values: Vec<f64> = values.collect();
        search.tell(&values).unwrap();
    }
    let (levels, c) = at(search.mean());
    let best = Candidate {
        sampler: SamplerKind::Exponential,
        settings: toml::Table::from_iter([
            ("eps_c".to_owned(), vec![1.0; calls].into()),
            ("c".to_owned(), c.into()),
        ]),
        ..cas(1.0, levels.unwrap())
    };
    assert!(exactly(&best) < 0.1 * exactly(&cas(1.0, geometric(calls))));
    let found = refined(&best, plan(600_000, 256));
    assert!(!found.kept);
    assert!(exactly(&found.found) >= exactly(&best));
}

/// Samples of N(0, I) in the plane, half of whose variance is the candidate's own, so that no
/// setting is better and each looks better or worse.
struct Equal {
    repetition: u64,
    drawn: Cell<u64>,
}

impl Subject for Equal {
    fn fingerprint(&self) -> String {
        format!("equal {}", self.repetition)
    }

    fn sigma_range(&self) -> [f64; 2] {
        SIGMA
    }

    fn dim(&self) -> usize {
        2
    }

    fn draw(
        &self,
        candidate: &Candidate,
        seeds: Range<u64>,
        _: &mut Monitor<'_>,
    ) -> Result<Drawing> {
        let hash = candidate.key().bytes().fold(self.repetition, |hash, byte| {
            hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)
        });
        let sources = [self.repetition, hash].map(|seed| NoiseSource::new(seed, Stream::Data));
        let mut features = Vec::new();
        for seed in seeds.clone() {
            let [mut a, mut b] = [[0.0; 2]; 2];
            sources[0].fill_normal(seed, 0, &mut a);
            sources[1].fill_normal(seed, 0, &mut b);
            features.extend((0..2).map(|i| 0.5f64.sqrt() * (a[i] + b[i]) + 0.3));
        }
        self.drawn.set(self.drawn.get() + 1);
        Ok(Drawing {
            evaluations: (seeds.end - seeds.start) * candidate.levels.len() as u64,
            features,
        })
    }
}

fn equal(repetition: u64, cache: Option<Cache>, stop_after: usize) -> (Result<Refined>, u64) {
    let subject = Equal {
        repetition,
        drawn: Cell::new(0),
    };
    let moments = Moments::new(vec![0.0; 2], vec![1.0, 0.0, 0.0, 1.0]).unwrap();
    let reference = FrechetReference::new(Reference::Exact(&moments), Halves::default()).unwrap();
    let mut stand = Stand::new(&subject, cache);
    let mut seen = 0;
    let mut watcher = |_: &Progress<'_>| {
        seen += 1;
        match seen <= stop_after {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    };
    let mut monitor = Monitor::new(&mut watcher);
    let start = cas(1.5, geometric(4));
    let plan = PerStep {
        most: 512,
        ..plan(90_000, 64)
    };
    let found = per_step(&mut stand, [&reference; 2], &[&start], &plan, &mut monitor);
    (found.map(Option::unwrap), subject.drawn.get())
}

/// Where no setting is better, what is found looks better on the seeds of its search and is kept in
/// at most the share that the test allows, 2.5 %.
#[test]
fn a_gain_that_is_noise_is_refused() {
    let repetitions = 120;
    let kept =
        (0..repetitions).filter(|repetition| equal(*repetition, None, usize::MAX).0.unwrap().kept);
    let kept = kept.count();
    println!("{kept} of {repetitions} kept");
    // 3 expected; more than 8 in one of 200 such experiments.
    assert!(kept <= 8, "{kept}");
}

#[test]
fn an_optimisation_that_was_stopped_resumes_to_the_same_result() {
    let (whole, drawn) = equal(7, None, usize::MAX);
    let whole = whole.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cache = || Some(Cache::open(dir.path()).unwrap());
    let mut drawn_in_parts = 0;
    for stop_after in [0, 1, 3, whole.generations as usize + 1] {
        let (stopped, drawn) = equal(7, cache(), stop_after);
        assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
        drawn_in_parts += drawn;
    }
    let (resumed, last) = equal(7, cache(), usize::MAX);
    assert_eq!(resumed.unwrap(), whole);
    assert_eq!(drawn_in_parts + last, drawn);
}
