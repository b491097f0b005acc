//! Likelihoods against closed forms.

mod common;

use common::{assert_close, mixture, two_gaussians};
use tweedie::data::Shape;
use tweedie::likelihood::{Divergence, LikelihoodOptions, Probe, decode, encode, log_likelihood};
use tweedie::nn::layers::Activation;
use tweedie::nn::{
    MlpConfig, Network, NetworkConfig, NetworkDenoiser, Parameterisation, Preconditioning,
};
use tweedie::ode::DormandPrince;
use tweedie::random::{NoiseSource, Stream};
use tweedie::score::{
    Batch, ClassConditional, Condition, Denoiser, Differentiable, Distribution, GaussianMixture,
    Posterior, Query,
};

fn source() -> NoiseSource {
    NoiseSource::new(2, Stream::Evaluation)
}

fn tight(rtol: f64) -> DormandPrince {
    DormandPrince {
        rtol,
        atol: rtol,
        most: 100_000,
    }
}

fn hutchinson(probes: usize, probe: Probe) -> Divergence {
    Divergence::Hutchinson { probes, probe }
}

/// Points as the distribution noised by `sigma` might give them.
fn points(target: &dyn Distribution, sigma: f64, n: u64) -> (Vec<f64>, Vec<u64>) {
    let samples: Vec<u64> = (0..n).collect();
    let mut x = vec![0.0; n as usize * target.dim()];
    target.sample(&source(), &samples, sigma, &mut x).unwrap();
    (x, samples)
}

/// ln p of N(0, s^2 + sigma^2) itself, where the distribution of the latents is exact too.
#[test]
fn property_14_likelihood_is_exact_on_gaussians() {
    let (m, s, dim) = (1.5, 0.7f64, 3);
    let target = GaussianMixture::gaussian(vec![m; dim], s * s).unwrap();
    let (low, high) = (0.05, 20.0);
    let (x, samples) = points(&target, low, 20);
    let mut right = vec![0.0; samples.len()];
    target.log_density_at(&x, low, &mut right).unwrap();
    // A diagonal Jacobian: Rademacher vectors are exact, even one.
    for divergence in [Divergence::Exact, hutchinson(1, Probe::Rademacher)] {
        let options = LikelihoodOptions {
            prior_mean: m,
            prior_std: Some(s.hypot(high)),
            divergence,
            solver: tight(1e-9),
            ..LikelihoodOptions::new(low, high)
        };
        let found = log_likelihood(&target, &x, &samples, &source(), &options).unwrap();
        for (found, right) in found.log_density.iter().zip(&right) {
            assert!((found - right).abs() < 1e-6, "{found} {right}");
        }
        // The latents are the samples, scaled.
        let scale = s.hypot(high) / s.hypot(low);
        for (latent, x) in found.latents.iter().zip(&x) {
            assert!((latent - m - scale * (x - m)).abs() < 1e-6);
        }
    }
    // Change of the log density alone: D/2 ln((s^2 + sigma_T^2)/(s^2 + sigma_0^2)).
    let options = LikelihoodOptions {
        solver: tight(1e-10),
        ..LikelihoodOptions::new(low, high)
    };
    let found = log_likelihood(&target, &x, &samples, &source(), &options).unwrap();
    for (row, log_density) in found.latents.chunks(dim).zip(&found.log_density) {
        let square: f64 = row.iter().map(|x| x * x).sum();
        let volume = dim as f64 * (std::f64::consts::TAU * high * high).ln();
        let prior = -0.5 * (square / (high * high) + volume);
        let change = dim as f64 * (s.hypot(high) / s.hypot(low)).ln();
        assert!((log_density - prior - change).abs() < 1e-7);
    }
}

/// The noised mixture's own density, with the largest noise so large that the distribution of the
/// latents is nearly exact.
#[test]
fn likelihood_is_the_density_of_a_mixture() {
    for target in [two_gaussians(), mixture()] {
        let (low, high) = (0.3, 4000.0);
        let (x, samples) = points(&target, low, 30);
        let mut right = vec![0.0; samples.len()];
        target.log_density_at(&x, low, &mut right).unwrap();
        let options = LikelihoodOptions {
            solver: tight(1e-9),
            ..LikelihoodOptions::new(low, high)
        };
        let found = log_likelihood(&target, &x, &samples, &source(), &options).unwrap();
        for (found, right) in found.log_density.iter().zip(&right) {
            // ((mean^2 + variance)/high^2) is 1e-6.
            assert!((found - right).abs() < 2e-3, "{found} {right}");
        }
        assert!(found.standard_error.iter().all(|e| *e == 0.0));
    }
}

/// Hutchinson's estimate against the exact one, in its own standard errors.
#[test]
fn hutchinson_is_unbiased() {
    let target = mixture();
    let (x, samples) = points(&target, 0.3, 64);
    let exact = LikelihoodOptions::new(0.3, 10.0);
    let right = log_likelihood(&target, &x, &samples, &source(), &exact).unwrap();
    for probe in [Probe::Rademacher, Probe::Gaussian] {
        let options = LikelihoodOptions {
            divergence: hutchinson(32, probe),
            ..exact
        };
        let found = log_likelihood(&target, &x, &samples, &source(), &options).unwrap();
        let n = samples.len() as f64;
        let errors = found.log_density.iter().zip(&right.log_density);
        let scaled = errors
            .zip(&found.standard_error)
            .map(|((a, b), e)| ((a - b) / e).powi(2));
        // Chi-squared of Student's t with 31 degrees of freedom: mean 31/29, variance near 2.5.
        let mean = scaled.sum::<f64>() / n;
        assert!(
            (mean - 31.0 / 29.0).abs() < 4.0 * (2.5 / n).sqrt(),
            "{mean}"
        );
    }
}

#[test]
fn neither_batch_nor_order_changes_a_bit() {
    let target = mixture();
    let (x, samples) = points(&target, 0.3, 10);
    let options = LikelihoodOptions {
        divergence: hutchinson(2, Probe::Gaussian),
        ..LikelihoodOptions::new(0.3, 10.0)
    };
    let whole = log_likelihood(&target, &x, &samples, &source(), &options).unwrap();
    for row in [0, 7] {
        let (x, sample) = (&x[3 * row..3 * row + 3], &samples[row..row + 1]);
        let alone = log_likelihood(&target, x, sample, &source(), &options).unwrap();
        assert_eq!(alone.log_density, whole.log_density[row..row + 1]);
        assert_eq!(alone.standard_error, whole.standard_error[row..row + 1]);
        assert_eq!(alone.latents, whole.latents[3 * row..3 * row + 3]);
    }
    let none = log_likelihood(&target, &[], &[], &source(), &options).unwrap();
    assert!(none.log_density.is_empty());
}

/// Each row's density and latent are those of its own class, and so are its evaluations.
#[test]
fn rows_are_conditioned_on_their_classes() {
    let target = mixture();
    let oracle = ClassConditional::components(target.clone()).unwrap();
    let (x, samples) = points(&target, 0.3, 4);
    let conditions = [0, 2, 1, 2].map(Condition::class);
    let batch = Batch::new(&samples).conditioned_on(&conditions).unwrap();
    let options = LikelihoodOptions::new(0.3, 10.0);
    let whole = log_likelihood(&oracle, &x, batch, &source(), &options).unwrap();
    let latents = encode(&oracle, &x, batch, 0.3, 10.0, &options.solver).unwrap();
    for (row, class) in [0, 2, 1, 2].into_iter().enumerate() {
        let (x, sample) = (&x[3 * row..3 * row + 3], &samples[row..=row]);
        let one = target.component(class).unwrap();
        let alone = log_likelihood(&one, x, sample, &source(), &options).unwrap();
        assert_eq!(alone.log_density, whole.log_density[row..=row]);
        assert_eq!(alone.evaluations, whole.evaluations[row..=row]);
        let latent = encode(&one, x, sample, 0.3, 10.0, &options.solver).unwrap();
        assert_eq!(latent, latents[3 * row..3 * row + 3]);
    }
    // An adaptive solver takes what each row needs.
    assert!(whole.evaluations.iter().any(|n| *n != whole.evaluations[0]));
}

#[test]
fn decoding_inverts_encoding() {
    let target = mixture();
    let (x, samples) = points(&target, 0.1, 20);
    let solver = tight(1e-12);
    let latents = encode(&target, &x, &samples, 0.1, 30.0, &solver).unwrap();
    let back = decode(&target, &latents, &samples, 0.1, 30.0, &solver).unwrap();
    for (x, back) in x.iter().zip(&back) {
        assert!((x - back).abs() < 1e-7, "{x} {back}");
    }
}

#[test]
fn wrong_options_are_named() {
    let target = mixture();
    let refusal = |options: LikelihoodOptions| {
        log_likelihood(&target, &[0.0; 3], &[0], &source(), &options)
            .unwrap_err()
            .to_string()
    };
    let fine = LikelihoodOptions::new(0.1, 10.0);
    let probes = LikelihoodOptions {
        divergence: hutchinson(0, Probe::Gaussian),
        ..fine
    };
    assert!(refusal(probes).starts_with("probes = 0"));
    assert!(refusal(LikelihoodOptions::new(0.0, 1.0)).starts_with("sigma_min = 0"));
    assert!(refusal(LikelihoodOptions::new(2.0, 1.0)).starts_with("sigma_min = 2"));
    let mean = LikelihoodOptions {
        prior_mean: f64::NAN,
        ..fine
    };
    assert!(refusal(mean).starts_with("prior_mean"));
    let prior = LikelihoodOptions {
        prior_std: Some(-1.0),
        ..fine
    };
    assert!(refusal(prior).starts_with("prior_std = -1"));
    let error = log_likelihood(&target, &[0.0; 4], &[0], &source(), &fine).unwrap_err();
    assert!(error.to_string().contains("x has shape"));
}

/// A network's derivative against differences of its output, and its trace against the sum of
/// products.
#[test]
fn networks_know_their_derivative() {
    let device = tweedie::engine::Engine::Flex.device().unwrap();
    for (conditional, form) in [
        (true, Preconditioning::Edm),
        (false, Preconditioning::ScaledScore),
        (true, Preconditioning::V),
    ] {
        let config = NetworkConfig {
            conditional,
            mlp: Some(MlpConfig {
                hidden: vec![32, 32],
                activation: Activation::Silu,
                ..MlpConfig::default()
            }),
            ..NetworkConfig::default()
        };
        let network = Network::new(&config, Shape::Vector { dim: 3 }, 5, &device).unwrap();
        let denoiser = NetworkDenoiser::new(&network, Parameterisation::new(form, 0.5));
        let tracked = denoiser.differentiable().unwrap();
        let (x, sigmas) = ([0.3, -0.2, 0.9, 1.0, 0.1, -0.7], [0.8, 2.0]);
        let mut trace = [0.0; 2];
        let (mut h, mut again) = ([0.0; 6], [0.0; 6]);
        let query = Query::new(&x, &sigmas);
        denoiser
            .denoise(&query, &mut Posterior::new(&mut h))
            .unwrap();
        tracked
            .denoise_trace(&query, &mut Posterior::new(&mut again), &mut trace)
            .unwrap();
        assert_close(&again, &h);
        let mut sum = [0.0; 2];
        for axis in 0..3 {
            let mut v = [0.0; 6];
            (v[axis], v[3 + axis]) = (1.0, 1.0);
            let mut product = [0.0; 6];
            tracked
                .denoise_vjp(&query, &v, &mut Posterior::new(&mut again), &mut product)
                .unwrap();
            for row in 0..2 {
                sum[row] += product[3 * row + axis];
            }
            for by in 0..3 {
                let moved = |step: f64| {
                    let mut x = x;
                    (x[by], x[3 + by]) = (x[by] + step, x[3 + by] + step);
                    let mut h = [0.0; 6];
                    let query = Query::new(&x, &sigmas);
                    denoiser
                        .denoise(&query, &mut Posterior::new(&mut h))
                        .unwrap();
                    [h[axis], h[3 + axis]]
                };
                let (ahead, behind) = (moved(0.02), moved(-0.02));
                for row in 0..2 {
                    let slope = (ahead[row] - behind[row]) / 0.04;
                    // Single precision, and the third derivative.
                    assert!((slope - product[3 * row + by]).abs() < 1e-3, "{form:?}");
                }
            }
        }
        assert_close(&trace, &sum);
    }
}
