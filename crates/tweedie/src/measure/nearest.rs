//! The symmetric mean distance to the nearest neighbour.
//!
//! d = 1/2 (mean_a min_b ||a - b|| + mean_b min_a ||a - b||)
//!
//! The first mean measures whether samples lie close to the data (precision), the second whether
//! all data are covered (recall). It suits two-dimensional experiments such as those of
//! Jolicoeur-Martineau et al. 2021, Figure 2, which that paper shows as pictures. It is not 0
//! between two samples of one distribution, so report it beside that of a second sample of the
//! data.

use rayon::prelude::*;

use super::check_rows;
use super::estimate::Estimate;
use crate::error::Result;
use crate::score::squared_distance;

/// Block size of the comparison: blocks of points stay in a core's cache.
const BLOCK: usize = 256;

/// Mean distances between two sets of points a and b, in the data's units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearestNeighbours {
    /// From a point of a to the nearest of b: large where samples a lie off the data b.
    pub from_a: Estimate,
    /// From a point of b to the nearest of a: large where samples a leave a part of the data b out.
    pub from_b: Estimate,
}

impl NearestNeighbours {
    /// The mean of both.
    pub fn symmetric(&self) -> Estimate {
        let (a, b) = (self.from_a, self.from_b);
        Estimate {
            value: 0.5 * (a.value + b.value),
            standard_error: 0.5 * a.standard_error.hypot(b.standard_error),
        }
    }
}

/// The mean nearest-neighbour distances of the rows of `a` `[n, dim]` and of `b` `[m, dim]`, from
/// all pairs.
///
/// Standard errors take each point's distance as an independent observation.
///
/// # Errors
/// [`crate::Error::Shape`] where `a` or `b` is not whole rows or has none,
/// [`crate::Error::Setting`] for a value that is not finite.
pub fn nearest_neighbours(a: &[f64], b: &[f64], dim: usize) -> Result<NearestNeighbours> {
    check_rows("a", a, dim)?;
    check_rows("b", b, dim)?;
    Ok(NearestNeighbours {
        from_a: Estimate::mean(&nearest(a, b, dim)),
        from_b: Estimate::mean(&nearest(b, a, dim)),
    })
}

/// The distance from each row of `from` to the nearest of `to`.
fn nearest(from: &[f64], to: &[f64], dim: usize) -> Vec<f64> {
    let mut squares = vec![f64::INFINITY; from.len() / dim];
    squares
        .par_chunks_mut(BLOCK)
        .zip(from.par_chunks(BLOCK * dim))
        .for_each(|(squares, from)| {
            for to in to.chunks(BLOCK * dim) {
                for (square, point) in squares.iter_mut().zip(from.chunks_exact(dim)) {
                    for other in to.chunks_exact(dim) {
                        *square = square.min(squared_distance(point, other));
                    }
                }
            }
            squares
                .iter_mut()
                .for_each(|square| *square = square.sqrt());
        });
    squares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{NoiseSource, Stream};

    fn normals(n: usize, seed: u64) -> Vec<f64> {
        let mut z = vec![0.0; n];
        NoiseSource::new(seed, Stream::Data).fill_normal(0, 0, &mut z);
        z
    }

    #[test]
    fn by_hand() {
        let (a, b) = ([0.0, 0.0, 3.0, 4.0], [0.0, 1.0]);
        // From a: 1 and sqrt(18); from b: 1.
        let d = nearest_neighbours(&a, &b, 2).unwrap().symmetric();
        let mean = 0.5 * (1.0 + 18.0f64.sqrt());
        assert!((d.value - 0.5 * (mean + 1.0)).abs() < 1e-15);
        // A single point has no standard error.
        assert!(d.standard_error.is_nan());
        // Two on either side: distances 1, 2 and 1, 2, each mean with error 1/2.
        let d = nearest_neighbours(&[0.0, 10.0], &[1.0, 12.0], 1)
            .unwrap()
            .symmetric();
        assert_eq!(d.value, 1.5);
        assert!((d.standard_error - 0.5 * 0.5f64.sqrt()).abs() < 1e-15);
        let same = nearest_neighbours(&a, &a, 2).unwrap().symmetric();
        assert_eq!((same.value, same.standard_error), (0.0, 0.0));
    }

    /// Blocks and threads against the plain definition.
    #[test]
    fn it_is_the_definition() {
        for (n, m, dim) in [(700, 300, 2), (257, 513, 11), (1, 5, 3)] {
            let (a, b) = (normals(n * dim, 0), normals(m * dim, 1));
            let mean = |from: &[f64], to: &[f64]| {
                let nearest = from.chunks(dim).map(|p| {
                    let distances = to.chunks(dim).map(|q| {
                        let terms = p.iter().zip(q).map(|(p, q)| (p - q).powi(2));
                        terms.sum::<f64>().sqrt()
                    });
                    distances.fold(f64::INFINITY, f64::min)
                });
                nearest.sum::<f64>() / (from.len() / dim) as f64
            };
            let d = nearest_neighbours(&a, &b, dim).unwrap().symmetric();
            assert!((d.value - 0.5 * (mean(&a, &b) + mean(&b, &a))).abs() < 1e-13);
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                .build()
                .unwrap();
            let alone = pool.install(|| nearest_neighbours(&a, &b, dim).unwrap().symmetric());
            assert_eq!(alone.value, d.value);
        }
    }

    /// A Poisson process of density r in the plane has mean nearest distance 1/(2 sqrt r).
    #[test]
    fn uniform_points_are_at_the_known_distance() {
        let source = NoiseSource::new(5, Stream::Data);
        let n = 5000u64;
        let points = |step: u32| -> Vec<f64> {
            let point = |k| [source.uniform(k, step, 0), source.uniform(k, step, 1)];
            (0..n).flat_map(point).collect()
        };
        let d = nearest_neighbours(&points(0), &points(1), 2)
            .unwrap()
            .symmetric();
        let exact = 0.5 / (n as f64).sqrt();
        // The edges add about the perimeter's share of a distance: within 2 %.
        let slack = 4.0 * d.standard_error + 0.02 * exact;
        assert!((d.value - exact).abs() < slack, "{d:?} {exact}");
    }

    #[test]
    fn wrong_points_are_refused() {
        assert!(nearest_neighbours(&[1.0; 3], &[1.0; 2], 2).is_err());
        assert!(nearest_neighbours(&[1.0; 2], &[], 2).is_err());
        assert!(nearest_neighbours(&[f64::NAN; 2], &[1.0; 2], 2).is_err());
    }
}
