//! The sliced Wasserstein distance of two samples in D dimensions.
//!
//! SW_2^2 = E W_2^2(theta . a, theta . b), theta uniform on the unit sphere (Rabin et al. 2012;
//! Bonneel et al. 2015). Each direction's distance is exact; the mean over directions is an
//! estimate.

use rayon::prelude::*;

use super::check_rows;
use super::estimate::Estimate;
use super::wasserstein::{coupled, sorted};
use crate::error::{Error, Result};
use crate::random::{NoiseSource, Stream};

/// The sliced Wasserstein-2 distance of the rows of `a` `[n, dim]` and of `b` `[m, dim]`, over
/// `directions` determined by `seed`, with its standard error over directions.
///
/// A translation by d changes it by |d|/sqrt(dim), so it is smaller than W_2 by about a factor
/// sqrt(dim).
///
/// # Errors
/// [`Error::Shape`] where `a` or `b` is not whole rows or has none, [`Error::Setting`] for a
/// value that is not finite, or for no directions.
pub fn sliced_wasserstein_2(
    a: &[f64],
    b: &[f64],
    dim: usize,
    directions: usize,
    seed: u64,
) -> Result<Estimate> {
    check_rows("a", a, dim)?;
    check_rows("b", b, dim)?;
    if directions == 0 {
        return Err(Error::setting("directions", 0, "must be at least 1"));
    }
    let squares: Vec<f64> = (0..directions as u64)
        .into_par_iter()
        .map(|number| {
            let direction = direction(dim, number, seed);
            let along = |rows: &[f64]| {
                let along = rows.chunks_exact(dim).map(|row| {
                    let terms = row.iter().zip(&direction).map(|(x, d)| x * d);
                    terms.sum::<f64>()
                });
                sorted(&along.collect::<Vec<_>>())
            };
            Ok(coupled(&along(a)?, &along(b)?, |d| d * d))
        })
        .collect::<Result<_>>()?;
    let square = Estimate::mean(&squares);
    let value = square.value.sqrt();
    Ok(Estimate {
        value,
        // That of a root; at 0 all directions agree.
        standard_error: match square.standard_error {
            0.0 => 0.0,
            error => error / (2.0 * value),
        },
    })
}

/// The unit vector `number` of `seed`.
fn direction(dim: usize, number: u64, seed: u64) -> Vec<f64> {
    let mut z = vec![0.0; dim];
    NoiseSource::new(seed, Stream::Evaluation).fill_normal(number, 0, &mut z);
    let length = z.iter().map(|z| z * z).sum::<f64>().sqrt();
    z.iter_mut().for_each(|z| *z /= length);
    z
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::wasserstein_2;

    fn normals(n: usize, seed: u64) -> Vec<f64> {
        let mut z = vec![0.0; n];
        NoiseSource::new(seed, Stream::Data).fill_normal(0, 0, &mut z);
        z
    }

    #[test]
    fn in_one_dimension_it_is_the_distance() {
        let (a, b) = (normals(50, 0), normals(70, 1));
        let sliced = sliced_wasserstein_2(&a, &b, 1, 5, 0).unwrap();
        assert!((sliced.value - wasserstein_2(&a, &b).unwrap()).abs() < 1e-14);
        assert!(sliced.standard_error < 1e-14);
    }

    #[test]
    fn it_is_the_mean_over_directions() {
        let (a, b, dim) = (normals(60, 0), normals(90, 1), 3);
        let mean = (0..7)
            .map(|number| {
                let d = direction(dim, number, 4);
                assert!((d.iter().map(|d| d * d).sum::<f64>() - 1.0).abs() < 1e-15);
                let along = |rows: &[f64]| -> Vec<f64> {
                    let rows = rows.chunks(dim);
                    rows.map(|x| x[0] * d[0] + x[1] * d[1] + x[2] * d[2])
                        .collect()
                };
                wasserstein_2(&along(&a), &along(&b)).unwrap().powi(2) / 7.0
            })
            .sum::<f64>();
        let sliced = sliced_wasserstein_2(&a, &b, dim, 7, 4).unwrap();
        assert!((sliced.value - mean.sqrt()).abs() < 1e-14);
        // The first directions do not depend on how many there are, nor a mean on threads.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let alone = pool.install(|| sliced_wasserstein_2(&a, &b, dim, 7, 4).unwrap());
        assert_eq!(alone, sliced);
    }

    /// A translation by t gives (theta . t)^2, whose mean is |t|^2/dim.
    #[test]
    fn a_translation_within_the_standard_error() {
        let (dim, a) = (4, normals(4 * 20, 0));
        let t = [1.0, -2.0, 0.5, 3.0];
        let moved = |x: (usize, &f64)| x.1 + t[x.0 % dim];
        let b: Vec<f64> = a.iter().enumerate().map(moved).collect();
        let sliced = sliced_wasserstein_2(&a, &b, dim, 4000, 0).unwrap();
        let exact = (t.iter().map(|t| t * t).sum::<f64>() / dim as f64).sqrt();
        assert!(sliced.standard_error > 0.0 && sliced.standard_error < 0.02 * exact);
        assert!((sliced.value - exact).abs() < 4.0 * sliced.standard_error);
        let same = sliced_wasserstein_2(&a, &a, dim, 10, 0).unwrap();
        assert_eq!((same.value, same.standard_error), (0.0, 0.0));
    }

    #[test]
    fn wrong_arguments_are_refused() {
        let sliced = sliced_wasserstein_2;
        assert!(sliced(&[1.0; 3], &[1.0; 2], 2, 1, 0).is_err());
        assert!(sliced(&[1.0; 2], &[], 2, 1, 0).is_err());
        assert!(sliced(&[1.0; 2], &[1.0; 2], 2, 0, 0).is_err());
        assert!(sliced(&[1.0; 2], &[f64::NAN, 0.0], 2, 1, 0).is_err());
    }
}
