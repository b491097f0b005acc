//! Properties that score-based models satisfy to rounding, without training. Numbers in test names
//! are those of the list in ARCHITECTURE.md; the other properties are tested beside the code.

mod common;

use common::{
    Arbitrary, SAMPLES, TOLERANCE, assert_close, mixture, pairs, sample, schedules, source,
    two_gaussians, walk,
};
use tweedie::noise::Levels;
use tweedie::sample::{Als, Cas, CasStep, NoiseLevels, Sampler, StepSize, run};
use tweedie::score::{Denoiser, Distribution, Empirical, GaussianMixture};

/// Vincent 2011: the loss of denoising score matching is that of explicit score matching up to a
/// constant, which is its minimum.
#[test]
fn property_4_the_minimum_dsm_loss_of_the_tutorial() {
    let mixture = two_gaussians();
    // 1/2 (1 - sigma^2 E s^2) by the trapezoidal rule, exponentially accurate here.
    let step = 0.01;
    let x: Vec<f64> = (-3000..=3000).map(|i| f64::from(i) * step).collect();
    let minimum = |sigma: f64| {
        let (mut score, mut log) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        mixture.score_at(&x, sigma, &mut score).unwrap();
        mixture.log_density_at(&x, sigma, &mut log).unwrap();
        let terms = score
            .iter()
            .zip(&log)
            .map(|(s, log)| s * s * log.exp() * step);
        0.5 * (1.0 - sigma * sigma * terms.sum::<f64>())
    };
    let levels = Levels::geometric(2.0, 0.5, 16).unwrap();
    let average = levels
        .as_slice()
        .iter()
        .map(|&sigma| minimum(sigma))
        .sum::<f64>()
        / 16.0;
    assert!((average - 0.29022).abs() < 0.5e-5, "{average}");
    assert!((minimum(2.0) - 0.1952).abs() < 0.5e-4, "{}", minimum(2.0));
    assert!((minimum(0.5) - 0.4045).abs() < 0.5e-4, "{}", minimum(0.5));
}

/// The same minimum as the loss of the Bayes-optimal score, E (sigma s + z)^2/2.
#[test]
fn property_4_the_loss_of_the_optimal_score_is_the_minimum() {
    let points = Empirical::new(vec![-1.0, 0.4, 2.0], 1).unwrap();
    for sigma in [0.3, 1.0, 3.0] {
        let (mut loss, mut square) = (0.0, 0.0);
        for point in points.data() {
            for i in -1000..=1000 {
                let z = f64::from(i) * 0.01;
                let weight = (-0.5 * z * z).exp() * 0.01 / std::f64::consts::TAU.sqrt() / 3.0;
                let mut s = [0.0];
                points
                    .score_at(&[point + sigma * z], sigma, &mut s)
                    .unwrap();
                loss += 0.5 * weight * (sigma * s[0] + z).powi(2);
                square += weight * s[0] * s[0];
            }
        }
        assert!((loss - 0.5 * (1.0 - sigma * sigma * square)).abs() < TOLERANCE);
    }
}

const FIGURE_1: [(usize, f64, f64); 5] = [
    (1, 0.69408, 0.5e-5),
    (2, 0.030254, 0.5e-6),
    (5, 0.0123883, 0.5e-7),
    (20, 0.0103746, 0.5e-7),
    (100, 0.0100573, 0.5e-7),
];

/// Jolicoeur-Martineau et al. 2021, Proposition 1 and Figure 1.
#[test]
fn property_5_the_noise_of_als_stays_above_the_schedule() {
    let (eta, levels) = (0.02f64, Levels::geometric(50.0, 0.01, 232).unwrap());
    for (n_sigma, std, digit) in FIGURE_1 {
        let als = Als::new(levels.clone(), n_sigma, StepSize::Eta(eta)).unwrap();
        let mut v = levels.first().powi(2);
        for i in 0..als.steps() {
            let sigma = als.noise(i).0.sigma;
            v = (1.0 - als.eta()).powi(2) * v + 2.0 * als.eta() * sigma * sigma;
            assert!(v > sigma * sigma);
        }
        assert!((v.sqrt() - std).abs() < digit, "{n_sigma}: {}", v.sqrt());
    }
    let limit = (2.0 * levels.last().powi(2) / (2.0 - eta)).sqrt();
    assert!((limit - 0.0100504).abs() < 0.5e-7, "{limit}");
}

#[test]
fn property_5_als_itself_ends_at_these_noise_levels() {
    let coordinates = 10_000;
    let mean = vec![1.5; coordinates];
    let point = GaussianMixture::gaussian(mean, 0.0).unwrap();
    let levels = Levels::geometric(50.0, 0.01, 232).unwrap();
    // n_sigma = 100 takes long and is covered by the recursion.
    for &(n_sigma, std, _) in &FIGURE_1[..4] {
        let mut als = Als::new(levels.clone(), n_sigma, StepSize::Eta(0.02)).unwrap();
        let mut noise = NoiseLevels::new();
        let result = run(&point, &mut als, &source(), &[0], &mut noise).unwrap();
        assert_eq!(result.most_evaluations(), 232 * n_sigma);
        let last = noise.levels()[noise.levels().len() - 1];
        // The standard error of a standard deviation, relative, is 1/sqrt(2 n).
        let error = std / (2.0 * coordinates as f64).sqrt();
        assert!(
            (last.measured - std).abs() < 4.0 * error,
            "{n_sigma}: {last:?}"
        );
        assert!(result.denoised.iter().all(|h| (h - 1.5).abs() < 1e-12));
    }
}

fn step_sizes(levels: &Levels) -> Vec<StepSize> {
    let lowest = levels
        .gammas()
        .iter()
        .map(|gamma| 1.0 - gamma)
        .fold(0.0, f64::max);
    let mut all: Vec<_> = [1.0, 1.3, 2.0, 5.0, f64::INFINITY]
        .map(StepSize::EpsC)
        .to_vec();
    all.push(StepSize::Eta(0.5 * (1.0 + lowest)));
    all.push(StepSize::EpsB((0.9 + 0.1 * lowest) * levels.last().powi(2)));
    all
}

/// Jolicoeur-Martineau et al. 2021, Proposition 2.
#[test]
fn property_6_the_noise_of_cas_is_the_schedule() {
    for levels in schedules() {
        for step_size in step_sizes(&levels) {
            let cas = Cas::new(&levels, step_size).unwrap();
            let last = levels.len() - 1;
            for &CasStep {
                sigma,
                sigma_next,
                eta,
                beta,
            } in &cas.coefficients()[..last]
            {
                let v = (1.0 - eta).powi(2) * sigma.powi(2) + beta.powi(2) * sigma_next.powi(2);
                assert!(
                    (v / sigma_next.powi(2) - 1.0).abs() < TOLERANCE,
                    "{step_size}"
                );
            }
        }
    }
}

#[test]
fn property_6_cas_itself_follows_the_schedule() {
    let coordinates = 20_000;
    let point = GaussianMixture::gaussian(vec![-0.5; coordinates], 0.0).unwrap();
    for levels in schedules() {
        for step_size in step_sizes(&levels) {
            let mut cas = Cas::new(&levels, step_size).unwrap();
            let mut noise = NoiseLevels::new();
            run(&point, &mut cas, &source(), &[3], &mut noise).unwrap();
            // 4 standard errors, as above; the start already has one.
            let bound = 4.0 / (2.0 * coordinates as f64).sqrt();
            for level in &noise.levels()[..levels.len() - 1] {
                let relative = level.measured / level.scheduled - 1.0;
                assert!(relative.abs() < bound, "{step_size}: {level:?}");
            }
        }
    }
}

#[test]
fn property_6_on_a_gaussian_the_variance_falls_short_by_a_known_amount() {
    for s in [0.1f64, 1.0, 6.0] {
        let gaussian = GaussianMixture::gaussian(vec![0.0], s * s).unwrap();
        for levels in schedules() {
            for step_size in step_sizes(&levels) {
                let cas = Cas::new(&levels, step_size).unwrap();
                let last = levels.len() - 1;
                for &CasStep {
                    sigma,
                    sigma_next,
                    eta,
                    beta,
                } in &cas.coefficients()[..last]
                {
                    // H is linear here: H(1) is its slope.
                    let mut slope = [0.0];
                    gaussian.denoise_at(&[1.0], sigma, &mut slope).unwrap();
                    let factor = 1.0 - eta + eta * slope[0];
                    let v = factor.powi(2) * (s * s + sigma * sigma)
                        + beta.powi(2) * sigma_next.powi(2);
                    let shortfall =
                        eta.powi(2) * sigma.powi(2) * s.powi(2) / (s.powi(2) + sigma.powi(2));
                    let right = s.powi(2) + sigma_next.powi(2);
                    assert!((right - v - shortfall).abs() < TOLERANCE, "{step_size}");
                }
            }
        }
    }
}

#[test]
fn property_7_cas_forgets_a_wrong_start() {
    for levels in schedules() {
        for eps_c in [1.0, 1.3, 2.0, 5.0] {
            for r_0 in [0.0, 0.5, 3.0] {
                let cas = Cas::new(&levels, StepSize::EpsC(eps_c)).unwrap();
                let mut v = r_0 * levels.first().powi(2);
                for &CasStep {
                    sigma_next,
                    eta,
                    beta,
                    ..
                } in &cas.coefficients()[..levels.len() - 1]
                {
                    v = (1.0 - eta).powi(2) * v + (beta * sigma_next).powi(2);
                }
                let excess = v / levels.last().powi(2) - 1.0;
                let ratio = levels.last() / levels.first();
                let expected = (r_0 - 1.0) * ratio.powf(2.0 * (eps_c - 1.0));
                assert!(
                    (excess - expected).abs() < TOLERANCE,
                    "{eps_c} {r_0}: {excess}"
                );
            }
        }
    }
}

/// The same for the mean, through the sampler: the difference of two starts under the same noise.
#[test]
fn property_7_cas_forgets_a_wrong_mean() {
    let (here, there) = (
        GaussianMixture::gaussian(vec![0.0; 3], 0.0).unwrap(),
        GaussianMixture::gaussian(vec![2.0; 3], 0.0).unwrap(),
    );
    for levels in schedules() {
        for eps_c in [1.0, 1.3, 2.0, f64::INFINITY] {
            let cas = Cas::new(&levels, StepSize::EpsC(eps_c)).unwrap();
            let ratio = levels.last() / levels.first();
            let expected = 2.0 * (1.0 - ratio.powf(eps_c));
            let (mut before_last, mut other) = (Vec::new(), Vec::new());
            for (point, x) in [(&here, &mut before_last), (&there, &mut other)] {
                let mut record = |view: &tweedie::sample::StepView<'_>| {
                    if view.step + 2 == view.steps {
                        x.extend_from_slice(view.x);
                    }
                };
                run(point, &mut cas.clone(), &source(), &SAMPLES, &mut record).unwrap();
            }
            for (a, b) in before_last.iter().zip(&other) {
                assert!((b - a - expected).abs() < TOLERANCE, "{eps_c}: {}", b - a);
            }
        }
    }
}

/// Jolicoeur-Martineau et al. 2021, Proposition 3.
#[test]
fn property_8_updates_by_the_score_and_by_the_denoised_sample_agree() {
    let score = |x: f64, h: f64, sigma: f64| (h - x) / (sigma * sigma);
    for denoiser in [&Arbitrary as &dyn Denoiser, &mixture()] {
        for levels in schedules() {
            for eps_c in [1.0, 1.7, 4.0] {
                let cas = Cas::new(&levels, StepSize::EpsC(eps_c)).unwrap();
                let by_score = walk(denoiser, &pairs(&levels), |x, h, z, sigma, next| {
                    let gamma = next / sigma;
                    let eta = 1.0 - gamma.powf(eps_c);
                    let beta = (1.0 - gamma.powf(2.0 * (eps_c - 1.0))).sqrt();
                    x + eta * sigma * sigma * score(x, h, sigma) + beta * next * z
                });
                assert_close(&sample(denoiser, cas).x, &by_score);
            }
            let (eps, n_sigma) = (0.1 * levels.last().powi(2), 2);
            let als = Als::new(levels.clone(), n_sigma, StepSize::EpsB(eps)).unwrap();
            let repeated: Vec<_> = levels
                .as_slice()
                .iter()
                .flat_map(|&s| [(s, s); 2])
                .collect();
            let by_score = walk(denoiser, &repeated, |x, h, z, sigma, _| {
                let alpha = eps * (sigma / levels.last()).powi(2);
                x + alpha * score(x, h, sigma) + (2.0 * alpha).sqrt() * z
            });
            assert_close(&sample(denoiser, als).x, &by_score);
        }
    }
}

#[test]
fn property_11_eps_c_1_is_ddim_and_the_euler_step() {
    for levels in schedules() {
        let cas = Cas::new(&levels, StepSize::EpsC(1.0)).unwrap();
        // Karras et al. 2022, Algorithm 1 without the correction.
        let euler = walk(&mixture(), &pairs(&levels), |x, h, _, sigma, next| {
            let d = (x - h) / sigma;
            x + (next - sigma) * d
        });
        assert_close(&sample(&mixture(), cas.clone()).x, &euler);
        let ddim = walk(&mixture(), &pairs(&levels), |x, h, z, sigma, next| {
            ddim_step(x, h, z, sigma, next, 0.0)
        });
        assert_close(&sample(&mixture(), cas).x, &ddim);
    }
}

#[test]
fn property_11_eps_c_2_is_the_ancestral_sampler() {
    for levels in schedules() {
        let cas = Cas::new(&levels, StepSize::EpsC(2.0)).unwrap();
        // score_sde, AncestralSamplingPredictor.vesde_update_fn.
        let ancestral = walk(&mixture(), &pairs(&levels), |x, h, z, sigma, next| {
            let score = (h - x) / (sigma * sigma);
            let mean = x + score * (sigma * sigma - next * next);
            mean + (next * next * (sigma * sigma - next * next) / (sigma * sigma)).sqrt() * z
        });
        assert_close(&sample(&mixture(), cas).x, &ancestral);
    }
}

/// Song, Meng and Ermon 2021, Eq. 12 and 16, in their variance-preserving coordinates
/// x/sqrt(1 + sigma^2), where abar = 1/(1 + sigma^2).
fn ddim_step(x: f64, h: f64, z: f64, sigma: f64, next: f64, eta: f64) -> f64 {
    let (abar, abar_next) = (1.0 / (1.0 + sigma * sigma), 1.0 / (1.0 + next * next));
    let noise = (abar.sqrt() * x - abar.sqrt() * h) / (1.0 - abar).sqrt();
    let fresh = eta * ((1.0 - abar_next) / (1.0 - abar) * (1.0 - abar / abar_next)).sqrt();
    let direction = (1.0 - abar_next - fresh * fresh).max(0.0).sqrt();
    (abar_next.sqrt() * h + direction * noise + fresh * z) / abar_next.sqrt()
}

#[test]
fn property_11_every_eps_c_is_ddim() {
    for levels in schedules() {
        // DDIM's root cancels where eta_ddim is nearly 1, so larger eps_c would test rounding.
        for eps_c in [1.2, 1.56, 2.0, 3.0] {
            let cas = Cas::new(&levels, StepSize::EpsC(eps_c)).unwrap();
            let steps = cas.coefficients().to_vec();
            let ddim = walk(&mixture(), &pairs(&levels), |x, h, z, sigma, next| {
                let step = steps.iter().find(|step| step.sigma == sigma).unwrap();
                let gamma = next / sigma;
                ddim_step(
                    x,
                    h,
                    z,
                    sigma,
                    next,
                    step.beta / (1.0 - gamma * gamma).sqrt(),
                )
            });
            assert_close(&sample(&mixture(), cas).x, &ddim);
        }
    }
}

#[test]
fn property_11_infinite_eps_c_adds_fresh_noise_to_the_denoised_sample() {
    for levels in schedules() {
        let cas = Cas::new(&levels, StepSize::EpsC(f64::INFINITY)).unwrap();
        let fresh = walk(&mixture(), &pairs(&levels), |_, h, z, _, next| h + next * z);
        assert_close(&sample(&mixture(), cas).x, &fresh);
    }
}

#[test]
fn property_11_noise_zero_forces_the_denoised_sample() {
    for levels in schedules() {
        for eps_c in [1.0, 1.3, 2.0, f64::INFINITY] {
            let cas = Cas::new(&levels, StepSize::EpsC(eps_c)).unwrap();
            let result = sample(&mixture(), cas);
            assert_eq!(result.x, result.denoised);
            assert_eq!(result.most_evaluations(), levels.len());
        }
    }
}

/// With exact scores and many levels CAS draws from the target itself.
#[test]
fn cas_draws_from_the_tutorials_mixture() {
    let levels = Levels::geometric(20.0, 0.01, 200).unwrap();
    let mut cas = Cas::new(&levels, StepSize::EpsC(2.0)).unwrap();
    let samples: Vec<u64> = (0..40_000).collect();
    let result = run(&two_gaussians(), &mut cas, &source(), &samples, &mut ()).unwrap();
    let n = samples.len() as f64;
    let mean = result.x.iter().sum::<f64>() / n;
    let variance = result.x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let left = result.x.iter().filter(|x| **x < 0.0).count() as f64 / n;
    // Mean 2.4 and variance 1 + 36 * 0.09 = 4.24; P(x < 0) = 0.1 + 0.8 Phi(-3). Four standard
    // errors, and 2 % for 200 steps and an initial variance of 400 instead of 404.
    assert!(
        (mean - 2.4).abs() < 4.0 * (4.24 / n).sqrt() + 0.02,
        "{mean}"
    );
    assert!((variance - 4.24).abs() < 0.02 * 4.24 + 0.1, "{variance}");
    assert!(
        (left - 0.10108).abs() < 4.0 * (0.1 * 0.9 / n).sqrt() + 0.002,
        "{left}"
    );
}
