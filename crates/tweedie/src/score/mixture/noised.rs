//! A mixture seen through noise of one level: densities, responsibilities and expectations.

use super::GaussianMixture;
use crate::score::rows::dot;

/// A mixture noised by sigma.
pub(super) struct Noised<'a> {
    mixture: &'a GaussianMixture,
    /// sigma^2.
    pub(super) square: f64,
    /// ln of w_k N(m_k; m_k, C_k + sigma^2 I), each component's density at its mean.
    log_peaks: Vec<f64>,
}

/// Working memory of a row.
pub(super) struct Memory<'a> {
    /// r_k, `[K]`.
    pub(super) shares: &'a mut [f64],
    /// A component's h_k, or a product with its covariance, `[D]`.
    pub(super) mean: &'a mut [f64],
    /// A vector in the coordinates it came in, `[D]`.
    plain: &'a mut [f64],
    /// A vector along the axes, `[D]`.
    turned: &'a mut [f64],
}

impl<'a> Memory<'a> {
    /// Values needed for `mixture`.
    pub(super) fn size(mixture: &GaussianMixture) -> usize {
        mixture.components() + 3 * mixture.dim
    }

    pub(super) fn new(mixture: &GaussianMixture, memory: &'a mut [f64]) -> Self {
        let (shares, rest) = memory.split_at_mut(mixture.components());
        let (mean, rest) = rest.split_at_mut(mixture.dim);
        let (plain, turned) = rest.split_at_mut(mixture.dim);
        Self {
            shares,
            mean,
            plain,
            turned,
        }
    }
}

impl<'a> Noised<'a> {
    pub(super) fn new(mixture: &'a GaussianMixture, square: f64) -> Self {
        let log_peak = |(k, log_weight): (usize, &f64)| {
            let totals = mixture.parameters(k).1.iter().map(|v| v + square);
            let logs = totals.map(|total| (std::f64::consts::TAU * total).ln());
            log_weight - 0.5 * logs.sum::<f64>()
        };
        let log_weights = mixture.log_weights.iter().enumerate();
        Self {
            mixture,
            square,
            log_peaks: log_weights.map(log_peak).collect(),
        }
    }

    /// The log density at `x`.
    pub(super) fn log_density(&self, x: &[f64], memory: &mut Memory<'_>) -> f64 {
        let (largest, sum) = self.responsibilities(x, memory);
        largest + sum.ln()
    }

    /// Writes r_k at `x` to the memory; returns the logarithm of the largest term of the density and
    /// the sum of all relative to it.
    fn responsibilities(&self, x: &[f64], memory: &mut Memory<'_>) -> (f64, f64) {
        for (k, (log, peak)) in memory.shares.iter_mut().zip(&self.log_peaks).enumerate() {
            let (means, variances) = self.mixture.parameters(k);
            let mut sum = 0.0;
            if self.mixture.axes.is_none() {
                for ((x, m), v) in x.iter().zip(means).zip(variances) {
                    sum += (x - m) * (x - m) / (v + self.square);
                }
            } else if let Some(axes) = self.mixture.axes(k) {
                subtract(x, means, memory.plain);
                for (axis, v) in axes.chunks_exact(x.len()).zip(variances) {
                    sum += dot(axis, memory.plain).powi(2) / (v + self.square);
                }
            }
            *log = peak - 0.5 * sum;
        }
        let shares = &mut *memory.shares;
        let largest = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for share in shares.iter_mut() {
            *share = (*share - largest).exp();
            sum += *share;
        }
        shares.iter_mut().for_each(|share| *share /= sum);
        (largest, sum)
    }

    /// Writes sum_k r_k (m_k + Q_k term(Q_k^T (x - m_k), lambda_k)) to `out`, without m_k unless
    /// `MEAN`.
    pub(super) fn expect<const MEAN: bool>(
        &self,
        x: &[f64],
        out: &mut [f64],
        memory: &mut Memory<'_>,
        term: impl Fn(f64, f64) -> f64,
    ) {
        self.responsibilities(x, memory);
        out.fill(0.0);
        for k in 0..self.mixture.components() {
            let r = memory.shares[k];
            // Most components are out of sight at small sigma; NaN must get through.
            if r == 0.0 {
                continue;
            }
            let (means, variances) = self.mixture.parameters(k);
            if self.mixture.axes.is_none() {
                // In one pass, without the memory between.
                for (((out, &x), &m), &v) in out.iter_mut().zip(x).zip(means).zip(variances) {
                    let moved = term(x - m, v);
                    *out += r * if MEAN { m + moved } else { moved };
                }
                continue;
            }
            subtract(x, means, memory.plain);
            self.scale(k, memory, &term);
            for ((out, moved), m) in out.iter_mut().zip(&*memory.mean).zip(means) {
                *out += r * if MEAN { m + moved } else { *moved };
            }
        }
    }

    /// Writes h_k at `x` to `memory.mean`.
    pub(super) fn component_mean(&self, k: usize, x: &[f64], memory: &mut Memory<'_>) {
        let means = self.mixture.parameters(k).0;
        subtract(x, means, memory.plain);
        self.shrink(k, memory);
        for (h, m) in memory.mean.iter_mut().zip(means) {
            *h += m;
        }
    }

    /// Writes C_k (C_k + sigma^2 I)^-1 v to `memory.mean`.
    pub(super) fn shrunk(&self, k: usize, v: &[f64], memory: &mut Memory<'_>) {
        memory.plain.copy_from_slice(v);
        self.shrink(k, memory);
    }

    /// tr C_k (C_k + sigma^2 I)^-1.
    pub(super) fn shrinkage(&self, k: usize) -> f64 {
        let variances = self.mixture.parameters(k).1.iter();
        variances.map(|v| v / (v + self.square)).sum()
    }

    fn shrink(&self, k: usize, memory: &mut Memory<'_>) {
        let square = self.square;
        self.scale(k, memory, &|u, v| v / (v + square) * u);
    }

    /// Writes Q_k term(Q_k^T plain, lambda_k) to `memory.mean`.
    fn scale(&self, k: usize, memory: &mut Memory<'_>, term: &impl Fn(f64, f64) -> f64) {
        let variances = self.mixture.parameters(k).1;
        let Some(axes) = self.mixture.axes(k) else {
            let places = memory.mean.iter_mut().zip(&*memory.plain).zip(variances);
            places.for_each(|((out, &u), &v)| *out = term(u, v));
            return;
        };
        let dim = variances.len();
        for ((turned, axis), &v) in memory
            .turned
            .iter_mut()
            .zip(axes.chunks_exact(dim))
            .zip(variances)
        {
            *turned = term(dot(axis, memory.plain), v);
        }
        memory.mean.fill(0.0);
        for (turned, axis) in memory.turned.iter().zip(axes.chunks_exact(dim)) {
            for (out, a) in memory.mean.iter_mut().zip(axis) {
                *out += turned * a;
            }
        }
    }
}

fn subtract(x: &[f64], means: &[f64], out: &mut [f64]) {
    for ((out, x), m) in out.iter_mut().zip(x).zip(means) {
        *out = x - m;
    }
}
