//! The weights that samples give to the components of a known mixture.
//!
//! The density sum_k w_k p_k(x) with the components' densities p_k as they are and weights w by
//! maximum likelihood: a concave problem, climbed by
//!
//! w_k <- mean_i r_ik, r_ik = w_k p_k(x_i)/sum_l w_l p_l(x_i)
//!
//! (Dempster, Laird and Rubin 1977). Unlike the mean responsibilities under the mixture's own
//! weights, which are the first step, they are not drawn to those weights where components overlap. With
//! s_k = p_k/f and the information J = mean s s^T, which has J w = 1, their covariance on the plane
//! of sum 1 is (J^-1 - w w^T)/n. A distance of moments, such as Frechet's, hardly sees weights.

use super::Features;
use super::class_histogram::ClassHistogram;
use super::estimate::Estimate;
use crate::error::{Error, Result};
use crate::matrix::{Matrix, inverse_diagonal};
use crate::score::{Denoiser, Distribution, GaussianMixture};

/// Steps of the climb, at most.
const STEPS: usize = 10_000;
/// A change of weights that ends it.
const SETTLED: f64 = 1e-12;

/// The weights of components in samples.
#[derive(Clone, Debug, PartialEq)]
pub struct MixtureWeights {
    /// The weights, `[K]`. Of a component without samples the error is 1/n; NaN where components
    /// cannot be told from each other.
    pub weights: Vec<Estimate>,
    /// How many samples are most likely of each component under the mixture as given: the modes
    /// covered are its classes.
    pub assigned: ClassHistogram,
}

/// The weights that `samples` give to the components of `mixture`, noised by `sigma`.
///
/// # Errors
/// [`Error::Shape`] where the dimensions differ, [`Error::Setting`] for a `sigma` at which the
/// mixture has no density, or a sample so far away that no component has one.
pub fn mixture_weights(
    samples: Features,
    mixture: &GaussianMixture,
    sigma: f64,
) -> Result<MixtureWeights> {
    if samples.dim() != mixture.dim() {
        return Err(Error::Shape {
            what: "the samples".into(),
            expected: vec![samples.len(), mixture.dim()],
            found: vec![samples.len(), samples.dim()],
        });
    }
    let (n, components) = (samples.len(), mixture.components());
    // ln p_k(x_i), `[n, K]`.
    let mut logs = vec![0.0; n * components];
    let mut of_one = vec![0.0; n];
    for k in 0..components {
        let component = mixture.component(k)?;
        component.log_density_at(samples.values(), sigma, &mut of_one)?;
        let places = logs.iter_mut().skip(k).step_by(components);
        places.zip(&of_one).for_each(|(place, log)| *place = *log);
    }
    // p_k relative to the row's largest, which falls out of everything below.
    let mut labels = Vec::with_capacity(n);
    let prior: Vec<f64> = mixture.weights();
    for (i, row) in logs.chunks_exact_mut(components).enumerate() {
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if !top.is_finite() {
            let reason = "is so far from every component that none has a density there";
            return Err(Error::setting("sample", i, reason));
        }
        let score = |k: &usize| row[*k] + prior[*k].ln();
        let best = (0..components).max_by(|a, b| score(a).total_cmp(&score(b)).then(b.cmp(a)));
        labels.push(best.unwrap_or(0));
        row.iter_mut().for_each(|log| *log = (*log - top).exp());
    }
    let densities = logs;

    let mut weights = vec![1.0 / components as f64; components];
    for _ in 0..STEPS {
        let mut next = vec![0.0; components];
        for row in densities.chunks_exact(components) {
            let scale = 1.0 / (density(row, &weights) * n as f64);
            let terms = next.iter_mut().zip(row).zip(&weights);
            terms.for_each(|((next, p), w)| *next += w * p * scale);
        }
        let pairs = next.iter().zip(&weights);
        let change = pairs.fold(0.0, |top: f64, (a, b)| top.max((a - b).abs()));
        weights = next;
        if change < SETTLED {
            break;
        }
    }
    Ok(MixtureWeights {
        weights: with_errors(&densities, &weights),
        assigned: ClassHistogram::of_labels(&labels, components)?,
    })
}

/// f = sum_k w_k p_k.
fn density(row: &[f64], weights: &[f64]) -> f64 {
    row.iter().zip(weights).map(|(p, w)| p * w).sum()
}

fn with_errors(densities: &[f64], weights: &[f64]) -> Vec<Estimate> {
    let n = densities.len() / weights.len();
    // Those with less than a thousandth of a sample are at the border, where no curvature tells.
    let inside: Vec<usize> = (0..weights.len())
        .filter(|k| weights[*k] * n as f64 > 1e-3)
        .collect();
    let size = inside.len();
    let mut information = Matrix::zeros(size, size);
    for row in densities.chunks_exact(weights.len()) {
        let f = density(row, weights);
        for (a, &k) in inside.iter().enumerate() {
            for (b, &l) in inside.iter().enumerate() {
                information.values_mut()[a * size + b] += row[k] / f * row[l] / f / n as f64;
            }
        }
    }
    let inverse = inverse_diagonal(information.view());
    let error = |k: usize| {
        let Some(place) = inside.iter().position(|inside| *inside == k) else {
            return 1.0 / n as f64;
        };
        match &inverse {
            Some(inverse) => {
                let square = inverse[place] - weights[k] * weights[k];
                (square.max(0.0) / n as f64).sqrt()
            }
            None => f64::NAN,
        }
    };
    let estimate = |(k, &value): (usize, &f64)| Estimate {
        value,
        standard_error: error(k),
    };
    weights.iter().enumerate().map(estimate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{NoiseSource, Stream};
    use crate::score::Batch;

    fn draw(mixture: &GaussianMixture, n: u64, seed: u64) -> Vec<f64> {
        let numbers: Vec<u64> = (0..n).collect();
        let mut x = vec![0.0; numbers.len() * mixture.dim()];
        let source = NoiseSource::new(seed, Stream::Data);
        let batch = Batch::new(&numbers);
        mixture.draw(&source, batch, 0.0, &mut x).unwrap();
        x
    }

    /// Overlapping components, samples of other weights than the mixture's: the weights and their
    /// errors are those of repetitions.
    #[test]
    fn weights_are_found_within_their_errors() {
        let means = vec![-1.5, 0.0, 0.0, 0.0, 1.5, 1.0];
        let variances = [1.0, 0.5, 1.0];
        let truth = [0.2, 0.5, 0.3];
        let known = GaussianMixture::new(&[0.8, 0.1, 0.1], means.clone(), &variances).unwrap();
        let other = GaussianMixture::new(&truth, means, &variances).unwrap();
        let runs: Vec<_> = (0..200)
            .map(|seed| {
                let x = draw(&other, 400, seed);
                let x = Features::new("samples", &x, 2).unwrap();
                mixture_weights(x, &known, 0.0).unwrap().weights
            })
            .collect();
        for (k, truth) in truth.iter().enumerate() {
            let values: Vec<f64> = runs.iter().map(|run| run[k].value).collect();
            let mean = Estimate::mean(&values);
            assert!(
                (mean.value - truth).abs() < 4.0 * mean.standard_error,
                "{mean:?}"
            );
            let printed = runs.iter().map(|run| run[k].standard_error).sum::<f64>() / 200.0;
            let spread = mean.standard_error * 200f64.sqrt();
            assert!((printed / spread - 1.0).abs() < 0.15, "{printed} {spread}");
        }
    }

    #[test]
    fn lost_modes_are_seen() {
        let means = vec![-10.0, 0.0, 10.0];
        let mixture = GaussianMixture::new(&[0.2, 0.4, 0.4], means.clone(), &[1.0; 3]).unwrap();
        let lost = GaussianMixture::new(&[0.5, 0.5, 0.0], means, &[1.0; 3]).unwrap();
        let x = draw(&lost, 200, 0);
        let x = Features::new("samples", &x, 1).unwrap();
        let found = mixture_weights(x, &mixture, 0.0).unwrap();
        assert_eq!(found.assigned.covered(), 2);
        let sum: f64 = found.weights.iter().map(|w| w.value).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        assert!(found.weights[2].value < 1e-12 && found.weights[2].standard_error == 0.005);
        // Apart, weights are shares.
        let [share, ..] = found.assigned.shares()[..] else {
            unreachable!()
        };
        assert!((found.weights[0].value - share.value).abs() < 1e-5);
        assert!((found.weights[0].standard_error / share.standard_error - 1.0).abs() < 1e-4);
        let two = [0.0; 4];
        let two = Features::new("samples", &two, 2).unwrap();
        assert!(mixture_weights(two, &mixture, 0.0).is_err());
        assert!(mixture_weights(x, &mixture, f64::NAN).is_err());
    }
}
