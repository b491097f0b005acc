//! Mixtures against finite differences, moments and each other.

use super::*;
use crate::random::{NoiseSource, Stream};
use crate::score::{Denoiser, Differentiable, Law};

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
            mixture.score(&x, sigma, &mut score).unwrap();
            mixture.denoise(&x, sigma, &mut h).unwrap();
            for axis in 0..2 {
                // The eighth-order central difference.
                let step = 0.02 * sigma;
                let log = |offset: f64| {
                    let mut x = x;
                    x[axis] += offset * step;
                    let mut out = [0.0];
                    mixture.log_density(&x, sigma, &mut out).unwrap();
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
        mixture.log_density(&x, sigma, &mut log).unwrap();
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
    // E score = 0 and E ||score||^2 = -E div score are hard to meet by a wrong law; the
    // standard error of the first is known from the second.
    let mut score = vec![0.0; x.len()];
    mixture.score(&x, 0.5, &mut score).unwrap();
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
    assert!(point.log_density(&[0.0], 0.0, &mut [0.0]).is_err());
}

/// A weight of zero has logarithm -inf, which must not turn into NaN.
#[test]
fn a_component_of_weight_zero_does_not_matter() {
    let with = GaussianMixture::new(&[1.0, 0.0], vec![1.0, 5.0], &[1.0, 1.0]).unwrap();
    let without = GaussianMixture::gaussian(vec![1.0], 1.0).unwrap();
    let (mut a, mut b) = ([0.0], [0.0]);
    with.denoise(&[4.0], 0.3, &mut a).unwrap();
    without.denoise(&[4.0], 0.3, &mut b).unwrap();
    assert_eq!(a, b);
}
