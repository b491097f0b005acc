//! What may follow a normalisation in the same pass.

use crate::level::mul_add;
use crate::sigmoid::{exp, sigmoid};

/// A function of each value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// `t`.
    #[default]
    None,
    /// `t sigmoid(t)`.
    Silu,
    /// `t` where that is positive, else `e^t - 1`.
    Elu,
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
        Activation::Silu => each::<FMA>(x, scale, shift, y, |t| t * sigmoid::<FMA>(t)),
        Activation::Elu => each::<FMA>(x, scale, shift, y, |t| {
            let below = power::<FMA>(t) - 1.0;
            if t > 0.0 { t } else { below }
        }),
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
        Activation::Silu => each_of::<FMA>(x, scale, shift, dy, d, |d, t| {
            let s = sigmoid::<FMA>(t);
            // (t s)' = s + t s (1 - s)
            d * s * mul_add::<FMA>(t, 1.0 - s, 1.0)
        }),
        Activation::Elu => each_of::<FMA>(x, scale, shift, dy, d, |d, t| {
            let below = power::<FMA>(t);
            d * if t > 0.0 { 1.0 } else { below }
        }),
    }
}

/// `e^t` of the part that is not positive.
#[inline(always)]
fn power<const FMA: bool>(t: f32) -> f32 {
    exp::<FMA>(t.clamp(-87.0, 0.0))
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
