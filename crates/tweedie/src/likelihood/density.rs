//! The log density that the probability flow gives a sample.
//!
//! Song et al. 2021, Eq. 39, after Chen et al. 2018. With u = ln sigma the flow is
//! dx/du = x - H(x, e^u), its divergence D - tr dH/dx, and so
//!
//! log p(x_0, sigma_min) = log p(x_T, sigma_max) + D ln(sigma_max/sigma_min)
//!                         - integral of tr dH/dx du
//!
//! along the way from x_0 = x to its latent x_T. The trace is exact, dim products with the
//! Jacobian unless the denoiser knows better, or estimated without bias by v^T (dH/dx) v with
//! random v of unit variance (Hutchinson 1989), the same v all the way (Grathwohl et al. 2019).

use serde::{Deserialize, Serialize};

use super::flow::{check_range, check_samples};
use crate::error::{Error, Result};
use crate::measure::Estimate;
use crate::ode::{DormandPrince, Memory};
use crate::random::NoiseSource;
use crate::score::{Batch, Differentiable, Posterior, Query, add_counts};

/// How the trace of the Jacobian is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Divergence {
    /// Exactly: for few dimensions.
    Exact,
    /// From `probes` random vectors.
    Hutchinson {
        /// How many, at least 1; from 2 on there is a standard error.
        probes: usize,
        /// Their distribution.
        probe: Probe,
    },
}

/// The distribution of Hutchinson's vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// Plus or minus 1: exact where the Jacobian is diagonal, the least variance otherwise.
    #[default]
    Rademacher,
    /// Standard normal.
    Gaussian,
}

/// How likelihoods are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LikelihoodOptions {
    /// The noise of the samples: the density is that of data with this noise.
    pub sigma_min: f64,
    /// The noise of the latents.
    pub sigma_max: f64,
    /// The mean of the latents' distribution N(mean, std^2 I), the same in every direction: the data's.
    pub prior_mean: f64,
    /// Its standard deviation; `sigma_max` when missing. It should be sqrt(sigma_max^2 + the data's variance), which a large sigma_max makes the same;
    /// VP models have sqrt(sigma_max^2 + 1).
    pub prior_std: Option<f64>,
    /// How the trace is found.
    pub divergence: Divergence,
    /// The solver's tolerances.
    pub solver: DormandPrince,
}

impl LikelihoodOptions {
    /// Exact divergence between `sigma_min` and `sigma_max`, tolerances as in the paper.
    pub fn new(sigma_min: f64, sigma_max: f64) -> Self {
        Self {
            sigma_min,
            sigma_max,
            prior_mean: 0.0,
            prior_std: None,
            divergence: Divergence::Exact,
            solver: DormandPrince::default(),
        }
    }
}

/// What [`log_likelihood`] finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Likelihood {
    /// ln p of each sample, in nats, `[n]`.
    pub log_density: Vec<f64>,
    /// Hutchinson's standard error of each, from the spread over probes, `[n]`: 0 for an exact
    /// divergence, NaN for a single probe.
    pub standard_error: Vec<f64>,
    /// The latents, `[n, dim]`.
    pub latents: Vec<f64>,
    /// Network evaluations of each sample, `[n]`, each with a product or a trace.
    pub evaluations: Vec<u32>,
}

/// The log densities of the rows of `x`, `[n, dim]`, which are the `samples`, conditioned on what
/// the [`Batch`] says of each. Probes are a function of `source` and the sample's number, so that
/// neither batch nor order matters.
///
/// # Errors
/// [`Error::Shape`] where `x` is not a row a sample; [`Error::Setting`] for an option out of range,
/// or tolerances that are not met; those of the denoiser.
pub fn log_likelihood<'a>(
    denoiser: &dyn Differentiable,
    x: &[f64],
    samples: impl Into<Batch<'a>>,
    source: &NoiseSource,
    options: &LikelihoodOptions,
) -> Result<Likelihood> {
    let (dim, batch) = (denoiser.dim(), samples.into());
    let n = check_samples(dim, x, &batch)?;
    let (low, high) = (options.sigma_min, options.sigma_max);
    check_range(low, high)?;
    let (mean, std) = (options.prior_mean, options.prior_std.unwrap_or(high));
    if !mean.is_finite() {
        return Err(Error::setting("prior_mean", mean, "must be finite"));
    }
    if !(std > 0.0 && std.is_finite()) {
        return Err(Error::setting("prior_std", std, "must be positive"));
    }
    let probes = probes(options.divergence, batch.numbers(), source, dim)?;
    // Beside each sample, the integral of each estimate of the trace.
    let columns = probes.len().max(1);
    let width = dim + columns;
    let mut y = vec![0.0; n * width];
    for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(dim)) {
        y[..dim].copy_from_slice(x);
    }
    let mut evaluations = vec![0; n];
    let mut slopes = |rows: &[usize], u: &[f64], y: &[f64], out: &mut [f64]| {
        let sigmas: Vec<f64> = u.iter().map(|u| u.exp()).collect();
        let x: Vec<f64> = (y.chunks_exact(width).flat_map(|y| &y[..dim]).copied()).collect();
        let (mut h, mut trace) = (vec![0.0; x.len()], vec![0.0; rows.len()]);
        let gathered = batch.gather(rows);
        let query = Query::new(&x, &sigmas).of(gathered.batch());
        let mut counts = vec![0; rows.len()];
        let mut posterior = Posterior::new(&mut h).counted(&mut counts);
        let mut put = |column: usize, trace: &[f64]| {
            let places = out.iter_mut().skip(dim + column).step_by(width);
            places.zip(trace).for_each(|(out, trace)| *out = *trace);
        };
        if probes.is_empty() {
            denoiser.denoise_trace(&query, &mut posterior, &mut trace)?;
            put(0, &trace);
        }
        let mut product = vec![0.0; x.len()];
        for (column, probe) in probes.iter().enumerate() {
            let of_row = |&row: &usize| &probe[row * dim..(row + 1) * dim];
            let v: Vec<f64> = rows.iter().flat_map(of_row).copied().collect();
            denoiser.denoise_vjp(&query, &v, &mut posterior, &mut product)?;
            let rows = v.chunks_exact(dim).zip(product.chunks_exact(dim));
            for (trace, (v, product)) in trace.iter_mut().zip(rows) {
                *trace = v.iter().zip(product).map(|(v, p)| v * p).sum();
            }
            put(column, &trace);
        }
        add_counts(&mut evaluations, rows, &counts);
        let rows = out.chunks_exact_mut(width).zip(x.chunks_exact(dim));
        for ((out, x), h) in rows.zip(h.chunks_exact(dim)) {
            for ((out, x), h) in out.iter_mut().zip(x).zip(h) {
                *out = x - h;
            }
        }
        Ok(())
    };
    let mut memory = Memory::new(n);
    let (start, end) = (low.ln(), high.ln());
    options
        .solver
        .solve(&mut slopes, &mut y, columns, &mut memory, start, end)?;
    let mut found = Likelihood {
        log_density: Vec::with_capacity(n),
        standard_error: Vec::with_capacity(n),
        latents: Vec::with_capacity(n * dim),
        evaluations,
    };
    for y in y.chunks_exact(width) {
        let (latent, integrals) = y.split_at(dim);
        let square: f64 = latent.iter().map(|x| (x - mean).powi(2)).sum();
        let volume = (high / low).ln() - 0.5 * (std::f64::consts::TAU * std * std).ln();
        let integral = Estimate::mean(integrals);
        let error = match options.divergence {
            Divergence::Exact => 0.0,
            Divergence::Hutchinson { .. } => integral.standard_error,
        };
        let prior = -0.5 * square / (std * std);
        found
            .log_density
            .push(prior + dim as f64 * volume - integral.value);
        found.standard_error.push(error);
        found.latents.extend(latent);
    }
    Ok(found)
}

/// The vectors of each probe, `[n, dim]`; none for an exact trace.
fn probes(
    divergence: Divergence,
    samples: &[u64],
    source: &NoiseSource,
    dim: usize,
) -> Result<Vec<Vec<f64>>> {
    let Divergence::Hutchinson { probes, probe } = divergence else {
        return Ok(Vec::new());
    };
    if probes == 0 || probes > MOST_PROBES {
        let reason = format!("must be between 1 and {MOST_PROBES}");
        return Err(Error::setting("probes", probes, reason));
    }
    let draw = |k: usize| {
        let mut v = vec![0.0; samples.len() * dim];
        source.fill_batch(samples, k as u32, &mut v);
        if probe == Probe::Rademacher {
            v.iter_mut().for_each(|v| *v = 1f64.copysign(*v));
        }
        v
    };
    Ok((0..probes).map(draw).collect())
}

/// More probes than help.
const MOST_PROBES: usize = 10_000;
