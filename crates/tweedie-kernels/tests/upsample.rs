//! Upsampling against its definition.

mod common;

use common::{assert_same, values, with_threads};
use tweedie_kernels::{Error, upsample};

#[test]
fn both_directions_agree_with_the_definition() {
    for shape in [
        [1, 1, 1, 1],
        [2, 3, 5, 7],
        [3, 8, 8, 32],
        [0, 4, 4, 3],
        [2, 4, 4, 0],
    ] {
        let [n, h, w, c] = shape;
        let x = values(1, n * h * w * c);
        let dy = values(2, 4 * n * h * w * c);
        let mut y = vec![0.0; dy.len()];
        let mut dx = vec![0.0; x.len()];
        for i in 0..n * 2 * h * 2 * w {
            let (row, column) = (i / (2 * w), i % (2 * w));
            let from = (row / 2 * w + column / 2) * c;
            for k in 0..c {
                y[i * c + k] = x[from + k];
                dx[from + k] += dy[i * c + k];
            }
        }
        for threads in [1, 3] {
            let (found, back) = with_threads(threads, || {
                (
                    upsample::forward(shape, &x).unwrap(),
                    upsample::backward(shape, &dy).unwrap(),
                )
            });
            assert_same("output", &found, &y);
            for (a, b) in back.iter().zip(&dx) {
                assert!((a - b).abs() <= 1e-6, "{a} and {b}");
            }
        }
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let shape = [2, 3, 4, 5];
    let wrong =
        |r: Result<tweedie_kernels::Buffer, Error>| assert!(matches!(r, Err(Error::Length { .. })));
    wrong(upsample::forward(shape, &[0.0; 119]));
    wrong(upsample::backward(shape, &[0.0; 120]));
    assert!(upsample::forward::<f32>([usize::MAX, 2, 1, 1], &[]).is_err());
}
