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
//! from one Gaussian to the other. So its influence function (Hampel 1974) is
//!
//! psi(x) = 2 (m - m_r)^T (x - m) + (x - m)^T (I - T) (x - m) - tr((I - T) S),
//!
//! and the error's first order sd(psi)/sqrt(n); likewise for the reference, with T of the way back.
//! Near d = 0 psi vanishes and the second order decides. It is what the J of different divisions
//! differ by: with W the variance of J over divisions, the second order's variance is W for the
//! mean of all divisions and W + W/K for the mean of K, and the plug-in var(psi)/n holds twice W
//! too much. Hence SE^2 = max(var(psi)/n - 2 W, 0) + W (1 + 1/K).

use serde::Serialize;

use nalgebra::{DMatrix, DVector, SVD};
use rayon::prelude::*;

use super::comparison::Comparison;
use super::estimate::{Estimate, variance};
use super::frechet::{Gaussian, check_same_dim};
use super::{Features, Moments};
use crate::error::{Error, Result};
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
/// Time grows with dim^3, for each division twice: seconds at 512 features, but for the 2048 of
/// Inception take one division. At a true distance of 0 the error comes out a quarter too large
/// rather than too small.
///
/// # Errors
/// [`Error::Shape`] where the dimensions differ, [`Error::Setting`] for fewer than four rows, no
/// divisions, or a covariance that is not positive semi-definite.
pub fn frechet(samples: Features, reference: Reference, halves: Halves) -> Result<Frechet> {
    let parts = Parts::new(samples, reference, halves)?;
    let first = variance(&parts.samples_influence) / samples.len() as f64;
    let second = parts.reference_influence.as_deref();
    let second = second.map_or(0.0, |psi| variance(psi) / psi.len() as f64);
    let corrected = estimate(&parts.jackknifed, first + second);
    Ok(Frechet {
        plain: Estimate {
            value: parts.plain,
            ..corrected
        },
        corrected,
        samples: samples.len(),
        reference: match reference {
            Reference::Exact(_) => None,
            Reference::Sampled(reference) => Some(reference.len()),
        },
        dim: samples.dim(),
    })
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
    let (parts_a, parts_b) = (
        Parts::new(a, reference, halves)?,
        Parts::new(b, reference, halves)?,
    );
    let difference = |a: &[f64], b: &[f64]| -> Vec<f64> {
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| a - b).collect()
    };
    let psi = difference(&parts_a.samples_influence, &parts_b.samples_influence);
    let reference_variance = match (&parts_a.reference_influence, &parts_b.reference_influence) {
        (Some(a), Some(b)) => variance(&difference(a, b)) / a.len() as f64,
        _ => 0.0,
    };
    let jackknifed = difference(&parts_a.jackknifed, &parts_b.jackknifed);
    let first = variance(&psi) / psi.len() as f64;
    Ok(Comparison {
        difference: estimate(&jackknifed, first + reference_variance),
        samples: a.len(),
        reference_variance,
    })
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

/// What a distance and its uncertainty are made of.
struct Parts {
    plain: f64,
    /// J of each division.
    jackknifed: Vec<f64>,
    /// psi of each sample, up to a constant.
    samples_influence: Vec<f64>,
    /// psi of each reference item.
    reference_influence: Option<Vec<f64>>,
}

impl Parts {
    fn new(samples: Features, reference: Reference, halves: Halves) -> Result<Self> {
        let found = match reference {
            Reference::Exact(moments) => moments.dim(),
            Reference::Sampled(reference) => reference.dim(),
        };
        check_same_dim(samples.dim(), found)?;
        let enough = |what: &str, rows: usize| match rows {
            0..4 => Err(Error::setting(what, rows, "halves of two need four rows")),
            _ => Ok(()),
        };
        enough("samples", samples.len())?;
        if halves.divisions == 0 {
            return Err(Error::setting("divisions", 0, "must be at least 1"));
        }
        let (target, reference) = match reference {
            Reference::Exact(moments) => (Gaussian::new(moments)?, None),
            Reference::Sampled(reference) => {
                enough("reference", reference.len())?;
                (Gaussian::new(&Moments::of(reference))?, Some(reference))
            }
        };
        let source = Gaussian::new(&Moments::of(samples))?;
        let product = SVD::new(&source.root * &target.root, true, true);
        let plain = source.distance_by(&target, &product.singular_values);

        let ways = product.u.zip(product.v_t).map(|(u, v_t)| {
            let inverse = inverses(&product.singular_values);
            (
                transport(&target.root, &v_t.transpose(), &inverse),
                transport(&source.root, &u, &inverse),
            )
        });
        let Some((there, back)) = ways else {
            return Err(Error::setting(
                "covariance",
                "of the samples",
                "has no decomposition",
            ));
        };
        let samples_influence = influence(samples, &source.mean, &target.mean, &there);
        let reference_influence =
            reference.map(|reference| influence(reference, &target.mean, &source.mean, &back));

        let halved = |features: Features, division: usize, stream: u64| {
            let order = NoiseSource::new(halves.seed, Stream::Evaluation)
                .permutation(2 * division as u64 + stream, features.len());
            let (a, b) = order.split_at(features.len() / 2);
            [a, b].map(|half| {
                let rows = features.gather(half);
                let half = Features::new("a half", &rows, features.dim())?;
                Gaussian::new(&Moments::of(half))
            })
        };
        let jackknifed = (0..halves.divisions)
            .into_par_iter()
            .map(|division| {
                let [a, b] = halved(samples, division, 0);
                let (a, b) = (a?, b?);
                let (to_a, to_b) = match reference {
                    None => (a.distance(&target), b.distance(&target)),
                    Some(reference) => {
                        let [target_a, target_b] = halved(reference, division, 1);
                        (a.distance(&target_a?), b.distance(&target_b?))
                    }
                };
                Ok(2.0 * plain - 0.5 * (to_a + to_b))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            plain,
            jackknifed,
            samples_influence,
            reference_influence,
        })
    }
}

/// 1/s, but 0 where s is rounding: along such an axis one of the Gaussians has no variance.
fn inverses(singular: &DVector<f64>) -> DVector<f64> {
    let rounding = singular.amax() * singular.len() as f64 * f64::EPSILON;
    singular.map(|s| if s <= rounding { 0.0 } else { 1.0 / s })
}

/// T = R W diag(1/s) W^T R, the transport to the Gaussian whose root is R; the product of both
/// roots has singular values s and, on R's side, vectors W.
fn transport(root: &DMatrix<f64>, vectors: &DMatrix<f64>, inverse: &DVector<f64>) -> DMatrix<f64> {
    let turned = root * vectors;
    let mut scaled = turned.clone();
    for (mut column, inverse) in scaled.column_iter_mut().zip(inverse.iter()) {
        column *= *inverse;
    }
    scaled * turned.transpose()
}

/// psi of each row of `features`, whose Gaussian has `mean`, to one of mean `other` by the
/// `transport`, without the constant tr((I - T) S).
fn influence(
    features: Features,
    mean: &[f64],
    other: &[f64],
    transport: &DMatrix<f64>,
) -> Vec<f64> {
    /// Rows at a time.
    const BLOCK: usize = 256;
    let dim = features.dim();
    let away = DVector::from_iterator(dim, mean.iter().zip(other).map(|(m, o)| 2.0 * (m - o)));
    let blocks = features.values().par_chunks(BLOCK * dim);
    blocks
        .flat_map_iter(|rows| {
            let mut centred = DMatrix::from_column_slice(dim, rows.len() / dim, rows);
            for mut column in centred.column_iter_mut() {
                let pairs = column.iter_mut().zip(mean);
                pairs.for_each(|(x, mean)| *x -= mean);
            }
            let moved = transport * &centred;
            let pairs = centred.column_iter().zip(moved.column_iter());
            let psi = pairs.map(|(x, moved)| away.dot(&x) + x.dot(&x) - x.dot(&moved));
            psi.collect::<Vec<_>>()
        })
        .collect()
}
