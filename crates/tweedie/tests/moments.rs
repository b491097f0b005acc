//! Exact moments of samplers, their orders of convergence, and what they draw with exact scores.

mod common;

use common::{
    SAMPLES, TOLERANCE, assert_close, mixture, pairs, sample, schedules, source, two_gaussians,
};
use tweedie::noise::{Coordinates, Levels, Path, Process};
use tweedie::ode::DormandPrince;
use tweedie::random::{NoiseSource, Stream};
use tweedie::sample::{
    Als, Cas, Churn, Corrector, DpmSolver, Heun, Order, Predictor, PredictorCorrector,
    ProbabilityFlow, Sampler, StepSize, StepView, Trajectory, Variance, ancestral, ddim,
    reverse_sde, run, run_from,
};
use tweedie::score::{Denoiser, Distribution, GaussianMixture};

const VP: Process = Process::Vp {
    beta_min: 0.1,
    beta_max: 20.0,
};

/// On data N(0, I) the score in VP coordinates is -x.
#[test]
fn property_15_ddpm_preserves_the_standard_normal_distribution() {
    let normal = GaussianMixture::gaussian(vec![0.0], 1.0).unwrap();
    for levels in schedules() {
        let path = Path::new(&levels, Coordinates::Vp);
        let sampler = ancestral(&path, Variance::FixedLarge).unwrap();
        for update in &sampler.updates()[..levels.len() - 1] {
            let level = update.from;
            let mut h = [0.0];
            normal
                .denoise_at(&[1.0 / level.alpha], level.relative(), &mut h)
                .unwrap();
            let score = (level.alpha * h[0] - 1.0) / level.sigma.powi(2);
            assert!((score + 1.0).abs() < TOLERANCE);
            let factor = update.a + update.b * h[0];
            let variance = factor * factor + update.c * update.c;
            assert!((variance - 1.0).abs() < TOLERANCE);
        }
    }
}

/// (A, C) of every step x' = A x + C z of a sampler with one draw a step, on data for which H is
/// linear, from the paths of two samples.
fn moments(target: &GaussianMixture, mut sampler: impl Sampler) -> Vec<(f64, f64)> {
    let numbers = [3, 8];
    let mut path = Trajectory::new(vec![0, 1]);
    run(target, &mut sampler, &source(), &numbers, &mut path).unwrap();
    let x = path.points();
    (0..sampler.steps())
        .map(|i| {
            let mut z = [0.0; 2];
            source().fill_batch(&numbers, i as u32 + 1, &mut z);
            let (x, next) = (&x[2 * i..2 * i + 2], &x[2 * i + 2..2 * i + 4]);
            let determinant = x[0] * z[1] - x[1] * z[0];
            (
                (next[0] * z[1] - next[1] * z[0]) / determinant,
                (x[0] * next[1] - x[1] * next[0]) / determinant,
            )
        })
        .collect()
}

#[test]
fn property_12_the_reverse_diffusion_predictor_keeps_too_much_noise() {
    for s in [0.0f64, 0.1, 1.0, 6.0] {
        let target = GaussianMixture::gaussian(vec![0.0], s * s).unwrap();
        for levels in schedules() {
            let path = Path::new(&levels, Coordinates::Ve);
            let corrector = Corrector::Ald(0.1);
            let sampler = PredictorCorrector::new(
                &path,
                Predictor::ReverseDiffusion,
                corrector,
                0,
                Order::CorrectorFirst,
            );
            let numbers = [3, 8];
            let mut paths = Trajectory::new(vec![0, 1]);
            run(
                &target,
                &mut sampler.unwrap(),
                &source(),
                &numbers,
                &mut paths,
            )
            .unwrap();
            for (i, (sigma, next)) in pairs(&levels).into_iter().enumerate() {
                // x' = x + delta s + sqrt(delta) z with s = -x/(s^2 + sigma^2); no noise at last.
                let before = s * s + sigma * sigma;
                let delta = sigma * sigma - next * next;
                let a = 1.0 - delta / before;
                let c = if next > 0.0 { delta.sqrt() } else { 0.0 };
                let mut z = [0.0; 2];
                source().fill_batch(&numbers, i as u32 + 1, &mut z);
                for (row, z) in z.iter().enumerate() {
                    let [x, there] = [i, i + 1].map(|i| paths.points()[2 * i + row]);
                    assert!((there - (a * x + c * z)).abs() < TOLERANCE);
                }
                if next > 0.0 {
                    let right = s * s + next * next + delta * delta / before;
                    let variance = a * a * before + c * c;
                    assert!((variance - right).abs() < TOLERANCE, "{variance} {right}");
                }
            }
        }
    }
}

#[test]
fn noise_first_has_its_own_fixed_point() {
    let (eta, levels) = (0.1f64, Levels::new(vec![0.7]).unwrap());
    let point = GaussianMixture::gaussian(vec![0.0], 0.0).unwrap();
    let als = Als::new(levels, 200, StepSize::Eta(eta))
        .unwrap()
        .noise_first();
    let mut v = 4.0f64;
    for (a, c) in &moments(&point, als)[..20] {
        assert!((a - (1.0 - eta)).abs() < 1e-9);
        assert!((c - (1.0 - eta) * (2.0 * eta).sqrt() * 0.7).abs() < 1e-9);
        for _ in 0..10 {
            v = a * a * v + c * c;
        }
    }
    let fixed = (1.0 - eta).powi(2) * 0.49 / (1.0 - 0.5 * eta);
    assert!((v - fixed).abs() < 1e-8);
}

#[test]
fn a_predictor_alone_and_the_cas_corrector_keep_the_schedule() {
    for levels in schedules() {
        let path = Path::new(&levels, Coordinates::Ve);
        let new = |corrections| {
            let (predictor, corrector) = (Predictor::Ancestral, Corrector::Cas(0.4));
            PredictorCorrector::new(
                &path,
                predictor,
                corrector,
                corrections,
                Order::CorrectorFirst,
            )
            .unwrap()
        };
        let cas = Cas::new(&levels, StepSize::EpsC(2.0)).unwrap();
        assert_close(&sample(&mixture(), new(0)).x, &sample(&mixture(), cas).x);
        // On a point, in many dimensions: the noise after each step is the schedule's.
        let dim = 20_000;
        let point = GaussianMixture::gaussian(vec![0.3; dim], 0.0).unwrap();
        let mut worst = 0f64;
        let mut look = |view: &StepView<'_>| {
            if view.to.sigma > 0.0 {
                let v = view.x.iter().map(|x| (x - 0.3).powi(2)).sum::<f64>() / dim as f64;
                worst = worst.max((v.sqrt() / view.to.sigma - 1.0).abs());
            }
        };
        run(&point, &mut new(2), &source(), &[1], &mut look).unwrap();
        // 4 standard errors of a standard deviation.
        assert!(worst < 4.0 / (2.0 * dim as f64).sqrt(), "{worst}");
    }
}

fn tight() -> DormandPrince {
    DormandPrince {
        rtol: 1e-12,
        atol: 1e-12,
        most: 100_000,
    }
}

#[test]
fn property_14_the_flow_of_a_gaussian() {
    let (m, s) = ([1.0, -2.0], 0.7f64);
    let target = GaussianMixture::gaussian(m.to_vec(), s * s).unwrap();
    for levels in schedules() {
        let flow = ProbabilityFlow::new(levels.clone(), tight()).unwrap();
        let mut look = |view: &StepView<'_>| {
            let scale = ((s * s + view.to.sigma.powi(2)) / (s * s + levels.first().powi(2))).sqrt();
            let mut start = vec![0.0; view.x.len()];
            source().fill_batch(&SAMPLES, 0, &mut start);
            for (i, (x, z)) in view.x.iter().zip(start).enumerate() {
                let right = m[i % 2] + scale * (levels.first() * z - m[i % 2]);
                assert!((x - right).abs() < TOLERANCE, "{x} {right}");
            }
        };
        let result = run(&target, &mut flow.clone(), &source(), &SAMPLES, &mut look).unwrap();
        let mut h = vec![0.0; result.x.len()];
        target.denoise_at(&result.x, levels.last(), &mut h).unwrap();
        assert_close(&result.denoised, &h);
    }
}

/// Samples at the last level, before the step to the data.
fn at_the_last_level(target: &GaussianMixture, mut sampler: impl Sampler) -> Vec<f64> {
    let mut x = Vec::new();
    let mut keep = |view: &StepView<'_>| {
        if view.to.sigma > 0.0 {
            x = view.x.to_vec();
        }
    };
    let numbers: Vec<u64> = (0..200).collect();
    run(target, &mut sampler, &source(), &numbers, &mut keep).unwrap();
    x
}

/// The order at which the root mean square error falls from `steps` to twice as many.
fn order(steps: usize, error: impl Fn(usize) -> f64) -> f64 {
    (error(steps) / error(2 * steps)).log2()
}

#[test]
fn orders_of_the_deterministic_solvers() {
    let target = two_gaussians();
    // Steps in ln sigma, doubled by halving each: the last level stays.
    let levels = |n: usize| Levels::geometric(10.0, 0.2, n + 1).unwrap();
    let ends = Levels::new(vec![10.0, 0.2]).unwrap();
    let exact = at_the_last_level(&target, ProbabilityFlow::new(ends, tight()).unwrap());
    let rms = |x: Vec<f64>| {
        let sum: f64 = x.iter().zip(&exact).map(|(x, y)| (x - y).powi(2)).sum();
        (sum / exact.len() as f64).sqrt()
    };
    let path = |n| Path::new(&levels(n), Coordinates::Ve);
    let euler = order(400, |n| {
        rms(at_the_last_level(&target, ddim(&path(n), 0.0).unwrap()))
    });
    let heun = order(200, |n| {
        rms(at_the_last_level(
            &target,
            Heun::new(levels(n), Churn::default()).unwrap(),
        ))
    });
    let multistep = order(200, |n| {
        rms(at_the_last_level(&target, DpmSolver::new(levels(n))))
    });
    assert!((euler - 1.0).abs() < 0.05, "{euler}");
    assert!((heun - 2.0).abs() < 0.1, "{heun}");
    assert!((multistep - 2.0).abs() < 0.1, "{multistep}");
}

/// The error of the variance on Gaussian data, followed exactly through the steps.
#[test]
fn euler_maruyama_is_of_weak_order_1() {
    let ve = Process::Ve {
        sigma_min: 0.05,
        sigma_max: 8.0,
    };
    let sub = Process::SubVp {
        beta_min: 0.1,
        beta_max: 20.0,
    };
    let (m, s) = (1.3, 0.6f64);
    for process in [ve, VP, sub] {
        // Mean and variance at the last level, from the exact distribution at the first.
        let error = |steps: usize| {
            let start = process.level(1.0);
            let mut mean = start.alpha * m;
            let mut v = (start.alpha * s).powi(2) + start.sigma.powi(2);
            let sampler = reverse_sde(&process, 1.0, 0.01, steps + 1).unwrap();
            let target = GaussianMixture::gaussian(vec![m], s * s).unwrap();
            let mut end = start;
            for update in &sampler.updates()[..steps] {
                let mut h = [0.0; 2];
                let x = [0.0, 1.0 / update.from.alpha];
                target
                    .denoise_at(&x, update.from.relative(), &mut h)
                    .unwrap();
                let factor = update.a + update.b * (h[1] - h[0]);
                mean = factor * mean + update.b * h[0];
                v = factor * factor * v + update.c * update.c;
                end = update.to;
            }
            let right = (end.alpha * s).powi(2) + end.sigma.powi(2);
            [mean - end.alpha * m, v - right]
        };
        for i in 0..2 {
            if i == 0 && process == ve {
                // Without drift the mean is exact.
                assert!(error(2000)[0].abs() < TOLERANCE);
                continue;
            }
            // The part of second order is large here, so it takes many steps.
            let found = order(32_000, |n| error(n)[i].abs());
            assert!((found - 1.0).abs() < 0.05, "{process:?} {i}: {found}");
        }
    }
}

/// With exact scores, many steps and the exact initial distribution every sampler draws from the
/// target.
#[test]
fn every_sampler_draws_from_seed_003s_mixture() {
    let levels = Levels::geometric(40.0, 0.01, 300).unwrap();
    let path = Path::new(&levels, Coordinates::Vp);
    let ends = Levels::new(vec![40.0, 0.01]).unwrap();
    let ve = Process::Ve {
        sigma_min: 0.01,
        sigma_max: 40.0,
    };
    let pc = PredictorCorrector::new(
        &path,
        Predictor::ReverseDiffusion,
        // A correction's own error is of the size of eta = 2 snr^2.
        Corrector::Ald(0.05),
        1,
        Order::PredictorFirst,
    );
    let samplers: Vec<(&str, Box<dyn Sampler>)> = vec![
        ("ddim", Box::new(ddim(&path, 0.5).unwrap())),
        (
            "small",
            Box::new(ancestral(&path, Variance::FixedSmall).unwrap()),
        ),
        (
            "large",
            Box::new(ancestral(&path, Variance::FixedLarge).unwrap()),
        ),
        ("sde", Box::new(reverse_sde(&ve, 1.0, 0.0, 600).unwrap())),
        (
            "vp sde",
            Box::new(reverse_sde(&VP, 1.0, 1e-4, 600).unwrap()),
        ),
        ("pc", Box::new(pc.unwrap())),
        (
            "heun",
            Box::new(Heun::new(levels.clone(), Churn::default()).unwrap()),
        ),
        ("2m", Box::new(DpmSolver::new(levels.clone()))),
        (
            "sde-2m",
            Box::new(DpmSolver::stochastic(levels.clone(), 1.0).unwrap()),
        ),
        (
            "flow",
            Box::new(ProbabilityFlow::new(ends, DormandPrince::default()).unwrap()),
        ),
    ];
    let numbers: Vec<u64> = (0..20_000).collect();
    let noise = NoiseSource::new(5, Stream::Sampling);
    for (name, mut sampler) in samplers {
        // The exact initial distribution: a deterministic sampler never forgets a wrong one.
        let (target, first) = (two_gaussians(), sampler.noise(0).0);
        let mut start = vec![0.0; numbers.len()];
        let data = NoiseSource::new(6, Stream::Data);
        target
            .sample(&data, &numbers, first.relative(), &mut start)
            .unwrap();
        start.iter_mut().for_each(|x| *x *= first.alpha);
        let result = run_from(start, &target, &mut *sampler, &noise, &numbers, &mut ()).unwrap();
        let n = numbers.len() as f64;
        let mean = result.x.iter().sum::<f64>() / n;
        let variance = result.x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        // Mean 2.4 and variance 4.24: four standard errors, and 2 % for the steps.
        assert!(
            (mean - 2.4).abs() < 4.0 * (4.24 / n).sqrt() + 0.03,
            "{name}: {mean}"
        );
        assert!(
            (variance - 4.24).abs() < 0.02 * 4.24 + 0.15,
            "{name}: {variance}"
        );
    }
}
