//! Both paths give the same values and gradients, on flex with and without gradients.

use std::cell::Cell;

use burn::tensor::{Device, Tensor, TensorData};

use super::{flex as fast, generic};
use crate::random::{NoiseSource, Stream};

thread_local! {
    /// How many tensors a test has drawn: each test has its own thread, so the draws are fixed.
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

fn random<const D: usize>(dims: [usize; D], device: &Device) -> Tensor<D> {
    let number = DRAWN.replace(DRAWN.get() + 1);
    let mut values = vec![0.0_f32; dims.iter().product()];
    NoiseSource::new(0, Stream::Evaluation).fill_normal(number, 0, &mut values);
    Tensor::from_data(TensorData::new(values, dims), device)
}

#[track_caller]
fn assert_close<const D: usize>(what: &str, a: Tensor<D>, b: Tensor<D>) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let values = |t: Tensor<D>| t.into_data().try_into_vec::<f32>().unwrap();
    let (a, b) = (values(a), values(b));
    let scale = b.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        assert!((a - b).abs() <= 1e-5 * scale, "{what}[{i}]: {a} and {b}");
    }
}

/// Channels last by a permutation: the values lie in another order.
fn permuted(dims: [usize; 4], device: &Device) -> Tensor<4> {
    let [n, h, w, c] = dims;
    random([n, c, h, w], device).permute([0, 2, 3, 1])
}

struct Case {
    x: [usize; 4],
    outputs: usize,
    kernel: usize,
    stride: usize,
    padding: fast::Padding,
    shift: bool,
    permute: bool,
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (x, outputs) in [([3, 8, 8, 16], 24), ([2, 7, 6, 1], 32), ([1, 4, 4, 32], 1)] {
        for (kernel, stride, padding) in [
            (3, 1, [[1, 1], [1, 1]]),
            (3, 2, [[1, 1], [1, 1]]),
            (3, 2, [[0, 0], [1, 1]]),
            (1, 1, [[0, 0], [0, 0]]),
        ] {
            for (shift, permute) in [(false, false), (true, true)] {
                all.push(Case {
                    x,
                    outputs,
                    kernel,
                    stride,
                    padding,
                    shift,
                    permute,
                });
            }
        }
    }
    all
}

#[test]
fn convolutions_agree() {
    for plain in [true, false] {
        let device = if plain {
            Device::flex()
        } else {
            Device::flex().autodiff()
        };
        for case in cases() {
            let [n, _, _, i] = case.x;
            let k = case.kernel;
            let x = if case.permute {
                permuted(case.x, &device)
            } else {
                random(case.x, &device)
            };
            let weight = random([case.outputs, i, k, k], &device);
            let bias = random([case.outputs], &device);
            let shift = case.shift.then(|| random([n, case.outputs], &device));
            let results = [fast::conv2d, generic::conv2d].map(|conv2d| {
                let x = Tensor::from_data(x.to_data(), &device);
                let fresh = |t: &Tensor<1>| Tensor::<1>::from_data(t.to_data(), &device);
                let weight = Tensor::<4>::from_data(weight.to_data(), &device);
                let (bias, shift) = (fresh(&bias), shift.clone());
                let shift = shift.map(|s| Tensor::<2>::from_data(s.to_data(), &device));
                if plain {
                    let x = if case.permute { twisted(x) } else { x };
                    return (
                        conv2d(x, weight, bias, shift, case.stride, case.padding),
                        vec![],
                    );
                }
                let (x, weight, bias) =
                    (x.require_grad(), weight.require_grad(), bias.require_grad());
                let shift = shift.map(Tensor::require_grad);
                let given = if case.permute {
                    twisted(x.clone())
                } else {
                    x.clone()
                };
                let y = conv2d(
                    given,
                    weight.clone(),
                    bias.clone(),
                    shift.clone(),
                    case.stride,
                    case.padding,
                );
                let loss = (y.clone() * cotangent(y.dims(), &device)).sum();
                let grads = loss.backward();
                let mut found = vec![
                    flat(x.grad(&grads).unwrap()),
                    flat(weight.grad(&grads).unwrap()),
                    flat(bias.grad(&grads).unwrap()),
                ];
                found.extend(shift.map(|s| flat(s.grad(&grads).unwrap())));
                (y.inner(), found)
            });
            let [(a, da), (b, db)] = results;
            assert_close("output", a, b);
            assert_eq!(da.len(), db.len());
            for (k, (a, b)) in da.into_iter().zip(db).enumerate() {
                assert_close(&format!("gradient {k}"), a, b);
            }
        }
    }
}

/// A fixed direction to pull gradients back from: the same for both paths, and independent of
/// their rounding.
fn cotangent(dims: [usize; 4], device: &Device) -> Tensor<4> {
    let mut values = vec![0.0_f32; dims.iter().product()];
    NoiseSource::new(1, Stream::Evaluation).fill_normal(0, 0, &mut values);
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// The same values, laid out otherwise.
fn twisted(x: Tensor<4>) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    x.reshape([n, h * w, c, 1])
        .swap_dims(1, 2)
        .reshape([n, c, h, w])
        .permute([0, 2, 3, 1])
}

fn flat<const D: usize>(t: Tensor<D>) -> Tensor<1> {
    let n: usize = t.dims().iter().product();
    t.reshape([n])
}

#[test]
fn normalisations_agree() {
    let device = Device::flex().autodiff();
    for (dims, groups) in [([3, 8, 8, 32], 8), ([2, 5, 3, 6], 3), ([1, 4, 4, 64], 64)] {
        for silu in [false, true] {
            let x = random(dims, &device);
            let (w, b) = (random([dims[3]], &device), random([dims[3]], &device));
            let target = random(dims, &device);
            let results = [fast::group_norm, generic::group_norm].map(|group_norm| {
                let x = Tensor::<4>::from_data(x.to_data(), &device).require_grad();
                let w = Tensor::<1>::from_data(w.to_data(), &device).require_grad();
                let b = Tensor::<1>::from_data(b.to_data(), &device).require_grad();
                let y = group_norm(x.clone(), w.clone(), b.clone(), groups, 1e-5, silu);
                let grads = (y.clone() - target.clone()).square().sum().backward();
                let found = [
                    flat(x.grad(&grads).unwrap()),
                    w.grad(&grads).unwrap(),
                    b.grad(&grads).unwrap(),
                ];
                (y.inner(), found)
            });
            let [(a, da), (b, db)] = results;
            assert_close("output", a, b);
            for (a, b) in da.into_iter().zip(db) {
                assert_close("gradient", a, b);
            }
        }
    }
}

#[test]
fn upsamplings_agree() {
    let device = Device::flex().autodiff();
    let x = random([2, 3, 5, 7], &device).require_grad();
    let target = random([2, 6, 10, 7], &device);
    let [(a, da), (b, db)] = [fast::upsample_2x, generic::upsample_2x].map(|upsample| {
        let y = upsample(x.clone());
        let grads = (y.clone() - target.clone()).square().sum().backward();
        (y.inner(), x.grad(&grads).unwrap())
    });
    assert_close("output", a, b);
    assert_close("gradient", da, db);
    let plain = Device::flex();
    let x = permuted([2, 3, 5, 7], &plain);
    assert_close(
        "plain",
        fast::upsample_2x(x.clone()),
        generic::upsample_2x(x),
    );
}

#[test]
fn only_what_is_tracked_gets_a_gradient() {
    let device = Device::flex().autodiff();
    let x = random([2, 6, 6, 4], &device);
    let w = random([8, 4, 3, 3], &device).require_grad();
    let b = random([8], &device);
    let padding = [[1, 1], [1, 1]];
    let y = fast::conv2d(x.clone(), w.clone(), b.clone(), None, 1, padding);
    let expected = generic::conv2d(x.clone(), w.clone(), b.clone(), None, 1, padding);
    let grads = y.square().sum().backward();
    let other = expected.square().sum().backward();
    assert_close("weight", w.grad(&grads).unwrap(), w.grad(&other).unwrap());
    assert!(x.grad(&grads).is_none());
    assert!(b.grad(&grads).is_none());
    // Nothing tracked at all.
    let y = fast::conv2d(x.clone(), w.detach(), b, None, 1, padding);
    let y = fast::group_norm(y, random([8], &device), random([8], &device), 2, 1e-5, true);
    assert_eq!(fast::upsample_2x(y).dims(), [2, 12, 12, 8]);
}

#[test]
fn data_on_a_plain_device_meets_tracked_weights() {
    let (plain, device) = (Device::flex(), Device::flex().autodiff());
    let x = random([2, 6, 6, 4], &plain);
    let w = random([8, 4, 3, 3], &device).require_grad();
    let b = random([8], &device).require_grad();
    let y = fast::conv2d(x, w.clone(), b.clone(), None, 1, [[1, 1], [1, 1]]);
    let grads = y.sum().backward();
    assert!(w.grad(&grads).is_some() && b.grad(&grads).is_some());
}

#[test]
fn a_sliced_tensor_is_read_at_its_place() {
    let device = Device::flex();
    let x = random([5, 6, 6, 4], &device);
    let (w, b) = (random([8, 4, 3, 3], &device), random([8], &device));
    let all = fast::conv2d(x.clone(), w.clone(), b.clone(), None, 2, [[0, 0], [1, 1]]);
    let some = fast::conv2d(x.narrow(0, 2, 2), w, b, None, 2, [[0, 0], [1, 1]]);
    assert_close("slice", some, all.narrow(0, 2, 2));
}

#[test]
fn both_flex_devices_are_recognised() {
    assert!(fast::is_flex(&Device::flex()));
    assert!(fast::is_flex(&Device::flex().autodiff()));
}

#[test]
#[should_panic(expected = "bias has 7 values")]
fn shapes_that_do_not_fit_panic() {
    let device = Device::flex();
    let (x, w) = (random([2, 6, 6, 4], &device), random([8, 4, 3, 3], &device));
    fast::conv2d(x, w, random([7], &device), None, 1, [[1, 1], [1, 1]]);
}
