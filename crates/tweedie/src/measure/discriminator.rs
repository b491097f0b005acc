//! The best discriminator between two distributions.
//!
//! Least-squares adversarial training with targets +1 for data p and -1 for samples q (Mao et al.
//! 2017; Jolicoeur-Martineau et al. 2021) minimises E_p (D - 1)^2 + E_q (D + 1)^2. Point by point
//! that is p (D - 1)^2 + q (D + 1)^2, least at
//!
//! D = (p - q)/(p + q) = tanh((ln p - ln q)/2).

use crate::error::Result;
use crate::score::Distribution;

/// The optimal least-squares discriminator of `p`'s data (+1) from `q`'s (-1), both noised by
/// `sigma`, at the rows of `x` `[n, dim]`: values in \[-1, 1\], written to `out`, `[n]`.
///
/// # Errors
/// As for [`Distribution::log_density`].
pub fn optimal_discriminator(
    p: &dyn Distribution,
    q: &dyn Distribution,
    x: &[f64],
    sigma: f64,
    out: &mut [f64],
) -> Result<()> {
    let mut log_q = vec![0.0; out.len()];
    p.log_density_at(x, sigma, out)?;
    q.log_density_at(x, sigma, &mut log_q)?;
    for (out, log_q) in out.iter_mut().zip(log_q) {
        *out = (0.5 * (*out - log_q)).tanh();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::GaussianMixture;

    /// The objective of a discriminator given on a grid, by the trapezoidal rule.
    fn objective(p: &[f64], q: &[f64], d: impl Fn(usize) -> f64, step: f64) -> f64 {
        let terms = p.iter().zip(q).enumerate();
        let terms = terms.map(|(i, (p, q))| p * (d(i) - 1.0).powi(2) + q * (d(i) + 1.0).powi(2));
        step * terms.sum::<f64>()
    }

    #[test]
    fn property_18_it_minimises_the_least_squares_objective() {
        let p = GaussianMixture::new(&[0.1, 0.9], vec![-3.0, 3.0], &[1.0, 1.0]).unwrap();
        let q = GaussianMixture::gaussian(vec![1.0], 4.0).unwrap();
        let (sigma, step) = (0.5, 0.01);
        let x: Vec<f64> = (-2000..=2000).map(|i| f64::from(i) * step).collect();
        let density = |target: &GaussianMixture| -> Vec<f64> {
            let mut log = vec![0.0; x.len()];
            target.log_density_at(&x, sigma, &mut log).unwrap();
            log.iter().map(|log| log.exp()).collect()
        };
        let (dp, dq) = (density(&p), density(&q));
        let mut d = vec![0.0; x.len()];
        optimal_discriminator(&p, &q, &x, sigma, &mut d).unwrap();
        for ((d, p), q) in d.iter().zip(&dp).zip(&dq) {
            // Far out both densities underflow.
            if p + q > 1e-300 {
                assert!((d - (p - q) / (p + q)).abs() < 1e-12);
            }
        }
        let best = objective(&dp, &dq, |i| d[i], step);
        // Its value is the integral of 4 p q/(p + q).
        let terms = dp.iter().zip(&dq).filter(|(p, q)| **p + **q > 0.0);
        let value = step * terms.map(|(p, q)| 4.0 * p * q / (p + q)).sum::<f64>();
        assert!((best - value).abs() < 1e-12);
        // A change by e f costs exactly e^2 times the integral of (p + q) f^2: no first order.
        for (k, e) in [(1.0, 1e-3), (3.0, 0.1), (0.2, -0.5)] {
            let f = |i: usize| (k * x[i]).cos();
            let changed = objective(&dp, &dq, |i| d[i] + e * f(i), step);
            let both = dp.iter().zip(&dq).enumerate();
            let square: f64 = both.map(|(i, (p, q))| (p + q) * f(i).powi(2)).sum();
            assert!((changed - best - e * e * step * square).abs() < 1e-12);
        }
    }
}
