//! A mixture in the plane, whose denoiser is exact: the search beside a dense grid of the same
//! family, by far more samples, at less than a tenth of its network calls.

use tweedie::job::Monitor;
use tweedie::measure::{Features, FrechetReference, Halves, Moments, Reference};
use tweedie::noise::Levels;
use tweedie::sample::SamplerKind;
use tweedie::score::GaussianMixture;
use tweedie_tune::rival::{DepthGrid, RandomSearch};
use tweedie_tune::{
    Candidate, DenoiserSubject, Grid, Search, Solver, Space, Stand, Subject, search,
};

const SIGMA: [f64; 2] = [10.0, 0.01];
const CALLS: usize = 8;
/// Settings along each axis of the dense grid, and samples of each.
const ALONG: usize = 21;
const SAMPLES: u64 = 8000;
/// Fresh samples by which the truth is told, and the number of the first.
const FRESH: u64 = 100_000;
const SEED: u64 = 7 << 40;

/// Three modes of unequal weight, width and direction.
fn mixture() -> GaussianMixture {
    let means = vec![-1.5, 0.0, 1.0, 1.0, 0.8, -1.2];
    let covariances = [
        [0.30, 0.10, 0.10, 0.08],
        [0.05, 0.0, 0.0, 0.05],
        [0.10, -0.06, -0.06, 0.20],
    ];
    GaussianMixture::full(&[0.5, 0.2, 0.3], means, covariances.as_flattened()).unwrap()
}

/// The family: SDE-2M by its eta and sigma_min, on geometric levels from the highest sigma.
fn family(eta: f64, sigma_min: f64) -> Candidate {
    Candidate {
        sampler: SamplerKind::Dpmpp2mSde,
        grid: Grid::Geometric,
        levels: Levels::geometric(SIGMA[0], sigma_min, CALLS).unwrap(),
        denoise: true,
        guidance: None,
        settings: toml::Table::from_iter([("eta".to_owned(), eta.into())]),
    }
}

fn moments(mixture: &GaussianMixture) -> Moments {
    let (mean, covariance) = mixture.moments();
    Moments::new(mean, covariance).unwrap()
}

fn subject(mixture: &GaussianMixture) -> DenoiserSubject<'_> {
    DenoiserSubject {
        denoiser: mixture,
        name: "three modes".into(),
        sigma_range: SIGMA,
    }
}

#[test]
fn the_search_finds_what_a_dense_grid_finds_at_less_than_a_tenth_of_its_calls() {
    let mixture = mixture();
    let moments = moments(&mixture);
    let reference = FrechetReference::new(Reference::Exact(&moments), Halves::default()).unwrap();
    let subject = subject(&mixture);
    let silent = &mut Monitor::silent();

    // The axes of the grid are those of the space: eta to 1.6, sigma_min halfway to sigma_max.
    let mut stand = Stand::new(&subject, None);
    let highest = (SIGMA[0] * SIGMA[1]).sqrt();
    let share = |i: usize| i as f64 / (ALONG - 1) as f64;
    let mut dense = Vec::new();
    for i in 0..ALONG {
        for j in 0..ALONG {
            let sigma_min = SIGMA[1] * (highest / SIGMA[1]).powf(share(j));
            let candidate = family(1.6 * share(i), sigma_min);
            let measured = stand.measure(&candidate, 0..SAMPLES, &reference, silent);
            dense.push((measured.unwrap().distance().corrected.value, candidate));
        }
    }
    let calls = stand.spent();
    assert_eq!(calls, (ALONG * ALONG) as u64 * SAMPLES * CALLS as u64);
    dense.sort_by(|a, b| a.0.total_cmp(&b.0));

    let mut stand = Stand::new(&subject, None);
    let mut space = Space {
        solvers: vec![Solver::DpmSolverSde],
        ..Space::new(SIGMA)
    };
    // The family: the amount of noise and sigma_min are free, the rest is as in the dense grid.
    let like = space.point(Solver::DpmSolverSde, 0.0, Grid::Geometric);
    space.fixed = like.unwrap().map(Some);
    (space.fixed[1], space.fixed[5]) = (None, None);
    let plan = Search {
        most: 1 << 14,
        ..Search::new(CALLS, calls / 12)
    };
    let found = search(&mut stand, &space, [&reference; 2], &plan, silent).unwrap();
    assert!(10 * found.evaluations < calls, "{}", found.evaluations);

    // The truth, of settings that neither chose by these samples.
    let truth = |candidate: &Candidate| {
        let drawing = subject.draw(candidate, SEED..SEED + FRESH, &mut Monitor::silent());
        let features = drawing.unwrap().features;
        reference
            .measure(Features::new("the samples", &features, 2).unwrap())
            .unwrap()
    };
    let of_dense: Vec<_> = dense[..5].iter().map(|(_, one)| truth(one)).collect();
    let best = of_dense
        .iter()
        .min_by(|a, b| {
            let value = |one: &tweedie::measure::FrechetMeasured| one.distance().corrected.value;
            value(a).total_cmp(&value(b))
        })
        .unwrap();
    let median = dense[dense.len() / 2].0;
    let ours = truth(&found.best);
    let behind = ours.compare(best).unwrap().difference;
    let [low, high] = found.distance.corrected.interval();
    let (ours, best) = (ours.distance().corrected, best.distance().corrected);
    println!(
        "the grid's best {:.5} at {} calls, {}; found {:.5}, stated {low:.5} to {high:.5}, at {} \
         calls, {}; behind by {:.5} +- {:.5}; half of the grid is above {median:.5}",
        best.value,
        calls,
        dense[0].1,
        ours.value,
        found.evaluations,
        found.best,
        behind.value,
        behind.standard_error
    );
    // Within the stated interval of the grid's best, with three standard errors of the difference.
    let half = 0.5 * (high - low);
    assert!(
        behind.value < half + 3.0 * behind.standard_error,
        "{behind:?} {half}"
    );
    // And the interval holds the truth, with room for the truth's own error.
    let room = 3.0 * ours.standard_error;
    assert!(
        low - room < ours.value && ours.value < high + room,
        "{ours:?} {low} {high}"
    );
    // The grid's best lies within the stated interval too, and half of the grid above it: there was
    // something to find.
    assert!(
        low < best.value && best.value < high,
        "{best:?} {low} {high}"
    );
    assert!(median > high, "{median} {high}");
}

/// Random search and a grid over the levels count what they spend, return what they measured
/// smallest, and refuse what is not feasible.
#[test]
fn rivals_return_the_smallest_distance_they_measured_and_count_every_call() {
    let mixture = mixture();
    let moments = moments(&mixture);
    let reference = FrechetReference::new(Reference::Exact(&moments), Halves::default()).unwrap();
    let subject = subject(&mixture);
    let silent = &mut Monitor::silent();
    let mut stand = Stand::new(&subject, None);
    let space = Space::new(SIGMA);
    let plan = RandomSearch {
        calls: 6,
        samples: 200,
        first: 5,
        evaluations: 20 * 200 * 6,
        seed: 1,
    };
    let found = plan.run(&mut stand, &space, &reference, silent).unwrap();
    assert!(found.evaluations <= plan.evaluations && found.settings >= 20);
    assert_eq!(found.evaluations, stand.spent());
    assert_eq!(
        space.candidate(&found.point.unwrap(), 6).unwrap(),
        found.candidate
    );
    for number in 0..20 {
        let candidate = space.candidate(&plan.point(number), 6).unwrap();
        let measured = stand
            .measure(&candidate, 5..205, &reference, silent)
            .unwrap();
        let value = measured.distance().corrected.value;
        assert!(value >= found.distance.corrected.value, "{candidate}");
    }
    // Twice the same, and another seed another.
    let again = plan.run(&mut stand, &space, &reference, silent).unwrap();
    assert_eq!(again, found);
    let other = RandomSearch { seed: 2, ..plan };
    assert_ne!(other.point(0), plan.point(0));
    let nothing = RandomSearch {
        evaluations: 10,
        ..plan
    };
    let error = nothing
        .run(&mut stand, &space, &reference, silent)
        .unwrap_err();
    assert!(error.to_string().contains("pay for"), "{error}");

    let base = Candidate {
        levels: Levels::geometric(SIGMA[0], 0.05, 4).unwrap(),
        ..family(0.5, 0.05)
    };
    let grid = DepthGrid {
        base,
        depth: 3,
        samples: 200,
        first: 5,
    };
    assert_eq!(grid.settings().unwrap(), 81);
    let found = grid.run(&mut stand, &reference, silent).unwrap();
    assert_eq!((found.settings, found.evaluations), (81, 81 * 200 * 4));
    let mut smallest = f64::INFINITY;
    for number in 0..81 {
        let levels = grid.levels(number).unwrap();
        assert!(levels.first() < SIGMA[0] && levels.last() > 0.05 && levels.len() == 4);
        let candidate = Candidate {
            levels,
            grid: Grid::Listed,
            ..grid.base.clone()
        };
        let measured = stand
            .measure(&candidate, 5..205, &reference, silent)
            .unwrap();
        smallest = smallest.min(measured.distance().corrected.value);
    }
    assert_eq!(found.distance.corrected.value, smallest);
    let many = DepthGrid {
        depth: 100,
        ..grid.clone()
    };
    assert!(
        many.run(&mut stand, &reference, silent)
            .unwrap_err()
            .to_string()
            .contains("fewer levels")
    );
    assert!(DepthGrid { depth: 0, ..grid }.settings().is_err());
}
