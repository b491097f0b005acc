//! The cumulative distribution function of the standard normal distribution, and its inverse.

/// Phi(x) = P(Z <= x) = erfc(-x/sqrt 2)/2, with full relative accuracy in the lower tail.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// The inverse of [`normal_cdf`]: algorithm AS 241 (PPND16), Wichura, Applied Statistics 37
/// (1988), good to about 1e-16 relative.
///
/// -inf at 0, inf at 1, NaN outside [0, 1].
pub fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * ratio(&CENTRE, r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail == 0.0 {
        return f64::INFINITY.copysign(q);
    }
    let r = (-tail.ln()).sqrt();
    let x = if r <= 5.0 {
        ratio(&MIDDLE, r - 1.6)
    } else {
        ratio(&TAIL, r - 5.0)
    };
    x.copysign(q)
}

/// A rational function, both polynomials from the highest power down.
fn ratio([above, below]: &[[f64; 8]; 2], r: f64) -> f64 {
    let horner = |terms: &[f64; 8]| terms.iter().fold(0.0, |sum, term| sum * r + term);
    horner(above) / horner(below)
}

#[rustfmt::skip]
#[expect(clippy::excessive_precision, reason = "the digits as published")]
const CENTRE: [[f64; 8]; 2] = [
    [2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
     4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
     1.3314166789178437745e2, 3.387132872796366608],
    [5.226495278852854561e3, 2.8729085735721942674e4, 3.930789580009271061e4,
     2.1213794301586595867e4, 5.3941960214247511077e3, 6.871870074920579083e2,
     4.2313330701600911252e1, 1.0],
];
#[rustfmt::skip]
#[expect(clippy::excessive_precision, reason = "the digits as published")]
const MIDDLE: [[f64; 8]; 2] = [
    [7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.4178072517745061177e-1,
     1.27045825245236838258, 3.64784832476320460504, 5.76949722146069140550,
     4.63033784615654529590, 1.42343711074968357734],
    [1.05075007164441684324e-9, 5.475938084995344946e-4, 1.51986665636164571966e-2,
     1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940,
     2.05319162663775882187, 1.0],
];
#[rustfmt::skip]
#[expect(clippy::excessive_precision, reason = "the digits as published")]
const TAIL: [[f64; 8]; 2] = [
    [2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
     2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580,
     5.46378491116411436990, 6.65790464350110377720],
    [2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
     7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
     5.99832206555887937690e-1, 1.0],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_inverts_the_distribution_function() {
        for i in 1..4000 {
            let x = -37.0 + i as f64 * 0.0105;
            let p = normal_cdf(x);
            // Above the median 1 - p is coarse, so the error of x is that of p divided by the
            // density.
            let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
            let slack = 1e-14 * x.abs().max(1.0) + f64::EPSILON * p.min(1.0) / density.max(1e-300);
            let bound = if x < 0.0 {
                1e-13 * x.abs().max(1.0)
            } else {
                slack
            };
            assert!(
                (normal_quantile(p) - x).abs() <= bound,
                "{x}: {}",
                normal_quantile(p)
            );
        }
        assert_eq!(normal_quantile(0.5), 0.0);
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-15);
    }

    #[test]
    fn the_ends_are_infinite() {
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
        assert!(normal_quantile(-0.1).is_nan());
        assert!(normal_quantile(1.1).is_nan());
        assert!(normal_quantile(f64::NAN).is_nan());
    }
}
