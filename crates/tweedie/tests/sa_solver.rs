//! SA-Solver where it is another sampler, and its orders of convergence.

mod common;

use common::{Arbitrary, SAMPLES, assert_close, mixture, sample, schedules, source};
use tweedie::Result;
use tweedie::noise::{Coordinates, Levels, Path};
use tweedie::sample::{Cas, DpmSolver, SaSolver, Sampler, StepSize, StepView, ddim, run};
use tweedie::score::{Denoiser, GaussianMixture, Posterior, Query};

fn solver(levels: &Levels, tau: f64, order: usize, corrector: usize) -> SaSolver {
    SaSolver::new(levels, tau, order, corrector).unwrap()
}

fn cas(levels: &Levels, tau: f64) -> Cas {
    Cas::new(levels, StepSize::EpsC(1.0 + tau * tau)).unwrap()
}

#[test]
fn of_order_1_it_is_cas_with_eps_c_of_one_plus_tau_squared() {
    for levels in schedules() {
        for tau in [0.0, 0.3, 1.0, 1.7, 30.0] {
            for target in [&mixture() as &dyn Denoiser, &Arbitrary] {
                let ours = sample(target, solver(&levels, tau, 1, 0));
                let theirs = sample(target, cas(&levels, tau));
                assert_close(&ours.x, &theirs.x);
                assert_close(&ours.denoised, &theirs.denoised);
                assert_eq!(ours.most_evaluations(), theirs.most_evaluations());
            }
        }
        let path = Path::new(&levels, Coordinates::Vp);
        let ours = sample(&mixture(), solver(&levels, 0.0, 1, 0));
        assert_close(&ours.x, &sample(&mixture(), ddim(&path, 0.0).unwrap()).x);
    }
}

/// All data at one point.
struct Point;

impl Denoiser for Point {
    fn dim(&self) -> usize {
        3
    }

    fn denoise(&self, _: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        posterior.mean.fill(0.7);
        Ok(())
    }
}

/// The state after each step, and the H it was made from.
fn path(target: &dyn Denoiser, mut sampler: impl Sampler) -> Vec<(Vec<f64>, Vec<f64>)> {
    let mut seen = Vec::new();
    let mut look = |view: &StepView<'_>| seen.push((view.x.to_vec(), view.denoised.to_vec()));
    run(target, &mut sampler, &source(), &SAMPLES, &mut look).unwrap();
    seen
}

/// On a point mass every order keeps exactly the noise that is scheduled, as CAS does.
#[test]
fn every_order_is_consistent() {
    for levels in schedules() {
        for tau in [0.0, 0.6, 1.0, 2.0] {
            for order in 1..=3 {
                for corrector in 0..=3 {
                    let ours = path(&Point, solver(&levels, tau, order, corrector));
                    let theirs = path(&Point, cas(&levels, tau));
                    for (ours, theirs) in ours.iter().zip(&theirs) {
                        assert_close(&ours.0, &theirs.0);
                    }
                }
            }
        }
    }
}

/// Of order 2 it integrates the slope of H that DPM-Solver++ 2M takes at the middle of the step:
/// they differ by (M_1 - M_0/2)/r (H - H_before), M_0 = 1 - e^-h, M_1 = 1 - M_0/h.
#[test]
fn of_order_2_it_differs_from_dpm_solver_by_the_weight_of_the_slope() {
    for sigmas in [
        vec![4.0, 2.0, 1.0, 0.5],
        vec![4.0, 3.0, 1.0, 0.9],
        vec![1.01, 1.0, 0.99],
    ] {
        let levels = Levels::new(sigmas).unwrap();
        let ours = path(&mixture(), solver(&levels, 0.0, 2, 0));
        let theirs = path(&mixture(), DpmSolver::new(levels.clone()));
        assert_close(&ours[0].0, &theirs[0].0);
        let sigma = levels.as_slice();
        let (last, h) = ((sigma[0] / sigma[1]).ln(), (sigma[1] / sigma[2]).ln());
        let m0 = 1.0 - (-h).exp();
        let weight = (1.0 - m0 / h - 0.5 * m0) / (last / h);
        let slope = ours[1]
            .1
            .iter()
            .zip(&ours[0].1)
            .map(|(h, before)| h - before);
        let expected: Vec<f64> = theirs[1]
            .0
            .iter()
            .zip(slope)
            .map(|(x, d)| x + weight * d)
            .collect();
        assert_close(&ours[1].0, &expected);
        // Not the same by chance.
        assert!(
            ours[1]
                .0
                .iter()
                .zip(&theirs[1].0)
                .any(|(a, b)| (a - b).abs() > 1e-9)
        );
    }
}

/// A corrected step is implicit only in its H: the same x and z, H at the predicted end.
#[test]
fn a_correction_is_the_trapezium_of_exponential_weights() {
    let target = mixture();
    let levels = Levels::new(vec![4.0, 2.5, 1.0, 0.4]).unwrap();
    let sigma = levels.as_slice();
    let tau: f64 = 0.8;
    let seen = path(&target, solver(&levels, tau, 1, 1));
    let mut z = vec![0.0; SAMPLES.len() * 3];
    let mut x = z.clone();
    source().fill_batch(&SAMPLES, 0, &mut x);
    x.iter_mut().for_each(|x| *x *= sigma[0]);
    for i in 0..2 {
        source().fill_batch(&SAMPLES, i as u32 + 1, &mut z);
        let h = (sigma[i] / sigma[i + 1]).ln();
        let a = (1.0 + tau * tau) * h;
        let (m0, kept) = (1.0 - (-a).exp(), (-a).exp());
        let noise = sigma[i + 1] * (1.0 - (-2.0 * tau * tau * h).exp()).sqrt();
        let mut before = vec![0.0; x.len()];
        target
            .denoise_at(&seen_state(&seen, i, &x), sigma[i], &mut before)
            .unwrap();
        let base: Vec<f64> = x
            .iter()
            .zip(&z)
            .map(|(x, z)| kept * x + noise * z)
            .collect();
        let predicted: Vec<f64> = base.iter().zip(&before).map(|(x, h)| x + m0 * h).collect();
        assert_close(&seen[i].0, &predicted);
        let mut after = vec![0.0; x.len()];
        target
            .denoise_at(&predicted, sigma[i + 1], &mut after)
            .unwrap();
        let m1 = 1.0 - m0 / a;
        for (k, x) in x.iter_mut().enumerate() {
            *x = base[k] + m1 * after[k] + (m0 - m1) * before[k];
        }
    }
}

/// The state that H of level `i` was computed at: the prediction, or the start.
fn seen_state(seen: &[(Vec<f64>, Vec<f64>)], i: usize, start: &[f64]) -> Vec<f64> {
    match i {
        0 => start.to_vec(),
        i => seen[i - 1].0.clone(),
    }
}

/// On a Gaussian the flow is known: x - m grows as the root of s^2 + sigma^2. The first steps,
/// which are of lower order, are made so short that they do not count.
#[test]
fn orders_of_convergence_without_noise() {
    let (m, s) = (1.3, 0.8_f64);
    let target = GaussianMixture::new(&[1.0], vec![m], &[s * s]).unwrap();
    let (first, last) = (10.0_f64, 0.2_f64);
    let levels = |n: usize| {
        let whole = (first / last).ln();
        let h = whole / n as f64;
        let starts = [0.0, h.powi(2), h.powi(2) + h.powf(1.5)];
        let rest = (1..=n).map(|i| starts[2] + (whole - starts[2]) * i as f64 / n as f64);
        let passed = starts.into_iter().chain(rest);
        Levels::new(passed.map(|u: f64| first * (-u).exp()).collect()).unwrap()
    };
    let error = |n: usize, order: usize, corrector: usize| {
        let levels = levels(n);
        let seen = path(&target, solver(&levels, 0.0, order, corrector));
        let mut start = vec![0.0; SAMPLES.len()];
        source().fill_batch(&SAMPLES, 0, &mut start);
        let growth = ((s * s + levels.last().powi(2)) / (s * s + first * first)).sqrt();
        let ours = &seen[seen.len() - 2].0;
        let errors = ours
            .iter()
            .zip(&start)
            .map(|(x, z)| x - m - growth * (first * z - m));
        errors.fold(0.0, |most: f64, error| most.max(error.abs()))
    };
    for (order, corrector, expected) in [
        (1, 0, 1.0),
        (2, 0, 2.0),
        (3, 0, 3.0),
        (1, 1, 2.0),
        (1, 3, 2.0),
        (2, 2, 3.0),
        (3, 1, 2.0),
        (3, 3, 4.0),
    ] {
        let found = (error(100, order, corrector) / error(200, order, corrector)).log2();
        assert!(
            (found - expected).abs() < 0.15,
            "{order} {corrector}: {found}"
        );
    }
}
