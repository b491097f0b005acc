//! Every sampler against its paper's own formula.

mod common;

use common::{SAMPLES, assert_close, mixture, pairs, sample, schedules, source};
use tweedie::Result;
use tweedie::noise::{Coordinates, Level, Levels, Path, Process, Step};
use tweedie::sample::{
    Als, Cas, Churn, Corrector, DpmSolver, Heun, LearnedAncestral, Linear, Order, Predictor,
    PredictorCorrector, Sampler, StepSize, Variance, ancestral, ddim, reverse_sde, run, run_from,
};
use tweedie::score::{Denoiser, GaussianMixture, Posterior, Query};

const COORDINATES: [Coordinates; 3] = [Coordinates::Ve, Coordinates::Vp, Coordinates::SubVp];

const VP: Process = Process::Vp {
    beta_min: 0.1,
    beta_max: 20.0,
};

/// A reference sampler's samples, in its own coordinates.
struct Reference<'a> {
    denoiser: &'a dyn Denoiser,
    x: Vec<f64>,
    draw: u32,
}

impl<'a> Reference<'a> {
    fn start(denoiser: &'a dyn Denoiser, sigma: f64) -> Self {
        let x = vec![0.0; SAMPLES.len() * denoiser.dim()];
        let mut new = Self {
            denoiser,
            x,
            draw: 0,
        };
        new.x = new.noise().iter().map(|z| sigma * z).collect();
        new
    }

    /// The next draw.
    fn noise(&mut self) -> Vec<f64> {
        let mut z = vec![0.0; self.x.len()];
        source().fill_batch(&SAMPLES, self.draw, &mut z);
        self.draw += 1;
        z
    }

    fn denoised(&self, level: Level) -> Vec<f64> {
        let scaled: Vec<f64> = self.x.iter().map(|x| x / level.alpha).collect();
        let mut h = vec![0.0; self.x.len()];
        self.denoiser
            .denoise_at(&scaled, level.relative(), &mut h)
            .unwrap();
        h
    }

    /// (alpha H - x)/sigma^2.
    fn score(&self, level: Level) -> Vec<f64> {
        let pairs = self.denoised(level).into_iter().zip(&self.x);
        pairs
            .map(|(h, x)| (level.alpha * h - x) / level.sigma.powi(2))
            .collect()
    }

    /// x <- `f`(x, y, z) with the next draw z.
    fn update(&mut self, y: &[f64], f: impl Fn(f64, f64, f64) -> f64) {
        let z = self.noise();
        for ((x, y), z) in self.x.iter_mut().zip(y).zip(z) {
            *x = f(*x, *y, z);
        }
    }
}

/// Walks down `path` by x' = `f`(x, H, z, step).
fn walk(denoiser: &dyn Denoiser, path: &Path, f: impl Fn(f64, f64, f64, Step) -> f64) -> Vec<f64> {
    let first = path.steps().next().unwrap().from;
    let mut reference = Reference::start(denoiser, first.sigma);
    for step in path.steps() {
        let h = reference.denoised(step.from);
        reference.update(&h, |x, h, z| f(x, h, z, step));
    }
    reference.x
}

#[test]
fn ddim_is_the_papers_formula() {
    for levels in schedules() {
        let path = Path::new(&levels, Coordinates::Vp);
        for eta in [0.0, 0.3, 0.9] {
            let paper = walk(&mixture(), &path, |x, h, z, step| {
                let (abar, next) = (step.from.alpha.powi(2), step.to.alpha.powi(2));
                let eps = (x - abar.sqrt() * h) / (1.0 - abar).sqrt();
                let fresh = eta * ((1.0 - next) / (1.0 - abar) * (1.0 - abar / next)).sqrt();
                next.sqrt() * h + (1.0 - next - fresh * fresh).max(0.0).sqrt() * eps + fresh * z
            });
            assert_close(&sample(&mixture(), ddim(&path, eta).unwrap()).x, &paper);
        }
    }
}

#[test]
fn coordinates_do_not_change_ddim_and_the_posterior() {
    for levels in schedules() {
        let paths = COORDINATES.map(|coordinates| Path::new(&levels, coordinates));
        for new in [
            |path: &Path| ddim(path, 0.0).unwrap(),
            |path: &Path| ddim(path, 0.7).unwrap(),
            |path: &Path| ancestral(path, Variance::FixedSmall).unwrap(),
        ] {
            let all = paths.each_ref().map(|path| sample(&mixture(), new(path)));
            for other in &all[1..] {
                assert_close(&other.x, &all[0].x);
                assert_close(&other.denoised, &all[0].denoised);
            }
        }
        // What CAS, DDIM and the ancestral sampler have in common.
        let cas = |eps_c| {
            sample(
                &mixture(),
                Cas::new(&levels, StepSize::EpsC(eps_c)).unwrap(),
            )
            .x
        };
        assert_close(
            &sample(&mixture(), ddim(&paths[1], 0.0).unwrap()).x,
            &cas(1.0),
        );
        assert_close(
            &sample(&mixture(), ddim(&paths[1], 1.0).unwrap()).x,
            &cas(2.0),
        );
        let small = ancestral(&paths[1], Variance::FixedSmall).unwrap();
        assert_close(&sample(&mixture(), small).x, &cas(2.0));
    }
}

#[test]
fn ancestral_is_the_papers_formula() {
    for levels in schedules() {
        let path = Path::new(&levels, Coordinates::Vp);
        for (variance, v) in [
            (Variance::FixedSmall, 0.0),
            (Variance::FixedLarge, 1.0),
            (Variance::Between(0.3), 0.3),
        ] {
            // Ho et al., Eq. 11, in the form with the predicted noise.
            let paper = walk(&mixture(), &path, |x, h, z, step| {
                let (abar, next) = (step.from.alpha.powi(2), step.to.alpha.powi(2));
                let beta = 1.0 - abar / next;
                let eps = (x - abar.sqrt() * h) / (1.0 - abar).sqrt();
                let mean = (x - beta / (1.0 - abar).sqrt() * eps) / (1.0 - beta).sqrt();
                if step.to == Level::DATA {
                    return mean;
                }
                let small = (1.0 - next) / (1.0 - abar) * beta;
                mean + (v * beta.ln() + (1.0 - v) * small.ln()).exp().sqrt() * z
            });
            let ours = sample(&mixture(), ancestral(&path, variance).unwrap());
            assert_close(&ours.x, &paper);
            assert_close(&ours.x, &ours.denoised);
        }
    }
}

/// A model that has learned where its variances lie.
struct Learned(GaussianMixture);

impl Denoiser for Learned {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        if let Some(variance) = &mut posterior.variance {
            variance.fill(0.3);
        }
        self.0.denoise(query, &mut Posterior::new(posterior.mean))
    }
}

#[test]
fn learned_variances_are_used_and_missing_ones_refused() {
    let path = Path::new(&schedules()[0], Coordinates::Vp);
    let learned = sample(&Learned(mixture()), LearnedAncestral::new(&path));
    let fixed = ancestral(&path, Variance::Between(0.3)).unwrap();
    assert_close(&learned.x, &sample(&mixture(), fixed).x);
    let mut sampler = LearnedAncestral::new(&path);
    let error = run(&mixture(), &mut sampler, &source(), &SAMPLES, &mut ()).unwrap_err();
    assert!(error.to_string().starts_with("variance = learned"));
}

#[test]
fn reverse_sde_is_euler_maruyama() {
    let target = mixture();
    let ve = Process::Ve {
        sigma_min: 0.05,
        sigma_max: 8.0,
    };
    let sub = Process::SubVp {
        beta_min: 0.1,
        beta_max: 20.0,
    };
    for process in [ve, VP, sub] {
        let (start, end, steps) = (1.0, 1e-3, 40);
        let mut reference = Reference::start(&target, process.level(start).sigma);
        let h = (start - end) / f64::from(steps);
        for i in 0..steps {
            let t = start - f64::from(i) * h;
            let score = reference.score(process.level(t));
            let g = process.g2(t).sqrt();
            reference.update(&score, |x, s, z| {
                let mean = x - h * (process.drift(t) * x - g * g * s);
                mean + if i + 1 < steps { h.sqrt() * g * z } else { 0.0 }
            });
        }
        let sampler = reverse_sde(&process, start, end, 40).unwrap();
        let alpha = process.level(end).alpha;
        let scaled: Vec<f64> = reference.x.iter().map(|x| x / alpha).collect();
        assert_close(&sample(&mixture(), sampler).x, &scaled);
    }
}

/// Each correction from its paper's formula, in either order, in any coordinates.
#[test]
fn predictor_corrector_is_the_papers_algorithm() {
    let target = mixture();
    for levels in schedules() {
        for coordinates in COORDINATES {
            for predictor in [Predictor::ReverseDiffusion, Predictor::Ancestral] {
                for corrector in [
                    Corrector::Langevin(0.16),
                    Corrector::Ald(0.16),
                    Corrector::Cas(0.3),
                ] {
                    for order in [Order::CorrectorFirst, Order::PredictorFirst] {
                        let path = Path::new(&levels, coordinates);
                        let new = PredictorCorrector::new(&path, predictor, corrector, 2, order);
                        let ours = sample(&target, new.unwrap());
                        let paper = by_hand(&target, &path, predictor, corrector, order);
                        assert_close(&ours.x, &paper);
                    }
                }
            }
        }
    }
}

fn by_hand(
    target: &GaussianMixture,
    path: &Path,
    predictor: Predictor,
    corrector: Corrector,
    order: Order,
) -> Vec<f64> {
    let steps: Vec<Step> = path.steps().collect();
    let mut state = Reference::start(target, steps[0].from.sigma);
    let correct = |state: &mut Reference<'_>, step: Step| {
        for _ in 0..2 {
            let (level, a2) = (step.from, step.a().powi(2));
            let score = state.score(level);
            match corrector {
                Corrector::Langevin(snr) => {
                    let z = state.noise();
                    for row in 0..SAMPLES.len() {
                        let place = row * 3..row * 3 + 3;
                        let norm =
                            |v: &[f64]| v[place.clone()].iter().map(|v| v * v).sum::<f64>().sqrt();
                        let e = 2.0 * a2 * (snr * norm(&z) / norm(&score)).powi(2);
                        let e = e.min(level.sigma.powi(2));
                        for i in place {
                            state.x[i] += e * score[i] + (2.0 * e).sqrt() * z[i];
                        }
                    }
                }
                Corrector::Ald(snr) => {
                    let e = 2.0 * a2 * (snr * level.sigma).powi(2);
                    state.update(&score, |x, s, z| x + e * s + (2.0 * e).sqrt() * z);
                }
                Corrector::Cas(eta) => {
                    let fresh = (1.0 - (1.0 - eta).powi(2)).sqrt() * level.sigma;
                    let e = eta * level.sigma.powi(2);
                    state.update(&score, |x, s, z| x + e * s + fresh * z);
                }
            }
        }
    };
    for (i, &step) in steps.iter().enumerate() {
        if order == Order::CorrectorFirst {
            correct(&mut state, step);
        }
        let (from, to) = (step.from, step.to);
        let noise = if to == Level::DATA { 0.0 } else { 1.0 };
        let a = from.alpha / to.alpha;
        let g2 = from.sigma.powi(2) - (a * to.sigma).powi(2);
        match predictor {
            Predictor::ReverseDiffusion => {
                let score = state.score(from);
                state.update(&score, |x, s, z| {
                    // score_sde: x - f + g^2 s + g z with f = a x - x.
                    x - (a * x - x) + g2 * s + noise * g2.sqrt() * z
                });
            }
            Predictor::Ancestral => {
                let h = state.denoised(from);
                state.update(&h, |x, h, z| {
                    // Bayes: precisions of x' from x0 and from x.
                    let variance = g2 * to.sigma.powi(2) / from.sigma.powi(2);
                    let kept = a * to.sigma.powi(2) / from.sigma.powi(2);
                    let mean = kept * x + (to.alpha - kept * from.alpha) * h;
                    mean + noise * variance.sqrt() * z
                });
            }
        }
        if order == Order::PredictorFirst && i + 1 < steps.len() {
            correct(&mut state, steps[i + 1]);
        }
    }
    state.x
}

#[test]
fn heun_is_algorithm_2_of_edm() {
    let target = mixture();
    let churns = [
        Churn::default(),
        Churn {
            s_churn: 4.0,
            s_min: 0.3,
            s_max: 5.0,
            s_noise: 1.007,
        },
        Churn {
            s_churn: 1e3,
            ..Churn::default()
        },
    ];
    for levels in schedules() {
        for churn in churns {
            let mut state = Reference::start(&target, levels.first());
            for (sigma, next) in pairs(&levels) {
                let inside = (churn.s_min..=churn.s_max).contains(&sigma);
                let most = 2f64.sqrt() - 1.0;
                let gamma = if inside {
                    (churn.s_churn / levels.len() as f64).min(most)
                } else {
                    0.0
                };
                let hat = sigma * (1.0 + gamma);
                let same = state.x.clone();
                state.update(&same, |x, _, z| {
                    x + (hat * hat - sigma * sigma).sqrt() * churn.s_noise * z
                });
                let before = state.x.clone();
                let slope = |state: &Reference<'_>, sigma: f64| -> Vec<f64> {
                    let h = state.denoised(Level::ve(sigma));
                    let pairs = state.x.iter().zip(h);
                    pairs.map(|(x, h)| (x - h) / sigma).collect()
                };
                let d = slope(&state, hat);
                for (x, d) in state.x.iter_mut().zip(&d) {
                    *x += (next - hat) * d;
                }
                if next > 0.0 {
                    let end = slope(&state, next);
                    for (i, x) in state.x.iter_mut().enumerate() {
                        *x = before[i] + (next - hat) * (0.5 * d[i] + 0.5 * end[i]);
                    }
                }
            }
            let heun = Heun::new(levels.clone(), churn).unwrap();
            assert_close(&sample(&mixture(), heun).x, &state.x);
        }
    }
}

#[test]
fn dpm_solver_is_the_papers_algorithm() {
    let target = mixture();
    for levels in schedules() {
        for eta in [0.0, 0.5, 1.0] {
            let mut state = Reference::start(&target, levels.first());
            let mut history: Option<(Vec<f64>, f64)> = None;
            for (sigma, next) in pairs(&levels) {
                let h = state.denoised(Level::ve(sigma));
                if next == 0.0 {
                    state.x.clone_from(&h);
                    break;
                }
                let (lambda, lambda_next) = (-sigma.ln(), -next.ln());
                let step = lambda_next - lambda;
                // As in k-diffusion: first order, then a correction by the midpoint rule.
                let weight = -(-step - eta * step).exp_m1();
                let old = history.as_ref().map(|(old, last)| (old, last / step));
                let corrected: Vec<f64> = match old {
                    None => h.clone(),
                    Some((old, r)) => {
                        let pairs = h.iter().zip(old);
                        pairs.map(|(h, old)| h + 0.5 / r * (h - old)).collect()
                    }
                };
                state.update(&corrected, |x, d, z| {
                    let noise = next * (-(-2.0 * eta * step).exp_m1()).sqrt();
                    next / sigma * (-eta * step).exp() * x + weight * d + noise * z
                });
                history = Some((h, step));
            }
            let ours = sample(
                &mixture(),
                DpmSolver::stochastic(levels.clone(), eta).unwrap(),
            );
            assert_close(&ours.x, &state.x);
            if eta == 0.0 {
                assert_eq!(ours, sample(&mixture(), DpmSolver::new(levels.clone())));
            }
        }
    }
}

fn everything(levels: &Levels) -> Vec<Box<dyn Sampler>> {
    let path = Path::new(levels, Coordinates::Vp);
    let linear = |sampler: Result<Linear>| Box::new(sampler.unwrap()) as Box<dyn Sampler>;
    let pc = |order| {
        let (predictor, corrector) = (Predictor::ReverseDiffusion, Corrector::Langevin(0.16));
        PredictorCorrector::new(&path, predictor, corrector, 2, order).unwrap()
    };
    vec![
        linear(ddim(&path, 0.5)),
        linear(ancestral(&path, Variance::FixedLarge)),
        linear(reverse_sde(&VP, 1.0, 1e-3, 20)),
        Box::new(pc(Order::CorrectorFirst)),
        Box::new(pc(Order::PredictorFirst)),
        Box::new(Heun::new(levels.clone(), Churn::default()).unwrap()),
        Box::new(DpmSolver::stochastic(levels.clone(), 1.0).unwrap()),
        Box::new(
            Als::new(levels.clone(), 2, StepSize::Eta(0.1))
                .unwrap()
                .noise_first(),
        ),
        Box::new(Cas::new(levels, StepSize::EpsC(1.5)).unwrap()),
    ]
}

#[test]
fn calls_are_those_announced() {
    for levels in schedules() {
        for mut sampler in everything(&levels) {
            let result = run(&mixture(), &mut *sampler, &source(), &SAMPLES, &mut ()).unwrap();
            assert_eq!(Some(result.most_evaluations()), sampler.calls());
        }
    }
    // Karras et al. 2022: 35 calls for 18 steps.
    let levels = Levels::karras(80.0, 0.002, 18, 7.0).unwrap();
    let heun = Heun::new(levels, Churn::default()).unwrap();
    assert_eq!(sample(&mixture(), heun).most_evaluations(), 35);
}

#[test]
fn a_run_from_the_same_start_is_the_same_run() {
    for mut sampler in everything(&schedules()[0]) {
        let whole = run(&mixture(), &mut *sampler, &source(), &SAMPLES, &mut ()).unwrap();
        let sigma = sampler.noise(0).0.sigma;
        let mut start = vec![0.0; SAMPLES.len() * 3];
        source().fill_batch(&SAMPLES, 0, &mut start);
        start.iter_mut().for_each(|x| *x *= sigma);
        let target = mixture();
        let again = run_from(start, &target, &mut *sampler, &source(), &SAMPLES, &mut ()).unwrap();
        assert_eq!(again, whole);
        let error = run_from(
            vec![0.0],
            &target,
            &mut *sampler,
            &source(),
            &SAMPLES,
            &mut (),
        );
        assert!(error.unwrap_err().to_string().contains("the start"));
    }
}

#[test]
fn wrong_settings_are_named() {
    let levels = schedules().remove(0);
    let path = Path::new(&levels, Coordinates::Vp);
    let named = |result: Result<Linear>, name: &str| {
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with(name), "{message}");
    };
    for eta in [-0.1, 1.1, f64::NAN] {
        named(ddim(&path, eta), "eta");
        named(ancestral(&path, Variance::Between(eta)), "variance");
    }
    named(reverse_sde(&VP, 1.0, 1e-3, 0), "steps");
    named(reverse_sde(&VP, 1.0, 1.0, 9), "end");
    named(reverse_sde(&VP, 1.5, 0.0, 9), "start");
    for snr in [0.0, 0.8, f64::NAN] {
        for corrector in [Corrector::Langevin(snr), Corrector::Ald(snr)] {
            let (predictor, order) = (Predictor::Ancestral, Order::CorrectorFirst);
            let error = PredictorCorrector::new(&path, predictor, corrector, 1, order);
            assert!(error.unwrap_err().to_string().starts_with("snr"));
        }
    }
    let churn = Churn {
        s_noise: 0.0,
        ..Churn::default()
    };
    let error = Heun::new(levels.clone(), churn).unwrap_err();
    assert!(error.to_string().starts_with("s_noise = 0"));
    let error = DpmSolver::stochastic(levels, -1.0).unwrap_err();
    assert!(error.to_string().starts_with("eta = -1"));
}
