//! Convolution against its definition as a sum, in double precision.

mod common;

use common::{assert_close, assert_same, values, with_threads};
use tweedie_kernels::{Buffer, Error, InstructionSet, conv};

fn shape(
    images: usize,
    size: [usize; 2],
    channels: [usize; 2],
    kernel: impl Into<Kernel>,
    stride: usize,
    padding: [[usize; 2]; 2],
) -> conv::Shape {
    let [inputs, outputs] = channels;
    conv::Shape {
        images,
        size,
        inputs,
        outputs,
        kernel: kernel.into().0,
        stride,
        padding,
    }
}

/// A square kernel or another.
struct Kernel([usize; 2]);

impl From<usize> for Kernel {
    fn from(side: usize) -> Self {
        Self([side; 2])
    }
}

impl From<[usize; 2]> for Kernel {
    fn from(sides: [usize; 2]) -> Self {
        Self(sides)
    }
}

const SAME: [[usize; 2]; 2] = [[1, 1], [1, 1]];
const AFTER: [[usize; 2]; 2] = [[0, 0], [1, 1]];
const NONE: [[usize; 2]; 2] = [[0, 0], [0, 0]];

fn shapes() -> Vec<conv::Shape> {
    let mut all = Vec::new();
    for channels in [
        [1, 1],
        [1, 32],
        [32, 1],
        [3, 5],
        [17, 33],
        [16, 48],
        [7, 20],
        [40, 64],
    ] {
        for (n, size) in [
            (1, [1, 1]),
            (3, [4, 4]),
            (2, [7, 5]),
            (5, [8, 6]),
            (1, [13, 2]),
        ] {
            all.push(shape(n, size, channels, 3, 1, SAME));
            all.push(shape(n, size, channels, 3, 2, SAME));
            all.push(shape(n, size, channels, 1, 1, NONE));
            all.push(shape(n, size, channels, 1, 2, NONE));
            all.push(shape(n, size, channels, 3, 1, [[2, 0], [1, 2]]));
            all.push(shape(n, size, channels, 5, 3, [[4, 2], [3, 4]]));
            if size[0] > 1 {
                all.push(shape(n, size, channels, 3, 2, AFTER));
                all.push(shape(n, size, channels, 2, 1, NONE));
            }
            all.push(shape(n, size, channels, [1, 7], 1, [[0, 3], [0, 3]]));
            all.push(shape(n, size, channels, [7, 1], 1, [[3, 0], [3, 0]]));
            all.push(shape(n, size, channels, [1, 3], 2, [[0, 1], [0, 1]]));
            all.push(shape(n, size, channels, [3, 2], 3, [[2, 1], [1, 1]]));
        }
    }
    all.push(shape(9, [28, 28], [1, 32], 3, 1, SAME));
    all.push(shape(40, [4, 4], [64, 64], 3, 1, SAME));
    all.push(shape(3, [32, 32], [64, 96], 3, 1, SAME));
    all.push(shape(3, [14, 14], [128, 128], 3, 2, AFTER));
    all
}

/// Output, then the gradients of input, weight and bias of each image.
fn reference(
    s: &conv::Shape,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    dy: &[f32],
) -> [Vec<f64>; 4] {
    let [oh, ow] = s.output_size().unwrap();
    let [h, w] = s.size;
    let mut y = vec![0.0; s.images * oh * ow * s.outputs];
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
    let mut db = vec![0.0; s.images * s.outputs];
    for n in 0..s.images {
        for p in 0..oh * ow {
            for o in 0..s.outputs {
                let at = (n * oh * ow + p) * s.outputs + o;
                let g = f64::from(dy[at]);
                db[n * s.outputs + o] += g;
                let row = if bias.len() == s.outputs {
                    0
                } else {
                    n * s.outputs
                };
                y[at] += f64::from(bias[row + o]);
                let [rows, columns] = s.kernel;
                for k in 0..rows * columns {
                    let (u, v) = (k / columns, k % columns);
                    let i = (p / ow * s.stride + u).wrapping_sub(s.padding[0][0]);
                    let j = (p % ow * s.stride + v).wrapping_sub(s.padding[0][1]);
                    if i >= h || j >= w {
                        continue;
                    }
                    for c in 0..s.inputs {
                        let from = ((n * h + i) * w + j) * s.inputs + c;
                        let with = (o * s.inputs + c) * rows * columns + k;
                        y[at] += f64::from(x[from]) * f64::from(weight[with]);
                        dx[from] += g * f64::from(weight[with]);
                        dw[with] += g * f64::from(x[from]);
                    }
                }
            }
        }
    }
    [y, dx, dw, db]
}

fn inputs(s: &conv::Shape) -> [Vec<f32>; 4] {
    let [oh, ow] = s.output_size().unwrap();
    [
        values(1, s.images * s.size[0] * s.size[1] * s.inputs),
        values(2, s.outputs * s.inputs * s.kernel[0] * s.kernel[1]),
        values(3, s.images * s.outputs),
        values(4, s.images * oh * ow * s.outputs),
    ]
}

fn all(isa: InstructionSet, s: &conv::Shape, [x, w, b, dy]: &[Vec<f32>; 4]) -> [Buffer; 4] {
    [
        conv::forward(isa, s, x, w, b).unwrap(),
        conv::grad_input(isa, s, w, dy).unwrap(),
        conv::grad_weight(isa, s, x, dy).unwrap(),
        conv::grad_bias(isa, s, dy).unwrap(),
    ]
}

const NAMES: [&str; 4] = [
    "output",
    "input gradient",
    "weight gradient",
    "bias gradient",
];

#[test]
fn agrees_with_the_definition_at_every_level() {
    for s in shapes() {
        let given = inputs(&s);
        let [x, w, b, dy] = &given;
        let expected = reference(&s, x, w, b, dy);
        for &isa in InstructionSet::available() {
            let found = all(isa, &s, &given);
            for k in 0..4 {
                assert_close(
                    &format!("{isa:?} {s:?} {}", NAMES[k]),
                    &found[k],
                    &expected[k],
                    1e-5,
                );
            }
            let shared = conv::forward(isa, &s, x, w, &b[..s.outputs]).unwrap();
            let expected = reference(&s, x, w, &b[..s.outputs], dy);
            assert_close("shared bias", &shared, &expected[0], 1e-5);
        }
    }
}

#[test]
fn a_rectified_result_is_the_relu_of_the_other() {
    for s in shapes() {
        let [x, w, b, dy] = &inputs(&s);
        for &isa in InstructionSet::available() {
            let weights = conv::Weights::new(isa, &s, w).unwrap();
            let [plain, rectified] = [false, true]
                .map(|rectify| conv::forward_with(&s, x, &weights, b, Some(dy), rectify).unwrap());
            let expected: Vec<f32> = plain
                .iter()
                .map(|&y| if y < 0.0 { 0.0 } else { y })
                .collect();
            assert_same(&format!("{isa:?} {s:?}"), &rectified, &expected);
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    for s in shapes()
        .into_iter()
        .chain([shape(33, [14, 14], [32, 48], 3, 1, SAME)])
    {
        let given = inputs(&s);
        for &isa in InstructionSet::available() {
            let once = with_threads(1, || all(isa, &s, &given));
            for threads in [2, 3, 7] {
                let again = with_threads(threads, || all(isa, &s, &given));
                for k in 0..4 {
                    assert_same(NAMES[k], &once[k], &again[k]);
                }
            }
        }
    }
}

#[test]
fn bits_of_an_image_do_not_depend_on_its_batch() {
    for size in [[7, 7], [4, 4], [28, 28], [5, 3]] {
        for stride in [1, 2] {
            for channels in [[1, 32], [32, 1], [24, 40], [64, 64], [3, 3]] {
                let s = shape(64, size, channels, 3, stride, SAME);
                let [x, w, b, dy] = &inputs(&s);
                for &isa in InstructionSet::available() {
                    let y = conv::forward(isa, &s, x, w, b).unwrap();
                    let dx = conv::grad_input(isa, &s, w, dy).unwrap();
                    let each = [x.len(), y.len(), b.len()].map(|len| len / 64);
                    for (first, images) in [(0, 1), (17, 3), (63, 1), (10, 30)] {
                        let few = conv::Shape { images, ..s };
                        let of = |values: &[f32], each: usize| {
                            values[first * each..(first + images) * each].to_vec()
                        };
                        let (x, b, dy) = (of(x, each[0]), of(b, each[2]), of(dy, each[1]));
                        let part = conv::forward(isa, &few, &x, w, &b).unwrap();
                        assert_same("output", &part, &of(&y, each[1]));
                        let part = conv::grad_input(isa, &few, w, &dy).unwrap();
                        assert_same("input gradient", &part, &of(&dx, each[0]));
                    }
                }
            }
        }
    }
}

#[test]
fn empty_shapes_give_empty_results() {
    let isa = InstructionSet::best();
    for s in [
        shape(0, [4, 4], [3, 5], 3, 1, SAME),
        shape(2, [4, 4], [0, 5], 3, 1, SAME),
        shape(2, [4, 4], [3, 0], 3, 2, SAME),
        shape(2, [0, 4], [3, 5], 2, 1, [[1, 0], [1, 1]]),
    ] {
        let given = inputs(&s);
        let [x, w, b, dy] = &given;
        let expected = reference(&s, x, w, b, dy);
        let found = all(isa, &s, &given);
        for k in 0..4 {
            assert_close(NAMES[k], &found[k], &expected[k], 1e-5);
        }
    }
}

#[test]
fn values_that_are_not_numbers_stay_in_their_image() {
    let s = shape(3, [5, 5], [4, 20], 3, 1, SAME);
    let [mut x, w, b, _] = inputs(&s);
    x[100..200].fill(f32::NAN);
    let y = conv::forward(InstructionSet::best(), &s, &x, &w, &b).unwrap();
    assert!(y[..500].iter().chain(&y[1000..]).all(|v| v.is_finite()));
    assert!(y[500..1000].iter().all(|v| v.is_nan()));
    let weights = conv::Weights::new(InstructionSet::best(), &s, &w).unwrap();
    let y = conv::forward_with(&s, &x, &weights, &b, None, true).unwrap();
    assert!(y[500..1000].iter().all(|v| v.is_nan()));
}

#[test]
fn wrong_lengths_and_shapes_are_refused() {
    let isa = InstructionSet::best();
    let s = shape(2, [4, 4], [3, 5], 3, 1, SAME);
    let [x, w, b, dy] = inputs(&s);
    let length = |r: Result<Buffer, Error>| assert!(matches!(r, Err(Error::Length { .. })));
    length(conv::forward(isa, &s, &x[1..], &w, &b));
    length(conv::forward(isa, &s, &x, &w[1..], &b));
    length(conv::forward(isa, &s, &x, &w, &b[1..]));
    length(conv::grad_input(isa, &s, &w[1..], &dy));
    length(conv::grad_input(isa, &s, &w, &dy[1..]));
    length(conv::grad_weight(isa, &s, &x[1..], &dy));
    length(conv::grad_weight(isa, &s, &x, &dy[1..]));
    length(conv::grad_bias(isa, &s, &dy[1..]));
    for wrong in [
        conv::Shape {
            kernel: [3, 0],
            ..s
        },
        conv::Shape {
            kernel: [1, 3],
            ..s
        },
        conv::Shape { stride: 0, ..s },
        conv::Shape {
            padding: [[3, 0], [0, 0]],
            ..s
        },
        conv::Shape {
            size: [1, 4],
            padding: NONE,
            ..s
        },
        conv::Shape {
            size: [usize::MAX, 4],
            ..s
        },
        conv::Shape {
            images: usize::MAX / 2,
            ..s
        },
    ] {
        let result = conv::forward(isa, &wrong, &x, &w, &b);
        assert!(
            matches!(result, Err(Error::Shape(_))),
            "{wrong:?}: {result:?}"
        );
    }
}
