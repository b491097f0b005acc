//! The same questions for every analytic denoiser: derivatives against finite differences, rows
//! that do not see each other.

use std::ops::Range;

use super::{
    Batch, Condition, Denoiser, Differentiable, Distribution, Empirical, GaussianMixture,
    OptimalUnconditional, Posterior, Query,
};
use crate::Result;
use crate::noise::Levels;
use crate::random::{NoiseSource, Stream};
use crate::score::Points;

const DIM: usize = 3;

fn normals(n: usize, seed: u64) -> Vec<f64> {
    let mut z = vec![0.0; n];
    NoiseSource::new(seed, Stream::Data).fill_normal(0, 0, &mut z);
    z
}

/// Points that are not in memory as f64: made when they are read.
struct Made {
    count: usize,
}

impl Points for Made {
    fn dim(&self) -> usize {
        DIM
    }

    fn count(&self) -> usize {
        self.count
    }

    fn read<'a>(&'a self, range: Range<usize>, buffer: &'a mut Vec<f64>) -> Result<&'a [f64]> {
        buffer.resize(range.len() * DIM, 0.0);
        for (row, i) in buffer.chunks_exact_mut(DIM).zip(range) {
            NoiseSource::new(4, Stream::Data).fill_normal(i as u64, 0, row);
        }
        Ok(buffer)
    }
}

impl Made {
    fn in_memory(&self) -> Vec<f64> {
        self.read(0..self.count, &mut Vec::new()).unwrap().to_vec()
    }
}

fn diagonal() -> GaussianMixture {
    let variances = [0.1, 0.4, 1.0, 0.2, 0.05, 0.6, 0.3, 0.3, 0.9];
    GaussianMixture::new(&[1.0, 2.0, 0.5], normals(9, 0), &variances).unwrap()
}

/// A A^T of random A, one of them of rank 2, and a diagonal one among them.
pub(super) fn full() -> GaussianMixture {
    let mut covariances = vec![0.0; 4 * 9];
    let a = normals(27, 1);
    for k in 0..3 {
        let rank = if k == 1 { 2 } else { 3 };
        for i in 0..DIM {
            for j in 0..DIM {
                covariances[9 * k + 3 * i + j] = (0..rank)
                    .map(|l| 0.4 * a[9 * k + 3 * i + l] * a[9 * k + 3 * j + l])
                    .sum();
            }
        }
    }
    for (i, v) in [0.5, 0.0, 1.5].into_iter().enumerate() {
        covariances[27 + 4 * i] = v;
    }
    GaussianMixture::full(&[1.0, 2.0, 0.5, 1.0], normals(12, 2), &covariances).unwrap()
}

fn empirical() -> Empirical<Made> {
    Empirical::over(Made { count: 23 })
        .unwrap()
        .with_block(5)
        .unwrap()
}

fn distributions() -> Vec<(&'static str, Box<dyn Distribution>)> {
    vec![
        ("diagonal", Box::new(diagonal())),
        ("full", Box::new(full())),
        ("empirical", Box::new(empirical())),
    ]
}

fn denoisers() -> Vec<(&'static str, Box<dyn Differentiable>)> {
    let levels = Levels::geometric(3.0, 0.4, 5).unwrap();
    vec![
        ("diagonal", Box::new(diagonal())),
        ("full", Box::new(full())),
        ("empirical", Box::new(empirical())),
        (
            "unconditional",
            Box::new(OptimalUnconditional::new(empirical(), levels)),
        ),
    ]
}

/// The derivative of `f` at `x` along `axis`, by the eighth-order central difference.
pub(super) fn difference(
    x: &[f64],
    axis: usize,
    step: f64,
    mut f: impl FnMut(&[f64]) -> f64,
) -> f64 {
    let mut pair = |k: f64| {
        let mut at = |offset: f64| {
            let mut x = x.to_vec();
            x[axis] += offset * step;
            f(&x)
        };
        at(k) - at(-k)
    };
    (672.0 * pair(1.0) - 168.0 * pair(2.0) + 32.0 * pair(3.0) - 3.0 * pair(4.0)) / (840.0 * step)
}

#[track_caller]
fn assert_close(a: f64, b: f64, context: &str) {
    assert!(
        (a - b).abs() < 1e-10 * b.abs().max(1.0),
        "{context}: {a} {b}"
    );
}

#[test]
fn property_1_scores_are_gradients_of_log_densities() {
    for (name, distribution) in distributions() {
        for sigma in [0.3, 1.0, 5.0] {
            for x in normals(8 * DIM, 3).chunks_exact(DIM) {
                let mut score = [0.0; DIM];
                distribution.score_at(x, sigma, &mut score).unwrap();
                for (axis, score) in score.iter().enumerate() {
                    let gradient = difference(x, axis, 0.02 * sigma, |x| {
                        let mut log = [0.0];
                        distribution.log_density_at(x, sigma, &mut log).unwrap();
                        log[0]
                    });
                    assert_close(*score, gradient, name);
                }
            }
        }
    }
}

#[test]
fn property_2_the_products_are_with_the_derivative_of_h() {
    for (name, denoiser) in denoisers() {
        for sigma in [0.3, 1.0, 5.0] {
            for x in normals(5 * DIM, 5).chunks_exact(DIM) {
                let mut jacobian = [[0.0; DIM]; DIM];
                for (i, row) in jacobian.iter_mut().enumerate() {
                    for (j, derivative) in row.iter_mut().enumerate() {
                        *derivative = difference(x, j, 0.006, |x| {
                            let mut h = [0.0; DIM];
                            denoiser.denoise_at(x, sigma, &mut h).unwrap();
                            h[i]
                        });
                    }
                }
                let v = [0.3, -1.2, 0.7];
                let (mut h, mut product, mut trace) = ([0.0; DIM], [0.0; DIM], [0.0]);
                let (level, mut posterior) = ([sigma], Posterior::new(&mut h));
                let query = Query::new(x, &level);
                denoiser
                    .denoise_vjp(&query, &v, &mut posterior, &mut product)
                    .unwrap();
                for j in 0..DIM {
                    let expected = (0..DIM).map(|i| v[i] * jacobian[i][j]).sum();
                    assert_close(product[j], expected, name);
                }
                denoiser
                    .denoise_trace(&query, &mut posterior, &mut trace)
                    .unwrap();
                let expected = (0..DIM).map(|i| jacobian[i][i]).sum();
                assert_close(trace[0], expected, name);
            }
        }
    }
}

/// Knows products only.
struct Products<D>(D);

impl<D: Denoiser> Denoiser for Products<D> {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        self.0.denoise(query, posterior)
    }
}

impl<D: Differentiable> Differentiable for Products<D> {
    fn denoise_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        posterior: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()> {
        self.0.denoise_vjp(query, v, posterior, product)
    }
}

const SIGMAS: [f64; 7] = [0.5, 0.5, 3.0, 0.1, 0.1, 0.1, 40.0];

#[test]
fn the_trace_is_that_of_the_products() {
    let x = normals(SIGMAS.len() * DIM, 6);
    for (name, denoiser) in denoisers() {
        let (mut h, mut trace) = (vec![0.0; x.len()], vec![0.0; SIGMAS.len()]);
        let (mut plain_h, mut plain) = (h.clone(), trace.clone());
        let (mut once, mut often) = ([0; SIGMAS.len()], [0; SIGMAS.len()]);
        let query = Query::new(&x, &SIGMAS);
        let mut posterior = Posterior::new(&mut h).counted(&mut once);
        denoiser
            .denoise_trace(&query, &mut posterior, &mut trace)
            .unwrap();
        let mut posterior = Posterior::new(&mut plain_h).counted(&mut often);
        Products(&denoiser)
            .denoise_trace(&query, &mut posterior, &mut plain)
            .unwrap();
        assert_eq!(h, plain_h, "{name}");
        // A trace of products is a product for each axis.
        assert_eq!((once[0], often[0]), (1, DIM as u32), "{name}");
        for (a, b) in trace.iter().zip(&plain) {
            assert!((a - b).abs() < 1e-12 * b.abs().max(1.0), "{name}: {a} {b}");
        }
    }
}

/// Everything a denoiser says of `x`, for one thread's worth of comparison.
fn all_of(denoiser: &dyn Differentiable, x: &[f64], sigmas: &[f64]) -> [Vec<f64>; 5] {
    let new = || vec![0.0; x.len()];
    let (mut h, mut by_vjp, mut product, mut by_trace) = (new(), new(), new(), new());
    let mut trace = vec![0.0; sigmas.len()];
    let query = Query::new(x, sigmas);
    denoiser
        .denoise(&query, &mut Posterior::new(&mut h))
        .unwrap();
    let v: Vec<f64> = x.iter().map(|x| x.cos()).collect();
    denoiser
        .denoise_vjp(&query, &v, &mut Posterior::new(&mut by_vjp), &mut product)
        .unwrap();
    denoiser
        .denoise_trace(&query, &mut Posterior::new(&mut by_trace), &mut trace)
        .unwrap();
    [h, by_vjp, product, by_trace, trace]
}

#[test]
fn rows_depend_neither_on_the_batch_nor_on_threads() {
    let rows = 700;
    let x = normals(rows * DIM, 7);
    let sigmas: Vec<f64> = (0..rows)
        .map(|row| SIGMAS[row / 3 % SIGMAS.len()])
        .collect();
    let pool = |threads| {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
        builder.build().unwrap()
    };
    for (name, denoiser) in denoisers() {
        let whole = pool(4).install(|| all_of(&*denoiser, &x, &sigmas));
        assert_eq!(pool(1).install(|| all_of(&*denoiser, &x, &sigmas)), whole);
        for row in 0..rows {
            let place = row * DIM..(row + 1) * DIM;
            let (x, sigma) = (&x[place.clone()], sigmas[row]);
            let alone = all_of(&*denoiser, x, &[sigma]);
            for (alone, whole) in alone[..4].iter().zip(&whole) {
                assert_eq!(*alone, whole[place.clone()], "{name}");
            }
            assert_eq!(alone[4][0], whole[4][row]);
            let mut h = [0.0; DIM];
            denoiser.denoise_at(x, sigma, &mut h).unwrap();
            assert!(h == *alone[0] && h == *alone[1] && h == *alone[3], "{name}");
        }
    }
}

#[test]
fn property_2_blocks_change_rounding_only() {
    let made = Made { count: 101 };
    let whole = Empirical::new(made.in_memory(), DIM).unwrap();
    let x = normals(20 * DIM, 8);
    let levels = Levels::geometric(3.0, 0.05, 6).unwrap();
    let whole_net = OptimalUnconditional::new(whole.clone(), levels.clone());
    for block in [1, 2, 7, 100, 101, 1000] {
        let streamed = Empirical::over(&made).unwrap().with_block(block).unwrap();
        let streamed_net = OptimalUnconditional::new(
            Empirical::over(&made).unwrap().with_block(block).unwrap(),
            levels.clone(),
        );
        for sigma in [0.05, 0.5, 3.0] {
            let sigmas = vec![sigma; 20];
            let close = |a: &[Vec<f64>], b: &[Vec<f64>]| {
                for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
                    assert!((a - b).abs() < 1e-13 * b.abs().max(1.0), "{block}: {a} {b}");
                }
            };
            close(
                &all_of(&streamed, &x, &sigmas),
                &all_of(&whole, &x, &sigmas),
            );
            close(
                &all_of(&streamed_net, &x, &sigmas),
                &all_of(&whole_net, &x, &sigmas),
            );
            let (mut a, mut b) = (vec![0.0; 20], vec![0.0; 20]);
            streamed.log_density_at(&x, sigma, &mut a).unwrap();
            whole.log_density_at(&x, sigma, &mut b).unwrap();
            close(&[a], &[b]);
            close(
                &[streamed.score_jacobian(&x[..DIM], sigma).unwrap()],
                &[whole.score_jacobian(&x[..DIM], sigma).unwrap()],
            );
        }
        let (mut h, mut expected) = ([0.0; DIM], [0.0; DIM]);
        streamed.denoise_at(&x[..DIM], 1e-100, &mut h).unwrap();
        whole.denoise_at(&x[..DIM], 1e-100, &mut expected).unwrap();
        assert_eq!(h, expected);
        let source = NoiseSource::new(0, Stream::Data);
        streamed.sample(&source, &[5], 0.0, &mut h).unwrap();
        whole.sample(&source, &[5], 0.0, &mut expected).unwrap();
        assert_eq!(h, expected);
        assert!(made.in_memory().chunks_exact(DIM).any(|point| point == h));
    }
}

#[test]
fn nan_gets_through() {
    for (name, denoiser) in denoisers() {
        let mut x = normals(3 * DIM, 9);
        x[DIM + 1] = f64::NAN;
        let (mut h, mut good) = (vec![0.0; x.len()], vec![0.0; DIM]);
        denoiser.denoise_at(&x, 0.5, &mut h).unwrap();
        assert!(h[DIM..2 * DIM].iter().all(|h| h.is_nan()), "{name}");
        denoiser.denoise_at(&x[..DIM], 0.5, &mut good).unwrap();
        assert_eq!(h[..DIM], good);
    }
}

#[test]
fn wrong_arguments_are_errors() {
    for (name, denoiser) in denoisers() {
        let (x, mut out, mut product) = ([1.0; 6], [0.0; 6], [0.0; 6]);
        let mut vjp = |sigmas: &[f64], v: &[f64], product: &mut [f64]| {
            let (query, mut posterior) = (Query::new(&x, sigmas), Posterior::new(&mut out));
            let error = denoiser.denoise_vjp(&query, v, &mut posterior, product);
            error.unwrap_err().to_string()
        };
        assert!(
            vjp(&[1.0], &x, &mut product).contains("noise levels"),
            "{name}"
        );
        assert!(vjp(&[1.0, 0.0], &x, &mut product).contains("sigma = 0"));
        assert!(vjp(&[1.0, 1.0], &x[..3], &mut product).contains("v has shape"));
        assert!(vjp(&[1.0, 1.0], &x, &mut product[..3]).contains("product"));
        let query = Query::new(&x, &[1.0; 2]);
        let error = denoiser.denoise_trace(&query, &mut Posterior::new(&mut out), &mut [0.0]);
        assert!(error.unwrap_err().to_string().contains("traces"));
        let mut variance = [0.0; 6];
        let mut posterior = Posterior::new(&mut out).with_variance(&mut variance);
        let error = denoiser.denoise(&query, &mut posterior).unwrap_err();
        assert!(error.to_string().starts_with("variance = learned"));
        let mut counts = [0; 3];
        let mut posterior = Posterior::new(&mut out).counted(&mut counts);
        assert!(denoiser.denoise(&query, &mut posterior).is_err());
        let numbers = [7];
        let query = query.of(Batch::new(&numbers));
        let error = denoiser.denoise(&query, &mut Posterior::new(&mut out));
        assert!(error.unwrap_err().to_string().contains("numbers"));
        let measured = [Condition::measurement([1.0; 3]), Condition::default()];
        let batch = Batch::default().conditioned_on(&measured).unwrap();
        let query = Query::new(&x, &[1.0; 2]).of(batch);
        let error = denoiser.denoise(&query, &mut Posterior::new(&mut out));
        assert!(error.unwrap_err().to_string().starts_with("measurement"));
        let (none, mut posterior) = (Query::new(&[], &[]), Posterior::new(&mut []));
        assert!(
            denoiser
                .denoise_vjp(&none, &[], &mut posterior, &mut [])
                .is_ok()
        );
        assert!(
            denoiser
                .denoise_trace(&none, &mut posterior, &mut [])
                .is_ok()
        );
    }
    for (_, distribution) in distributions() {
        let source = NoiseSource::new(0, Stream::Data);
        assert!(
            distribution
                .log_density_at(&[0.0; 3], -1.0, &mut [0.0])
                .is_err()
        );
        assert!(
            distribution
                .log_density_at(&[0.0; 3], 1.0, &mut [])
                .is_err()
        );
        assert!(
            distribution
                .sample(&source, &[1], -1.0, &mut [0.0; 3])
                .is_err()
        );
        assert!(
            distribution
                .sample(&source, &[1], 1.0, &mut [0.0; 2])
                .is_err()
        );
    }
    assert!(Empirical::over(Made { count: 0 }).is_err());
    assert!(empirical().with_block(0).is_err());
}

/// A set that reads less than it is asked for.
#[test]
fn a_short_read_is_an_error() {
    struct Short;
    impl Points for Short {
        fn dim(&self) -> usize {
            2
        }
        fn count(&self) -> usize {
            4
        }
        fn read<'a>(&'a self, _: Range<usize>, buffer: &'a mut Vec<f64>) -> Result<&'a [f64]> {
            buffer.resize(2, 1.0);
            Ok(buffer)
        }
    }
    let short = Empirical::over(Short).unwrap();
    let error = short.denoise_at(&[0.0; 2], 1.0, &mut [0.0; 2]).unwrap_err();
    assert!(error.to_string().contains("a block of points"), "{error}");
}

#[test]
fn borrowed_and_boxed_denoisers_are_the_denoiser() {
    let mixture = full();
    let x = normals(2 * DIM, 3);
    let boxed: Box<dyn Distribution> = Box::new(mixture.clone());
    assert_eq!(
        all_of(&boxed, &x, &[0.3, 2.0]),
        all_of(&mixture, &x, &[0.3, 2.0])
    );
    assert_eq!(
        all_of(&&mixture, &x, &[0.3, 2.0]),
        all_of(&mixture, &x, &[0.3, 2.0])
    );
    let points: Box<dyn Points> = Box::new(Made { count: 23 });
    let boxed = Empirical::over(points).unwrap().with_block(5).unwrap();
    let sigmas = [0.3, 2.0];
    assert_eq!(
        all_of(&boxed, &x, &sigmas),
        all_of(&empirical(), &x, &sigmas)
    );
}
