//! The curve on known losses, and its levels on the spectrum 1/k, where the Frechet distance of
//! any grid is a recursion.

use super::*;

/// The variances of the target N(0, diag(1/k)), k <= 64.
fn variances() -> impl Iterator<Item = f64> {
    (1..=64).map(|k| 1.0 / f64::from(k))
}

/// sum_k v sigma^2/(v + sigma^2).
fn loss(sigma: f64) -> f64 {
    variances()
        .map(|v| v * sigma * sigma / (v + sigma * sigma))
        .sum()
}

fn slope(sigma: f64) -> f64 {
    let derivative = |v: f64| 2.0 * sigma * v * v / (v + sigma * sigma).powi(2);
    variances().map(derivative).sum()
}

/// The squared Frechet distance between the target and the samples of the deterministic
/// first-order sampler with the exact denoiser, x' = gamma x + (1 - gamma) H, from
/// N(0, sigma_1^2) and denoised at the last level.
fn frechet(levels: &Levels) -> f64 {
    let end = |v: f64| {
        let h = |sigma: f64| v / (v + sigma * sigma);
        let steps = levels.as_slice().iter().zip(levels.gammas());
        let start = levels.first();
        let std = steps.fold(start, |std, (&sigma, gamma)| {
            std * (gamma + (1.0 - gamma) * h(sigma))
        });
        (v.sqrt() - std * h(levels.last())).powi(2)
    };
    variances().map(end).sum()
}

/// The curve as `levels` measures it: 40 levels.
fn curve() -> LossCurve {
    LossCurve::exact(&Levels::geometric(20.0, 0.004, 40).unwrap(), loss).unwrap()
}

/// The least distance over sigma_min.
fn tuned(levels: impl Fn(f64) -> Levels) -> f64 {
    let at = |x: f64| frechet(&levels(x.exp()));
    let grid: Vec<f64> = (0..60)
        .map(|i| (0.005f64).ln() + 0.08 * f64::from(i))
        .collect();
    let best = grid
        .iter()
        .copied()
        .min_by(|a, b| at(*a).total_cmp(&at(*b)))
        .unwrap();
    // Golden section between its neighbours.
    let (mut low, mut high) = (best - 0.08, best + 0.08);
    let ratio = (5.0f64.sqrt() - 1.0) / 2.0;
    for _ in 0..25 {
        let (a, b) = (high - ratio * (high - low), low + ratio * (high - low));
        if at(a) < at(b) { high = b } else { low = a }
    }
    at((low + high) / 2.0)
}

/// The table of this project's notes: N = 8, 16, 32.
#[test]
fn the_spectrum_has_its_known_distances() {
    let curve = curve();
    let by = |schedule: LossSchedule, n: usize, p: f64| {
        tuned(|sigma_min| schedule.levels(&curve, 20.0, sigma_min, n, p).unwrap())
    };
    for (n, karras, geometric, loss_curve, mse_dp, entropic) in [
        (8, 0.308, 0.269, 0.1293, 0.141, 0.516),
        (16, 0.0788, 0.0680, 0.0350, 0.0367, 0.281),
        (32, 0.0201, 0.0173, 0.0092, 0.0095, 0.143),
    ] {
        for (name, found, expected, rounding) in [
            (
                "karras",
                frechet(&Levels::karras(20.0, 0.01, n, 7.0).unwrap()),
                karras,
                1e-4,
            ),
            (
                "geometric",
                frechet(&Levels::geometric(20.0, 0.01, n).unwrap()),
                geometric,
                1e-4,
            ),
            (
                "loss-curve",
                by(LossSchedule::LossCurve, n, 1.0),
                loss_curve,
                5e-5,
            ),
            (
                "entropic",
                by(LossSchedule::Entropic, n, 1.0),
                entropic,
                6e-4,
            ),
        ] {
            println!("N = {n}, {name}: {found:.5}");
            assert!(
                (found - expected).abs() <= rounding,
                "N = {n}, {name}: {found}"
            );
        }
        let found = by(LossSchedule::MseDp, n, 1.0);
        println!("N = {n}, mse-dp: {found:.5}");
        assert!(
            (found - mse_dp).abs() <= 6e-4 * 8.0 / n as f64,
            "N = {n}, mse-dp: {found}"
        );
    }
}

#[test]
fn the_curve_is_smooth_between_levels_and_goes_to_zero() {
    let curve = curve();
    for i in 0..400 {
        let sigma = 0.004 * (5000f64).powf(f64::from(i) / 399.0);
        assert!(
            (curve.loss(sigma) / loss(sigma) - 1.0).abs() < 2e-4,
            "{sigma}"
        );
        let apart = (curve.slope(sigma) - slope(sigma)).abs();
        let allowed = 0.04 * slope(sigma) + 1e-3 * loss(sigma) / sigma;
        assert!(apart < allowed, "{sigma}: {apart} {allowed}");
    }
    for sigma in [1e-3, 1e-4] {
        let expected = curve.loss(0.004) * (sigma / 0.004f64).powi(2);
        assert!((curve.loss(sigma) / expected - 1.0).abs() < 1e-12);
        assert!((curve.slope(sigma) / (2.0 * expected / sigma) - 1.0).abs() < 1e-12);
    }
    assert_eq!(
        (curve.loss(50.0), curve.slope(50.0)),
        (curve.loss(20.0), 0.0)
    );
}

/// With many levels a step of the dynamic programme is a short one.
#[test]
fn mse_dp_tends_to_the_loss_curve_grid() {
    let curve = curve();
    let by = |schedule: LossSchedule, p| schedule.levels(&curve, 20.0, 0.01, 100, p).unwrap();
    let pairs = |a: Levels, b: Levels| {
        let ratios = a
            .as_slice()
            .iter()
            .zip(b.as_slice())
            .map(|(a, b)| (a / b).ln().abs());
        ratios.fold(0.0, f64::max)
    };
    let apart = pairs(
        by(LossSchedule::MseDp, 1.0),
        by(LossSchedule::LossCurve, 1.0),
    );
    assert!(apart < 0.25, "{apart}");
    let limit = square_root::levels(&curve, 20.0, 0.01, 100, 2.0).unwrap();
    assert!(pairs(by(LossSchedule::MseDp, 2.0), limit) < 0.25);
}

/// The programme's cost is below that of every other grid, and halving finds what trying all
/// predecessors finds.
#[test]
fn mse_dp_is_the_least_cost() {
    let curve = curve();
    let (candidates, steps) = (60, 5);
    let grid = Levels::geometric(20.0, 0.01, candidates).unwrap();
    let sigmas = grid.as_slice();
    // C by fine quadrature.
    let cost = |a: f64, b: f64, p: f64| {
        let parts = 400;
        let h = (a / b).ln() / f64::from(parts);
        let at = |i: i32| a * (-h * (f64::from(i) + 0.5)).exp();
        let value = |sigma: f64| (curve.loss(a) - curve.loss(sigma)) * sigma.powf(1.0 - p);
        (0..parts).map(|i| value(at(i)) * h).sum::<f64>()
    };
    for p in [1.0, 3.0] {
        let total = |levels: &Levels| -> f64 {
            levels
                .as_slice()
                .windows(2)
                .map(|pair| cost(pair[0], pair[1], p))
                .sum()
        };
        let mut least = vec![f64::INFINITY; candidates];
        least[0] = 0.0;
        let costs: Vec<Vec<f64>> = (0..candidates)
            .map(|j| (0..j).map(|i| cost(sigmas[i], sigmas[j], p)).collect())
            .collect();
        for _ in 0..steps {
            least = (0..candidates)
                .map(|j| {
                    (0..j)
                        .map(|i| least[i] + costs[j][i])
                        .fold(f64::INFINITY, f64::min)
                })
                .collect();
        }
        let found = total(
            &LossSchedule::MseDp
                .levels(&curve, 20.0, 0.01, steps + 1, p)
                .unwrap(),
        );
        // The coarse grid's best is a little worse, and no other grid better.
        assert!(
            found <= least[candidates - 1] * (1.0 + 1e-3),
            "p = {p}: {found}"
        );
        assert!(found >= least[candidates - 1] * 0.9, "p = {p}: {found}");
        for other in [
            Levels::karras(20.0, 0.01, steps + 1, 7.0).unwrap(),
            Levels::geometric(20.0, 0.01, steps + 1).unwrap(),
            LossSchedule::LossCurve
                .levels(&curve, 20.0, 0.01, steps + 1, 1.0)
                .unwrap(),
        ] {
            assert!(found < total(&other), "p = {p}");
        }
    }
}

/// Levels of one Gaussian are even in arctan(sigma/s): sqrt(m'/sigma) is proportional to
/// 1/(s^2 + sigma^2). Entropic ones are even in ln(1 + s^2/sigma^2).
#[test]
fn a_gaussian_has_its_closed_form() {
    let v = 0.3f64;
    let levels = Levels::geometric(20.0, 0.004, 120).unwrap();
    let curve = LossCurve::exact(&levels, |s| v * s * s / (v + s * s)).unwrap();
    for n in [2, 3, 10, 77] {
        let even = |schedule: LossSchedule, by: &dyn Fn(f64) -> f64| {
            let levels = schedule.levels(&curve, 10.0, 0.01, n, 1.0).unwrap();
            assert_eq!(
                (levels.len(), levels.first(), levels.last()),
                (n, 10.0, 0.01)
            );
            let (top, bottom) = (by(10.0), by(0.01));
            for (i, &sigma) in levels.as_slice().iter().enumerate() {
                let part = (by(sigma) - top) / (bottom - top);
                let expected = i as f64 / (n - 1) as f64;
                assert!((part - expected).abs() < 2e-4, "{schedule} {n} {i}: {part}");
            }
        };
        even(LossSchedule::LossCurve, &|sigma| (sigma / v.sqrt()).atan());
        even(LossSchedule::Entropic, &|sigma| {
            (1.0 + v / (sigma * sigma)).ln()
        });
    }
}

/// What the fit is for: two measurements of one network give nearly the same levels.
#[test]
fn levels_hardly_depend_on_the_items() {
    use crate::job::Monitor;
    use crate::random::{NoiseSource, Stream};
    use crate::score::{Batch, Distribution, GaussianMixture, denoising_loss};

    let variances: Vec<f64> = (1..=16).map(|k| 1.0 / f64::from(k)).collect();
    let mut covariance = vec![0.0; 16 * 16];
    (0..16).for_each(|k| covariance[17 * k] = variances[k]);
    let target = GaussianMixture::gaussian_full(vec![0.0; 16], &covariance).unwrap();
    let grid = Levels::geometric(20.0, 0.01, 40).unwrap();
    let measure = |first: u64| {
        let numbers: Vec<u64> = (first..first + 500).collect();
        let mut items = vec![0.0; 16 * 500];
        let source = NoiseSource::new(7, Stream::Data);
        target
            .draw(&source, (&numbers).into(), 0.0, &mut items)
            .unwrap();
        let noise = NoiseSource::new(7, Stream::Evaluation);
        let batch = Batch::new(&numbers);
        let monitor = &mut Monitor::silent();
        let points = denoising_loss(&target, &items, batch, &grid, &noise, 100, monitor).unwrap();
        LossCurve::new(points, Measured::default()).unwrap()
    };
    let loss = |s: f64| variances.iter().map(|v| v * s * s / (v + s * s)).sum();
    let exact = LossCurve::exact(&grid, loss).unwrap();
    for &schedule in LossSchedule::ALL {
        let levels = |curve: &LossCurve| schedule.levels(curve, 20.0, 0.01, 12, 1.0).unwrap();
        let expected = levels(&exact);
        for first in [0, 1000, 2000] {
            let found = levels(&measure(first));
            let pairs = found.as_slice().iter().zip(expected.as_slice());
            let apart = pairs.map(|(a, b)| (a / b).ln().abs()).fold(0.0, f64::max);
            println!("{schedule}: {apart:.4}");
            assert!(apart < 0.08, "{schedule}: {apart}");
        }
    }
}

#[test]
fn a_noisy_curve_is_made_to_increase() {
    let noisy = |sigma: f64| loss(sigma) * (1.0 + 0.1 * (37.0 * sigma.ln()).sin());
    let levels = Levels::geometric(20.0, 0.01, 40).unwrap();
    let mut points: Vec<LossPoint> = Vec::new();
    for &sigma in levels.as_slice() {
        points.push(LossPoint {
            sigma,
            loss: noisy(sigma),
            standard_error: Some(0.1 * loss(sigma)),
            step_error: None,
        });
    }
    assert!(!points.is_sorted_by(|a, b| a.loss >= b.loss));
    let curve = LossCurve::new(points, Measured::default()).unwrap();
    assert!(curve.fitted().is_sorted_by(|a, b| a >= b));
    for i in 0..1000 {
        let sigma = 0.01 * 2000f64.powf(f64::from(i) / 999.0);
        assert!(curve.slope(sigma) >= 0.0);
        assert!(
            (curve.loss(sigma) / loss(sigma) - 1.0).abs() < 0.25,
            "{sigma}"
        );
    }
    for &schedule in LossSchedule::ALL {
        for n in [2, 3, 50, 501, 2000] {
            let levels = schedule.levels(&curve, 20.0, 0.01, n, 1.0).unwrap();
            assert_eq!(
                (levels.len(), levels.first(), levels.last()),
                (n, 20.0, 0.01)
            );
        }
    }
}

#[test]
fn a_curve_reads_back_from_json_and_toml() {
    let measured = Measured {
        step: Some(3000),
        weights: Some("ab12".into()),
        data: Some("digits".into()),
        count: Some(1000),
        seed: Some(0),
    };
    let mut points = curve().points().to_vec();
    (points[0].step_error, points[3].standard_error) = (None, None);
    let curve = LossCurve::new(points, measured).unwrap();
    let json = serde_json::to_string(&curve).unwrap();
    let read: LossCurve = serde_json::from_str(&json).unwrap();
    assert_eq!(read.measured(), curve.measured());
    for (a, b) in read.points().iter().zip(curve.points()) {
        assert!((a.loss / b.loss - 1.0).abs() < 1e-15 && (a.sigma / b.sigma - 1.0).abs() < 1e-15);
    }
    let text = toml::to_string(&curve).unwrap();
    assert_eq!(toml::from_str::<LossCurve>(&text).unwrap(), curve);
    let wrong = json.replace("\"loss\":", "\"los\":");
    assert!(serde_json::from_str::<LossCurve>(&wrong).is_err());
}

#[test]
fn what_is_no_curve_is_refused() {
    let point = |sigma, loss| LossPoint {
        sigma,
        loss,
        standard_error: None,
        step_error: None,
    };
    let message = |points: &[LossPoint]| {
        let refused = LossCurve::new(points.to_vec(), Measured::default());
        refused.unwrap_err().to_string()
    };
    assert!(message(&[]).contains("2 noise levels"));
    assert!(message(&[point(1.0, 1.0)]).contains("2 noise levels"));
    assert!(message(&[point(1.0, 1.0), point(2.0, 1.0)]).contains("decrease"));
    assert!(message(&[point(2.0, 1.0), point(1.0, f64::NAN)]).contains("sigma = 1 = NaN"));
    assert!(message(&[point(2.0, -1.0), point(1.0, 0.0)]).contains("not negative"));
    let curve = curve();
    let levels = |max, min, n, p| LossSchedule::MseDp.levels(&curve, max, min, n, p);
    assert!(levels(1.0, 2.0, 8, 1.0).is_err());
    assert!(levels(2.0, f64::NAN, 8, 1.0).is_err());
    assert!(levels(2.0, 1.0, 1, 1.0).is_err());
    assert!(levels(2.0, 1.0, usize::MAX, 1.0).is_err());
    for p in [-0.1, f64::NAN, 11.0] {
        let message = levels(2.0, 1.0, 8, p).unwrap_err().to_string();
        assert!(message.starts_with("p = "), "{message}");
    }
}

#[test]
fn every_schedule_has_a_name_that_text_reads_back() {
    for &schedule in LossSchedule::ALL {
        assert_eq!(LossSchedule::named(schedule.name()), Some(schedule));
        assert!(crate::noise::Schedule::named(schedule.name()).is_none());
        let text = serde_json::to_string(&schedule).unwrap();
        assert_eq!(text, format!("\"{schedule}\""));
    }
}
