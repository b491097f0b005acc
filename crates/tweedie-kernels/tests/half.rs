//! Convolution in bf16 against its definition as a sum, in double precision on rounded values.

mod common;

use common::{assert_close, values, with_threads};
use half::bf16;
use tweedie_kernels::Error;
use tweedie_kernels::conv::Shape;
use tweedie_kernels::conv::half::{Unit, Weights, forward};

fn rounded(seed: u64, len: usize) -> Vec<bf16> {
    values(seed, len).into_iter().map(bf16::from_f32).collect()
}

fn shapes() -> Vec<Shape> {
    let mut all = Vec::new();
    for [inputs, outputs] in [[1, 32], [32, 1], [3, 5], [64, 64], [40, 100], [33, 31]] {
        for (images, size) in [
            (1, [1, 1]),
            (3, [4, 4]),
            (2, [7, 5]),
            (9, [8, 8]),
            (2, [16, 16]),
            (1, [20, 33]),
        ] {
            for (kernel, stride, padding) in [
                (3, 1, [[1, 1], [1, 1]]),
                (3, 2, [[1, 1], [1, 1]]),
                (1, 1, [[0, 0], [0, 0]]),
                (3, 2, [[0, 0], [1, 1]]),
                (5, 3, [[4, 2], [3, 4]]),
            ] {
                let shape = Shape {
                    images,
                    size,
                    inputs,
                    outputs,
                    kernel: [kernel; 2],
                    stride,
                    padding,
                };
                if shape.output_size().is_ok() {
                    all.push(shape);
                }
            }
        }
    }
    all
}

fn reference(s: &Shape, x: &[bf16], weight: &[f32], bias: &[f32], residual: &[bf16]) -> Vec<f64> {
    let [oh, ow] = s.output_size().unwrap();
    let [h, w] = s.size;
    let weight: Vec<f64> = weight.iter().map(|&w| bf16::from_f32(w).to_f64()).collect();
    let mut y = Vec::new();
    for n in 0..s.images {
        for p in 0..oh * ow {
            for o in 0..s.outputs {
                let mut sum = f64::from(bias[n * s.outputs + o])
                    + residual[(n * oh * ow + p) * s.outputs + o].to_f64();
                let [rows, columns] = s.kernel;
                for k in 0..rows * columns {
                    let i = (p / ow * s.stride + k / columns).wrapping_sub(s.padding[0][0]);
                    let j = (p % ow * s.stride + k % columns).wrapping_sub(s.padding[0][1]);
                    if i >= h || j >= w {
                        continue;
                    }
                    for c in 0..s.inputs {
                        sum += x[((n * h + i) * w + j) * s.inputs + c].to_f64()
                            * weight[(o * s.inputs + c) * rows * columns + k];
                    }
                }
                y.push(sum);
            }
        }
    }
    y
}

struct Given {
    x: Vec<bf16>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    residual: Vec<bf16>,
}

fn given(s: &Shape) -> Given {
    let [oh, ow] = s.output_size().unwrap();
    Given {
        x: rounded(1, s.images * s.size[0] * s.size[1] * s.inputs),
        weight: values(2, s.outputs * s.inputs * s.kernel[0] * s.kernel[1]),
        bias: values(3, s.images * s.outputs),
        residual: rounded(4, s.images * oh * ow * s.outputs),
    }
}

fn convolve(unit: Unit, s: &Shape, g: &Given) -> Vec<bf16> {
    let weights = Weights::new(unit, s, &g.weight).unwrap();
    forward(s, &g.x, &weights, &g.bias, Some(&g.residual))
        .unwrap()
        .to_vec()
}

/// The result's own rounding is half of 2^-8 of each value; the sums add next to nothing.
#[test]
fn agrees_with_the_definition_for_every_unit() {
    for s in shapes() {
        let g = given(&s);
        let expected = reference(&s, &g.x, &g.weight, &g.bias, &g.residual);
        for &unit in Unit::available() {
            let found: Vec<f32> = convolve(unit, &s, &g).iter().map(|y| y.to_f32()).collect();
            for (i, (&y, &e)) in found.iter().zip(&expected).enumerate() {
                let error = (f64::from(y) - e).abs();
                let allowed = e.abs() * 0.5 / 128.0 + 1e-4;
                assert!(error <= allowed, "{unit:?} {s:?} [{i}]: {y} instead of {e}");
            }
            let weights = Weights::new(unit, &s, &g.weight).unwrap();
            let plain = forward(&s, &g.x, &weights, &g.bias[..s.outputs], None).unwrap();
            let zeros = vec![bf16::ZERO; g.residual.len()];
            let shared = g.bias[..s.outputs].repeat(s.images);
            let expected = reference(&s, &g.x, &g.weight, &shared, &zeros);
            let plain: Vec<f32> = plain.iter().map(|y| y.to_f32()).collect();
            assert_close("one bias, no residual", &plain, &expected, 0.5 / 128.0);
        }
    }
}

#[test]
fn bits_depend_on_neither_threads_nor_batch() {
    for size in [[4, 4], [8, 8], [20, 33]] {
        for (stride, channels) in [(1, [64, 64]), (2, [33, 31])] {
            let s = Shape {
                images: 9,
                size,
                inputs: channels[0],
                outputs: channels[1],
                kernel: [3, 3],
                stride,
                padding: [[1, 1], [1, 1]],
            };
            let g = given(&s);
            for &unit in Unit::available() {
                let once = with_threads(1, || convolve(unit, &s, &g));
                for threads in [2, 3, 8] {
                    assert_eq!(once, with_threads(threads, || convolve(unit, &s, &g)));
                }
                for image in [0, 4, 8] {
                    let of = |len: usize| image * len / 9..(image + 1) * len / 9;
                    let alone = Given {
                        x: g.x[of(g.x.len())].to_vec(),
                        weight: g.weight.clone(),
                        bias: g.bias[of(g.bias.len())].to_vec(),
                        residual: g.residual[of(g.residual.len())].to_vec(),
                    };
                    let y = convolve(unit, &Shape { images: 1, ..s }, &alone);
                    assert_eq!(y, once[of(once.len())], "{unit:?} {s:?}");
                }
            }
        }
    }
}

#[test]
fn infinities_and_nan_stay_what_they_are() {
    let s = Shape {
        images: 1,
        size: [1, 3],
        inputs: 1,
        outputs: 1,
        kernel: [1, 1],
        stride: 1,
        padding: [[0, 0], [0, 0]],
    };
    let x = [f32::NAN, f32::INFINITY, 3.4e38].map(bf16::from_f32);
    for &unit in Unit::available() {
        let weights = Weights::new(unit, &s, &[1.0]).unwrap();
        let y = forward(&s, &x, &weights, &[0.0], None).unwrap();
        assert!(y[0].is_nan(), "{unit:?}");
        assert_eq!(y[1..], x[1..], "{unit:?}");
    }
}

#[test]
fn wrong_lengths_and_shapes_are_refused() {
    let s = Shape {
        images: 2,
        size: [4, 4],
        inputs: 3,
        outputs: 5,
        kernel: [3, 3],
        stride: 1,
        padding: [[1, 1], [1, 1]],
    };
    let g = given(&s);
    for &unit in Unit::available() {
        assert!(Weights::new(unit, &s, &g.weight[1..]).is_err());
        let weights = Weights::new(unit, &s, &g.weight).unwrap();
        let length = |x: &[bf16], bias: &[f32], residual: Option<&[bf16]>| {
            let result = forward(&s, x, &weights, bias, residual);
            assert!(matches!(result, Err(Error::Length { .. })), "{result:?}");
        };
        length(&g.x[1..], &g.bias, None);
        length(&g.x, &g.bias[1..], None);
        length(&g.x, &g.bias, Some(&g.residual[1..]));
        let other = Shape { outputs: 6, ..s };
        assert!(forward(&other, &g.x, &weights, &[0.0; 6], None).is_err());
        let none = Shape { images: 0, ..s };
        assert!(forward(&none, &[], &weights, &[], None).unwrap().is_empty());
    }
}
