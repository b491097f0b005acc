//! GroupNorm against its definition in double precision, and by finite differences.

mod common;

use common::{activate, assert_close, assert_same, values, with_threads};
use half::bf16;
use tweedie_kernels::group_norm::{Gradients, Shape, backward, forward, forward_half};
use tweedie_kernels::{Activation, Error, InstructionSet};

fn shapes() -> Vec<Shape> {
    let mut all = Vec::new();
    for (channels, groups) in [(1, 1), (3, 3), (6, 2), (16, 4), (32, 32), (40, 5), (67, 1)] {
        for (images, pixels) in [(1, 2), (3, 16), (2, 49), (2, 150)] {
            for then in [Activation::None, Activation::Silu, Activation::Elu] {
                all.push(Shape {
                    images,
                    pixels,
                    channels,
                    groups,
                    epsilon: 1e-5,
                    then,
                });
            }
        }
    }
    all
}

fn inputs(s: &Shape) -> [Vec<f32>; 4] {
    let len = s.images * s.pixels * s.channels;
    let x = values(1, len).iter().map(|x| 0.7 + 2.0 * x).collect();
    [
        x,
        values(2, s.channels),
        values(3, s.channels),
        values(4, len),
    ]
}

/// In double precision: what the finite differences are taken of.
fn reference(s: &Shape, x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let (c, each) = (s.channels, s.channels / s.groups);
    let mut y = vec![0.0; x.len()];
    for n in 0..s.images {
        for g in 0..s.groups {
            let indices: Vec<usize> = (0..s.pixels * each)
                .map(|i| (n * s.pixels + i / each) * c + g * each + i % each)
                .collect();
            let count = indices.len() as f64;
            let mean = indices.iter().map(|&i| x[i]).sum::<f64>() / count;
            let variance = indices.iter().map(|&i| (x[i] - mean).powi(2)).sum::<f64>() / count;
            for i in indices {
                let h = (x[i] - mean) / (variance + s.epsilon).sqrt();
                let t = h * weight[i % c] + bias[i % c];
                y[i] = activate(s.then, t);
            }
        }
    }
    y
}

fn double(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

#[test]
fn forward_agrees_with_the_definition_at_every_level() {
    for s in shapes() {
        let [x, w, b, _] = inputs(&s);
        let expected = reference(&s, &double(&x), &double(&w), &double(&b));
        for &isa in InstructionSet::available() {
            let y = forward(isa, &s, &x, &w, &b).unwrap();
            assert_close(&format!("{isa:?} {s:?}"), &y, &expected, 1e-5);
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences_at_every_level() {
    for s in shapes()
        .into_iter()
        .filter(|s| s.images * s.pixels * s.channels <= 2000)
    {
        let [x, w, b, dy] = inputs(&s);
        let given = [double(&x), double(&w), double(&b)];
        let loss = |given: &[Vec<f64>; 3]| -> f64 {
            let y = reference(&s, &given[0], &given[1], &given[2]);
            y.iter().zip(&dy).map(|(y, &dy)| y * f64::from(dy)).sum()
        };
        let expected: Vec<Vec<f64>> = (0..3)
            .map(|which| {
                (0..given[which].len())
                    .map(|i| {
                        let at = |step: f64| {
                            let mut moved = given.clone();
                            moved[which][i] += step;
                            loss(&moved)
                        };
                        // Fourth order: the error is far below that of f32.
                        let h = 1e-4;
                        (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h)
                    })
                    .collect()
            })
            .collect();
        for &isa in InstructionSet::available() {
            let found = backward(isa, &s, &x, &w, &b, &dy).unwrap();
            let Gradients {
                input,
                weight,
                bias,
            } = found;
            // A group of two values has gradients that nearly cancel.
            let tolerance = if s.pixels * s.channels / s.groups < 4 {
                1e-3
            } else {
                1e-5
            };
            for (k, found) in [&input[..], &weight, &bias].into_iter().enumerate() {
                assert_close(
                    &format!("{isa:?} {s:?} {k}"),
                    found,
                    &expected[k],
                    tolerance,
                );
            }
        }
    }
}

#[test]
fn a_large_mean_costs_little_precision() {
    let s = Shape {
        images: 1,
        pixels: 1024,
        channels: 8,
        groups: 2,
        epsilon: 1e-5,
        then: Activation::None,
    };
    let [x, w, b, _] = inputs(&s);
    let x: Vec<f32> = x.iter().map(|x| x + 1000.0).collect();
    let expected = reference(&s, &double(&x), &double(&w), &double(&b));
    for &isa in InstructionSet::available() {
        let y = forward(isa, &s, &x, &w, &b).unwrap();
        assert_close("shifted", &y, &expected, 2e-4);
    }
}

#[test]
fn bits_depend_on_neither_threads_nor_batch() {
    for (pixels, channels) in [(49, 64), (16, 40), (784, 32)] {
        let s = Shape {
            images: 16,
            pixels,
            channels,
            groups: 8,
            epsilon: 1e-5,
            then: Activation::Silu,
        };
        let [x, w, b, dy] = inputs(&s);
        let each = pixels * channels;
        for &isa in InstructionSet::available() {
            let both = || {
                let y = forward(isa, &s, &x, &w, &b).unwrap();
                (y, backward(isa, &s, &x, &w, &b, &dy).unwrap())
            };
            let (y, g) = with_threads(1, both);
            for threads in [2, 5] {
                let (again, h) = with_threads(threads, both);
                assert_same("output", &y, &again);
                assert_same("input gradient", &g.input, &h.input);
                assert_same("weight gradient", &g.weight, &h.weight);
                assert_same("bias gradient", &g.bias, &h.bias);
            }
            for (first, images) in [(0, 1), (5, 3)] {
                let few = Shape { images, ..s };
                let range = first * each..(first + images) * each;
                let part = forward(isa, &few, &x[range.clone()], &w, &b).unwrap();
                assert_same("output", &part, &y[range.clone()]);
                let part =
                    backward(isa, &few, &x[range.clone()], &w, &b, &dy[range.clone()]).unwrap();
                assert_same("input gradient", &part.input, &g.input[range]);
            }
        }
    }
}

#[test]
fn wrong_lengths_and_groups_are_refused() {
    let isa = InstructionSet::best();
    let s = Shape {
        images: 2,
        pixels: 9,
        channels: 6,
        groups: 2,
        epsilon: 1e-5,
        then: Activation::Silu,
    };
    let [x, w, b, dy] = inputs(&s);
    let length =
        |r: Result<tweedie_kernels::Buffer, Error>| assert!(matches!(r, Err(Error::Length { .. })));
    length(forward(isa, &s, &x[1..], &w, &b));
    length(forward(isa, &s, &x, &w[1..], &b));
    length(forward(isa, &s, &x, &w, &b[1..]));
    length(backward(isa, &s, &x, &w, &b, &dy[1..]).map(|g| g.input));
    length(backward(isa, &s, &x[1..], &w, &b, &dy).map(|g| g.input));
    for groups in [0, 4] {
        let wrong = Shape { groups, ..s };
        assert!(matches!(
            forward(isa, &wrong, &x, &w, &b),
            Err(Error::Shape(_))
        ));
    }
}

#[test]
fn images_in_bf16_are_normalised_in_single_precision() {
    let s = Shape {
        images: 3,
        pixels: 50,
        channels: 24,
        groups: 4,
        epsilon: 1e-5,
        then: Activation::Silu,
    };
    let x: Vec<bf16> = values(1, 3 * 50 * 24)
        .into_iter()
        .map(bf16::from_f32)
        .collect();
    let wide: Vec<f32> = x.iter().map(|x| x.to_f32()).collect();
    let (w, b) = (values(2, 24), values(3, 24));
    for &isa in InstructionSet::available() {
        let expected = forward(isa, &s, &wide, &w, &b).unwrap();
        let found = forward_half(isa, &s, &x, &w, &b).unwrap();
        for (found, &expected) in found.iter().zip(expected.iter()) {
            assert_eq!(*found, bf16::from_f32(expected));
        }
        assert!(forward_half(isa, &s, &x[1..], &w, &b).is_err());
    }
}
