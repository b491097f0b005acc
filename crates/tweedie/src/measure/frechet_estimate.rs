//! The Frechet distance of samples to a reference: its 1/n bias removed, its standard error.
//!
//! Bias. E d_n^2 = d^2 + c/n + O(1/n^2) with c of the samples' distribution (Binkowski et al. 2018;
//! Chong and Forsyth 2020), so that equal n does not make distances comparable. Here it is removed
//! by the half-sample jackknife (Quenouille 1956),
//!
//! J = 2 d_n^2 - (d_a^2 + d_b^2)/2,
//!
//! with a and b two random halves, averaged over K divisions into halves. A sampled reference is
//! halved along.
//!
//! Standard error. The distance changes by tr((I - T) dS) with the samples' covariance S, where
//! T = R (R S R)^(-1/2) R with R the root of the reference's covariance is the optimal transport
//! from one Gaussian to the other: by any factors S = A A^T, R R = B B^T and A^T B = U s V^T it is
//! B V s^-1 V^T B^T, and the way back A U s^-1 U^T A^T. So its influence function (Hampel 1974) is
//!
//! psi(x) = 2 (m - m_r)^T (x - m) + (x - m)^T (I - T) (x - m) - tr((I - T) S),
//!
//! and the error's first order sd(psi)/sqrt(n); likewise for the reference, with T of the way back.
//! Near d = 0 psi vanishes and the second order decides. It is what the J of different divisions
//! differ by: with W the variance of J over divisions, the second order's variance is W for the
//! mean of all divisions and W + W/K for the mean of K, and the plug-in var(psi)/n holds twice W
//! too much. Hence SE^2 = max(var(psi)/n - 2 W, 0) + W (1 + 1/K).

use serde::Serialize;

use rayon::prelude::*;

use super::comparison::Comparison;
use super::estimate::{Estimate, variance};
use super::frechet::{Gaussian, check_same_dim};
use super::{Features, Moments};
use crate::error::{Error, Result};
use crate::matrix::{Matrix, product, view};
use crate::random::{NoiseSource, Stream};

/// What samples are compared with.
#[derive(Clone, Copy, Debug)]
pub enum Reference<'a> {
    /// A distribution, or statistics taken as exact.
    Exact(&'a Moments),
    /// A sample of the data's distribution, whose own uncertainty counts.
    Sampled(Features<'a>),
}

/// The divisions into halves that remove the bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halves {
    /// K, how many; each costs two distances. From one alone the second order of the error is not
    /// known and left out.
    pub divisions: usize,
    /// Which halves.
    pub seed: u64,
}

impl Halves {
    /// Features from which on a distance takes seconds.
    const MANY: usize = 1024;

    /// As many divisions as `dim` features leave time for: 8, from 1024 features on 2.
    pub fn for_features(dim: usize, seed: u64) -> Self {
        let divisions = if dim < Self::MANY { 8 } else { 2 };
        Self { divisions, seed }
    }
}

impl Default for Halves {
    fn default() -> Self {
        Self {
            divisions: 8,
            seed: 0,
        }
    }
}

/// A Frechet distance with what it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Frechet {
    /// d_n^2 as published figures have it, biased upwards by about c/n.
    pub plain: Estimate,
    /// The distance without the 1/n bias; it may be negative where the true one is about 0.
    pub corrected: Estimate,
    /// n, the number of samples.
    pub samples: usize,
    /// The number of reference items, where they are a sample.
    pub reference: Option<usize>,
    /// The number of features.
    pub dim: usize,
}

impl Frechet {
    /// Whether a half has no more items than features: then covariances are singular, the bias is
    /// not c/n, and neither figure means much.
    pub fn too_few(&self) -> bool {
        self.samples.min(self.reference.unwrap_or(usize::MAX)) / 2 <= self.dim
    }
}

/// The squared Frechet distance of `samples` and `reference`, as it is and without its bias.
///
/// Time grows with dim^3, for each division twice; [`Halves::for_features`] keeps it to seconds. For
/// several sets of samples, [`FrechetReference`] prepares the reference once.
///
/// # Errors
/// [`Error::Shape`] where the dimensions differ, [`Error::Setting`] for fewer than four rows, no
/// divisions, or a covariance that is not positive semi-definite.
pub fn frechet(samples: Features, reference: Reference, halves: Halves) -> Result<Frechet> {
    enough("samples", samples.len())?;
    let prepared = FrechetReference::new(reference, halves)?;
    Ok(prepared.measure(samples)?.distance())
}

/// The difference of the Frechet distances, without their bias, of `a` and `b` to `reference`.
///
/// Row i of `a` and of `b` are samples of the same seed: the error is that of
/// psi_a(a_i) - psi_b(b_i).
///
/// # Errors
/// As for [`frechet`]; [`Error::Shape`] where `a` and `b` are not equally many.
pub fn compare_frechet(
    a: Features,
    b: Features,
    reference: Reference,
    halves: Halves,
) -> Result<Comparison> {
    a.check_paired("the second samples", &b)?;
    let prepared = FrechetReference::new(reference, halves)?;
    prepared.measure(a)?.compare(&prepared.measure(b)?)
}

/// A reference with the decompositions that its distance to any samples takes.
pub struct FrechetReference<'a> {
    whole: Gaussian,
    sampled: Option<Features<'a>>,
    /// Of a sampled reference, both halves of each division.
    halved: Vec<[Gaussian; 2]>,
    halves: Halves,
}

/// The distance of a set of samples to a [`FrechetReference`], with what its uncertainty and a
/// paired comparison are made of.
#[derive(Clone, Debug)]
pub struct FrechetMeasured {
    plain: f64,
    /// J of each division.
    jackknifed: Vec<f64>,
    /// psi of each sample, up to a constant.
    influence: Vec<f64>,
    /// psi of each reference item.
    reference_influence: Option<Vec<f64>>,
    dim: usize,
}

impl<'a> FrechetReference<'a> {
    /// Prepares `reference`.
    ///
    /// # Errors
    /// As for [`frechet`].
    pub fn new(reference: Reference<'a>, halves: Halves) -> Result<Self> {
        if halves.divisions == 0 {
            return Err(Error::setting("divisions", 0, "must be at least 1"));
        }
        match reference {
            Reference::Exact(moments) => Ok(Self {
                whole: Gaussian::new(moments)?,
                sampled: None,
                halved: vec![],
                halves,
            }),
            Reference::Sampled(features) => {
                enough("reference", features.len())?;
                let divisions = (0..halves.divisions).into_par_iter();
                let halved = divisions.map(|division| halved(features, halves.seed, division, 1));
                Ok(Self {
                    whole: Gaussian::new(&Moments::of(features))?,
                    sampled: Some(features),
                    halved: halved.collect::<Result<_>>()?,
                    halves,
                })
            }
        }
    }

    /// Measures `samples`.
    ///
    /// # Errors
    /// As for [`frechet`].
    pub fn measure(&self, samples: Features) -> Result<FrechetMeasured> {
        check_same_dim(samples.dim(), self.whole.mean.len())?;
        enough("samples", samples.len())?;
        let source = Gaussian::new(&Moments::of(samples))?;
        let (plain, coupling) = source.coupled(&self.whole)?;
        let inverse = inverses(&coupling.values);
        let there = transport(&self.whole.factor, &coupling.v, &inverse);
        let influence_of_samples = influence(samples, &source.mean, &self.whole.mean, &there);
        let reference_influence = self.sampled.map(|reference| {
            let back = transport(&source.factor, &coupling.u, &inverse);
            influence(reference, &self.whole.mean, &source.mean, &back)
        });
        let divisions = (0..self.halves.divisions).into_par_iter();
        let jackknifed = divisions.map(|division| {
            let [a, b] = halved(samples, self.halves.seed, division, 0)?;
            let [to_a, to_b] = match self.halved.get(division) {
                Some([target_a, target_b]) => [target_a, target_b],
                None => [&self.whole; 2],
            };
            Ok(2.0 * plain - 0.5 * (a.distance(to_a)? + b.distance(to_b)?))
        });
        Ok(FrechetMeasured {
            plain,
            jackknifed: jackknifed.collect::<Result<_>>()?,
            influence: influence_of_samples,
            reference_influence,
            dim: samples.dim(),
        })
    }
}

impl FrechetMeasured {
    /// The distance with and without its bias.
    pub fn distance(&self) -> Frechet {
        let first = variance(&self.influence) / self.influence.len() as f64;
        let reference = self.reference_influence.as_deref();
        let second = reference.map_or(0.0, |psi| variance(psi) / psi.len() as f64);
        let corrected = estimate(&self.jackknifed, first + second);
        Frechet {
            plain: Estimate {
                value: self.plain,
                ..corrected
            },
            corrected,
            samples: self.influence.len(),
            reference: reference.map(<[f64]>::len),
            dim: self.dim,
        }
    }

    /// This distance less `other`'s, both without their bias: of samples at equal seeds, to the
    /// same reference.
    ///
    /// # Errors
    /// [`Error::Shape`] where the samples are not equally many, or the references differ in
    /// size.
    pub fn compare(&self, other: &Self) -> Result<Comparison> {
        let same = |what: &str, a: usize, b: usize| match a == b {
            true => Ok(()),
            false => Err(Error::Shape {
                what: what.into(),
                expected: vec![a],
                found: vec![b],
            }),
        };
        same(
            "the second samples",
            self.influence.len(),
            other.influence.len(),
        )?;
        same(
            "divisions of the second distance",
            self.jackknifed.len(),
            other.jackknifed.len(),
        )?;
        let difference = |a: &[f64], b: &[f64]| -> Vec<f64> {
            let pairs = a.iter().zip(b);
            pairs.map(|(a, b)| a - b).collect()
        };
        let psi = difference(&self.influence, &other.influence);
        let reference_variance = match (&self.reference_influence, &other.reference_influence) {
            (Some(a), Some(b)) => {
                same("the second reference", a.len(), b.len())?;
                variance(&difference(a, b)) / a.len() as f64
            }
            _ => 0.0,
        };
        let jackknifed = difference(&self.jackknifed, &other.jackknifed);
        let first = variance(&psi) / psi.len() as f64;
        Ok(Comparison {
            difference: estimate(&jackknifed, first + reference_variance),
            samples: psi.len(),
            reference_variance,
        })
    }
}

fn enough(what: &str, rows: usize) -> Result<()> {
    match rows {
        0..4 => Err(Error::setting(what, rows, "halves of two need four rows")),
        _ => Ok(()),
    }
}

/// Both halves of a division of `features`; `stream` is 0 for samples, 1 for a reference.
fn halved(features: Features, seed: u64, division: usize, stream: u64) -> Result<[Gaussian; 2]> {
    let order = NoiseSource::new(seed, Stream::Evaluation)
        .permutation(2 * division as u64 + stream, features.len());
    let (a, b) = order.split_at(features.len() / 2);
    let half = |rows: &[usize]| {
        let rows = features.gather(rows);
        let half = Features::new("a half", &rows, features.dim())?;
        Gaussian::new(&Moments::of(half))
    };
    Ok([half(a)?, half(b)?])
}

/// The mean of the `jackknifed` values of all divisions, with its error by `first`, the plug-in
/// variance of the first order.
fn estimate(jackknifed: &[f64], first: f64) -> Estimate {
    let divisions = jackknifed.len() as f64;
    let value = jackknifed.iter().sum::<f64>() / divisions;
    let second = match jackknifed {
        [_] => 0.0,
        several => variance(several),
    };
    let square = (first - 2.0 * second).max(0.0) + second * (1.0 + 1.0 / divisions);
    Estimate {
        value,
        standard_error: square.sqrt(),
    }
}

/// 1/s, but 0 where s is rounding: along such an axis one of the Gaussians has no variance.
fn inverses(singular: &[f64]) -> Vec<f64> {
    let top = singular.iter().fold(0.0, |top: f64, s| top.max(*s));
    let rounding = top * singular.len() as f64 * f64::EPSILON;
    let inverse = |s: &f64| if *s <= rounding { 0.0 } else { 1.0 / s };
    singular.iter().map(inverse).collect()
}

/// T = F W diag(1/s) W^T F^T, the transport to the Gaussian whose factor is F; the product of both
/// factors has singular values s and, on F's side, vectors W.
fn transport(factor: &Matrix, vectors: &Matrix, inverse: &[f64]) -> Matrix {
    let turned = product(factor.view(), vectors.view());
    let scaled = turned.clone().scale_columns(inverse);
    product(scaled.view(), turned.view().transpose())
}

/// psi of each row of `features`, whose Gaussian has `mean`, to one of mean `other` by the
/// `transport`, without the constant tr((I - T) S).
fn influence(features: Features, mean: &[f64], other: &[f64], transport: &Matrix) -> Vec<f64> {
    /// Rows at a time.
    const BLOCK: usize = 256;
    let dim = features.dim();
    let away: Vec<f64> = mean.iter().zip(other).map(|(m, o)| 2.0 * (m - o)).collect();
    let blocks = features.values().par_chunks(BLOCK * dim);
    blocks
        .flat_map_iter(|rows| {
            let pairs = rows.iter().zip(mean.iter().cycle());
            let centred: Vec<f64> = pairs.map(|(x, mean)| x - mean).collect();
            // T is symmetric.
            let moved = product(view(&centred, dim), transport.view());
            let pairs = centred
                .chunks_exact(dim)
                .zip(moved.values().chunks_exact(dim));
            let psi = pairs.map(|(x, moved)| {
                let terms = x.iter().zip(moved).zip(&away);
                terms.map(|((x, moved), away)| x * (away + x - moved)).sum()
            });
            psi.collect::<Vec<f64>>()
        })
        .collect()
}
