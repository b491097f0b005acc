//! Guidance on mixtures whose components are the classes.

use super::*;
use crate::noise::Levels;
use crate::random::{NoiseSource, Stream};
use crate::sample::{Cas, Samples, StepSize, run};
use crate::score::tests::{difference, full};
use crate::score::{
    Batch, ClassConditional, Condition, Denoiser, Differentiable, Distribution, GaussianMixture,
    Posterior, Query, by_level,
};

const DIM: usize = 3;
const SIGMAS: [f64; 6] = [0.4, 0.4, 2.0, 0.9, 9.0, 9.0];

fn rows() -> Vec<f64> {
    let mut x = vec![0.0; SIGMAS.len() * DIM];
    NoiseSource::new(6, Stream::Data).fill_normal(0, 0, &mut x);
    x
}

fn h(denoiser: &dyn Denoiser, x: &[f64], sigma: f64) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    denoiser.denoise_at(x, sigma, &mut out).unwrap();
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
struct ExactClassifier {
    mixture: GaussianMixture,
    class: usize,
}

impl LogLikelihood for ExactClassifier {
    fn dim(&self) -> usize {
        DIM
    }

    fn gradient(&self, query: &Query<'_>, gradient: &mut Posterior<'_>) -> Result<()> {
        let class = self.mixture.component(self.class)?;
        let rows = query.x.chunks_exact(DIM).zip(query.sigmas);
        for ((x, &sigma), out) in rows.zip(gradient.mean.chunks_exact_mut(DIM)) {
            for (axis, out) in out.iter_mut().enumerate() {
                *out = difference(x, axis, 0.02 * sigma, |x| {
                    let (mut a, mut b) = ([0.0], [0.0]);
                    class.log_density_at(x, sigma, &mut a).unwrap();
                    self.mixture.log_density_at(x, sigma, &mut b).unwrap();
                    a[0] - b[0]
                });
            }
        }
        Ok(())
    }
}

#[test]
fn the_exact_classifier_gives_the_class() {
    let mixture = full();
    let x = rows();
    for class in 0..mixture.components() {
        let one = mixture.component(class).unwrap();
        let by_densities = ExactClassifier {
            mixture: mixture.clone(),
            class,
        };
        let by_scores = LogRatio::new(&one, &mixture).unwrap();
        let likelihoods: [Box<dyn LogLikelihood>; 2] =
            [Box::new(by_densities), Box::new(by_scores)];
        for likelihood in likelihoods {
            let guided = ClassifierGuided::new(&mixture, &likelihood, 1.0).unwrap();
            for sigma in [0.3, 1.0, 5.0] {
                // Differences of log densities are good to 1e-10, times sigma^2.
                let tolerance = 1e-10 * f64::max(1.0, sigma * sigma);
                assert_close(&h(&guided, &x, sigma), &h(&one, &x, sigma), tolerance);
                let (mut a, mut b) = (x.clone(), x.clone());
                guided.score_at(&x, sigma, &mut a).unwrap();
                one.score_at(&x, sigma, &mut b).unwrap();
                assert_close(&a, &b, 1e-9);
            }
            let none = ClassifierGuided::new(&mixture, &likelihood, 0.0).unwrap();
            assert_eq!(h(&none, &x, 0.5), h(&mixture, &x, 0.5));
        }
    }
}

#[test]
fn guidance_by_the_implied_classifier_is_classifier_free() {
    let mixture = full();
    let one = mixture.component(2).unwrap();
    let ratio = LogRatio::new(&one, &mixture).unwrap();
    let x = rows();
    for weight in [-0.5, 0.3, 2.0, 7.5] {
        let by_classifier = ClassifierGuided::new(&mixture, &ratio, weight).unwrap();
        let free = ClassifierFree::new(&mixture, &one, weight).unwrap();
        for sigma in [0.1, 1.0, 5.0] {
            assert_close(&h(&by_classifier, &x, sigma), &h(&free, &x, sigma), 1e-11);
        }
    }
}

#[test]
fn classifier_free_guidance_is_the_line_through_two_denoisers() {
    let mixture = full();
    let one = mixture.component(0).unwrap();
    let x = rows();
    let (u, c) = (h(&mixture, &x, 0.8), h(&one, &x, 0.8));
    let guided = |weight| ClassifierFree::new(&mixture, &one, weight).unwrap();
    assert_eq!(h(&guided(0.0), &x, 0.8), u);
    assert_eq!(h(&guided(1.0), &x, 0.8), c);
    // Ho and Salimans' own form with their w = 1: (1 + w) c - w u.
    let theirs: Vec<f64> = u.iter().zip(&c).map(|(u, c)| 2.0 * c - u).collect();
    assert_close(&h(&guided(2.0), &x, 0.8), &theirs, 1e-14);

    let v: Vec<f64> = x.iter().map(|x| x.sin()).collect();
    let products = |denoiser: &dyn Differentiable| {
        let (mut h, mut product) = (x.clone(), x.clone());
        let (query, mut posterior) = (Query::new(&x, &SIGMAS), Posterior::new(&mut h));
        denoiser
            .denoise_vjp(&query, &v, &mut posterior, &mut product)
            .unwrap();
        let mut trace = vec![0.0; SIGMAS.len()];
        denoiser
            .denoise_trace(&query, &mut posterior, &mut trace)
            .unwrap();
        [h, product, trace].concat()
    };
    let (u, c) = (products(&mixture), products(&one));
    let theirs: Vec<f64> = u.iter().zip(&c).map(|(u, c)| 4.0 * c - 3.0 * u).collect();
    assert_close(&products(&guided(4.0)), &theirs, 1e-13);
}

#[test]
fn one_class_conditional_denoiser_guides_every_row_to_its_own_class() {
    let mixture = full();
    let oracle = ClassConditional::components(mixture.clone()).unwrap();
    let guided = ClassifierFree::by_class(&oracle, 2.5).unwrap();
    let x = rows();
    let classes = [Some(0), Some(3), None, Some(1), Some(0), None];
    let conditions = classes.map(|class| Condition {
        class,
        measurement: None,
    });
    let batch = Batch::default().conditioned_on(&conditions).unwrap();
    let (mut together, mut evaluations) = (x.clone(), [0; SIGMAS.len()]);
    let mut posterior = Posterior::new(&mut together).counted(&mut evaluations);
    let query = Query::new(&x, &SIGMAS).of(batch);
    guided.denoise(&query, &mut posterior).unwrap();
    assert_eq!(evaluations, [2; SIGMAS.len()]);
    for (row, class) in classes.into_iter().enumerate() {
        let place = row * DIM..(row + 1) * DIM;
        let (x, sigma) = (&x[place.clone()], SIGMAS[row]);
        let alone = match class {
            Some(class) => {
                let one = mixture.component(class as usize).unwrap();
                h(&ClassifierFree::new(&mixture, one, 2.5).unwrap(), x, sigma)
            }
            None => h(&mixture, x, sigma),
        };
        assert_eq!(together[place], alone);
    }
}

/// The samples of `denoiser` for `conditions`.
fn sampled(denoiser: &dyn Denoiser, numbers: &[u64], conditions: &[Condition]) -> Samples {
    let levels = Levels::geometric(10.0, 0.01, 60).unwrap();
    let source = NoiseSource::new(0, Stream::Sampling);
    let mut cas = Cas::new(&levels, StepSize::EpsC(1.5)).unwrap();
    let batch = Batch::new(numbers).conditioned_on(conditions).unwrap();
    run(denoiser, &mut cas, &source, batch, &mut ()).unwrap()
}

#[test]
fn known_values_stay_through_a_run_and_the_others_do_not() {
    let mixture = full();
    let inpainting = Consistent::new(&mixture, Known).unwrap();
    let numbers: Vec<u64> = (0..50).collect();
    let conditions = vec![Condition::measurement([0.25, f64::NAN, -1.5]); 50];
    let result = sampled(&inpainting, &numbers, &conditions);
    for rows in [&result.x, &result.denoised] {
        for x in rows.chunks_exact(DIM) {
            assert_eq!((x[0], x[2]), (0.25, -1.5));
        }
    }
    // A closure of the same effect gives the same samples.
    let by_closure = Consistent::new(&mixture, |_: &Query<'_>, h: &mut [f64]| {
        for h in h.chunks_exact_mut(DIM) {
            (h[0], h[2]) = (0.25, -1.5);
        }
        Ok(())
    });
    assert_eq!(sampled(&by_closure.unwrap(), &numbers, &[]), result);
    // The middle values are samples still: all different, and not those of a free run.
    let free = sampled(&mixture, &numbers, &[]);
    let middle = |x: &[f64]| x.iter().skip(1).step_by(DIM).copied().collect::<Vec<_>>();
    let mut values = middle(&result.x);
    assert_ne!(values, middle(&free.x));
    values.sort_by(f64::total_cmp);
    assert!(values.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn each_sample_of_a_batch_is_consistent_with_its_own_mask() {
    let mixture = full();
    let inpainting = Consistent::new(&mixture, Known).unwrap();
    let (numbers, unknown) = ([3, 8, 5], f64::NAN);
    let conditions = [
        Condition::measurement([0.25, unknown, unknown]),
        Condition::measurement([unknown, -0.5, 1.5]),
        Condition::default(),
    ];
    let together = sampled(&inpainting, &numbers, &conditions);
    let rows: Vec<&[f64]> = together.x.chunks_exact(DIM).collect();
    assert_eq!(rows[0][0], 0.25);
    assert_eq!(rows[1][1..], [-0.5, 1.5]);
    // Each is the sample it is alone, and without a mask the one of the plain denoiser.
    for row in 0..2 {
        let alone = sampled(&inpainting, &numbers[row..=row], &conditions[row..=row]);
        assert_eq!(alone.x, rows[row]);
    }
    assert_eq!(sampled(&mixture, &numbers[2..], &[]).x, rows[2]);
    for (values, word) in [
        (vec![1.0; 2], "known values"),
        (vec![f64::INFINITY; 3], "finite"),
    ] {
        let conditions = [Condition::measurement(values)];
        let batch = Batch::default().conditioned_on(&conditions).unwrap();
        let (x, mut h) = ([0.0; DIM], [0.0; DIM]);
        let query = Query::new(&x, &[1.0]).of(batch);
        let error = inpainting.denoise(&query, &mut Posterior::new(&mut h));
        assert!(error.unwrap_err().to_string().contains(word));
    }
}

/// v^T dH'/dx of every wrapper against differences of H'.
#[test]
fn wrappers_of_differentiable_denoisers_are_differentiable() {
    let mixture = full();
    let one = mixture.component(1).unwrap();
    let ratio = LogRatio::new(&one, &mixture).unwrap();
    let guided = ClassifierGuided::new(&mixture, &ratio, 1.7).unwrap();
    let free = ClassifierFree::new(&mixture, &one, 3.0).unwrap();
    let known = Consistent::new(&guided, Known).unwrap();
    let [low, high] = [-0.4, 0.6];
    let clipped = Thresholded::new(&free, Threshold::Clip { low, high }).unwrap();
    let dynamic = |quantile| Threshold::Dynamic {
        low,
        high,
        quantile,
    };
    let half = Thresholded::new(&free, dynamic(0.5)).unwrap();
    let between = Thresholded::new(&free, dynamic(0.8)).unwrap();
    let whole = Thresholded::new(&free, dynamic(1.0)).unwrap();
    let wrappers: [(&dyn Differentiable, u32); 7] = [
        (&guided, 3),
        (&free, 2),
        (&known, 3),
        (&clipped, 4),
        (&half, 4),
        (&between, 4),
        (&whole, 4),
    ];
    let conditions = [Condition::measurement([f64::NAN, 0.2, f64::NAN])];
    let (x, v) = (rows(), [0.7, -1.1, 0.4]);
    for (place, (denoiser, evaluations)) in wrappers.into_iter().enumerate() {
        for (x, &sigma) in x.chunks_exact(DIM).zip(&SIGMAS) {
            let batch = match place {
                2 => Batch::default().conditioned_on(&conditions).unwrap(),
                _ => Batch::default(),
            };
            let (levels, mut out, mut product) = ([sigma], [0.0; DIM], [0.0; DIM]);
            let mut count = [0];
            let mut posterior = Posterior::new(&mut out).counted(&mut count);
            let query = Query::new(x, &levels).of(batch);
            denoiser
                .denoise_vjp(&query, &v, &mut posterior, &mut product)
                .unwrap();
            assert_eq!(count, [evaluations]);
            let mean = |x: &[f64]| {
                let (mut out, query) = ([0.0; DIM], Query::new(x, &levels).of(batch));
                denoiser
                    .denoise(&query, &mut Posterior::new(&mut out))
                    .unwrap();
                out
            };
            // A score directly and by the two H differ in rounding.
            assert_close(&mean(x), &out, 1e-12);
            for (axis, product) in product.iter().enumerate() {
                // Small steps: a threshold has corners.
                let expected = difference(x, axis, 1e-4, |x| {
                    mean(x).iter().zip(v).map(|(h, v)| h * v).sum()
                });
                let close = (product - expected).abs() < 1e-8 * expected.abs().max(1.0);
                assert!(close, "{place} at {sigma}: {product} {expected}");
            }
        }
    }
}

/// A denoiser that answers with its input.
struct Identity(usize);

impl Denoiser for Identity {
    fn dim(&self) -> usize {
        self.0
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        by_level(self.0, query, posterior, |x, _, out| {
            out.copy_from_slice(x);
            Ok(())
        })
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
fn rows_with_levels_of_their_own_are_what_they_are_alone() {
    let mixture = full();
    let one = mixture.component(1).unwrap();
    let ratio = LogRatio::new(&one, &mixture).unwrap();
    let guided = ClassifierGuided::new(&mixture, &ratio, 3.0).unwrap();
    let free = ClassifierFree::new(&guided, &one, 1.5).unwrap();
    let shift = |query: &Query<'_>, h: &mut [f64]| {
        let rows = h.chunks_exact_mut(DIM).zip(query.x.chunks_exact(DIM));
        for ((h, x), sigma) in rows.zip(query.sigmas) {
            h.iter_mut()
                .zip(x)
                .for_each(|(h, x)| *h += 0.01 * sigma * x);
        }
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
    for (denoiser, evaluations) in [
        (&guided as &dyn Denoiser, 3),
        (&free, 4),
        (&shifted, 4),
        (&kept, 4),
    ] {
        let (mut each, mut count) = (vec![0.0; x.len()], [0; SIGMAS.len()]);
        let mut posterior = Posterior::new(&mut each).counted(&mut count);
        denoiser
            .denoise(&Query::new(&x, &SIGMAS), &mut posterior)
            .unwrap();
        assert_eq!(count, [evaluations; SIGMAS.len()]);
        let apart: Vec<f64> = x
            .chunks_exact(DIM)
            .zip(SIGMAS)
            .flat_map(|(x, sigma)| h(denoiser, x, sigma))
            .collect();
        assert_eq!(each, apart);
        let wrong = Query::new(&x, &SIGMAS[1..]);
        assert!(
            denoiser
                .denoise(&wrong, &mut Posterior::new(&mut each))
                .is_err()
        );
    }
}

#[test]
fn wrong_settings_are_refused() {
    let (mixture, plane) = (full(), Identity(2));
    assert!(LogRatio::new(&plane, &mixture).is_err());
    let ratio = LogRatio::new(&mixture, &mixture).unwrap();
    assert!(ClassifierGuided::new(&plane, &ratio, 1.0).is_err());
    assert!(ClassifierGuided::new(&mixture, &ratio, f64::NAN).is_err());
    assert!(ClassifierFree::new(&mixture, &plane, 1.0).is_err());
    assert!(ClassifierFree::new(&mixture, &mixture, f64::INFINITY).is_err());
    struct OfTwo;
    impl Consistency for OfTwo {
        fn apply(&self, _: &Query<'_>, _: &mut [f64]) -> Result<()> {
            Ok(())
        }
        fn dim(&self) -> Option<usize> {
            Some(2)
        }
    }
    assert!(Consistent::new(&mixture, OfTwo).is_err());
    let [low, high] = [1.0, 1.0];
    assert!(Thresholded::new(&mixture, Threshold::Clip { low, high }).is_err());
    for quantile in [-0.1, 1.1, f64::NAN] {
        let [low, high] = [0.0, 1.0];
        let threshold = Threshold::Dynamic {
            low,
            high,
            quantile,
        };
        let error = Thresholded::new(&mixture, threshold).unwrap_err();
        assert!(error.to_string().contains("quantile"));
    }
}
