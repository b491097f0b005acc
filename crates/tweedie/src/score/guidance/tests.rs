//! Guidance on mixtures whose components are the classes.

use super::*;
use crate::noise::Levels;
use crate::random::{NoiseSource, Stream};
use crate::sample::{Cas, StepSize, run};
use crate::score::tests::{difference, full};
use crate::score::{Denoiser, Differentiable, GaussianMixture};

const DIM: usize = 3;
const SIGMAS: [f64; 6] = [0.4, 0.4, 2.0, 0.9, 9.0, 9.0];

fn rows() -> Vec<f64> {
    let mut x = vec![0.0; SIGMAS.len() * DIM];
    NoiseSource::new(6, Stream::Data).fill_normal(0, 0, &mut x);
    x
}

fn h(denoiser: &dyn Denoiser, x: &[f64], sigma: f64) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    denoiser.denoise(x, sigma, &mut out).unwrap();
    out
}

#[track_caller]
fn assert_close(a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() < tolerance * b.abs().max(1.0), "{a} {b}");
    }
}

/// p(class | x) itself: the gradient of ln of w_k p_k(x)/p(x) by differences of densities.
struct Posterior {
    law: GaussianMixture,
    class: usize,
}

impl LogLikelihood for Posterior {
    fn dim(&self) -> usize {
        DIM
    }

    fn gradient(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        let class = self.law.component(self.class)?;
        for (x, out) in x.chunks_exact(DIM).zip(out.chunks_exact_mut(DIM)) {
            for (axis, out) in out.iter_mut().enumerate() {
                *out = difference(x, axis, 0.02 * sigma, |x| {
                    let (mut a, mut b) = ([0.0], [0.0]);
                    class.log_density(x, sigma, &mut a).unwrap();
                    self.law.log_density(x, sigma, &mut b).unwrap();
                    a[0] - b[0]
                });
            }
        }
        Ok(())
    }
}

#[test]
fn the_exact_classifier_gives_the_class() {
    let law = full();
    let x = rows();
    for class in 0..law.components() {
        let one = law.component(class).unwrap();
        let by_densities = Posterior {
            law: law.clone(),
            class,
        };
        let by_scores = LogRatio::new(&one, &law).unwrap();
        let likelihoods: [Box<dyn LogLikelihood>; 2] =
            [Box::new(by_densities), Box::new(by_scores)];
        for likelihood in likelihoods {
            let guided = ClassifierGuided::new(&law, &likelihood, 1.0).unwrap();
            for sigma in [0.3, 1.0, 5.0] {
                // Differences of log densities are good to 1e-10, times sigma^2.
                let tolerance = 1e-10 * f64::max(1.0, sigma * sigma);
                assert_close(&h(&guided, &x, sigma), &h(&one, &x, sigma), tolerance);
                let (mut a, mut b) = (x.clone(), x.clone());
                guided.score(&x, sigma, &mut a).unwrap();
                one.score(&x, sigma, &mut b).unwrap();
                assert_close(&a, &b, 1e-9);
            }
            let none = ClassifierGuided::new(&law, &likelihood, 0.0).unwrap();
            assert_eq!(h(&none, &x, 0.5), h(&law, &x, 0.5));
        }
    }
}

#[test]
fn guidance_by_the_implied_classifier_is_classifier_free() {
    let law = full();
    let one = law.component(2).unwrap();
    let ratio = LogRatio::new(&one, &law).unwrap();
    let x = rows();
    for weight in [-0.5, 0.3, 2.0, 7.5] {
        let by_classifier = ClassifierGuided::new(&law, &ratio, weight).unwrap();
        let free = ClassifierFree::new(&law, &one, weight).unwrap();
        for sigma in [0.1, 1.0, 5.0] {
            assert_close(&h(&by_classifier, &x, sigma), &h(&free, &x, sigma), 1e-11);
        }
    }
}

#[test]
fn classifier_free_guidance_is_the_line_through_two_denoisers() {
    let law = full();
    let one = law.component(0).unwrap();
    let x = rows();
    let (u, c) = (h(&law, &x, 0.8), h(&one, &x, 0.8));
    let guided = |weight| ClassifierFree::new(&law, &one, weight).unwrap();
    assert_eq!(h(&guided(0.0), &x, 0.8), u);
    assert_eq!(h(&guided(1.0), &x, 0.8), c);
    // Ho and Salimans' own form with their w = 1: (1 + w) c - w u.
    let theirs: Vec<f64> = u.iter().zip(&c).map(|(u, c)| 2.0 * c - u).collect();
    assert_close(&h(&guided(2.0), &x, 0.8), &theirs, 1e-14);

    let v: Vec<f64> = x.iter().map(|x| x.sin()).collect();
    let products = |denoiser: &dyn Differentiable| {
        let (mut h, mut product) = (x.clone(), x.clone());
        denoiser
            .denoise_vjp(&x, &SIGMAS, &v, &mut h, &mut product)
            .unwrap();
        let mut trace = vec![0.0; SIGMAS.len()];
        denoiser
            .denoise_trace(&x, &SIGMAS, &mut h, &mut trace)
            .unwrap();
        [h, product, trace].concat()
    };
    let (u, c) = (products(&law), products(&one));
    let theirs: Vec<f64> = u.iter().zip(&c).map(|(u, c)| 4.0 * c - 3.0 * u).collect();
    assert_close(&products(&guided(4.0)), &theirs, 1e-13);
}

#[test]
fn known_values_stay_through_a_run_and_the_others_do_not() {
    let law = full();
    let known = Known::new(vec![true, false, true], vec![0.25, f64::NAN, -1.5]).unwrap();
    let inpainting = Consistent::new(&law, known).unwrap();
    let levels = Levels::geometric(10.0, 0.01, 60).unwrap();
    let source = NoiseSource::new(0, Stream::Sampling);
    let samples: Vec<u64> = (0..50).collect();
    let sample = |denoiser: &dyn Denoiser| {
        let mut cas = Cas::new(&levels, StepSize::EpsC(1.5)).unwrap();
        run(denoiser, &mut cas, &source, &samples, &mut ()).unwrap()
    };
    let result = sample(&inpainting);
    for rows in [&result.x, &result.denoised] {
        for x in rows.chunks_exact(DIM) {
            assert_eq!((x[0], x[2]), (0.25, -1.5));
        }
    }
    // A closure of the same effect gives the same samples.
    let by_closure = Consistent::new(&law, |_: &[f64], _: f64, h: &mut [f64]| {
        for h in h.chunks_exact_mut(DIM) {
            (h[0], h[2]) = (0.25, -1.5);
        }
        Ok(())
    });
    assert_eq!(sample(&by_closure.unwrap()), result);
    // The middle values are samples still: all different, and not those of a free run.
    let free = sample(&law);
    let middle = |x: &[f64]| x.iter().skip(1).step_by(DIM).copied().collect::<Vec<_>>();
    let mut values = middle(&result.x);
    assert_ne!(values, middle(&free.x));
    values.sort_by(f64::total_cmp);
    assert!(values.windows(2).all(|pair| pair[0] < pair[1]));
}

/// A denoiser that answers with its input.
struct Identity(usize);

impl Denoiser for Identity {
    fn dim(&self) -> usize {
        self.0
    }

    fn denoise(&self, x: &[f64], _: f64, out: &mut [f64]) -> Result<()> {
        out.copy_from_slice(x);
        Ok(())
    }
}

#[test]
fn thresholds_by_hand() {
    let clip = Threshold::Clip {
        low: -1.0,
        high: 2.0,
    };
    let clipped = Thresholded::new(Identity(4), clip).unwrap();
    assert_eq!(
        h(&clipped, &[-3.0, -1.0, 0.5, 9.0], 1.0),
        [-1.0, -1.0, 0.5, 2.0]
    );

    let dynamic = |low, high, quantile| {
        let threshold = Threshold::Dynamic {
            low,
            high,
            quantile,
        };
        Thresholded::new(Identity(5), threshold).unwrap()
    };
    // Distances 0, 1, 2, 4, 8: the quantile 0.75 is 4, so all is divided by 4 and 8 is clipped.
    let x = [0.0, 1.0, -2.0, 4.0, -8.0];
    assert_eq!(
        h(&dynamic(-1.0, 1.0, 0.75), &x, 1.0),
        [0.0, 0.25, -0.5, 1.0, -1.0]
    );
    // 0.875 is half way from 4 to 8.
    assert_close(
        &h(&dynamic(-1.0, 1.0, 0.875), &x, 1.0),
        &[0.0, 1.0 / 6.0, -1.0 / 3.0, 2.0 / 3.0, -1.0],
        1e-15,
    );
    // The median 2 is inside [-5, 5]: s is the bound, and 8 is clipped.
    assert_eq!(
        h(&dynamic(-5.0, 5.0, 0.5), &x, 1.0),
        [0.0, 1.0, -2.0, 4.0, -5.0]
    );
    // Centre 3, bound 1: the largest distance 4 becomes 1.
    assert_eq!(
        h(&dynamic(2.0, 4.0, 1.0), &[3.0, 7.0, 1.0, 3.5, 2.0], 1.0),
        [3.0, 4.0, 2.5, 3.125, 2.75]
    );
    // Samples are thresholded apart: two rows, one of which needs nothing.
    let two = [x, [0.5, -0.5, 0.0, 1.0, -1.0]].concat();
    let out = h(&dynamic(-1.0, 1.0, 1.0), &two, 1.0);
    assert_eq!(out[..5], [0.0, 0.125, -0.25, 0.5, -1.0]);
    assert_eq!(out[5..], two[5..]);
}

#[test]
fn what_is_not_finite_gets_through_a_threshold() {
    let [low, high, quantile] = [-1.0, 1.0, 0.9];
    let dynamic = Threshold::Dynamic {
        low,
        high,
        quantile,
    };
    for threshold in [Threshold::Clip { low, high }, dynamic] {
        let kept = Thresholded::new(Identity(2), threshold).unwrap();
        assert!(h(&kept, &[f64::NAN, 0.5], 1.0)[0].is_nan());
        assert_eq!(h(&kept, &[f64::INFINITY, 0.5], 1.0)[0], f64::INFINITY);
    }
}

/// Wrappers inside each other, with a level of its own for every row.
#[test]
fn denoise_each_is_denoise_row_by_row() {
    let law = full();
    let one = law.component(1).unwrap();
    let ratio = LogRatio::new(&one, &law).unwrap();
    let guided = ClassifierGuided::new(&law, &ratio, 3.0).unwrap();
    let free = ClassifierFree::new(&guided, &one, 1.5).unwrap();
    let shift = |x: &[f64], sigma: f64, h: &mut [f64]| {
        let places = h.iter_mut().zip(x);
        places.for_each(|(h, x)| *h += 0.01 * sigma * x);
        Ok(())
    };
    let shifted = Consistent::new(&free, shift).unwrap();
    let threshold = Threshold::Dynamic {
        low: -1.0,
        high: 0.5,
        quantile: 0.6,
    };
    let kept = Thresholded::new(&shifted, threshold).unwrap();
    let x = rows();
    for denoiser in [&guided as &dyn Denoiser, &free, &shifted, &kept] {
        let mut each = vec![0.0; x.len()];
        denoiser.denoise_each(&x, &SIGMAS, &mut each).unwrap();
        let apart: Vec<f64> = x
            .chunks_exact(DIM)
            .zip(SIGMAS)
            .flat_map(|(x, sigma)| h(denoiser, x, sigma))
            .collect();
        assert_eq!(each, apart);
        assert!(denoiser.denoise_each(&x, &SIGMAS[1..], &mut each).is_err());
    }
}

#[test]
fn wrong_settings_are_refused() {
    let (law, plane) = (full(), Identity(2));
    assert!(LogRatio::new(&plane, &law).is_err());
    let ratio = LogRatio::new(&law, &law).unwrap();
    assert!(ClassifierGuided::new(&plane, &ratio, 1.0).is_err());
    assert!(ClassifierGuided::new(&law, &ratio, f64::NAN).is_err());
    assert!(ClassifierFree::new(&law, &plane, 1.0).is_err());
    assert!(ClassifierFree::new(&law, &law, f64::INFINITY).is_err());
    assert!(Known::new(vec![true], vec![]).is_err());
    assert!(Known::new(vec![true], vec![f64::NAN]).is_err());
    let known = Known::new(vec![true], vec![0.0]).unwrap();
    assert!(Consistent::new(&law, known).is_err());
    let [low, high] = [1.0, 1.0];
    assert!(Thresholded::new(&law, Threshold::Clip { low, high }).is_err());
    for quantile in [-0.1, 1.1, f64::NAN] {
        let [low, high] = [0.0, 1.0];
        let threshold = Threshold::Dynamic {
            low,
            high,
            quantile,
        };
        let error = Thresholded::new(&law, threshold).unwrap_err();
        assert!(error.to_string().contains("quantile"));
    }
}
