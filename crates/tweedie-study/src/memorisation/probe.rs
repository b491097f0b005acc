//! The losses of a denoiser beside the minimum on its training set.
//!
//! Everything is in units of the loss of no denoising, D sigma^2. With x = x0 + sigma z, x0 a
//! training item, and H the exact denoiser of the training set:
//!
//! - minimum: E |x0 - H(x)|^2 = E tr Cov[x0 | x], which has no rare events to wait for;
//! - excess of H^: E |H^(x) - H(x)|^2, since x0 - H is orthogonal to every function of x. It is
//!   exact where the difference of two losses would be lost in their noise;
//! - training loss: the sum of both.

use super::sets::{DIM, Items};
use tweedie::Result;
use tweedie::measure::Estimate;
use tweedie::noise::Levels;
use tweedie::random::{NoiseSource, Stream};
use tweedie::score::{Denoiser, Differentiable, Empirical, Posterior, Query};

/// Noised versions of a held-out item at a level.
const REPEATS: usize = 2;

/// Noised training and held-out items at some noise levels, and what the exact denoiser makes of
/// them.
pub struct Probe<'a> {
    held_out: &'a Items,
    levels: Vec<Level>,
}

struct Level {
    sigma: f64,
    /// Noised training items, and the exact denoiser there.
    noised: Vec<f64>,
    exact: Vec<f64>,
    /// Noised held-out items, in order, [`REPEATS`] times.
    held_out: Vec<f64>,
    minimum: Estimate,
    /// The exact denoiser's loss on the held-out items.
    exact_held_out: Estimate,
}

/// The losses of a denoiser at one noise level.
#[derive(Clone, Copy, Debug)]
pub struct Losses {
    /// The smallest training loss possible.
    pub minimum: Estimate,
    /// How far the training loss is above it.
    pub excess: Estimate,
    /// The loss on held-out items.
    pub held_out: Estimate,
    /// The loss on held-out items of the denoiser that attains the minimum.
    pub exact_held_out: Estimate,
}

impl Losses {
    /// The loss on training items.
    pub fn training(&self) -> f64 {
        self.minimum.value + self.excess.value
    }

    /// The excess relative to the minimum.
    pub fn relative(&self) -> f64 {
        self.excess.value / self.minimum.value
    }
}

impl<'a> Probe<'a> {
    /// Noises `draws` items of the training set, which are taken in turn, and all held-out items.
    pub fn new(
        exact: &Empirical,
        held_out: &'a Items,
        levels: &Levels,
        draws: usize,
        seed: u64,
    ) -> Result<Self> {
        let source = NoiseSource::new(seed, Stream::Evaluation);
        let repeated = held_out.values.repeat(REPEATS);
        let trained_on: Vec<f64> = exact
            .data()
            .iter()
            .copied()
            .cycle()
            .take(draws * DIM)
            .collect();
        // Held-out rows have other numbers, and so other noise.
        let first = draws as u64;
        let level = |(step, &sigma): (usize, &f64)| {
            let noised = |items: &[f64], first: u64| {
                let rows: Vec<u64> = (first..).take(items.len() / DIM).collect();
                let mut x = vec![0.0; items.len()];
                source.fill_batch(&rows, step as u32, &mut x);
                x.iter_mut()
                    .zip(items)
                    .for_each(|(z, x0)| *z = x0 + sigma * *z);
                x
            };
            let (x, outside) = (noised(&trained_on, 0), noised(&repeated, first));
            let (mut h, mut trace) = (vec![0.0; x.len()], vec![0.0; draws]);
            let sigmas = vec![sigma; draws];
            exact.denoise_trace(
                &Query::new(&x, &sigmas),
                &mut Posterior::new(&mut h),
                &mut trace,
            )?;
            // tr dH/dx = tr Cov/sigma^2.
            trace.iter_mut().for_each(|trace| *trace /= DIM as f64);
            Ok(Level {
                sigma,
                minimum: Estimate::mean(&trace),
                exact_held_out: error(exact, &outside, sigma, &held_out.values)?,
                noised: x,
                exact: h,
                held_out: outside,
            })
        };
        let levels = levels.as_slice().iter().enumerate().map(level);
        Ok(Self {
            held_out,
            levels: levels.collect::<Result<_>>()?,
        })
    }

    /// The losses of `denoiser`, by noise level.
    pub fn losses(&self, denoiser: &dyn Denoiser) -> Result<Vec<Losses>> {
        let of = |level: &Level| {
            Ok(Losses {
                minimum: level.minimum,
                excess: error(denoiser, &level.noised, level.sigma, &level.exact)?,
                held_out: error(
                    denoiser,
                    &level.held_out,
                    level.sigma,
                    &self.held_out.values,
                )?,
                exact_held_out: level.exact_held_out,
            })
        };
        self.levels.iter().map(of).collect()
    }
}

/// The mean squared error of `denoiser` at the rows of `x` against `wanted`, whose rows are taken
/// in turn where they are fewer; in units of D sigma^2.
fn error(denoiser: &dyn Denoiser, x: &[f64], sigma: f64, wanted: &[f64]) -> Result<Estimate> {
    let mut h = vec![0.0; x.len()];
    denoiser.denoise_at(x, sigma, &mut h)?;
    let mut errors = vec![0.0; wanted.len() / DIM];
    let scale = (x.len() / wanted.len()) as f64 * DIM as f64 * sigma * sigma;
    for h in h.chunks_exact(wanted.len()) {
        let pairs = h.chunks_exact(DIM).zip(wanted.chunks_exact(DIM));
        for (error, (h, wanted)) in errors.iter_mut().zip(pairs) {
            *error += squared_distance(h, wanted) / scale;
        }
    }
    // An item is one observation, however often it was noised.
    Ok(Estimate::mean(&errors))
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::super::sets::Sets;
    use super::*;

    /// A denoiser that returns what it is given: its loss is 1.
    struct Nothing;

    impl Denoiser for Nothing {
        fn dim(&self) -> usize {
            DIM
        }

        fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
            posterior.mean.copy_from_slice(query.x);
            Ok(())
        }
    }

    #[test]
    fn the_exact_denoiser_attains_the_minimum_and_the_parts_add_up() {
        let sets = Sets::new(0).unwrap();
        let items = &sets.training[0];
        let exact = Empirical::new(items.values.clone(), DIM).unwrap();
        let levels = Levels::geometric(6.0, 0.05, 6).unwrap();
        let probe = Probe::new(&exact, &sets.held_out, &levels, 2000, 3).unwrap();
        for losses in probe.losses(&exact).unwrap() {
            assert_eq!(losses.excess.value, 0.0);
            assert_eq!(losses.held_out, losses.exact_held_out);
        }
        let within = |found: f64, wanted: f64, error: f64| {
            assert!(
                (found - wanted).abs() < 4.5 * error + 1e-12,
                "{found} {wanted} {error}"
            );
        };
        let source = NoiseSource::new(9, Stream::Evaluation);
        for (losses, &sigma) in probe
            .losses(&Nothing)
            .unwrap()
            .iter()
            .zip(levels.as_slice())
        {
            let error = losses
                .minimum
                .standard_error
                .hypot(losses.excess.standard_error);
            within(losses.training(), 1.0, error);
            within(losses.held_out.value, 1.0, losses.held_out.standard_error);
            // The minimum by its definition, under other noise.
            let rows: Vec<u64> = (0..2000).collect();
            let x0 = items.values.repeat(20);
            let mut x = vec![0.0; x0.len()];
            source.fill_batch(&rows, 0, &mut x);
            x.iter_mut()
                .zip(&x0)
                .for_each(|(z, x0)| *z = x0 + sigma * *z);
            let mut h = vec![0.0; x.len()];
            exact.denoise_at(&x, sigma, &mut h).unwrap();
            let rows = h.chunks(DIM).zip(x0.chunks(DIM));
            let errors: Vec<f64> = rows
                .map(|(h, x0)| squared_distance(h, x0) / (DIM as f64 * sigma * sigma))
                .collect();
            let direct = Estimate::mean(&errors);
            let error = direct.standard_error.hypot(losses.minimum.standard_error);
            within(losses.minimum.value, direct.value, error);
        }
    }
}
