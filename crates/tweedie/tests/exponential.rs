//! The exponential integrator where it is another sampler, and what holds for every coefficient.

mod common;

use common::{Arbitrary, SAMPLES, assert_close, mixture, sample, schedules, source};
use tweedie::Result;
use tweedie::noise::Levels;
use tweedie::sample::{Cas, DpmSolver, Exponential, Sampler, SamplerKind, StepSize, StepView, run};
use tweedie::score::{Denoiser, Posterior, Query};

fn first_order(levels: &Levels, eps_c: f64) -> Exponential {
    let n = levels.len();
    Exponential::new(levels, &vec![eps_c; n], &vec![0.0; n]).unwrap()
}

fn second_order(levels: &Levels, eps_c: f64) -> Exponential {
    let c = Exponential::second_order(levels);
    Exponential::new(levels, &vec![eps_c; levels.len()], &c).unwrap()
}

#[test]
fn without_a_multistep_weight_it_is_cas() {
    for levels in schedules() {
        for eps_c in [1.0, 1.3, 2.0, 7.0, f64::INFINITY] {
            for target in [&mixture() as &dyn Denoiser, &Arbitrary] {
                let ours = sample(target, first_order(&levels, eps_c));
                let cas = Cas::new(&levels, StepSize::EpsC(eps_c)).unwrap();
                let theirs = sample(target, cas);
                assert_close(&ours.x, &theirs.x);
                assert_close(&ours.denoised, &theirs.denoised);
                assert_eq!(ours.most_evaluations(), theirs.most_evaluations());
            }
        }
    }
}

#[test]
fn with_the_weight_of_second_order_it_is_dpm_solver() {
    for levels in schedules() {
        for eta in [0.0, 0.4, 1.0] {
            for target in [&mixture() as &dyn Denoiser, &Arbitrary] {
                let ours = sample(target, second_order(&levels, 1.0 + eta));
                let theirs = DpmSolver::stochastic(levels.clone(), eta).unwrap();
                let theirs = sample(target, theirs);
                assert_close(&ours.x, &theirs.x);
                assert_close(&ours.denoised, &theirs.denoised);
            }
        }
    }
}

/// All data at one point.
struct Point;

impl Denoiser for Point {
    fn dim(&self) -> usize {
        1
    }

    fn denoise(&self, _: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        posterior.mean.fill(0.7);
        Ok(())
    }
}

/// kept^2 sigma^2 + noise^2 = sigma'^2 at every step, and D is the point itself whatever c is.
#[test]
fn on_a_point_mass_the_noise_follows_the_schedule() {
    for levels in schedules() {
        let n = levels.len();
        let eps_c: Vec<f64> = (0..n).map(|i| 1.0 + 0.7 * (i % 4) as f64).collect();
        let c: Vec<f64> = (0..n).map(|i| 0.5 - 0.3 * (i % 3) as f64).collect();
        let mut solver = Exponential::new(&levels, &eps_c, &c).unwrap();
        for step in solver.coefficients() {
            let variance = (step.kept * step.sigma).powi(2) + step.noise.powi(2);
            let wanted = step.sigma_next.powi(2);
            assert!((variance - wanted).abs() <= 1e-14 * wanted.max(1e-300));
        }
        // The path with c is the path without.
        let plain = Exponential::new(&levels, &eps_c, &vec![0.0; n]).unwrap();
        let with = path(&mut solver);
        for (with, without) in with.iter().zip(path(&mut { plain })) {
            assert_close(with, &without);
        }
    }
}

fn path(solver: &mut impl Sampler) -> Vec<Vec<f64>> {
    let mut seen = Vec::new();
    let mut look = |view: &StepView<'_>| seen.push(view.x.to_vec());
    run(&Point, solver, &source(), &SAMPLES, &mut look).unwrap();
    seen
}

/// The recursion by hand: three levels, no noise, a denoiser that is linear.
#[test]
fn coefficients_are_used_where_they_belong() {
    struct Half;
    impl Denoiser for Half {
        fn dim(&self) -> usize {
            1
        }
        fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
            for (mean, x) in posterior.mean.iter_mut().zip(query.x) {
                *mean = 0.5 * x;
            }
            Ok(())
        }
    }
    let levels = Levels::new(vec![4.0, 2.0, 0.5]).unwrap();
    // c of the first and the last level has no effect.
    let solver = Exponential::new(&levels, &[1.0; 3], &[9.0, 0.25, 9.0]).unwrap();
    let samples = sample(&Half, solver);
    let starts = {
        let once = Levels::new(vec![4.0]).unwrap();
        sample(&Half, first_order(&once, 1.0)).x
    };
    for (x, start) in samples.x.iter().zip(starts) {
        let x0 = 2.0 * start;
        let h0 = 0.5 * x0;
        let x1 = 0.5 * x0 + 0.5 * h0;
        let h1 = 0.5 * x1;
        let x2 = 0.25 * x1 + 0.75 * (h1 + 0.25 * (h1 - h0));
        assert!((x - 0.5 * x2).abs() <= 1e-14 * x0.abs());
    }
}

#[test]
fn what_is_not_feasible_is_refused_by_name() {
    let levels = Levels::geometric(5.0, 0.05, 4).unwrap();
    let refused = |text: &str| {
        let settings = toml::from_str(text).unwrap();
        let made = SamplerKind::Exponential.sampler(&settings, &levels);
        made.err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert!(refused("eps_c = [1.0, 2.0]").contains("eps_c"));
    assert!(refused("eps_c = [1.0, 2.0]").contains("4 levels"));
    assert!(refused("eps_c = [1.0, 2.0, 0.9, 1.0]").contains("0.9"));
    assert!(refused("c = [0.0, nan, 0.0, 0.0]").contains("finite"));
    assert!(refused("c = []").contains("a list of 0"));
    assert_eq!(refused("eps_c = [1, 2.0, inf, 1]\nc = 0.5"), "");
}
