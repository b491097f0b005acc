//! Bits per dimension of quantised data.
//!
//! Pixels are whole numbers, and a density of whole numbers means nothing. So each value is spread
//! evenly over its level, x + width (u - 1/2), u uniform in (0, 1) (Uria et al. 2013, Theis et al.
//! 2016; centred, where score_sde's (x + u)/256 shifts by half a level). By Jensen's inequality
//!
//! log2 P(x) >= E log2 \[p(x + width (u - 1/2)) width^D\]
//!
//! for the model's P of the discrete data, so bits per dimension computed so are an upper bound of
//! the model's own. `width` is the size of one level in the units of p: 2/255 for bytes mapped to
//! \[-1, 1\].

use crate::random::NoiseSource;

/// Bits per dimension from a `log_density` in nats of `dim` values with levels `width` apart:
/// -(log p + D ln width)/(D ln 2).
pub fn bits_per_dim(log_density: f64, dim: usize, width: f64) -> f64 {
    -(log_density / dim as f64 + width.ln()) / std::f64::consts::LN_2
}

/// Spreads each value of `x`, `[samples.len(), dim]`, evenly over its level of size `width`, by
/// numbers that are a function of `source` and the sample's.
pub fn dequantise(x: &mut [f64], samples: &[u64], width: f64, source: &NoiseSource) {
    let dim = x.len().checked_div(samples.len()).unwrap_or(0);
    if dim == 0 {
        return;
    }
    for (row, &sample) in x.chunks_exact_mut(dim).zip(samples) {
        for (i, x) in row.iter_mut().enumerate() {
            *x += width * (source.uniform(sample, 0, i as u32) - 0.5);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn a_uniform_density_costs_the_bits_of_its_levels() {
        // 256 levels 2/255 wide, all alike: 8 bits a value.
        let width: f64 = 2.0 / 255.0;
        let log_density = -3.0 * (256.0 * width).ln();
        assert!((bits_per_dim(log_density, 3, width) - 8.0).abs() < 1e-12);
    }

    #[test]
    fn values_stay_in_their_level_and_are_centred() {
        let source = NoiseSource::new(3, Stream::Evaluation);
        let samples: Vec<u64> = (0..1000).collect();
        let mut x = vec![0.5; 4000];
        dequantise(&mut x, &samples, 0.1, &source);
        assert!(x.iter().all(|x| (x - 0.5).abs() < 0.05));
        let mean = x.iter().sum::<f64>() / 4000.0;
        // A uniform distribution's standard error, four times.
        assert!((mean - 0.5).abs() < 4.0 * 0.1 / (12.0f64 * 4000.0).sqrt());
        let mut alone = vec![0.5; 4];
        dequantise(&mut alone, &[7], 0.1, &source);
        assert_eq!(alone, x[28..32]);
    }
}
