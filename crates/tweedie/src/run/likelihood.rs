//! The job `likelihood`: the likelihood of data under a run's model.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::Model;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::job::{self, Monitor};
use crate::likelihood::{
    Divergence, LikelihoodOptions, Probe, bits_per_dim, dequantise, log_likelihood,
};
use crate::measure::Estimate;
use crate::ode::DormandPrince;
use crate::random::{NoiseSource, Stream};

/// What to compute.
#[derive(Clone, Debug)]
pub struct LikelihoodJob {
    /// How many items, from the first on.
    pub count: usize,
    /// How the divergence is computed.
    pub divergence: Divergence,
    /// The relative and absolute tolerance of the solver.
    pub tolerance: f64,
    /// The seed of probes and dequantisation.
    pub seed: u64,
    /// Items computed at a time; bounds the memory and does not affect the results.
    pub batch: usize,
    /// Where to write each item's numbers as CSV, once all are known; nowhere when missing.
    pub file: Option<PathBuf>,
}

impl Default for LikelihoodJob {
    fn default() -> Self {
        let (probes, probe) = (1, Probe::Rademacher);
        Self {
            count: 64,
            divergence: Divergence::Hutchinson { probes, probe },
            tolerance: 1e-4,
            seed: 0,
            batch: 64,
            file: None,
        }
    }
}

/// The likelihood of one item.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ItemLikelihood {
    /// Its number, from 0.
    pub item: usize,
    /// ln p in nats, a density in the data's own units.
    pub log_density: f64,
    /// Its standard error from Hutchinson's probes: 0 when exact, NaN for one probe.
    pub standard_error: f64,
    /// Bits per dimension of quantised images, an upper bound in the mean over dequantisations.
    pub bits_per_dim: Option<f64>,
}

/// What [`likelihoods`] finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Likelihoods {
    /// Updates behind the weights.
    pub step: u64,
    /// What the data are called.
    pub data: String,
    /// How many items were evaluated.
    pub count: usize,
    /// The mean of the items' log densities, in nats.
    pub log_density: Estimate,
    /// The mean of their bits per dimension, where they have any.
    pub bits_per_dim: Option<Estimate>,
    /// Seconds it took.
    pub seconds: f64,
    /// The file with the items' numbers.
    #[serde(serialize_with = "job::text::maybe")]
    pub file: Option<PathBuf>,
    /// Each item.
    pub items: Vec<ItemLikelihood>,
}

impl Likelihoods {
    /// The items' numbers as CSV, in full.
    pub fn csv(&self) -> String {
        let mut csv = String::from("item,log_density,standard_error,bits_per_dim\n");
        for found in &self.items {
            let ItemLikelihood {
                item,
                log_density,
                standard_error,
                ..
            } = found;
            let bits = found.bits_per_dim.map(|bits| bits.to_string());
            let bits = bits.unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(csv, "{item},{log_density},{standard_error},{bits}");
        }
        csv
    }
}

/// The likelihood of each of the first items of `data` under `model`.
///
/// `data` must be in the model's units: vectors under the map of the run's own data
/// ([`Dataset::remapped`]), images on the same range. Images of integer values are dequantised
/// uniformly. The distribution of the latents is N(mean, (sigma_max^2 + std^2) I) with the mean and
/// the standard deviation of the run's data. The file is written at the end, or not at all.
///
/// # Errors
/// When the data's shape is not the model's, a setting is out of range, the network's output is
/// not finite, or the disk refuses; [`Error::Stopped`] where `monitor` says so.
pub fn likelihoods(
    model: &Model,
    data: &Dataset,
    job: &LikelihoodJob,
    monitor: &mut Monitor<'_>,
) -> Result<Likelihoods> {
    let began = Instant::now();
    if data.shape() != model.data().shape {
        return Err(Error::Shape {
            what: format!("{} (the model was trained on another shape)", data.name()),
            expected: model.data().shape.to_vec(),
            found: data.shape().to_vec(),
        });
    }
    for (name, value) in [("count", job.count), ("batch", job.batch)] {
        if value == 0 {
            return Err(Error::setting(name, value, "must be 1 or more"));
        }
    }
    if !(1e-13..1.0).contains(&job.tolerance) {
        let reason = "must be 1e-13 or more, and below 1";
        return Err(Error::setting("tolerance", job.tolerance, reason));
    }
    let denoiser = model.differentiable()?;
    let (sigma_max, sigma_min) = model.config().sigma_range()?;
    let sigma_data = model.config().network.sigma_data.unwrap_or(0.0);
    let (mean, std) = model.data().moments.unwrap_or((0.0, sigma_data));
    let options = LikelihoodOptions {
        prior_mean: mean,
        prior_std: Some(sigma_max.hypot(std)),
        divergence: job.divergence,
        solver: DormandPrince {
            rtol: job.tolerance,
            atol: job.tolerance,
            ..DormandPrince::default()
        },
        ..LikelihoodOptions::new(sigma_min, sigma_max)
    };
    let source = NoiseSource::new(job.seed, Stream::Evaluation);
    let (width, dim) = (data.map().scale().abs(), data.dim());
    let quantised = data.is_image() && data.has_levels();
    let mut items = Vec::new();
    let rows: Vec<usize> = (0..job.count.min(data.len())).collect();
    let total = rows.len() as u64;
    for rows in rows.chunks(job.batch) {
        monitor.step("likelihoods", items.len() as u64, total, "items")?;
        let samples: Vec<u64> = rows.iter().map(|&row| row as u64).collect();
        let mut x: Vec<f64> = data.gather(rows).into_iter().map(f64::from).collect();
        if quantised {
            dequantise(&mut x, &samples, width, &source);
        }
        let these = log_likelihood(&denoiser, &x, &samples, &source, &options)?;
        let values = these.log_density.iter().zip(&these.standard_error);
        let numbered = rows.iter().zip(values);
        items.extend(
            numbered.map(|(&item, (&log_density, &standard_error))| ItemLikelihood {
                item,
                log_density: log_density + dim as f64 * width.ln(),
                standard_error,
                bits_per_dim: quantised.then(|| bits_per_dim(log_density, dim, width)),
            }),
        );
    }
    monitor.at("likelihoods", total, total, "items");
    let logs: Vec<f64> = items.iter().map(|item| item.log_density).collect();
    let bits: Vec<f64> = items.iter().filter_map(|item| item.bits_per_dim).collect();
    let found = Likelihoods {
        step: model.step(),
        data: data.name().to_owned(),
        count: items.len(),
        log_density: Estimate::mean(&logs),
        bits_per_dim: (!bits.is_empty()).then(|| Estimate::mean(&bits)),
        seconds: began.elapsed().as_secs_f64(),
        file: job.file.clone(),
        items,
    };
    if let Some(path) = &job.file {
        write_atomic(path, found.csv().as_bytes())?;
    }
    Ok(found)
}
