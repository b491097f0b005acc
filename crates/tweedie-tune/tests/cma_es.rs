//! CMA-ES on functions whose minimum is known.

use tweedie_tune::{CmaEs, usual_points};

/// Minimises `f` from `mean` until it is below `target`: the evaluations, none where it takes more
/// than `most`.
fn evaluations(
    f: impl Fn(&[f64]) -> f64,
    mean: Vec<f64>,
    sigma: f64,
    target: f64,
    most: usize,
    seed: u64,
) -> Option<usize> {
    let points = usual_points(mean.len());
    let mut search = CmaEs::new(mean, sigma, points, seed).unwrap();
    let mut count = 0;
    while count < most {
        let values: Vec<f64> = search.ask().iter().map(|x| f(x)).collect();
        count += values.len();
        search.tell(&values).unwrap();
        if f(search.mean()) < target {
            return Some(count);
        }
    }
    None
}

fn sphere(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}

/// Its axes' weights span six orders.
fn ellipsoid(x: &[f64]) -> f64 {
    let last = (x.len() - 1) as f64;
    let terms = x.iter().enumerate();
    terms
        .map(|(i, x)| 10f64.powf(6.0 * i as f64 / last) * x * x)
        .sum()
}

fn rosenbrock(x: &[f64]) -> f64 {
    let pairs = x.windows(2);
    pairs
        .map(|p| 100.0 * (p[1] - p[0] * p[0]).powi(2) + (1.0 - p[0]).powi(2))
        .sum()
}

/// Ten variables to 1e-10: evaluations grow with the logarithm of the target, and the covariance learns
/// axes whose weights span six orders and a curved valley. Without its adaptation the ellipsoid takes
/// millions.
#[test]
fn known_functions_are_minimised_in_a_few_thousand_evaluations() {
    for seed in 0..5 {
        let one = |f: fn(&[f64]) -> f64, start: f64, sigma: f64, most: usize| {
            let found = evaluations(f, vec![start; 10], sigma, 1e-10, most, seed);
            found.unwrap_or_else(|| panic!("seed {seed}: more than {most}"))
        };
        let counts = [
            one(sphere, 1.0, 0.5, 2_300),
            one(ellipsoid, 1.0, 0.5, 5_500),
            one(rosenbrock, 0.0, 0.3, 8_000),
        ];
        println!("seed {seed}: {counts:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_search_and_another_is_another() {
    let path = |seed| {
        let mut search = CmaEs::new(vec![1.0; 6], 0.5, 9, seed).unwrap();
        for _ in 0..30 {
            assert_eq!(search.ask(), search.ask());
            let values: Vec<f64> = search.ask().iter().map(|x| rosenbrock(x)).collect();
            search.tell(&values).unwrap();
        }
        let bits = search.mean().iter().map(|m| m.to_bits());
        bits.chain([search.sigma().to_bits()]).collect::<Vec<u64>>()
    };
    assert_eq!(path(1), path(1));
    assert_ne!(path(1), path(2));
}

/// NaN, and infinities of either sign, are worse than any number: the search of a function with a
/// forbidden half ends where the function is least in the other one, and does as with a huge value.
#[test]
fn values_that_are_not_finite_are_the_worst() {
    let forbidden = |worst: f64| {
        move |x: &[f64]| match x[0] < 0.0 {
            true => worst,
            false => (x[0] - 0.2).powi(2) + sphere(&x[1..]),
        }
    };
    let run = |worst: f64| {
        let mut search = CmaEs::new(vec![1.0; 4], 0.5, 8, 5).unwrap();
        for _ in 0..120 {
            let values: Vec<f64> = search.ask().iter().map(|x| forbidden(worst)(x)).collect();
            search.tell(&values).unwrap();
        }
        search.mean().to_vec()
    };
    let huge = run(1e300);
    assert!((huge[0] - 0.2).abs() < 1e-6, "{huge:?}");
    for worst in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(run(worst), huge);
    }
    // Nowhere a number: the mean stays.
    let mut search = CmaEs::new(vec![1.0; 4], 0.5, 8, 5).unwrap();
    search.tell(&[f64::NAN; 8]).unwrap();
    assert_eq!(search.mean(), [1.0; 4]);
    assert_eq!(search.sigma(), 0.25);
}

#[test]
fn what_cannot_be_searched_is_refused() {
    for (found, what) in [
        (CmaEs::new(vec![], 1.0, 8, 0), "mean"),
        (CmaEs::new(vec![f64::NAN], 1.0, 8, 0), "mean"),
        (CmaEs::new(vec![0.0], 0.0, 8, 0), "sigma"),
        (CmaEs::new(vec![0.0], f64::NAN, 8, 0), "sigma"),
        (CmaEs::new(vec![0.0], 1.0, 3, 0), "points"),
    ] {
        let error = found.unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let mut search = CmaEs::new(vec![0.0], 1.0, 8, 0).unwrap();
    assert!(search.tell(&[0.0; 7]).is_err());
}
