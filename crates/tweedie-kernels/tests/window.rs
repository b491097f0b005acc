//! Pooling over windows against its definition.

mod common;

use common::{assert_close, assert_same, values, with_threads};
use tweedie_kernels::window::{Windows, max_pool, mean_pool};
use tweedie_kernels::{Buffer, Error, InstructionSet};

fn all() -> Vec<Windows> {
    let mut all = Vec::new();
    for (images, size, channels) in [
        (1, [3, 3], 1),
        (2, [7, 5], 17),
        (3, [8, 8], 40),
        (0, [4, 4], 3),
        (2, [4, 4], 0),
    ] {
        for (kernel, stride, padding) in [(3, 1, 1), (3, 2, 0), (2, 3, 1), (3, 2, 1), (1, 1, 0)] {
            all.push(Windows {
                images,
                size,
                channels,
                kernel,
                stride,
                padding,
            });
        }
    }
    all
}

/// The greatest value and the mean of every window.
fn reference(s: &Windows, x: &[f32]) -> [Vec<f64>; 2] {
    let [h, w] = s.size;
    let [oh, ow] = s.output_size().unwrap();
    let mut found = [vec![], vec![]];
    for n in 0..s.images {
        for p in 0..oh * ow {
            for c in 0..s.channels {
                let (mut greatest, mut sum, mut count) = (f64::NEG_INFINITY, 0.0, 0.0);
                for k in 0..s.kernel * s.kernel {
                    let i = (p / ow * s.stride + k / s.kernel).wrapping_sub(s.padding);
                    let j = (p % ow * s.stride + k % s.kernel).wrapping_sub(s.padding);
                    if i < h && j < w {
                        let value = f64::from(x[((n * h + i) * w + j) * s.channels + c]);
                        (greatest, sum, count) = (greatest.max(value), sum + value, count + 1.0);
                    }
                }
                found[0].push(greatest);
                found[1].push(sum / count);
            }
        }
    }
    found
}

#[test]
fn both_agree_with_the_definition_at_every_level() {
    for s in all() {
        let x = values(1, s.images * s.size[0] * s.size[1] * s.channels);
        let [greatest, mean] = reference(&s, &x);
        for &isa in InstructionSet::available() {
            let of = |threads| {
                with_threads(threads, || {
                    (
                        max_pool(isa, &s, &x).unwrap(),
                        mean_pool(isa, &s, &x).unwrap(),
                    )
                })
            };
            let (a, b) = of(1);
            assert_close(&format!("max {s:?}"), &a, &greatest, 1e-7);
            assert_close(&format!("mean {s:?}"), &b, &mean, 1e-6);
            let (c, d) = of(3);
            assert_same("max", &a, &c);
            assert_same("mean", &b, &d);
        }
    }
}

#[test]
fn what_is_not_a_number_is_not_lost() {
    let s = Windows {
        images: 1,
        size: [3, 3],
        channels: 1,
        kernel: 3,
        stride: 1,
        padding: 0,
    };
    for at in 0..9 {
        let mut x = values(1, 9);
        x[at] = f32::NAN;
        for &isa in InstructionSet::available() {
            assert!(max_pool(isa, &s, &x).unwrap()[0].is_nan());
            assert!(mean_pool(isa, &s, &x).unwrap()[0].is_nan());
        }
    }
}

#[test]
fn wrong_windows_and_lengths_are_refused() {
    let isa = InstructionSet::best();
    let s = Windows {
        images: 2,
        size: [4, 5],
        channels: 3,
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    let x = values(1, 120);
    let length = |r: Result<Buffer, Error>| assert!(matches!(r, Err(Error::Length { .. })));
    length(max_pool(isa, &s, &x[1..]));
    length(mean_pool(isa, &s, &x[1..]));
    for wrong in [
        Windows { kernel: 0, ..s },
        Windows { stride: 0, ..s },
        Windows { padding: 2, ..s },
        Windows { size: [0, 5], ..s },
        Windows {
            size: [usize::MAX, 5],
            ..s
        },
    ] {
        assert!(
            matches!(max_pool(isa, &wrong, &x), Err(Error::Shape(_))),
            "{wrong:?}"
        );
    }
}
