//! Activation functions: of single values, of several at once, and in the same pass as a scaling.

use crate::instruction_set::mul_add;
use crate::sigmoid::{exp, sigmoid};

/// A function of each value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// `t`.
    #[default]
    None,
    /// `max(t, 0)`.
    Relu,
    /// `max(t, 0.01 t)`.
    LeakyRelu,
    /// `t sigmoid(t)`.
    Silu,
    /// `t` where that is positive, else `e^t - 1`.
    Elu,
}

/// LeakyReLU's slope below 0.
const LEAK: f32 = 0.01;

impl Activation {
    /// Of several values: the choice of function stays out of the loop over them.
    #[inline(always)]
    pub(crate) fn values<const N: usize, const FMA: bool>(self, t: [f32; N]) -> [f32; N] {
        match self {
            Self::None => t,
            Self::Relu => t.map(relu),
            Self::LeakyRelu => t.map(leaky_relu),
            Self::Silu => t.map(silu::<FMA>),
            Self::Elu => t.map(elu::<FMA>),
        }
    }

    /// `d f'(t)` of several values; the derivative at a kink is the one below it, as PyTorch has
    /// it.
    #[inline(always)]
    pub(crate) fn back<const N: usize, const FMA: bool>(
        self,
        t: [f32; N],
        d: [f32; N],
    ) -> [f32; N] {
        let each = |f: fn(f32, f32) -> f32| -> [f32; N] { std::array::from_fn(|i| f(t[i], d[i])) };
        match self {
            Self::None => d,
            Self::Relu => each(relu_back),
            Self::LeakyRelu => each(leaky_relu_back),
            Self::Silu => each(silu_back::<FMA>),
            Self::Elu => each(elu_back::<FMA>),
        }
    }
}

// NaN stays NaN under every function.

#[inline(always)]
fn relu(t: f32) -> f32 {
    if t < 0.0 { 0.0 } else { t }
}

#[inline(always)]
fn relu_back(t: f32, d: f32) -> f32 {
    if t > 0.0 { d } else { 0.0 }
}

#[inline(always)]
fn leaky_relu(t: f32) -> f32 {
    if t < 0.0 { LEAK * t } else { t }
}

#[inline(always)]
fn leaky_relu_back(t: f32, d: f32) -> f32 {
    if t > 0.0 { d } else { LEAK * d }
}

#[inline(always)]
fn silu<const FMA: bool>(t: f32) -> f32 {
    t * sigmoid::<FMA>(t)
}

#[inline(always)]
fn silu_back<const FMA: bool>(t: f32, d: f32) -> f32 {
    let s = sigmoid::<FMA>(t);
    // (t s)' = s + t s (1 - s)
    d * s * mul_add::<FMA>(t, 1.0 - s, 1.0)
}

#[inline(always)]
fn elu<const FMA: bool>(t: f32) -> f32 {
    let below = power::<FMA>(t) - 1.0;
    if t > 0.0 { t } else { below }
}

#[inline(always)]
fn elu_back<const FMA: bool>(t: f32, d: f32) -> f32 {
    let below = power::<FMA>(t);
    d * if t > 0.0 { 1.0 } else { below }
}

/// `e^t` where `t` is negative, 1 elsewhere.
#[inline(always)]
fn power<const FMA: bool>(t: f32) -> f32 {
    exp::<FMA>(t.clamp(-87.0, 0.0))
}

/// `y = f(x scale + shift)`, both repeated along `x`.
#[inline(always)]
pub(crate) fn forward<const FMA: bool>(
    f: Activation,
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    y: &mut [f32],
) {
    match f {
        Activation::None => each::<FMA>(x, scale, shift, y, |t| t),
        Activation::Relu => each::<FMA>(x, scale, shift, y, relu),
        Activation::LeakyRelu => each::<FMA>(x, scale, shift, y, leaky_relu),
        Activation::Silu => each::<FMA>(x, scale, shift, y, silu::<FMA>),
        Activation::Elu => each::<FMA>(x, scale, shift, y, elu::<FMA>),
    }
}

/// `d = dy f'(x scale + shift)`.
#[inline(always)]
pub(crate) fn backward<const FMA: bool>(
    f: Activation,
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    dy: &[f32],
    d: &mut [f32],
) {
    match f {
        Activation::None => d.copy_from_slice(dy),
        Activation::Relu => each_of::<FMA>(x, scale, shift, dy, d, |d, t| relu_back(t, d)),
        Activation::LeakyRelu => {
            each_of::<FMA>(x, scale, shift, dy, d, |d, t| leaky_relu_back(t, d))
        }
        Activation::Silu => each_of::<FMA>(x, scale, shift, dy, d, |d, t| silu_back::<FMA>(t, d)),
        Activation::Elu => each_of::<FMA>(x, scale, shift, dy, d, |d, t| elu_back::<FMA>(t, d)),
    }
}

#[inline(always)]
fn each<const FMA: bool>(
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    y: &mut [f32],
    f: impl Fn(f32) -> f32,
) {
    let row = scale.len();
    for (y, x) in y.chunks_mut(row).zip(x.chunks(row)) {
        for (((y, &x), &a), &b) in y.iter_mut().zip(x).zip(scale).zip(shift) {
            *y = f(mul_add::<FMA>(x, a, b));
        }
    }
}

#[inline(always)]
fn each_of<const FMA: bool>(
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    dy: &[f32],
    d: &mut [f32],
    f: impl Fn(f32, f32) -> f32,
) {
    let row = scale.len();
    for ((d, x), dy) in d.chunks_mut(row).zip(x.chunks(row)).zip(dy.chunks(row)) {
        let values = d.iter_mut().zip(x).zip(dy).zip(scale).zip(shift);
        for ((((d, &x), &dy), &a), &b) in values {
            *d = f(dy, mul_add::<FMA>(x, a, b));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_and_kinks_are_right() {
        for f in [
            Activation::None,
            Activation::Relu,
            Activation::LeakyRelu,
            Activation::Silu,
            Activation::Elu,
        ] {
            let [nan, far] = f.values::<2, false>([f32::NAN, f32::INFINITY]);
            assert!(nan.is_nan() && far == f32::INFINITY, "{f:?}");
        }
        assert_eq!(Activation::Elu.values::<1, false>([-1e9]), [-1.0]);
        assert_eq!(Activation::Relu.back::<1, false>([0.0], [2.0]), [0.0]);
        assert_eq!(
            Activation::LeakyRelu.back::<1, false>([0.0], [2.0]),
            [2.0 * LEAK]
        );
    }
}
