//! Average pooling against its definition.

mod common;

use common::{assert_close, values, with_threads};
use tweedie_kernels::{Buffer, Error, pool};

#[test]
fn both_directions_agree_with_the_definition() {
    for shape in [
        [1, 2, 2, 1],
        [2, 4, 6, 7],
        [3, 8, 8, 32],
        [5, 2, 10, 3],
        [0, 4, 4, 3],
        [2, 0, 4, 3],
        [2, 4, 4, 0],
    ] {
        let [n, h, w, c] = shape;
        let x = values(1, n * h * w * c);
        let dy = values(2, n * h * w * c / 4);
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        for i in 0..n * h * w {
            let (row, column) = (i / w, i % w);
            let to = (row / 2 * (w / 2) + column / 2) * c;
            for k in 0..c {
                y[to + k] += f64::from(x[i * c + k]) / 4.0;
                dx[i * c + k] = f64::from(dy[to + k]) / 4.0;
            }
        }
        for threads in [1, 3] {
            let (found, back) = with_threads(threads, || {
                (
                    pool::forward(shape, &x).unwrap(),
                    pool::backward(shape, &dy).unwrap(),
                )
            });
            assert_close("output", &found, &y, 1e-6);
            assert_close("gradient", &back, &dx, 1e-6);
        }
    }
}

#[test]
fn odd_sizes_and_wrong_lengths_are_refused() {
    for shape in [[2, 3, 4, 5], [2, 4, 3, 5]] {
        let x = values(1, 120);
        assert!(matches!(pool::forward(shape, &x), Err(Error::Shape(_))));
        let back = pool::backward(shape, &x[..30]);
        assert!(matches!(back, Err(Error::Shape(_))));
    }
    let shape = [2, 2, 4, 5];
    let wrong = |r: Result<Buffer, Error>| assert!(matches!(r, Err(Error::Length { .. })));
    wrong(pool::forward(shape, &[0.0; 79]));
    wrong(pool::backward(shape, &[0.0; 80]));
    assert!(pool::forward([usize::MAX, 2, 2, 1], &[]).is_err());
}
