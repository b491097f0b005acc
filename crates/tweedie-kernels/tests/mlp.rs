//! Perceptrons against their definition, in double precision.

mod common;

use common::{activate, assert_close, assert_same, slope, values, with_threads};
use tweedie_kernels::mlp::{self, Layer, Shape};
use tweedie_kernels::{Activation, Buffer, Error, InstructionSet};

const ACTIVATIONS: [Activation; 5] = [
    Activation::None,
    Activation::Relu,
    Activation::LeakyRelu,
    Activation::Silu,
    Activation::Elu,
];

fn shape(rows: usize, widths: &[usize], activation: Activation) -> Shape {
    Shape {
        rows,
        widths: widths.to_vec(),
        activation,
    }
}

fn shapes() -> Vec<Shape> {
    let mut all = Vec::new();
    for activation in ACTIVATIONS {
        for rows in [1, 5, 63, 64, 65, 300] {
            // One hidden layer between few values, and what is like it but not so.
            all.push(shape(rows, &[2, 64, 1], activation));
            all.push(shape(rows, &[8, 7, 8], activation));
            all.push(shape(rows, &[1, 1, 3], activation));
            all.push(shape(rows, &[9, 20, 1], activation));
            // Linear maps.
            all.push(shape(rows, &[1, 1], activation));
            all.push(shape(rows, &[3, 33], activation));
            all.push(shape(rows, &[40, 64], activation));
            all.push(shape(rows, &[50, 2], activation));
            // Deep ones.
            all.push(shape(rows, &[3, 17, 70, 2], activation));
            all.push(shape(rows, &[2, 3, 5, 3, 2], activation));
            all.push(shape(rows, &[16, 32, 48, 100, 20], activation));
        }
    }
    all.push(shape(20_000, &[2, 16, 1], Activation::Relu));
    all.push(shape(3000, &[4, 16], Activation::None));
    all.push(shape(700, &[3, 200, 200, 2], Activation::LeakyRelu));
    all
}

struct Given {
    x: Vec<f32>,
    parameters: Vec<[Vec<f32>; 2]>,
    dy: Vec<f32>,
}

impl Given {
    fn new(shape: &Shape) -> Self {
        let widths = &shape.widths;
        let parameters = widths.windows(2).zip(1..).map(|(w, k)| {
            // Values in between that stay of the size of the input.
            let scale = 2.0 / (w[0].max(1) as f32).sqrt();
            let weight = values(10 * k, w[0] * w[1]);
            [
                weight.iter().map(|v| scale * v).collect(),
                values(10 * k + 1, w[1]),
            ]
        });
        Self {
            x: values(1, shape.rows * widths[0]),
            parameters: parameters.collect(),
            dy: values(2, shape.rows * widths[widths.len() - 1]),
        }
    }

    fn layers(&self) -> Vec<Layer<'_>> {
        self.parameters
            .iter()
            .map(|[weight, bias]| Layer { weight, bias })
            .collect()
    }
}

/// Output, gradient of the input, then those of each layer's weight and bias.
fn reference(shape: &Shape, given: &Given) -> Vec<Vec<f64>> {
    let widths = &shape.widths;
    let count = widths.len() - 1;
    let [mut y, mut dx] = [Vec::new(), Vec::new()];
    let mut grads: Vec<Vec<f64>> = Vec::new();
    for [w, b] in &given.parameters {
        grads.extend([vec![0.0; w.len()], vec![0.0; b.len()]]);
    }
    for n in 0..shape.rows {
        let x = &given.x[n * widths[0]..][..widths[0]];
        let mut h: Vec<Vec<f64>> = vec![x.iter().map(|&v| f64::from(v)).collect()];
        let mut slopes = Vec::new();
        for k in 0..count {
            let [weight, bias] = &given.parameters[k];
            let t = (0..widths[k + 1]).map(|o| {
                let row = &weight[o * widths[k]..][..widths[k]];
                let sum: f64 = row.iter().zip(&h[k]).map(|(&w, h)| f64::from(w) * h).sum();
                sum + f64::from(bias[o])
            });
            let last = k + 1 == count;
            let with = if last {
                Activation::None
            } else {
                shape.activation
            };
            let found: Vec<[f64; 2]> = t.map(|t| [activate(with, t), slope(with, t)]).collect();
            h.push(found.iter().map(|f| f[0]).collect());
            slopes.push(found.iter().map(|f| f[1]).collect::<Vec<f64>>());
        }
        y.extend(&h[count]);
        let dy = &given.dy[n * widths[count]..][..widths[count]];
        let mut d: Vec<f64> = dy.iter().map(|&v| f64::from(v)).collect();
        for k in (0..count).rev() {
            d.iter_mut().zip(&slopes[k]).for_each(|(d, s)| *d *= s);
            let mut below = vec![0.0; widths[k]];
            for (o, &d) in d.iter().enumerate() {
                for i in 0..widths[k] {
                    grads[2 * k][o * widths[k] + i] += d * h[k][i];
                    below[i] += d * f64::from(given.parameters[k][0][o * widths[k] + i]);
                }
                grads[2 * k + 1][o] += d;
            }
            d = below;
        }
        dx.extend(d);
    }
    let mut all = vec![y, dx];
    all.append(&mut grads);
    all
}

fn all(isa: InstructionSet, shape: &Shape, given: &Given) -> Vec<Buffer> {
    let layers = given.layers();
    let y = mlp::forward(isa, shape, &given.x, &layers).unwrap();
    let grads = mlp::backward(isa, shape, &given.x, &layers, &[], &given.dy, true).unwrap();
    let mut all = vec![y, grads.input];
    for (weight, bias) in grads.weights.into_iter().zip(grads.biases) {
        all.extend([weight, bias]);
    }
    all
}

fn name(k: usize) -> String {
    match k {
        0 => "output".into(),
        1 => "input gradient".into(),
        k if k % 2 == 0 => format!("weight gradient {}", k / 2),
        k => format!("bias gradient {}", k / 2),
    }
}

#[test]
fn agrees_with_the_definition_at_every_level() {
    for s in shapes() {
        let given = Given::new(&s);
        let expected = reference(&s, &given);
        for &isa in InstructionSet::available() {
            let found = all(isa, &s, &given);
            assert_eq!(found.len(), expected.len());
            for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let what = format!("{isa:?} {s:?} {}", name(k));
                assert_close(&what, found, expected, 1e-5);
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    for s in shapes() {
        let given = Given::new(&s);
        for &isa in InstructionSet::available() {
            let once = with_threads(1, || all(isa, &s, &given));
            for threads in [2, 3, 7] {
                let again = with_threads(threads, || all(isa, &s, &given));
                for (k, (a, b)) in once.iter().zip(&again).enumerate() {
                    assert_same(&name(k), a, b);
                }
            }
        }
    }
}

#[test]
fn bits_of_a_row_do_not_depend_on_its_batch() {
    for widths in [&[2, 64, 1][..], &[3, 33], &[128, 128], &[3, 40, 50, 2]] {
        for activation in ACTIVATIONS {
            let s = shape(500, widths, activation);
            let given = Given::new(&s);
            let layers = given.layers();
            let [inputs, outputs] = [widths[0], widths[widths.len() - 1]];
            for &isa in InstructionSet::available() {
                let whole = all(isa, &s, &given);
                for (first, rows) in [(0, 1), (17, 3), (499, 1), (100, 130)] {
                    let few = shape(rows, widths, activation);
                    let x = &given.x[first * inputs..][..rows * inputs];
                    let dy = &given.dy[first * outputs..][..rows * outputs];
                    let y = mlp::forward(isa, &few, x, &layers).unwrap();
                    assert_same("output", &y, &whole[0][first * outputs..][..rows * outputs]);
                    let grads = mlp::backward(isa, &few, x, &layers, &[], dy, true).unwrap();
                    let dx = &whole[1][first * inputs..][..rows * inputs];
                    assert_same("input gradient", &grads.input, dx);
                }
            }
        }
    }
}

#[test]
fn hidden_values_that_were_kept_change_nothing() {
    for s in shapes() {
        let given = Given::new(&s);
        let layers = given.layers();
        for &isa in InstructionSet::available() {
            let [y, hidden] = mlp::forward_keeping(isa, &s, &given.x, &layers).unwrap();
            assert_eq!(y, mlp::forward(isa, &s, &given.x, &layers).unwrap());
            let of = |hidden: &[f32]| {
                mlp::backward(isa, &s, &given.x, &layers, hidden, &given.dy, true).unwrap()
            };
            assert_eq!(of(&hidden), of(&[]));
            if !hidden.is_empty() {
                let short = &hidden[1..];
                let refused = mlp::backward(isa, &s, &given.x, &layers, short, &given.dy, true);
                assert!(matches!(refused, Err(Error::Length { .. })));
            }
        }
    }
}

#[test]
fn the_other_gradients_do_not_need_that_of_the_input() {
    for widths in [&[2, 64, 1][..], &[3, 33], &[3, 40, 50, 2]] {
        let s = shape(200, widths, Activation::Silu);
        let given = Given::new(&s);
        let of = |with_input| {
            let layers = given.layers();
            mlp::backward(
                InstructionSet::best(),
                &s,
                &given.x,
                &layers,
                &[],
                &given.dy,
                with_input,
            )
            .unwrap()
        };
        let (with, without) = (of(true), of(false));
        assert!(without.input.is_empty());
        assert_eq!(with.weights, without.weights);
        assert_eq!(with.biases, without.biases);
    }
}

#[test]
fn empty_shapes_give_empty_results() {
    for widths in [
        &[2, 64, 1][..],
        &[0, 3, 1],
        &[3, 0, 2],
        &[3, 5, 0],
        &[0, 4],
        &[4, 0],
        &[9, 0, 0, 12],
    ] {
        for rows in [0, 3] {
            let s = shape(rows, widths, Activation::Relu);
            let given = Given::new(&s);
            let expected = reference(&s, &given);
            for (k, found) in all(InstructionSet::best(), &s, &given).iter().enumerate() {
                assert_close(&format!("{s:?} {}", name(k)), found, &expected[k], 1e-5);
            }
        }
    }
}

#[test]
fn values_that_are_not_numbers_stay_in_their_row() {
    for widths in [&[2, 64, 1][..], &[2, 20, 20, 1]] {
        for activation in ACTIVATIONS {
            let s = shape(100, widths, activation);
            let mut given = Given::new(&s);
            given.x[81] = f32::NAN;
            let y = mlp::forward(InstructionSet::best(), &s, &given.x, &given.layers()).unwrap();
            let wrong: Vec<usize> = (0..100).filter(|&n| y[n].is_nan()).collect();
            assert_eq!(wrong, [40], "{s:?}");
        }
    }
}

#[test]
fn wrong_lengths_and_shapes_are_refused() {
    let isa = InstructionSet::best();
    let s = shape(4, &[3, 5, 2], Activation::Relu);
    let given = Given::new(&s);
    let layers = given.layers();
    let length = |error: Error| assert!(matches!(error, Error::Length { .. }), "{error}");
    let unlike = |error: Error| assert!(matches!(error, Error::Shape(_)), "{error}");
    length(mlp::forward(isa, &s, &given.x[1..], &layers).unwrap_err());
    for k in 0..2 {
        let mut wrong = given.layers();
        wrong[k].weight = &wrong[k].weight[1..];
        length(mlp::forward(isa, &s, &given.x, &wrong).unwrap_err());
        let mut wrong = given.layers();
        wrong[k].bias = &wrong[k].bias[1..];
        length(mlp::backward(isa, &s, &given.x, &wrong, &[], &given.dy, true).unwrap_err());
    }
    length(mlp::backward(isa, &s, &given.x, &layers, &[], &given.dy[1..], true).unwrap_err());
    unlike(mlp::forward(isa, &s, &given.x, &layers[1..]).unwrap_err());
    for widths in [&[][..], &[3], &[usize::MAX, usize::MAX]] {
        let wrong = shape(4, widths, Activation::Relu);
        let layers = vec![layers[0]; widths.len().max(1) - 1];
        unlike(mlp::forward(isa, &wrong, &given.x, &layers).unwrap_err());
    }
    let wrong = shape(usize::MAX / 2, &[3, 5, 2], Activation::Relu);
    unlike(mlp::forward(isa, &wrong, &given.x, &layers).unwrap_err());
}
