//! Losses of rows against their definition, in double precision.

mod common;

use common::{assert_close, assert_same, values, with_threads};
use tweedie_kernels::{Buffer, Error, InstructionSet, squares};

const SHAPES: [[usize; 2]; 7] = [
    [1, 1],
    [20_000, 1],
    [300, 2],
    [7, 16],
    [40, 784],
    [3, 3073],
    [5000, 5],
];

fn given([n, d]: [usize; 2]) -> [Vec<f32>; 4] {
    [
        values(1, n * d),
        values(2, n),
        values(3, n * d),
        values(4, n),
    ]
}

#[test]
fn agrees_with_the_definition_at_every_level() {
    for shape in SHAPES {
        let [f, gain, offset, dl] = given(shape);
        let d = shape[1];
        let residual = |i: usize| f64::from(gain[i / d]) * f64::from(f[i]) + f64::from(offset[i]);
        let losses: Vec<f64> = (0..shape[0])
            .map(|n| {
                0.5 * (n * d..(n + 1) * d)
                    .map(|i| residual(i).powi(2))
                    .sum::<f64>()
            })
            .collect();
        let gradients: Vec<f64> = (0..f.len())
            .map(|i| f64::from(dl[i / d]) * f64::from(gain[i / d]) * residual(i))
            .collect();
        for &isa in InstructionSet::available() {
            let found = squares::forward(isa, shape, &f, &gain, &offset).unwrap();
            assert_close("loss", &found, &losses, 1e-5);
            let found = squares::backward(isa, shape, &f, &gain, &offset, &dl).unwrap();
            assert_close("gradient", &found, &gradients, 1e-5);
        }
    }
}

#[test]
fn bits_depend_on_neither_threads_nor_batch() {
    for shape in SHAPES {
        let [f, gain, offset, dl] = given(shape);
        let [n, d] = shape;
        for &isa in InstructionSet::available() {
            let all = || {
                [
                    squares::forward(isa, shape, &f, &gain, &offset).unwrap(),
                    squares::backward(isa, shape, &f, &gain, &offset, &dl).unwrap(),
                ]
            };
            let once = with_threads(1, all);
            let again = with_threads(3, all);
            assert_same("loss", &once[0], &again[0]);
            assert_same("gradient", &once[1], &again[1]);
            let (f, offset) = (&f[(n - 1) * d..], &offset[(n - 1) * d..]);
            let last = squares::forward(isa, [1, d], f, &gain[n - 1..], offset).unwrap();
            assert_same("last", &last, &once[0][n - 1..]);
        }
    }
}

#[test]
fn empty_and_wrong_shapes() {
    let isa = InstructionSet::best();
    assert_eq!(
        squares::forward(isa, [0, 3], &[], &[], &[]).unwrap()[..],
        []
    );
    assert_eq!(
        squares::forward(isa, [2, 0], &[], &[1.0; 2], &[]).unwrap()[..],
        [0.0; 2]
    );
    let [f, gain, offset, dl] = given([4, 3]);
    let refused = |r: Result<Buffer, Error>| assert!(matches!(r, Err(Error::Length { .. })));
    refused(squares::forward(isa, [4, 3], &f[1..], &gain, &offset));
    refused(squares::forward(isa, [4, 3], &f, &gain[1..], &offset));
    refused(squares::forward(isa, [4, 3], &f, &gain, &offset[1..]));
    refused(squares::backward(isa, [4, 3], &f, &gain, &offset, &dl[1..]));
}
