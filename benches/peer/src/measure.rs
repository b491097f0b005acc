//! Measuring samples: features of FID's Inception, and the Frechet distance.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};
use tweedie::data::{self, DataSpec, Dataset};
use tweedie::engine::Engine;
use tweedie::measure::{Moments, RunningMoments, frechet_distance};
use tweedie::nn::inception::{FEATURES, Inception};
use tweedie::weights::WeightFile;

use crate::timing::Budget;
use crate::{Result, tensors};

/// Images computed at a time, as `tweedie evaluate` has it.
const BATCH: usize = 16;

/// Files.
#[derive(Deserialize)]
pub struct Files {
    /// Inception's weights.
    weights: PathBuf,
    /// Bytes `[N, H, W, 3]`.
    pictures: PathBuf,
    /// Features a and b, `[n, d]`.
    features: PathBuf,
    /// d.
    dim: usize,
}

/// Weights, pictures, and features that are given.
pub struct Measure {
    weights: PathBuf,
    network: Option<Inception>,
    pictures: Dataset,
    given: [Vec<f64>; 2],
    dim: usize,
}

/// What can be timed.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Inception's features.
    Features,
    /// The distance of features that are given.
    Frechet,
    /// The distance of the two halves of the pictures.
    Fid,
}

impl Measure {
    pub fn open(files: Files) -> Result<Self> {
        let mut given = tensors::read(&files.features)?;
        let mut of = |name: &str| -> Result<Vec<f64>> {
            let values = given.remove(name).ok_or("the features are a and b")?;
            Ok(values.into_iter().map(f64::from).collect())
        };
        Ok(Self {
            given: [of("a")?, of("b")?],
            weights: files.weights,
            network: None,
            pictures: data::open(&DataSpec::new(&*files.pictures.to_string_lossy()))?,
            dim: files.dim,
        })
    }

    /// What both sides must agree on.
    pub fn answer(&mut self) -> Result<Value> {
        let features = self.features(0, 4)?;
        let [a, b] = &self.given;
        let distance = distance(a, b, self.dim)?;
        Ok(json!({ "features": features, "distance": distance }))
    }

    pub fn time(&mut self, what: Work, batch: usize, budget: Budget) -> Result<Vec<f64>> {
        let half = self.pictures.len() / 2;
        budget.measure(|| {
            match what {
                Work::Features => drop(self.features(0, batch)?),
                Work::Frechet => {
                    distance(&self.given[0], &self.given[1], self.dim)?;
                }
                Work::Fid => {
                    let parts = [self.features(0, half)?, self.features(half, 2 * half)?];
                    distance(&parts[0], &parts[1], FEATURES)?;
                }
            }
            Ok(())
        })
    }

    /// Of the pictures `start..end`.
    fn features(&mut self, start: usize, end: usize) -> Result<Vec<f64>> {
        if self.network.is_none() {
            let weights = WeightFile::read(&self.weights)?;
            self.network = Some(Inception::load(&weights, &Engine::Flex.device()?)?);
        }
        let network = self.network.as_ref().ok_or("there is no network")?;
        let rows: Vec<usize> = (start..end).collect();
        let mut found = Vec::new();
        for rows in rows.chunks(BATCH) {
            let features = network.features(&self.pictures.gather(rows), self.pictures.shape())?;
            found.extend(features.into_iter().map(f64::from));
        }
        Ok(found)
    }
}

fn distance(a: &[f64], b: &[f64], dim: usize) -> Result<f64> {
    let moments = |rows: &[f64]| -> Result<Moments> {
        let mut moments = RunningMoments::new(dim);
        moments.add(rows)?;
        Ok(moments.moments()?)
    };
    Ok(frechet_distance(&moments(a)?, &moments(b)?)?)
}
