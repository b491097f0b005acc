//! Attention against its definition by the softmax, in double precision.

mod common;

use common::{assert_close, assert_same, values, with_threads};
use tweedie_kernels::attention::{Forward, Gradients, Shape, backward, forward};
use tweedie_kernels::{Buffer, Error, InstructionSet};

fn shape(images: usize, tokens: usize, channels: usize, heads: usize) -> Shape {
    Shape {
        images,
        tokens,
        channels,
        heads,
    }
}

fn shapes() -> Vec<Shape> {
    let mut all = Vec::new();
    for (channels, heads) in [
        (1, 1),
        (3, 1),
        (6, 2),
        (8, 1),
        (17, 1),
        (24, 3),
        (33, 1),
        (40, 5),
        (64, 1),
        (72, 2),
    ] {
        for (images, tokens) in [(2, 1), (3, 4), (2, 9), (1, 16), (2, 33), (1, 49), (1, 150)] {
            all.push(shape(images, tokens, channels, heads));
        }
    }
    // More than one block of keys, more than one part of the queries.
    all.push(shape(1, 700, 16, 2));
    all.push(shape(2, 515, 5, 1));
    all.push(shape(1, 2100, 4, 1));
    all.push(shape(1, 5, 1024, 1));
    all.push(shape(1, 70, 258, 1));
    all
}

/// q, k, v and the output's gradient; the first two make scores of some size.
fn inputs(s: &Shape) -> [Vec<f32>; 4] {
    let len = s.images * s.tokens * s.channels;
    let large = |seed| values(seed, len).iter().map(|x| 3.0 * x).collect();
    [large(1), large(2), values(3, len), values(4, len)]
}

/// The output.
fn reference_output(s: &Shape, [q, k, v]: [&[f64]; 3]) -> Vec<f64> {
    each_head(s, |at| {
        let p = weights(s, q, k, at);
        (0..s.tokens * width(s))
            .map(|i| {
                let (i, c) = (i / width(s), i % width(s));
                let sum = (0..s.tokens).map(|j| p[i * s.tokens + j] * v[at(j, c)]);
                (at(i, c), sum.sum())
            })
            .collect()
    })
}

/// The gradients of q, k and v, by the chain rule through every weight.
fn reference_gradients(s: &Shape, [q, k, v]: [&[f64]; 3], g: &[f64]) -> [Vec<f64>; 3] {
    let (t, d) = (s.tokens, width(s));
    let scale = (d as f64).powf(-0.5);
    [0, 1, 2].map(|which| {
        each_head(s, |at| {
            let p = weights(s, q, k, at);
            let mut ds = vec![0.0; t * t];
            for i in 0..t {
                let dp: Vec<f64> = (0..t)
                    .map(|j| (0..d).map(|c| g[at(i, c)] * v[at(j, c)]).sum())
                    .collect();
                let mean: f64 = (0..t).map(|j| p[i * t + j] * dp[j]).sum();
                for j in 0..t {
                    ds[i * t + j] = scale * p[i * t + j] * (dp[j] - mean);
                }
            }
            let sum = |a: usize, c: usize| -> f64 {
                (0..t)
                    .map(|b| match which {
                        0 => ds[a * t + b] * k[at(b, c)],
                        1 => ds[b * t + a] * q[at(b, c)],
                        _ => p[b * t + a] * g[at(b, c)],
                    })
                    .sum()
            };
            (0..t * d)
                .map(|i| (at(i / d, i % d), sum(i / d, i % d)))
                .collect()
        })
    })
}

fn width(s: &Shape) -> usize {
    s.channels / s.heads
}

/// `f` gets the index of (token, channel of the head) and gives indices and values.
fn each_head(
    s: &Shape,
    f: impl Fn(&dyn Fn(usize, usize) -> usize) -> Vec<(usize, f64)>,
) -> Vec<f64> {
    let mut out = vec![0.0; s.images * s.tokens * s.channels];
    for n in 0..s.images {
        for h in 0..s.heads {
            let at = |t: usize, c: usize| (n * s.tokens + t) * s.channels + h * width(s) + c;
            for (i, value) in f(&at) {
                out[i] = value;
            }
        }
    }
    out
}

fn weights(s: &Shape, q: &[f64], k: &[f64], at: &dyn Fn(usize, usize) -> usize) -> Vec<f64> {
    let (t, d) = (s.tokens, width(s));
    let mut p = vec![0.0; t * t];
    for (i, row) in p.chunks_exact_mut(t).enumerate() {
        for (j, p) in row.iter_mut().enumerate() {
            let dot: f64 = (0..d).map(|c| q[at(i, c)] * k[at(j, c)]).sum();
            *p = dot * (d as f64).powf(-0.5);
        }
        let top = row.iter().fold(f64::NEG_INFINITY, |m, &s| m.max(s));
        row.iter_mut().for_each(|p| *p = (*p - top).exp());
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= sum);
    }
    p
}

fn double(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn both(isa: InstructionSet, s: &Shape, [q, k, v, g]: &[Vec<f32>; 4]) -> (Forward, Gradients) {
    let f = forward(isa, s, q, k, v).unwrap();
    let gradients = backward(isa, s, q, k, v, f.view(), g).unwrap();
    (f, gradients)
}

#[test]
fn agrees_with_the_definition_at_every_level() {
    for s in shapes() {
        let given = inputs(&s);
        let [q, k, v, g] = given.each_ref().map(|x| double(x));
        let output = reference_output(&s, [&q, &k, &v]);
        let gradients = reference_gradients(&s, [&q, &k, &v], &g);
        for &isa in InstructionSet::available() {
            let (f, found) = both(isa, &s, &given);
            let of = |what| format!("{isa:?} {s:?} {what}");
            assert_close(&of("output"), &f.output, &output, 1e-5);
            // Relative to the largest of all three: those of q and k vanish for a single token.
            let found = [&found.q[..], &found.k, &found.v].concat();
            assert_close(&of("gradients"), &found, &gradients.concat(), 1e-5);
        }
    }
}

#[test]
fn the_reference_gradients_agree_with_finite_differences() {
    let s = shape(2, 5, 6, 2);
    let [q, k, v, g] = inputs(&s).each_ref().map(|x| double(x));
    let expected = reference_gradients(&s, [&q, &k, &v], &g);
    for which in 0..3 {
        for i in 0..q.len() {
            let at = |step: f64| -> f64 {
                let mut moved = [q.clone(), k.clone(), v.clone()];
                moved[which][i] += step;
                let y = reference_output(&s, moved.each_ref().map(Vec::as_slice));
                y.iter().zip(&g).map(|(y, g)| y * g).sum()
            };
            let h = 1e-3;
            let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
            let error = (slope - expected[which][i]).abs();
            assert!(error < 1e-8, "{which}[{i}]: {error}");
        }
    }
}

#[test]
fn scores_beyond_the_exponential_are_no_trouble() {
    let s = shape(1, 40, 4, 1);
    let [q, k, v, g] = inputs(&s);
    for factor in [30.0, 1e4] {
        let [q, k] = [&q, &k].map(|x| x.iter().map(|x| factor * x).collect::<Vec<f32>>());
        let [q64, k64, v64] = [&q, &k, &v].map(|x| double(x));
        let output = reference_output(&s, [&q64, &k64, &v64]);
        for &isa in InstructionSet::available() {
            let (f, d) = both(isa, &s, &[q.clone(), k.clone(), v.clone(), g.clone()]);
            // The scores themselves, up to 1e9, are rounded.
            if factor < 100.0 {
                assert_close("output", &f.output, &output, 1e-3);
            }
            for values in [f.output, d.q, d.k, d.v] {
                assert!(values.iter().all(|x| x.is_finite()));
            }
        }
    }
}

#[test]
fn bits_depend_on_neither_threads_nor_batch() {
    for (tokens, channels, heads) in [(49, 64, 1), (16, 24, 3), (300, 16, 2), (530, 8, 1)] {
        let s = shape(7, tokens, channels, heads);
        let given = inputs(&s);
        let each = tokens * channels;
        for &isa in InstructionSet::available() {
            let (f, d) = with_threads(1, || both(isa, &s, &given));
            for threads in [2, 5] {
                let (again, e) = with_threads(threads, || both(isa, &s, &given));
                assert_same("output", &f.output, &again.output);
                assert_same("logarithms", &f.log_sums, &again.log_sums);
                assert_same("q", &d.q, &e.q);
                assert_same("k", &d.k, &e.k);
                assert_same("v", &d.v, &e.v);
            }
            for (first, images) in [(0, 1), (2, 3), (6, 1)] {
                let range = first * each..(first + images) * each;
                let few = given.each_ref().map(|x| x[range.clone()].to_vec());
                let (part, e) = both(isa, &Shape { images, ..s }, &few);
                assert_same("output", &part.output, &f.output[range.clone()]);
                assert_same("q", &e.q, &d.q[range.clone()]);
                assert_same("k", &e.k, &d.k[range.clone()]);
                assert_same("v", &e.v, &d.v[range]);
            }
        }
    }
}

#[test]
fn values_that_are_not_numbers_stay_in_their_image() {
    let s = shape(3, 37, 12, 2);
    let each = s.tokens * s.channels;
    for which in 0..4 {
        let mut given = inputs(&s);
        given[which][each..2 * each].fill(f32::NAN);
        for &isa in InstructionSet::available() {
            let (f, d) = both(isa, &s, &given);
            let outside = |x: &[f32]| {
                let others = x[..each].iter().chain(&x[2 * each..]);
                assert!(others.copied().all(f32::is_finite));
            };
            [&f.output, &d.q, &d.k, &d.v]
                .into_iter()
                .for_each(|x| outside(x));
            if which < 3 {
                assert!(f.output[each..2 * each].iter().all(|x| x.is_nan()));
            }
            assert!(d.k[each..2 * each].iter().all(|x| x.is_nan()));
        }
    }
}

#[test]
fn empty_shapes_give_empty_results() {
    for s in [shape(0, 4, 6, 2), shape(2, 0, 6, 2), shape(2, 4, 0, 1)] {
        let (f, d) = both(InstructionSet::best(), &s, &inputs(&s));
        assert!([f.output, d.q, d.k, d.v].iter().all(|x| x.is_empty()));
        assert_eq!(f.log_sums.len(), s.images * s.tokens * s.heads);
    }
}

#[test]
fn wrong_lengths_and_shapes_are_refused() {
    let isa = InstructionSet::best();
    let s = shape(2, 9, 6, 2);
    let [q, k, v, g] = inputs(&s);
    let f = forward(isa, &s, &q, &k, &v).unwrap();
    let length = |r: Result<Buffer, Error>| assert!(matches!(r, Err(Error::Length { .. })));
    length(forward(isa, &s, &q[1..], &k, &v).map(|f| f.output));
    length(forward(isa, &s, &q, &k[1..], &v).map(|f| f.output));
    length(forward(isa, &s, &q, &k, &v[1..]).map(|f| f.output));
    length(backward(isa, &s, &q, &k, &v, f.view(), &g[1..]).map(|d| d.q));
    length(backward(isa, &s, &q, &k[1..], &v, f.view(), &g).map(|d| d.q));
    let short = Forward {
        log_sums: Buffer::from(&f.log_sums[1..]),
        ..f.clone()
    };
    length(backward(isa, &s, &q, &k, &v, short.view(), &g).map(|d| d.q));
    let short = Forward {
        output: Buffer::from(&f.output[1..]),
        ..f
    };
    length(backward(isa, &s, &q, &k, &v, short.view(), &g).map(|d| d.q));
    for wrong in [
        Shape { heads: 0, ..s },
        Shape { heads: 4, ..s },
        Shape {
            images: usize::MAX / 2,
            ..s
        },
        Shape {
            tokens: usize::MAX,
            ..s
        },
    ] {
        let result = forward(isa, &wrong, &q, &k, &v);
        assert!(matches!(result, Err(Error::Shape(_))), "{wrong:?}");
    }
}
