//! The one-dimensional transforms, on a vector of channels; in two dimensions they are applied
//! to the columns and then to the rows.
//!
//! With `a = 5/8`, `b = 3/2`, all constants but those of `G` are exact in `f32`.

use super::{IN, OUT};
use crate::simd::Simd;

const A: f32 = 0.625;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;

/// A transform of `M` values into `N`. A type and not a closure: closures are compiled without
/// the instructions of the function around them.
pub(super) trait Transform<const M: usize, const N: usize> {
    fn of<S: Simd>(s: S, values: [S::V; M]) -> [S::V; N];
}

/// Applies a transform to the columns, then to the rows, of a square of values.
#[inline(always)]
pub(super) fn both<T: Transform<M, N>, S: Simd, const M: usize, const N: usize>(
    s: S,
    values: [[S::V; M]; M],
) -> [[S::V; N]; N] {
    let mut half = [[s.splat(0.0); M]; N];
    for v in 0..M {
        let mut column = [s.splat(0.0); M];
        for u in 0..M {
            column[u] = values[u][v];
        }
        let column = T::of(s, column);
        for u in 0..N {
            half[u][v] = column[u];
        }
    }
    let mut out = [[s.splat(0.0); N]; N];
    for u in 0..N {
        out[u] = T::of(s, half[u]);
    }
    out
}

/// `scale x + y`.
#[inline(always)]
fn axpy<S: Simd>(s: S, scale: f32, x: S::V, y: S::V) -> S::V {
    s.mul_add(s.splat(scale), x, y)
}

/// `scale x`.
#[inline(always)]
fn scaled<S: Simd>(s: S, scale: f32, x: S::V) -> S::V {
    s.mul(s.splat(scale), x)
}

/// Values at 0, at +-a and +-b from their even and odd parts, and at infinity.
#[inline(always)]
fn points<S: Simd>(s: S, zero: S::V, a: [S::V; 2], b: [S::V; 2], infinity: S::V) -> [S::V; IN] {
    [
        zero,
        s.add(a[0], a[1]),
        s.sub(a[0], a[1]),
        s.add(b[0], b[1]),
        s.sub(b[0], b[1]),
        infinity,
    ]
}

/// `B^T d`: the input's transform. Row `k` holds the coefficients of the product of
/// `(x - p)` over all finite points `p` but the k-th.
pub(super) struct Input;

impl Transform<IN, IN> for Input {
    #[inline(always)]
    fn of<S: Simd>(s: S, d: [S::V; IN]) -> [S::V; IN] {
        let a = [
            axpy(s, -B2, d[2], d[4]),
            scaled(s, A, axpy(s, -B2, d[1], d[3])),
        ];
        let b = [
            axpy(s, -A2, d[2], d[4]),
            scaled(s, B, axpy(s, -A2, d[1], d[3])),
        ];
        let zero = axpy(s, A2 * B2, d[0], axpy(s, -(A2 + B2), d[2], d[4]));
        let infinity = axpy(s, A2 * B2, d[1], axpy(s, -(A2 + B2), d[3], d[5]));
        points(s, zero, a, b, infinity)
    }
}

/// `A^T m`: the output's transform.
pub(super) struct Output;

impl Transform<IN, OUT> for Output {
    #[inline(always)]
    fn of<S: Simd>(s: S, m: [S::V; IN]) -> [S::V; OUT] {
        let (even_a, odd_a) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
        let (even_b, odd_b) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
        [
            s.add(m[0], s.add(even_a, even_b)),
            axpy(s, A, odd_a, scaled(s, B, odd_b)),
            axpy(s, A2, even_a, scaled(s, B2, even_b)),
            axpy(s, A * A2, odd_a, axpy(s, B * B2, odd_b, m[5])),
        ]
    }
}

/// `A y`: the transpose of [`Output`].
pub(super) struct OutputBack;

impl Transform<OUT, IN> for OutputBack {
    #[inline(always)]
    fn of<S: Simd>(s: S, y: [S::V; OUT]) -> [S::V; IN] {
        let a = [
            axpy(s, A2, y[2], y[0]),
            axpy(s, A * A2, y[3], scaled(s, A, y[1])),
        ];
        let b = [
            axpy(s, B2, y[2], y[0]),
            axpy(s, B * B2, y[3], scaled(s, B, y[1])),
        ];
        points(s, y[0], a, b, y[3])
    }
}

// The rows of G are (1, p, p^2) over the product of p's distances to the other finite points.
const AT_0: f32 = 1.0 / (A2 * B2);
const AT_A: f32 = 1.0 / (2.0 * A2 * (A2 - B2));
const AT_B: f32 = 1.0 / (2.0 * B2 * (B2 - A2));

/// `G g`: the weights' transform.
pub(super) struct Weight;

impl Transform<3, IN> for Weight {
    #[inline(always)]
    fn of<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; IN] {
        let a = [
            scaled(s, AT_A, axpy(s, A2, g[2], g[0])),
            scaled(s, AT_A * A, g[1]),
        ];
        let b = [
            scaled(s, AT_B, axpy(s, B2, g[2], g[0])),
            scaled(s, AT_B * B, g[1]),
        ];
        points(s, scaled(s, AT_0, g[0]), a, b, g[2])
    }
}

/// `G^T u`: the transpose of [`Weight`].
pub(super) struct WeightBack;

impl Transform<IN, 3> for WeightBack {
    #[inline(always)]
    fn of<S: Simd>(s: S, u: [S::V; IN]) -> [S::V; 3] {
        let even_a = scaled(s, AT_A, s.add(u[1], u[2]));
        let odd_a = scaled(s, AT_A * A, s.sub(u[1], u[2]));
        let even_b = scaled(s, AT_B, s.add(u[3], u[4]));
        let odd_b = scaled(s, AT_B * B, s.sub(u[3], u[4]));
        [
            axpy(s, AT_0, u[0], s.add(even_a, even_b)),
            s.add(odd_a, odd_b),
            axpy(s, A2, even_a, axpy(s, B2, even_b, u[5])),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Portable;

    type V = [f32; 8];

    fn numbers<const N: usize>(seed: u32) -> [V; N] {
        std::array::from_fn(|i| {
            let bits = (i as u32 + 1 + 16 * seed).wrapping_mul(2_654_435_761);
            [(bits >> 8) as f32 / (1 << 23) as f32 - 1.0; 8]
        })
    }

    fn dot<const N: usize>(a: [V; N], b: [V; N]) -> f32 {
        a.iter().zip(&b).map(|(a, b)| a[0] * b[0]).sum()
    }

    #[test]
    fn four_outputs_of_a_three_tap_filter() {
        for seed in 0..50 {
            let (d, g) = (numbers::<IN>(seed), numbers::<3>(seed + 100));
            let (v, u) = (Input::of(Portable, d), Weight::of(Portable, g));
            let y = Output::of(Portable, std::array::from_fn(|k| Portable.mul(v[k], u[k])));
            for i in 0..OUT {
                let expected: f32 = (0..3).map(|t| d[i + t][0] * g[t][0]).sum();
                assert!((y[i][0] - expected).abs() < 3e-6, "{} {expected}", y[i][0]);
            }
        }
    }

    #[test]
    fn transposes_are_transposes() {
        for seed in 0..50 {
            let (y, m) = (numbers::<OUT>(seed), numbers::<IN>(seed + 50));
            let there = dot(Output::of(Portable, m), y);
            let back = dot(m, OutputBack::of(Portable, y));
            assert!((there - back).abs() < 1e-5, "{there} {back}");
            let g = numbers::<3>(seed);
            let there = dot(Weight::of(Portable, g), m);
            let back = dot(g, WeightBack::of(Portable, m));
            assert!((there - back).abs() < 1e-5, "{there} {back}");
        }
    }
}
