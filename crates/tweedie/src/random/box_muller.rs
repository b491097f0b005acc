//! Box and Muller's transform in single precision, the same bits on every processor.
//!
//! (r cos t, r sin t) with r = sqrt(-2 ln u), t uniform on the circle. Box and Muller, "A note on
//! the generation of random normal deviates", Ann. Math. Statist. 29 (1958). The logarithm, sine
//! and cosine are Cephes' minimax polynomials (Moshier) after an exact range reduction; only
//! sums, products and sqrt, which IEEE 754 rounds correctly, and selections appear. The platform's
//! mathematical library and fused multiply-adds differ between machines, so neither is used; there
//! is no branch, so the compiler can vectorise across blocks for registers of any width.

use std::f32::consts::{FRAC_PI_2, SQRT_2};

/// Two independent standard normals from two random words.
///
/// u = (2 floor(radius/2) + 1)/2^32 lies in (0, 1], hence |normal| < 6.67; the distribution is
/// truncated beyond that, where its mass is 3e-11.
#[inline(always)]
pub(super) fn box_muller(radius: u32, angle: u32) -> (f32, f32) {
    // The conversion is from a signed integer: SIMD sets below AVX-512 have no unsigned one.
    let u = ((radius >> 1) as i32 as f32 + 0.5) * (1.0 / (1u32 << 31) as f32);
    let r = (-2.0 * ln(u)).sqrt();
    let (sin, cos) = sin_cos(angle);
    (r * cos, r * sin)
}

/// ln(u) for normal positive u (Cephes `logf`).
#[inline(always)]
fn ln(u: f32) -> f32 {
    // u = m 2^e with m in [sqrt(1/2), sqrt(2)).
    let bits = u.to_bits() as i32;
    let e = (bits - (SQRT_2 / 2.0).to_bits() as i32) >> 23;
    let m = f32::from_bits((bits - (e << 23)) as u32);
    let e = e as f32;
    let f = m - 1.0;
    let square = f * f;
    let mut p = 7.037_683_6e-2;
    p = p * f - 1.151_461e-1;
    p = p * f + 1.167_699_9e-1;
    p = p * f - 1.242_014_1e-1;
    p = p * f + 1.424_932_3e-1;
    p = p * f - 1.666_805_8e-1;
    p = p * f + 2.000_071_5e-1;
    p = p * f - 2.499_999_4e-1;
    p = p * f + 3.333_333e-1;
    // ln 2 in two pieces: e times the first is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    f + (p * f * square + e * LN_2_LOW - 0.5 * square) + e * LN_2_HIGH
}

/// (sin t, cos t), t = 2 pi angle/2^32 (Cephes `sinf`, `cosf`).
#[inline(always)]
fn sin_cos(angle: u32) -> (f32, f32) {
    // t = quadrant pi/2 + rest with |rest| <= pi/4, computed in integers and so exactly.
    let quadrant = angle.wrapping_add(1 << 29) >> 30;
    let rest = angle.wrapping_sub(quadrant << 30) as i32;
    let t = rest as f32 * (FRAC_PI_2 / (1u32 << 30) as f32);
    let square = t * t;
    let mut s = -1.951_529_6e-4;
    s = s * square + 8.332_161e-3;
    s = s * square - 1.666_665_5e-1;
    let s = s * square * t + t;
    let mut c = 2.443_315_7e-5;
    c = c * square - 1.388_731_6e-3;
    c = c * square + 4.166_664_6e-2;
    let c = c * square * square - 0.5 * square + 1.0;
    let odd = quadrant & 1 == 1;
    let (sin, cos) = if odd { (c, s) } else { (s, c) };
    // Signs: sin is negative in quadrants 2 and 3, cos in 1 and 2.
    let flip = |x: f32, sign: u32| f32::from_bits(x.to_bits() ^ (sign << 31));
    (
        flip(sin, quadrant >> 1),
        flip(cos, (quadrant ^ (quadrant >> 1)) & 1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_is_within_two_units_in_the_last_place() {
        let mut worst: f64 = 0.0;
        for word in (0..u32::MAX)
            .step_by(40_009)
            .chain(0..5000)
            .chain(u32::MAX - 5000..u32::MAX)
        {
            let u = ((word >> 1) as i32 as f32 + 0.5) * (1.0 / (1u32 << 31) as f32);
            let exact = f64::from(u).ln();
            let error = f64::from(ln(u)) - exact;
            worst = worst.max((error / exact.abs().max(1e-30)).abs());
            assert!(ln(u) <= 0.0);
        }
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst:e}");
    }

    #[test]
    fn sine_and_cosine_are_within_one_unit_of_one() {
        let mut worst: f64 = 0.0;
        for angle in (0..u32::MAX)
            .step_by(40_009)
            .chain(0..1000)
            .chain((1 << 29) - 9..(1 << 29) + 9)
        {
            let t = f64::from(angle) * (std::f64::consts::TAU / 4_294_967_296.0);
            let (sin, cos) = sin_cos(angle);
            worst = worst.max((f64::from(sin) - t.sin()).abs());
            worst = worst.max((f64::from(cos) - t.cos()).abs());
        }
        assert!(worst < f64::from(f32::EPSILON), "{worst:e}");
    }

    #[test]
    fn extreme_words_give_finite_normals_up_to_the_stated_bound() {
        let largest = box_muller(0, 0).0;
        assert!((6.66..6.67).contains(&largest), "{largest}");
        for radius in [0, 1, 2, u32::MAX - 1, u32::MAX] {
            for angle in [0, 1, 1 << 29, 1 << 30, 1 << 31, u32::MAX] {
                let (a, b) = box_muller(radius, angle);
                assert!(a.abs() <= largest && b.abs() <= largest);
            }
        }
    }
}
