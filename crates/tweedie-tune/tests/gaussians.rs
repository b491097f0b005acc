//! Where the best setting is known: Gaussians, exact and corrupted.
//!
//! Target N(0, diag(1/k)), k = 1 ... 64. Along an axis of variance t the denoiser is d = t/(t +
//! sigma^2) times x; the corrupted one d + 0.1 (1 - d) where sigma > 0.5. An update of CAS keeps a
//! Gaussian a Gaussian, so that the distance of its samples is a recursion of 64 variances.

use tweedie::job::Monitor;
use tweedie::measure::{FrechetReference, Halves, Moments, Reference};
use tweedie::noise::Levels;
use tweedie::sample::SamplerKind;
use tweedie::score::{Denoiser, Posterior, Query, by_level};
use tweedie_tune::{Candidate, DenoiserSubject, Grid, Outcome, Profile, Search, Solver, Space};
use tweedie_tune::{Stand, profile, search};

const DIM: usize = 64;
const SIGMA: [f64; 2] = [20.0, 0.01];

struct Gaussian {
    corrupted: bool,
}

impl Gaussian {
    fn variance(axis: usize) -> f64 {
        1.0 / (axis + 1) as f64
    }

    fn gain(&self, axis: usize, sigma: f64) -> f64 {
        let t = Self::variance(axis);
        let d = t / (t + sigma * sigma);
        match self.corrupted && sigma > 0.5 {
            true => d + 0.1 * (1.0 - d),
            false => d,
        }
    }

    /// The distance of CAS's denoised samples on `levels`, by recursion.
    fn distance(&self, levels: &Levels, eps_c: f64) -> f64 {
        self.distance_by(levels, &vec![eps_c; levels.len()])
    }

    /// The same with an eps_c of its own at each level.
    fn distance_by(&self, levels: &Levels, eps_c: &[f64]) -> f64 {
        let sigmas = levels.as_slice();
        let along = (0..DIM).map(|axis| {
            let mut v = sigmas[0] * sigmas[0];
            for (pair, eps_c) in sigmas.windows(2).zip(eps_c) {
                let kappa = (pair[1] / pair[0]).powf(*eps_c);
                let factor = kappa + (1.0 - kappa) * self.gain(axis, pair[0]);
                v = factor * factor * v + pair[1].powi(2) - kappa * kappa * pair[0].powi(2);
            }
            let last = self.gain(axis, sigmas[sigmas.len() - 1]);
            let deviation = last * v.sqrt() - Self::variance(axis).sqrt();
            deviation * deviation
        });
        along.sum()
    }

    /// Where it is smallest on a geometric grid.
    fn best_eps_c(&self, calls: usize) -> f64 {
        let levels = Levels::geometric(SIGMA[0], SIGMA[1], calls).unwrap();
        let fine = (0..600).map(|i| 1.0 + 0.01 * f64::from(i));
        fine.min_by(|a, b| {
            let distance = |eps_c: &f64| self.distance(&levels, *eps_c);
            distance(a).total_cmp(&distance(b))
        })
        .unwrap()
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

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> tweedie::Result<()> {
        by_level(DIM, query, posterior, |x, sigma, out| {
            for (x, out) in x.chunks_exact(DIM).zip(out.chunks_exact_mut(DIM)) {
                for (axis, (x, out)) in x.iter().zip(out).enumerate() {
                    *out = self.gain(axis, sigma) * x;
                }
            }
            Ok(())
        })
    }
}

fn cas(eps_c: f64, calls: usize) -> Candidate {
    Candidate {
        sampler: SamplerKind::Cas,
        grid: Grid::Geometric,
        levels: Levels::geometric(SIGMA[0], SIGMA[1], calls).unwrap(),
        denoise: true,
        guidance: None,
        settings: toml::Table::from_iter([("eps_c".to_owned(), eps_c.into())]),
    }
}

fn subject(denoiser: &Gaussian) -> DenoiserSubject<'_> {
    DenoiserSubject {
        denoiser,
        name: format!("gaussian, corrupted {}", denoiser.corrupted),
        sigma_range: SIGMA,
    }
}

fn profiled(denoiser: &Gaussian, calls: usize, samples: u64) -> Profile {
    let subject = subject(denoiser);
    let moments = Gaussian::moments();
    let exact = Reference::Exact(&moments);
    let reference = FrechetReference::new(exact, Halves::default()).unwrap();
    let family = (0..=24).map(|i| {
        let eps_c = match i {
            0 => 1.0,
            _ => 1.0 + 0.08 * 1.18f64.powi(i),
        };
        (eps_c, cas(eps_c, calls))
    });
    profile(
        &mut Stand::new(&subject, None),
        &reference,
        family.collect(),
        calls,
        (0, samples),
        &mut Monitor::silent(),
    )
    .unwrap()
}

/// The facts' table of best step sizes, and that the tuner finds each within its interval.
#[test]
fn the_interior_optimum_of_a_corrupted_denoiser_is_found_at_every_number_of_calls() {
    let corrupted = Gaussian { corrupted: true };
    let table = [
        (8, 1.35),
        (16, 1.46),
        (32, 1.70),
        (64, 2.03),
        (128, 2.57),
        (256, 3.37),
    ];
    for (calls, published) in table {
        let exact = corrupted.best_eps_c(calls);
        assert!((exact - published).abs() < 0.011, "{calls}: {exact}");
        let found = profiled(&corrupted, calls, 4000);
        let [low, high] = found.interval.unwrap();
        let best = found.points[found.best.unwrap()].at;
        println!("{calls} calls: eps_c* {exact:.2}, found {best:.3} in [{low:.3}, {high:.3}]");
        assert!(
            low <= exact && exact <= high,
            "{calls}: {exact} {low} {high}"
        );
        assert!(low > 1.0, "the optimum is inside");
        // The figures themselves.
        let levels = Levels::geometric(SIGMA[0], SIGMA[1], calls).unwrap();
        for point in &found.points {
            let distance = point.distance.unwrap().corrected;
            let truth = corrupted.distance(&levels, point.at);
            let away = (distance.value - truth) / distance.standard_error;
            assert!(
                away.abs() < 4.5,
                "{calls} {}: {distance:?} {truth}",
                point.at
            );
        }
    }
}

#[test]
fn an_exact_denoiser_is_best_without_noise() {
    let exact = Gaussian { corrupted: false };
    for calls in [8, 32] {
        let found = profiled(&exact, calls, 2000);
        assert_eq!(found.points[found.best.unwrap()].at, 1.0);
        assert_eq!(found.interval.unwrap()[0], 1.0);
    }
}

/// The search over CAS and its grids comes within its interval of the best that a dense grid of the
/// same space has, by the exact distance.
#[test]
fn the_search_finds_what_the_exact_distance_says() {
    let corrupted = Gaussian { corrupted: true };
    let subject = subject(&corrupted);
    let moments = Gaussian::moments();
    let reference = FrechetReference::new(Reference::Exact(&moments), Halves::default()).unwrap();
    let space = Space {
        solvers: vec![Solver::Cas],
        ..Space::new(SIGMA)
    };
    let plan = Search {
        points: 24,
        most: 2048,
        ..Search::new(8, 2_000_000)
    };
    let mut stand = Stand::new(&subject, None);
    let found = search(
        &mut stand,
        &space,
        [&reference; 2],
        &plan,
        &mut Monitor::silent(),
    )
    .unwrap();
    let truth = |candidate: &Candidate| {
        let levels = &candidate.levels;
        match &candidate.settings["eps_c"] {
            toml::Value::Array(list) => {
                let list: Vec<f64> = list.iter().map(|v| v.as_float().unwrap()).collect();
                corrupted.distance_by(levels, &list)
            }
            one => corrupted.distance(levels, one.as_float().unwrap()),
        }
    };
    let usual = [1.0, 1.5, 2.0].map(|eps_c| truth(&cas(eps_c, 8)));
    println!("{} {:?}", found.best, found.distance.corrected);
    println!("exactly {}, usual {usual:?}", truth(&found.best));
    let away = found.distance.corrected.value - truth(&found.best);
    assert!(away.abs() < 4.5 * found.distance.corrected.standard_error);
    assert!(truth(&found.best) < usual.iter().fold(f64::INFINITY, |a, b| a.min(*b)));
    // eps_c alone reaches 0.0022 on a geometric grid: no worse by more than can be told.
    assert!(truth(&found.best) < 0.0022 + 3.0 * found.distance.corrected.standard_error);
    assert!(found.evaluations <= plan.evaluations);
    assert!(found.baselines.len() == 3);
    if found.outcome == Outcome::Winner {
        assert!(found.ties.is_empty());
    }
}
