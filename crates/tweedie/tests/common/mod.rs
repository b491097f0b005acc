//! Shared by the tests of samplers.

// Each test program uses some of it.
#![allow(dead_code)]

use tweedie::Result;
use tweedie::noise::Levels;
use tweedie::random::{NoiseSource, Stream};
use tweedie::sample::{Sampler, Samples, run};
use tweedie::score::{Denoiser, GaussianMixture, Posterior, Query, by_level};

pub const TOLERANCE: f64 = 1e-10;

/// A score that is not a gradient, (1 + sigma^2) s = sin(x) + cos(y), y the coordinate
/// after x.
pub struct Arbitrary;

impl Denoiser for Arbitrary {
    fn dim(&self) -> usize {
        3
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        self.score(query, posterior)?;
        let rows = posterior.mean.chunks_exact_mut(3);
        for ((out, x), sigma) in rows.zip(query.x.chunks_exact(3)).zip(query.sigmas) {
            let values = out.iter_mut().zip(x);
            values.for_each(|(out, x)| *out = x + sigma * sigma * *out);
        }
        Ok(())
    }

    fn score(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        by_level(3, query, posterior, |x, sigma, out| {
            for (i, out) in out.iter_mut().enumerate() {
                let neighbour = x[i / 3 * 3 + (i + 1) % 3];
                *out = (x[i].sin() + neighbour.cos()) / (1.0 + sigma * sigma);
            }
            Ok(())
        })
    }
}

/// The target of the one-dimensional tutorial, 0.1 N(-3, 1) + 0.9 N(3, 1).
pub fn two_gaussians() -> GaussianMixture {
    GaussianMixture::new(&[0.1, 0.9], vec![-3.0, 3.0], &[1.0, 1.0]).unwrap()
}

/// Three components in three dimensions.
pub fn mixture() -> GaussianMixture {
    let means = vec![1.0, 0.0, -1.0, -2.0, 0.5, 0.3, 0.0, 2.0, 1.5];
    GaussianMixture::new(&[0.5, 0.2, 0.3], means, &[0.3, 0.05, 1.0]).unwrap()
}

pub fn schedules() -> Vec<Levels> {
    vec![
        Levels::geometric(10.0, 0.1, 12).unwrap(),
        Levels::karras(10.0, 0.05, 9, 7.0).unwrap(),
        Levels::new(vec![9.0, 8.9, 3.0, 2.0, 0.2, 0.19]).unwrap(),
        Levels::geometric(10.0, 0.1, 5).unwrap().dilate(3).unwrap(),
    ]
}

pub fn source() -> NoiseSource {
    NoiseSource::new(11, Stream::Sampling)
}

pub const SAMPLES: [u64; 5] = [4, 0, 17, 1 << 40, 3];

pub fn sample(denoiser: &dyn Denoiser, mut sampler: impl Sampler) -> Samples {
    run(denoiser, &mut sampler, &source(), &SAMPLES, &mut ()).unwrap()
}

/// Walks `pairs` of levels from the start that samplers use, x' = `update`(x, H, z, sigma, s').
pub fn walk(
    denoiser: &dyn Denoiser,
    pairs: &[(f64, f64)],
    update: impl Fn(f64, f64, f64, f64, f64) -> f64,
) -> Vec<f64> {
    let length = SAMPLES.len() * denoiser.dim();
    let (mut x, mut z, mut h) = (vec![0.0; length], vec![0.0; length], vec![0.0; length]);
    source().fill_batch(&SAMPLES, 0, &mut x);
    x.iter_mut().for_each(|x| *x *= pairs[0].0);
    for (i, &(sigma, next)) in pairs.iter().enumerate() {
        source().fill_batch(&SAMPLES, i as u32 + 1, &mut z);
        denoiser.denoise_at(&x, sigma, &mut h).unwrap();
        for ((x, h), z) in x.iter_mut().zip(&h).zip(&z) {
            *x = update(*x, *h, *z, sigma, next);
        }
    }
    x
}

pub fn pairs(levels: &Levels) -> Vec<(f64, f64)> {
    let sigmas = levels.as_slice();
    let mut pairs: Vec<_> = sigmas.windows(2).map(|pair| (pair[0], pair[1])).collect();
    pairs.push((levels.last(), 0.0));
    pairs
}

#[track_caller]
pub fn assert_close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= TOLERANCE * b.abs().max(1.0), "{a} {b}");
    }
}
