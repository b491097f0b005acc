//! The logistic function, in arithmetic that the compiler vectorises.

use crate::instruction_set::mul_add;

/// Adding it to a number below 2^22 rounds that number to an integer, which then stands in the
/// low bits.
const ROUND: f32 = 12_582_912.0;

/// ln 2 in two parts; the first has few enough bits for exact products with small integers.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// `e^t` for -87 <= t <= 87, to about 1e-7 of its value.
///
/// With `n` the integer nearest to `t / ln 2` and `r = t - n ln 2`, `e^t = 2^n e^r`; `e^r` by
/// its Taylor polynomial of degree 7 on `|r| <= ln 2 / 2`, whose remainder is below 6e-9.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(t: f32) -> f32 {
    let shifted = mul_add::<FMA>(t, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = mul_add::<FMA>(n, -LN_2[1], mul_add::<FMA>(n, -LN_2[0], t));
    let mut p = 1.0 / 5040.0;
    for c in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        p = mul_add::<FMA>(p, r, c);
    }
    // n + 127, moved to where an f32 keeps its exponent; the rest of ROUND's bits is shifted out.
    p * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// `1 / (1 + e^-t)`.
#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(t: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>((-t).clamp(-87.0, 87.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_matches_double_precision() {
        for i in -87_000..=87_000 {
            let t = i as f32 * 1e-3;
            let exact = f64::from(t).exp();
            for value in [exp::<false>(t), exp::<true>(t)] {
                let error = (f64::from(value) - exact).abs() / exact;
                assert!(error < 1.5e-7, "{t}: {error}");
            }
        }
    }

    #[test]
    fn sigmoid_is_right_at_the_ends() {
        assert_eq!(sigmoid::<false>(0.0), 0.5);
        assert_eq!(sigmoid::<false>(f32::INFINITY), 1.0);
        assert!(sigmoid::<false>(f32::NEG_INFINITY) < 1e-37);
        assert!(sigmoid::<false>(f32::NAN).is_nan());
    }
}
