//! Mixtures against finite differences, moments and each other.

use super::*;
use crate::random::{NoiseSource, Stream};
use crate::score::tests::full;
use crate::score::{Denoiser, Distribution};

fn mixture() -> GaussianMixture {
    GaussianMixture::new(
        &[1.0, 2.0, 0.5],
        vec![0.0, 1.0, -1.0, 0.5, 2.0, -0.3],
        &[0.1, 0.4, 1.0, 0.2, 0.05, 0.6],
    )
    .unwrap()
}

#[test]
fn property_1_the_score_is_the_gradient_of_the_log_density() {
    let mixture = mixture();
    for sigma in [0.2, 1.0, 5.0] {
        for x in [[0.3, -0.4], [1.5, 0.2], [-2.0, 3.0], [0.0, 0.0]] {
            let (mut score, mut h) = ([0.0; 2], [0.0; 2]);
            mixture.score_at(&x, sigma, &mut score).unwrap();
            mixture.denoise_at(&x, sigma, &mut h).unwrap();
            for axis in 0..2 {
                // The eighth-order central difference.
                let step = 0.02 * sigma;
                let log = |offset: f64| {
                    let mut x = x;
                    x[axis] += offset * step;
                    let mut out = [0.0];
                    mixture.log_density_at(&x, sigma, &mut out).unwrap();
                    out[0]
                };
                let pair = |k: f64| log(k) - log(-k);
                let gradient = (672.0 * pair(1.0) - 168.0 * pair(2.0) + 32.0 * pair(3.0)
                    - 3.0 * pair(4.0))
                    / (840.0 * step);
                assert!(
                    (score[axis] - gradient).abs() < 1e-10,
                    "{score:?} {gradient}"
                );
                let tweedie = x[axis] + sigma * sigma * score[axis];
                assert!((h[axis] - tweedie).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn the_density_has_mass_one() {
    let mixture = GaussianMixture::new(&[0.1, 0.9], vec![-3.0, 3.0], &[1.0, 1.0]).unwrap();
    let x: Vec<f64> = (-2000..=2000).map(|i| f64::from(i) * 0.01).collect();
    let mut log = vec![0.0; x.len()];
    for sigma in [0.0, 0.7] {
        mixture.log_density_at(&x, sigma, &mut log).unwrap();
        let mass: f64 = log.iter().map(|log| log.exp() * 0.01).sum();
        assert!((mass - 1.0).abs() < 1e-12);
    }
}

#[test]
fn samples_have_the_law() {
    let mixture = mixture();
    let samples: Vec<u64> = (0..200_000).collect();
    let mut x = vec![0.0; 2 * samples.len()];
    let source = NoiseSource::new(0, Stream::Data);
    mixture.sample(&source, &samples, 0.5, &mut x).unwrap();
    // E score = 0 and E ||score||^2 = -E div score are hard to meet by a wrong distribution; the
    // standard error of the first is known from the second.
    let mut score = vec![0.0; x.len()];
    mixture.score_at(&x, 0.5, &mut score).unwrap();
    for axis in 0..2 {
        let values = || score.iter().skip(axis).step_by(2);
        let n = samples.len() as f64;
        let mean = values().sum::<f64>() / n;
        let square = values().map(|s| s * s).sum::<f64>() / n;
        assert!(mean.abs() < 4.0 * (square / n).sqrt());
    }
    // Mean and variance of the first axis: means 0, -1, 2, weights 2/7, 4/7, 1/7.
    let values = || x.iter().step_by(2);
    let n = samples.len() as f64;
    let mean = values().sum::<f64>() / n;
    let second = values().map(|x| x * x).sum::<f64>() / n;
    let expected_second = (2. * 0.35 + 4. * (1.0 + 1.25) + (4.0 + 0.3)) / 7.0;
    assert!((mean - -2.0 / 7.0).abs() < 4.0 * (second / n).sqrt());
    assert!((second - expected_second).abs() < 4.0 * (3.0 * second * second / n).sqrt());
}

#[test]
fn wrong_parameters_are_refused() {
    let new = GaussianMixture::new;
    assert!(new(&[], vec![], &[]).is_err());
    assert!(new(&[0.0], vec![0.0], &[1.0]).is_err());
    assert!(new(&[-1.0, 3.0], vec![0.0, 0.0], &[1.0, 1.0]).is_err());
    assert!(new(&[1.0, 1.0], vec![0.0; 3], &[1.0, 1.0]).is_err());
    assert!(new(&[1.0], vec![f64::NAN], &[1.0]).is_err());
    assert!(new(&[1.0], vec![0.0, 0.0], &[1.0; 3]).is_err());
    assert!(new(&[1.0], vec![0.0], &[-1.0]).is_err());
    assert!(new(&[1.0], vec![], &[1.0]).is_err());
    let point = GaussianMixture::gaussian(vec![0.0], 0.0).unwrap();
    assert!(point.log_density_at(&[0.0], 0.0, &mut [0.0]).is_err());
}

/// A weight of zero has logarithm -inf, which must not turn into NaN.
#[test]
fn a_component_of_weight_zero_does_not_matter() {
    let with = GaussianMixture::new(&[1.0, 0.0], vec![1.0, 5.0], &[1.0, 1.0]).unwrap();
    let without = GaussianMixture::gaussian(vec![1.0], 1.0).unwrap();
    let (mut a, mut b) = ([0.0], [0.0]);
    with.denoise_at(&[4.0], 0.3, &mut a).unwrap();
    without.denoise_at(&[4.0], 0.3, &mut b).unwrap();
    assert_eq!(a, b);
}

/// The rotated mixture is a rotation of the diagonal one: its values in closed form.
#[test]
fn a_full_covariance_is_a_rotated_diagonal_one() {
    let (sin, cos) = 0.7f64.sin_cos();
    let turn = |x: &[f64]| vec![cos * x[0] - sin * x[1], sin * x[0] + cos * x[1]];
    let flat = mixture();
    let (mut means, mut covariances) = (Vec::new(), Vec::new());
    for k in 0..3 {
        let (mean, v) = flat.parameters(k);
        means.extend(turn(mean));
        let across = sin * cos * (v[0] - v[1]);
        let first = cos * cos * v[0] + sin * sin * v[1];
        let second = sin * sin * v[0] + cos * cos * v[1];
        covariances.extend([first, across, across, second]);
    }
    let turned = GaussianMixture::full(&flat.weights(), means, &covariances).unwrap();
    let again = turned.covariances();
    let close = |a: &[f64], b: &[f64]| {
        let both = a.iter().zip(b);
        assert!(both.clone().count() == a.len() && a.len() == b.len());
        for (a, b) in both {
            assert!((a - b).abs() < 1e-13 * b.abs().max(1.0), "{a} {b}");
        }
    };
    close(&again, &covariances);
    for sigma in [0.01, 0.5, 4.0] {
        for x in [[0.3, -0.4], [1.5, 0.2], [-2.0, 3.0]] {
            let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
            flat.denoise_at(&x, sigma, &mut a).unwrap();
            turned.denoise_at(&turn(&x), sigma, &mut b).unwrap();
            close(&b, &turn(&a));
            flat.score_at(&x, sigma, &mut a).unwrap();
            turned.score_at(&turn(&x), sigma, &mut b).unwrap();
            assert!((0..2).all(|i| (b[i] - turn(&a)[i]).abs() < 1e-12 * a[i].abs().max(1.0)));
            let (mut a, mut b) = ([0.0], [0.0]);
            flat.log_density_at(&x, sigma, &mut a).unwrap();
            turned.log_density_at(&turn(&x), sigma, &mut b).unwrap();
            assert!((a[0] - b[0]).abs() < 1e-12 * a[0].abs().max(1.0));
            let covariance = turned.covariance(&turn(&x), sigma).unwrap();
            let plain = flat.covariance(&x, sigma).unwrap();
            let columns = [turn(&[plain[0], plain[2]]), turn(&[plain[1], plain[3]])];
            let rows = [
                turn(&[columns[0][0], columns[1][0]]),
                turn(&[columns[0][1], columns[1][1]]),
            ];
            close(&covariance, &rows.concat());
        }
    }
}

/// H is linear for one Gaussian: its posterior covariance does not depend on x.
#[test]
fn the_posterior_covariance_of_a_gaussian_in_closed_form() {
    // C = [[2, 1], [1, 2]] has C^-1 + I/sigma^2 = [[5, -1], [-1, 5]]/3 at sigma = 1.
    let gaussian = GaussianMixture::gaussian_full(vec![1.0, -1.0], &[2.0, 1.0, 1.0, 2.0]).unwrap();
    for x in [[0.0, 0.0], [5.0, -8.0]] {
        let covariance = gaussian.covariance(&x, 1.0).unwrap();
        for (c, expected) in covariance.iter().zip([5.0, 1.0, 1.0, 5.0]) {
            assert!((c - expected / 8.0).abs() < 1e-14);
        }
    }
    assert!(gaussian.covariance(&[0.0; 4], 1.0).is_err());
    assert!(gaussian.covariance(&[0.0; 2], 0.0).is_err());
}

#[test]
fn diagonal_matrices_keep_the_diagonal_form() {
    let matrices = [0.3, 0.0, 0.0, 1e-20, 2.0, 0.0, 0.0, 0.0];
    let full = GaussianMixture::full(&[1.0, 2.0], vec![1.0; 4], &matrices).unwrap();
    let diagonal = GaussianMixture::new(&[1.0, 2.0], vec![1.0; 4], &[0.3, 1e-20, 2.0, 0.0]);
    assert_eq!(full, diagonal.unwrap());
    assert_eq!(full.covariances(), matrices);
}

#[test]
fn noise_adds_to_the_variances() {
    let target = full();
    let noised = target.noised(0.6).unwrap();
    for (place, (after, before)) in noised
        .covariances()
        .iter()
        .zip(target.covariances())
        .enumerate()
    {
        let added = if place % 9 % 4 == 0 { 0.36 } else { 0.0 };
        assert!((after - before - added).abs() < 1e-14);
    }
    let x = [0.4, 0.1, -0.3];
    let (mut a, mut b) = ([0.0], [0.0]);
    noised.log_density_at(&x, 0.8, &mut a).unwrap();
    target.log_density_at(&x, 1.0, &mut b).unwrap();
    assert!((a[0] - b[0]).abs() < 1e-13);
    assert!(target.noised(-1.0).is_err() && target.noised(f64::NAN).is_err());
}

#[test]
fn the_mixture_is_the_sum_of_its_components() {
    let target = full();
    let x = [0.4, 0.1, -0.3];
    let (mut density, mut log) = (0.0, [0.0]);
    for (k, w) in target.weights().iter().enumerate() {
        target
            .component(k)
            .unwrap()
            .log_density_at(&x, 0.5, &mut log)
            .unwrap();
        density += w * log[0].exp();
    }
    target.log_density_at(&x, 0.5, &mut log).unwrap();
    assert!((density.ln() - log[0]).abs() < 1e-13);
    assert!(target.component(4).is_err());
}

#[test]
fn samples_of_full_covariances_have_the_moments() {
    let target = full().noised(0.2).unwrap();
    let samples: Vec<u64> = (0..200_000).collect();
    let mut x = vec![0.0; 3 * samples.len()];
    let source = NoiseSource::new(3, Stream::Data);
    full().sample(&source, &samples, 0.2, &mut x).unwrap();
    let (mean, covariance) = target.moments();
    let n = samples.len() as f64;
    // Every moment within 4 standard errors, those estimated from the samples.
    let within = |expected: f64, value: &dyn Fn(&[f64]) -> f64| {
        let values = || x.chunks_exact(3).map(value);
        let found = values().sum::<f64>() / n;
        let variance = values().map(|v| (v - found).powi(2)).sum::<f64>() / n;
        let error = (variance / n).sqrt();
        assert!(
            (found - expected).abs() < 4.0 * error,
            "{found} {expected} {error}"
        );
    };
    for i in 0..3 {
        within(mean[i], &|x| x[i]);
        for j in 0..=i {
            let expected = covariance[3 * i + j];
            within(expected, &|x| (x[i] - mean[i]) * (x[j] - mean[j]));
        }
    }
    // E score = 0 is met by the right distribution only.
    let mut score = vec![0.0; x.len()];
    full().score_at(&x, 0.2, &mut score).unwrap();
    for i in 0..3 {
        let values = || score.iter().skip(i).step_by(3);
        let square = values().map(|s| s * s).sum::<f64>() / n;
        let mean = values().sum::<f64>() / n;
        assert!(mean.abs() < 4.0 * (square / n).sqrt());
    }
}

#[test]
fn wrong_covariances_are_refused_by_name() {
    let refused = |covariance: &[f64]| {
        let error = GaussianMixture::gaussian_full(vec![0.0, 0.0], covariance);
        error.unwrap_err().to_string()
    };
    assert!(refused(&[1.0, 0.5, 0.4, 1.0]).contains("symmetric"));
    assert!(refused(&[1.0, 2.0, 2.0, 1.0]).contains("semi-definite"));
    assert!(refused(&[1.0, 0.0, 0.0, -1.0]).contains("semi-definite"));
    assert!(refused(&[1.0, f64::NAN, 0.0, 1.0]).contains("finite"));
    assert!(refused(&[1.0, 0.0]).contains("covariances has shape"));
    // A singular one is a distribution, without a density of its own: a rounded zero is a zero.
    let flat = GaussianMixture::gaussian_full(vec![0.0, 0.0], &[0.1, 0.3, 0.3, 0.9]).unwrap();
    assert!(flat.log_density_at(&[0.0; 2], 0.0, &mut [0.0]).is_err());
    assert!(flat.log_density_at(&[0.0; 2], 0.1, &mut [0.0]).is_ok());
}
