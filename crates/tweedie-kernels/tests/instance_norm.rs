//! InstanceNorm++ against its definition in double precision.

mod common;

use common::{activate, assert_close, assert_same, slope, values, with_threads};
use tweedie_kernels::instance_norm::{Gradients, Parameters, Shape, backward, forward};
use tweedie_kernels::{Activation, Buffer, Error, InstructionSet};

const ALL: [Activation; 5] = [
    Activation::None,
    Activation::Relu,
    Activation::LeakyRelu,
    Activation::Silu,
    Activation::Elu,
];

fn shapes() -> Vec<(Shape, bool)> {
    let mut all = Vec::new();
    for channels in [2, 3, 16, 35, 64] {
        for (images, pixels) in [(1, 2), (3, 16), (2, 49), (2, 150)] {
            for then in ALL {
                let shape = Shape {
                    images,
                    pixels,
                    channels,
                    epsilon: 1e-5,
                    then,
                };
                all.extend([(shape, false), (shape, true)]);
            }
        }
    }
    all
}

/// x, gamma, alpha, beta, dy; the parameters of all images or, if `own`, of each.
fn inputs(s: &Shape, own: bool) -> [Vec<f32>; 5] {
    let len = s.images * s.pixels * s.channels;
    let rows = if own { s.images } else { 1 };
    // Channels of different means.
    let offsets = values(9, s.channels);
    let x = values(1, len);
    let x = x.iter().enumerate();
    let x = x.map(|(i, x)| 0.7 + 2.0 * x + 3.0 * offsets[i % s.channels]);
    let parameter = |seed| {
        let values = values(seed, rows * s.channels);
        values.iter().map(|v| 0.5 + v).collect()
    };
    [
        x.collect(),
        parameter(2),
        parameter(3),
        parameter(4),
        values(5, len),
    ]
}

fn parameters([_, gamma, alpha, beta, _]: &[Vec<f32>; 5]) -> Parameters<'_> {
    Parameters { gamma, alpha, beta }
}

/// Mean, biased variance.
fn moments(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    [
        mean,
        values.map(|x| (x - mean).powi(2)).sum::<f64>() / count,
    ]
}

/// The output before the activation, h, and M and the standard deviations of each image.
struct Reference {
    t: Vec<f64>,
    h: Vec<f64>,
    /// `[N, C]`.
    m: Vec<f64>,
    deviation: Vec<f64>,
    /// `[N]`.
    of_means: Vec<f64>,
}

fn row(s: &Shape, values: &[f64], n: usize, c: usize) -> usize {
    let start = if values.len() == s.channels {
        0
    } else {
        n * s.channels
    };
    start + c
}

fn reference(s: &Shape, [x, gamma, alpha, beta]: [&[f64]; 4]) -> Reference {
    let (p, c) = (s.pixels, s.channels);
    let mut all = Reference {
        t: vec![0.0; x.len()],
        h: vec![0.0; x.len()],
        m: vec![],
        deviation: vec![],
        of_means: vec![],
    };
    for n in 0..s.images {
        let at = |pixel: usize, k: usize| (n * p + pixel) * c + k;
        let stats: Vec<[f64; 2]> = (0..c)
            .map(|k| moments((0..p).map(|pixel| x[at(pixel, k)])))
            .collect();
        let [mu, biased] = moments(stats.iter().map(|[m, _]| *m));
        let unbiased = biased * c as f64 / (c as f64 - 1.0);
        let of_means = (unbiased + s.epsilon).sqrt();
        all.of_means.push(of_means);
        for (k, [m, v]) in stats.into_iter().enumerate() {
            let standard = (m - mu) / of_means;
            let deviation = (v + s.epsilon).sqrt();
            all.m.push(standard);
            all.deviation.push(deviation);
            let of = |values: &[f64]| values[row(s, values, n, k)];
            for pixel in 0..p {
                let h = (x[at(pixel, k)] - m) / deviation;
                all.h[at(pixel, k)] = h;
                all.t[at(pixel, k)] = of(gamma) * (h + of(alpha) * standard) + of(beta);
            }
        }
    }
    all
}

fn output(s: &Shape, given: [&[f64]; 4]) -> Vec<f64> {
    let t = reference(s, given).t;
    t.into_iter().map(|t| activate(s.then, t)).collect()
}

/// Of x, gamma, alpha and beta, each step of the definition by the chain rule.
fn gradients(s: &Shape, given: [&[f64]; 4], dy: &[f64]) -> [Vec<f64>; 4] {
    let [x, gamma, alpha, beta] = given;
    let (p, c) = (s.pixels, s.channels);
    let r = reference(s, given);
    let mut out = [x, gamma, alpha, beta].map(|values| vec![0.0; values.len()]);
    for n in 0..s.images {
        let at = |pixel: usize, k: usize| (n * p + pixel) * c + k;
        let mut dm = vec![0.0; c];
        for k in 0..c {
            let (g, a) = (gamma[row(s, gamma, n, k)], alpha[row(s, alpha, n, k)]);
            for pixel in 0..p {
                let i = at(pixel, k);
                let d = dy[i] * slope(s.then, r.t[i]);
                out[1][row(s, gamma, n, k)] += d * (r.h[i] + a * r.m[n * c + k]);
                out[2][row(s, alpha, n, k)] += d * g * r.m[n * c + k];
                out[3][row(s, beta, n, k)] += d;
                dm[k] += d * g * a;
            }
        }
        // From M to the means: M_k = (m_k - mu) / s.
        let dmeans: Vec<f64> = (0..c)
            .map(|j| {
                let terms = (0..c).map(|k| {
                    let same = if j == k { 1.0 } else { 0.0 };
                    let through_s = r.m[n * c + k] * r.m[n * c + j] / (c as f64 - 1.0);
                    dm[k] * (same - 1.0 / c as f64 - through_s) / r.of_means[n]
                });
                terms.sum()
            })
            .collect();
        for k in 0..c {
            let g = gamma[row(s, gamma, n, k)];
            let d: Vec<f64> = (0..p)
                .map(|pixel| g * dy[at(pixel, k)] * slope(s.then, r.t[at(pixel, k)]))
                .collect();
            let mean = d.iter().sum::<f64>() / p as f64;
            let along = (0..p).map(|i| d[i] * r.h[at(i, k)]).sum::<f64>() / p as f64;
            for pixel in 0..p {
                let through_h = d[pixel] - mean - r.h[at(pixel, k)] * along;
                out[0][at(pixel, k)] = through_h / r.deviation[n * c + k] + dmeans[k] / p as f64;
            }
        }
    }
    out
}

fn double(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn list(g: Gradients) -> [Vec<f32>; 4] {
    [g.input.to_vec(), g.gamma, g.alpha, g.beta]
}

#[test]
fn agrees_with_the_definition_at_every_level() {
    for (s, own) in shapes() {
        let given = inputs(&s, own);
        let exact = given.each_ref().map(|values| double(values));
        let [x, gamma, alpha, beta, dy] = exact.each_ref().map(Vec::as_slice);
        let y = output(&s, [x, gamma, alpha, beta]);
        let expected = gradients(&s, [x, gamma, alpha, beta], dy);
        for &isa in InstructionSet::available() {
            let parameters = parameters(&given);
            let found = forward(isa, &s, &given[0], &parameters).unwrap();
            assert_close(&format!("{isa:?} {s:?}"), &found, &y, 1e-5);
            let found = backward(isa, &s, &given[0], &parameters, &given[4]).unwrap();
            // Two pixels' gradients nearly cancel.
            let tolerance = if s.pixels < 4 { 1e-3 } else { 1e-5 };
            for (k, found) in list(found).iter().enumerate() {
                let what = format!("{isa:?} {s:?} gradient {k}");
                assert_close(&what, found, &expected[k], tolerance);
            }
        }
    }
}

#[test]
fn the_reference_gradients_agree_with_finite_differences() {
    for then in ALL {
        for own in [false, true] {
            let s = Shape {
                images: 2,
                pixels: 5,
                channels: 3,
                epsilon: 1e-5,
                then,
            };
            let given = inputs(&s, own).each_ref().map(|values| double(values));
            let [x, gamma, alpha, beta, dy] = given.each_ref().map(Vec::as_slice);
            let expected = gradients(&s, [x, gamma, alpha, beta], dy);
            for which in 0..4 {
                for i in 0..given[which].len() {
                    let at = |step: f64| -> f64 {
                        let mut moved = given.clone();
                        moved[which][i] += step;
                        let [x, gamma, alpha, beta, dy] = moved.each_ref().map(Vec::as_slice);
                        let y = output(&s, [x, gamma, alpha, beta]);
                        y.iter().zip(dy).map(|(y, dy)| y * dy).sum()
                    };
                    let h = 1e-5;
                    let found = (at(h) - at(-h)) / (2.0 * h);
                    let error = (found - expected[which][i]).abs();
                    assert!(error < 1e-7, "{then:?} {which}[{i}]: {error}");
                }
            }
        }
    }
}

#[test]
fn bits_depend_on_neither_threads_nor_batch() {
    for (pixels, channels) in [(49, 64), (16, 40), (784, 32)] {
        let s = Shape {
            images: 12,
            pixels,
            channels,
            epsilon: 1e-5,
            then: Activation::Elu,
        };
        for own in [false, true] {
            let given = inputs(&s, own);
            let each = pixels * channels;
            for &isa in InstructionSet::available() {
                let both = || {
                    let parameters = parameters(&given);
                    let y = forward(isa, &s, &given[0], &parameters).unwrap();
                    let g = backward(isa, &s, &given[0], &parameters, &given[4]).unwrap();
                    (y, list(g))
                };
                let (y, g) = with_threads(1, both);
                for threads in [2, 5] {
                    let (again, h) = with_threads(threads, both);
                    assert_same("output", &y, &again);
                    for (g, h) in g.iter().zip(&h) {
                        assert_same("gradient", g, h);
                    }
                }
                for (first, images) in [(0, 1), (5, 3)] {
                    let few = Shape { images, ..s };
                    let range = first * each..(first + images) * each;
                    let of = |values: &[f32]| match own {
                        true => values[first * channels..(first + images) * channels].to_vec(),
                        false => values.to_vec(),
                    };
                    let [_, gamma, alpha, beta, _] = given.each_ref().map(|values| of(values));
                    let parameters = Parameters {
                        gamma: &gamma,
                        alpha: &alpha,
                        beta: &beta,
                    };
                    let (x, dy) = (&given[0][range.clone()], &given[4][range.clone()]);
                    let part = forward(isa, &few, x, &parameters).unwrap();
                    assert_same("output", &part, &y[range.clone()]);
                    let part = backward(isa, &few, x, &parameters, dy).unwrap();
                    assert_same("input gradient", &part.input, &g[0][range]);
                    if own {
                        let all = [part.gamma, part.alpha, part.beta];
                        for (part, all) in all.iter().zip(&g[1..]) {
                            assert_same("parameter", part, &of(all));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn values_that_are_not_numbers_stay_in_their_image() {
    let s = Shape {
        images: 3,
        pixels: 9,
        channels: 20,
        epsilon: 1e-5,
        then: Activation::Elu,
    };
    let mut given = inputs(&s, false);
    given[0][180..360].fill(f32::NAN);
    for &isa in InstructionSet::available() {
        let y = forward(isa, &s, &given[0], &parameters(&given)).unwrap();
        assert!(y[..180].iter().chain(&y[360..]).all(|v| v.is_finite()));
        assert!(y[180..360].iter().all(|v| v.is_nan()));
    }
}

#[test]
fn empty_shapes_give_empty_results() {
    for (images, pixels, channels) in [(0, 4, 3), (2, 0, 3), (2, 4, 0)] {
        let s = Shape {
            images,
            pixels,
            channels,
            epsilon: 1e-5,
            then: Activation::None,
        };
        for own in [false, true] {
            let given = inputs(&s, own);
            let isa = InstructionSet::best();
            let y = forward(isa, &s, &given[0], &parameters(&given)).unwrap();
            assert!(y.is_empty());
            let g = backward(isa, &s, &given[0], &parameters(&given), &given[4]).unwrap();
            assert!(g.input.is_empty());
            assert_eq!(g.gamma, vec![0.0; given[1].len()]);
        }
    }
}

#[test]
fn wrong_lengths_and_one_channel_are_refused() {
    let isa = InstructionSet::best();
    let s = Shape {
        images: 2,
        pixels: 9,
        channels: 6,
        epsilon: 1e-5,
        then: Activation::Silu,
    };
    let given = inputs(&s, false);
    let [x, gamma, .., dy] = &given;
    let good = parameters(&given);
    let length = |r: Result<Buffer, Error>| assert!(matches!(r, Err(Error::Length { .. })));
    length(forward(isa, &s, &x[1..], &good));
    length(backward(isa, &s, x, &good, &dy[1..]).map(|g| g.input));
    let short = &gamma[1..];
    for wrong in [
        Parameters {
            gamma: short,
            ..good
        },
        Parameters {
            alpha: short,
            ..good
        },
        Parameters {
            beta: short,
            ..good
        },
    ] {
        length(forward(isa, &s, x, &wrong));
        length(backward(isa, &s, x, &wrong, dy).map(|g| g.input));
    }
    let single = Shape { channels: 1, ..s };
    let result = forward(isa, &single, &x[..18], &good);
    assert!(matches!(result, Err(Error::Shape(_))));
}
