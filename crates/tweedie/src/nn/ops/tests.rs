//! Both paths give the same values and gradients, on flex with and without gradients.

use std::cell::Cell;

use burn::tensor::{Device, Tensor, TensorData};

use super::{
    Convolution, Fused, Kept, LayerParameters, Normalisation, Padding, Pool, Window, activate,
    concat_all, flex as fast, generic, linear, normed_conv2d, pool,
};
use crate::nn::Precision;
use crate::nn::layers::Activation;
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
    kernel: [usize; 2],
    stride: usize,
    padding: Padding,
    shift: bool,
    residual: bool,
    permute: bool,
    then: Activation,
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (x, outputs) in [([3, 8, 8, 16], 24), ([2, 7, 6, 1], 32), ([1, 4, 4, 32], 1)] {
        for (kernel, stride, padding) in [
            ([3, 3], 1, [[1, 1], [1, 1]]),
            ([3, 3], 2, [[1, 1], [1, 1]]),
            ([3, 3], 2, [[0, 0], [1, 1]]),
            ([1, 1], 1, [[0, 0], [0, 0]]),
            ([1, 7], 1, [[0, 3], [0, 3]]),
            ([3, 1], 2, [[1, 0], [1, 0]]),
        ] {
            for (shift, permute) in [(false, false), (true, true)] {
                all.push(Case {
                    x,
                    outputs,
                    kernel,
                    stride,
                    padding,
                    shift,
                    residual: permute,
                    permute,
                    then: match permute {
                        true => Activation::None,
                        false => Activation::Relu,
                    },
                });
            }
        }
    }
    all
}

/// A convolution with nothing added but the bias.
fn operands(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: usize,
    padding: Padding,
) -> Convolution {
    Convolution {
        x,
        weight,
        bias,
        shift: None,
        residual: None,
        stride,
        padding,
        then: Activation::None,
        kept: Kept::default(),
    }
}

#[test]
fn convolutions_agree() {
    for tracked in [false, true] {
        let device = match tracked {
            true => Device::flex().autodiff(),
            false => Device::flex(),
        };
        for case in cases() {
            let [n, _, _, i] = case.x;
            let [k, l] = case.kernel;
            let x = random(case.x, &device);
            let weight = random([case.outputs, i, k, l], &device);
            let bias = random([case.outputs], &device);
            let shift = case.shift.then(|| random([n, case.outputs], &device));
            let given = operands(x, weight, bias, case.stride, case.padding);
            let size = generic::conv2d(given.clone()).dims();
            let given = Convolution {
                shift,
                residual: case.residual.then(|| random(size, &device)),
                then: case.then,
                ..given
            };
            let [(a, da), (b, db)] = [fast::conv2d, generic::conv2d].map(|conv2d| {
                let leaves = fresh(&given, tracked);
                let mut given = leaves.clone();
                if case.permute {
                    given.x = twisted(given.x);
                }
                let y = conv2d(given);
                if !tracked {
                    return (y, vec![]);
                }
                let loss = (y.clone() * cotangent(y.dims(), &device)).sum();
                let grads = loss.backward();
                let mut found = vec![
                    flat(leaves.x.grad(&grads).unwrap()),
                    flat(leaves.weight.grad(&grads).unwrap()),
                    flat(leaves.bias.grad(&grads).unwrap()),
                ];
                found.extend(leaves.shift.map(|s| flat(s.grad(&grads).unwrap())));
                found.extend(leaves.residual.map(|s| flat(s.grad(&grads).unwrap())));
                (y.inner(), found)
            });
            assert_close("output", a, b);
            assert_eq!(da.len(), db.len());
            for (k, (a, b)) in da.into_iter().zip(db).enumerate() {
                assert_close(&format!("gradient {k}"), a, b);
            }
        }
    }
}

#[test]
fn convolutions_of_normalised_images_agree() {
    let device = Device::flex().autodiff();
    for (size, outputs, residual) in [([3, 8, 8, 32], 24, false), ([2, 7, 6, 16], 16, true)] {
        let [n, h, w, c] = size;
        let weight = random([outputs, c, 3, 3], &device);
        let bias = random([outputs], &device);
        let given = operands(random(size, &device), weight, bias, 1, [[1; 2]; 2]);
        let given = Convolution {
            shift: Some(random([n, outputs], &device)),
            residual: residual.then(|| random([n, h, w, outputs], &device)),
            ..given
        };
        let [scale, shift] = [(); 2].map(|()| random([c], &device));
        let [(a, da), (b, db)] = [true, false].map(|fused| {
            let leaves = fresh(&given, true);
            let [scale, shift] = [&scale, &shift]
                .map(|x| Tensor::<1>::from_data(x.to_data(), &device).require_grad());
            let operands = leaves.clone();
            let y = if fused {
                let norm = Normalisation {
                    scale: scale.clone(),
                    shift: shift.clone(),
                    groups: 4,
                    epsilon: 1e-5,
                    then: Activation::Silu,
                };
                normed_conv2d(norm, operands)
            } else {
                let (x, then) = (operands.x, Fused::Silu);
                let x = generic::group_norm(x, scale.clone(), shift.clone(), 4, 1e-5, then);
                generic::conv2d(Convolution { x, ..operands })
            };
            let loss = (y.clone() * cotangent(y.dims(), &device)).sum();
            let grads = loss.backward();
            let mut found = vec![
                flat(leaves.x.grad(&grads).unwrap()),
                scale.grad(&grads).unwrap(),
                shift.grad(&grads).unwrap(),
                flat(leaves.weight.grad(&grads).unwrap()),
                flat(leaves.bias.grad(&grads).unwrap()),
                flat(leaves.shift.unwrap().grad(&grads).unwrap()),
            ];
            found.extend(leaves.residual.map(|r| flat(r.grad(&grads).unwrap())));
            (y.inner(), found)
        });
        assert_close("output", a, b);
        for (k, (a, b)) in da.into_iter().zip(db).enumerate() {
            assert_close(&format!("gradient {k}"), a, b);
        }
    }
}

/// The same values in new tensors, leaves of a graph of their own if `tracked`.
fn fresh(operands: &Convolution, tracked: bool) -> Convolution {
    fn leaf<const D: usize>(x: &Tensor<D>, tracked: bool) -> Tensor<D> {
        let x = Tensor::from_data(x.to_data(), &x.device());
        if tracked { x.require_grad() } else { x }
    }
    Convolution {
        x: leaf(&operands.x, tracked),
        weight: leaf(&operands.weight, tracked),
        bias: leaf(&operands.bias, tracked),
        shift: operands.shift.as_ref().map(|s| leaf(s, tracked)),
        residual: operands.residual.as_ref().map(|r| leaf(r, tracked)),
        ..operands.clone()
    }
}

#[test]
fn kept_weights_are_those_of_the_tensor_given() {
    let device = Device::flex();
    let (x, b) = (random([2, 8, 8, 16], &device), random([16], &device));
    let first = random([16, 16, 3, 3], &device);
    let given = operands(x, first.clone(), b, 1, [[1; 2]; 2]);
    let kept = Kept::default();
    let call = |weight: Tensor<4>, x: Tensor<4>| {
        let given = Convolution {
            x,
            weight,
            kept: kept.share(),
            ..given.clone()
        };
        assert_close("kept", fast::conv2d(given.clone()), generic::conv2d(given));
    };
    let x = || given.x.clone();
    call(first.clone(), x());
    call(first.clone(), x());
    // Other weights, then none in common: the memory may be the same again.
    for _ in 0..3 {
        call(random([16, 16, 3, 3], &device), x());
    }
    // Changed in place, if burn may.
    call(first.clone() * 2.0, x());
    call(first.mul_scalar(3.0), x());
    // Images so small that they take another kernel.
    let weight = random([16, 16, 3, 3], &device);
    call(weight.clone(), x());
    call(weight.clone(), random([2, 2, 2, 16], &device));
    call(weight, x());
}

/// A fixed output gradient for the backward pass: the same for both paths, and independent of
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
        for then in [Fused::None, Fused::Silu, Fused::Elu] {
            let x = random(dims, &device);
            let (w, b) = (random([dims[3]], &device), random([dims[3]], &device));
            let target = random(dims, &device);
            let results = [fast::group_norm, generic::group_norm].map(|group_norm| {
                let x = Tensor::<4>::from_data(x.to_data(), &device).require_grad();
                let w = Tensor::<1>::from_data(w.to_data(), &device).require_grad();
                let b = Tensor::<1>::from_data(b.to_data(), &device).require_grad();
                let y = group_norm(x.clone(), w.clone(), b.clone(), groups, 1e-5, then);
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
fn joined_channels_agree() {
    let device = Device::flex().autodiff();
    let (a, b) = (
        random([2, 3, 5, 7], &device).require_grad(),
        random([2, 3, 5, 2], &device).require_grad(),
    );
    let target = random([2, 3, 5, 9], &device);
    let [(y, dy), (z, dz)] = [fast::concat, generic::concat].map(|concat| {
        let y = concat(a.clone(), b.clone());
        let grads = (y.clone() - target.clone()).square().sum().backward();
        (
            y.inner(),
            [a.grad(&grads).unwrap(), b.grad(&grads).unwrap()],
        )
    });
    assert_close("output", y, z);
    for (dy, dz) in dy.into_iter().zip(dz) {
        assert_close("gradient", dy, dz);
    }
    let plain = Device::flex();
    let (a, b) = (permuted([2, 3, 5, 7], &plain), random([2, 3, 5, 1], &plain));
    let expected = generic::concat(a.clone(), b.clone());
    assert_close("plain", fast::concat(a.clone(), b.clone()), expected);
    let half = [a, b].map(|x| fast::stored_in(x, Precision::Bf16));
    let [a, b] = half.clone().map(|x| fast::stored_in(x, Precision::F32));
    let [x, y] = half;
    let joined = fast::stored_in(fast::concat(x, y), Precision::F32);
    assert_close("bf16", joined, generic::concat(a, b));
}

#[test]
fn channels_move_alike() {
    let device = Device::flex().autodiff();
    let x = random([2, 3, 5, 7], &device).require_grad();
    type Move = fn(Tensor<4>) -> Tensor<4>;
    let pairs: [[Move; 2]; 2] = [
        [fast::channels_last, generic::channels_last],
        [fast::channels_first, generic::channels_first],
    ];
    for pair in pairs {
        let [(a, da), (b, db)] = pair.map(|moved| {
            let y = moved(x.clone());
            let loss = (y.clone() * cotangent(y.dims(), &device)).sum();
            (y.inner(), x.grad(&loss.backward()).unwrap())
        });
        assert_close("output", a, b);
        assert_close("gradient", da, db);
    }
}

#[test]
fn instance_normalisations_agree() {
    let device = Device::flex().autodiff();
    for (dims, rows) in [
        ([3, 8, 8, 32], 1),
        ([3, 8, 8, 32], 3),
        ([2, 5, 3, 6], 2),
        ([1, 4, 4, 2], 1),
    ] {
        for then in [Fused::None, Fused::Silu, Fused::Elu] {
            let x = random(dims, &device);
            let parameters = [(); 3].map(|()| random([rows, dims[3]], &device));
            let target = random(dims, &device);
            let results = [fast::instance_norm_pp, generic::instance_norm_pp].map(|norm| {
                let x = Tensor::<4>::from_data(x.to_data(), &device).require_grad();
                let parameters = parameters
                    .each_ref()
                    .map(|p| Tensor::<2>::from_data(p.to_data(), &device).require_grad());
                let y = norm(x.clone(), parameters.clone(), 1e-5, then);
                let grads = (y.clone() - target.clone()).square().sum().backward();
                let mut found = vec![flat(x.grad(&grads).unwrap())];
                found.extend(parameters.map(|p| flat(p.grad(&grads).unwrap())));
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
fn attentions_agree() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        for (dims, heads) in [([3, 16, 32], 1), ([2, 49, 24], 3), ([1, 70, 8], 8)] {
            let inputs = [(); 3].map(|()| random(dims, &device));
            let target = random(dims, &device);
            let results = [fast::attention, generic::attention].map(|attention| {
                let inputs = inputs
                    .each_ref()
                    .map(|x| Tensor::<3>::from_data(x.to_data(), &device));
                if !device.is_autodiff() {
                    let [q, k, v] = inputs;
                    // Laid out otherwise: as it comes from a tensor of channels first.
                    let q = q.swap_dims(1, 2).reshape(dims);
                    return (attention(q, k, v, heads), vec![]);
                }
                let [q, k, v] = inputs.map(Tensor::require_grad);
                let y = attention(q.clone(), k.clone(), v.clone(), heads);
                let grads = (y.clone() - target.clone()).square().sum().backward();
                let found = [q, k, v].map(|x| x.grad(&grads).unwrap());
                (y.inner(), found.to_vec())
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
fn poolings_agree() {
    let device = Device::flex().autodiff();
    let x = random([2, 4, 6, 7], &device).require_grad();
    let target = random([2, 2, 3, 7], &device);
    let [(a, da), (b, db)] = [fast::avg_pool_2x, generic::avg_pool_2x].map(|pool| {
        let y = pool(x.clone());
        let grads = (y.clone() - target.clone()).square().sum().backward();
        (y.inner(), x.grad(&grads).unwrap())
    });
    assert_close("output", a, b);
    assert_close("gradient", da, db);
    let plain = Device::flex();
    let x = permuted([2, 4, 6, 7], &plain);
    assert_close(
        "plain",
        fast::avg_pool_2x(x.clone()),
        generic::avg_pool_2x(x),
    );
}

#[test]
#[should_panic(expected = "even height and width")]
fn odd_images_are_not_pooled() {
    fast::avg_pool_2x(random([2, 5, 4, 3], &Device::flex()));
}

#[test]
fn elu_of_large_values_has_a_gradient() {
    let device = Device::flex().autodiff();
    let x = Tensor::<1>::from_data([-200.0, -1.0, 0.0, 2.0, 200.0], &device).require_grad();
    let y = activate(x.clone(), Activation::Elu);
    let gradient = x.grad(&y.clone().sum().backward()).unwrap();
    let below = (-1.0f32).exp();
    let values = |t: Tensor<1>| t.into_data().try_into_vec::<f32>().unwrap();
    for (found, expected) in [
        (values(y.inner()), [-1.0, below - 1.0, 0.0, 2.0, 200.0]),
        (values(gradient), [0.0, below, 1.0, 1.0, 1.0]),
    ] {
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{a} and {b}");
        }
    }
}

#[test]
fn perceptrons_agree() {
    let activations = [
        Activation::None,
        Activation::Relu,
        Activation::LeakyRelu,
        Activation::Silu,
        Activation::Elu,
    ];
    // Every number of layers in one operation, and more than fit into one.
    let mut cases: Vec<Vec<usize>> = (1..=19).map(|layers| vec![5; layers + 1]).collect();
    cases.extend([vec![2, 64, 1], vec![3, 40, 50, 2], vec![40, 70]]);
    for (widths, activation) in cases.into_iter().zip(activations.into_iter().cycle()) {
        for plain in [true, false] {
            let device = if plain {
                Device::flex()
            } else {
                Device::flex().autodiff()
            };
            let x: Tensor<2> = random([33, widths[0]], &device);
            let parameters: Vec<LayerParameters> = widths
                .windows(2)
                .map(|w| {
                    let weight = random([w[1], w[0]], &device);
                    (weight / (w[0] as f64).sqrt(), random([w[1]], &device))
                })
                .collect();
            let [(a, da), (b, db)] = [fast::mlp, generic::mlp].map(|mlp| {
                if plain {
                    return (mlp(x.clone(), parameters.clone(), activation), vec![]);
                }
                let fresh =
                    |t: &Tensor<2>| Tensor::<2>::from_data(t.to_data(), &device).require_grad();
                let given = fresh(&x);
                let layers: Vec<LayerParameters> = parameters
                    .iter()
                    .map(|(w, b)| (fresh(w), b.clone().detach().require_grad()))
                    .collect();
                let y = mlp(given.clone(), layers.clone(), activation);
                let target: Tensor<2> = Tensor::ones(y.dims(), &device) * 0.5;
                let grads = ((y.clone() - target) * 0.3).sum().backward();
                let mut found = vec![flat(given.grad(&grads).unwrap())];
                for (w, b) in layers {
                    found.push(flat(w.grad(&grads).unwrap()));
                    found.push(b.grad(&grads).unwrap());
                }
                (y.inner(), found)
            });
            assert_close(&format!("{widths:?} {activation:?}"), a, b);
            assert_eq!(da.len(), db.len());
            for (k, (a, b)) in da.into_iter().zip(db).enumerate() {
                assert_close(&format!("{widths:?} {activation:?} gradient {k}"), a, b);
            }
        }
    }
}

#[test]
fn linear_layers_take_any_rank_and_give_gradients_to_what_is_tracked() {
    let device = Device::flex().autodiff();
    let x: Tensor<3> = random([2, 7, 12], &device);
    let weight: Tensor<2> = random([9, 12], &device).require_grad();
    let bias: Tensor<1> = random([9], &device);
    let y = linear(x.clone(), weight.clone(), bias.clone());
    let flat_x = x.clone().reshape([14, 12]);
    let layer = vec![(weight.clone(), bias.clone())];
    let expected = generic::mlp(flat_x, layer, Activation::None).reshape([2, 7, 9]);
    let grads = y.clone().sum().backward();
    let other = expected.clone().sum().backward();
    assert_close("output", y.inner(), expected.inner());
    let (a, b) = (weight.grad(&grads).unwrap(), weight.grad(&other).unwrap());
    assert_close("weight", a, b);
    assert!(x.grad(&grads).is_none() && bias.grad(&grads).is_none());
    // Laid out otherwise.
    let x: Tensor<3> = random([2, 12, 7], &device).swap_dims(1, 2);
    let y = linear(x.clone(), weight.clone(), bias.clone());
    let layer = vec![(weight, bias)];
    let expected = generic::mlp(x.reshape([14, 12]), layer, Activation::None);
    assert_close("permuted", y.inner(), expected.inner().reshape([2, 7, 9]));
}

#[test]
fn losses_of_rows_agree() {
    let device = Device::flex().autodiff();
    for dims in [[40, 1], [9, 50], [3, 2]] {
        let f: Tensor<2> = random(dims, &device);
        let gain: Tensor<1> = random([dims[0]], &device);
        let offset: Tensor<2> = random(dims, &device);
        let [(a, da), (b, db)] = [fast::half_squares, generic::half_squares].map(|losses| {
            let f = f.clone().detach().require_grad();
            let each = losses(f.clone(), gain.clone(), offset.clone());
            let grads = each.clone().mean().backward();
            (each.inner(), f.grad(&grads).unwrap())
        });
        assert_close("losses", a, b);
        assert_close("gradient", da, db);
    }
}

#[test]
fn pooled_windows_and_joined_channels_agree() {
    for tracked in [false, true] {
        let device = match tracked {
            true => Device::flex().autodiff(),
            false => Device::flex(),
        };
        for (kernel, stride, padding) in [(3, 1, 1), (3, 2, 0), (2, 2, 1)] {
            let window = Window {
                kernel,
                stride,
                padding,
            };
            for of in [Pool::Max, Pool::Mean] {
                let x = permuted([2, 9, 7, 5], &device);
                let a = pool(x.clone(), of, window);
                let b = generic::pool(x, of, window);
                assert_close(&format!("{of:?} {window:?}"), a, b);
            }
        }
        let parts: Vec<Tensor<4>> = [3, 1, 8, 2]
            .map(|width| permuted([2, 4, 3, width], &device))
            .into();
        let joined = concat_all(parts.clone());
        assert_close("joined", joined, generic::concat_all(parts));
    }
    // With gradients where there is something to be tracked.
    let device = Device::flex().autodiff();
    let x = random([1, 5, 5, 2], &device).require_grad();
    let window = Window {
        kernel: 3,
        stride: 1,
        padding: 1,
    };
    let y = concat_all(vec![x.clone(), pool(x.clone(), Pool::Mean, window)]);
    // Each pixel gives itself away once, and means of all pixels, in all, once more.
    let total = x
        .grad(&y.sum().backward())
        .unwrap()
        .sum()
        .into_scalar::<f32>();
    assert!((total - 100.0).abs() < 1e-3, "{total}");
}

#[test]
fn only_what_is_tracked_gets_a_gradient() {
    let device = Device::flex().autodiff();
    let x = random([2, 6, 6, 4], &device);
    let w = random([8, 4, 3, 3], &device).require_grad();
    let b = random([8], &device);
    let padding = [[1, 1], [1, 1]];
    let given = operands(x.clone(), w.clone(), b.clone(), 1, padding);
    let y = fast::conv2d(given.clone());
    let expected = generic::conv2d(given);
    let grads = y.square().sum().backward();
    let other = expected.square().sum().backward();
    assert_close("weight", w.grad(&grads).unwrap(), w.grad(&other).unwrap());
    assert!(x.grad(&grads).is_none());
    assert!(b.grad(&grads).is_none());
    // Nothing tracked at all.
    let y = fast::conv2d(operands(x.clone(), w.detach(), b, 1, padding));
    let y = fast::group_norm(
        y,
        random([8], &device),
        random([8], &device),
        2,
        1e-5,
        Fused::Silu,
    );
    assert_eq!(fast::upsample_2x(y).dims(), [2, 12, 12, 8]);
}

#[test]
fn data_on_a_plain_device_meets_tracked_weights() {
    let (plain, device) = (Device::flex(), Device::flex().autodiff());
    let x = random([2, 6, 6, 4], &plain);
    let w = random([8, 4, 3, 3], &device).require_grad();
    let b = random([8], &device).require_grad();
    let y = fast::conv2d(operands(x, w.clone(), b.clone(), 1, [[1, 1], [1, 1]]));
    let grads = y.sum().backward();
    assert!(w.grad(&grads).is_some() && b.grad(&grads).is_some());
}

#[test]
fn a_sliced_tensor_is_read_at_its_place() {
    let device = Device::flex();
    let x = random([5, 6, 6, 4], &device);
    let (w, b) = (random([8, 4, 3, 3], &device), random([8], &device));
    let all = fast::conv2d(operands(
        x.clone(),
        w.clone(),
        b.clone(),
        2,
        [[0, 0], [1, 1]],
    ));
    let some = fast::conv2d(operands(x.narrow(0, 2, 2), w, b, 2, [[0, 0], [1, 1]]));
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
    fast::conv2d(operands(x, w, random([7], &device), 1, [[1, 1], [1, 1]]));
}
