//! Technique 1: the largest noise level is the largest Euclidean distance between two data points.
//!
//! Song and Ermon 2020, section 3.1: with a smaller sigma_1 the sampler cannot cross from one data
//! point to another (their Proposition 1).
//!
//! A large set has too many pairs to try all, but most cannot matter: two points at distances r_a,
//! r_b from the mean are at most r_a + r_b apart. Points are visited by decreasing r; once the
//! bound of every remaining pair is below the running maximum, the maximum is exact. Where the
//! budget of pairs runs out first, the result is a lower bound, and r_a + r_b of the next pair an
//! upper one.

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::random::NoiseSource;

/// What Technique 1 found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct InitialNoise {
    /// The largest distance found, in the data's units: sigma_1. A lower bound on the largest
    /// distance of all unless `exact`.
    pub sigma_1: f64,
    /// No pair of the set is further apart than this; equal to `sigma_1` where `exact`.
    pub upper_bound: f64,
    /// Whether no pair left out could be further apart.
    pub exact: bool,
    /// Where not `exact`: the standard deviation of the maxima over eight disjoint random blocks
    /// of the data. It says how much such a maximum varies from sample to sample, not how far it
    /// stays below that of the whole set.
    pub standard_error: Option<f64>,
    /// The median distance of all pairs (small sets) or of 65 536 random pairs.
    pub median: f64,
    /// Pairs whose distance was computed for the maximum.
    pub pairs_examined: u64,
}

/// Pairs of the median's sample.
const MEDIAN_PAIRS: usize = 1 << 16;
/// Blocks of the standard error.
const BLOCKS: usize = 8;
/// Rows compared against one row while it is in the cache.
const TILE: usize = 8;
/// Tiles between two updates of the running maximum, which decides what is left out. Fixed, so
/// that no count depends on the number of threads.
const TILES: usize = 8;

/// Technique 1 on `data`, rows `[n, dim]`, within about `pairs` distances: the search stops after
/// the round of 64 rows that exceeds them, and the standard error takes another quarter.
///
/// 20 million pairs take seconds at 3072 values a row; all pairs of n points are n (n - 1)/2.
/// `source` chooses the random pairs of the median and the blocks of the standard error
/// ([`crate::random::Stream::Evaluation`] is meant for this). `monitor` is told of the pairs.
///
/// # Errors
/// [`Error::Shape`] where `data` is not whole rows; [`Error::Setting`] for fewer than two rows or
/// a value that is not finite; [`Error::Stopped`] where `monitor` says so.
pub fn technique_1(
    data: &[f32],
    dim: usize,
    pairs: u64,
    source: &NoiseSource,
    monitor: &mut Monitor<'_>,
) -> Result<InitialNoise> {
    let points = Points::new(data, dim)?;
    let all: Vec<usize> = (0..points.n).collect();
    let median = median(&points, source);
    // The search may end earlier: whoever watches is told of the most there is to do.
    let most = pairs.min(points.n as u64 * (points.n as u64 - 1) / 2);
    let mut compared = |done: u64| monitor.step("comparing items", done.min(most), most, "pairs");
    let search = points.farthest(&all, pairs, &mut compared)?;
    if search.upper_bound <= search.best {
        return Ok(InitialNoise {
            sigma_1: search.best,
            upper_bound: search.best,
            exact: true,
            standard_error: None,
            median,
            pairs_examined: search.pairs,
        });
    }
    // Blocks small enough that together they take a quarter of the budget of pairs.
    let affordable = (pairs as f64 / (2 * BLOCKS) as f64).sqrt() as usize;
    let size = affordable.min(points.n / BLOCKS).max(2);
    let order = source.permutation(0, points.n);
    let blocks: Vec<Search> = order
        .chunks_exact(size)
        .take(BLOCKS)
        .map(|block| {
            compared(search.pairs)?;
            points.farthest(block, u64::MAX, &mut |_| Ok(()))
        })
        .collect::<Result<_>>()?;
    let maxima = || blocks.iter().map(|block| block.best);
    let count = blocks.len() as f64;
    let mean = maxima().sum::<f64>() / count;
    let variance = maxima().map(|best| (best - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Ok(InitialNoise {
        sigma_1: maxima().fold(search.best, f64::max),
        upper_bound: search.upper_bound,
        exact: false,
        standard_error: (count > 1.0).then(|| variance.sqrt()),
        median,
        pairs_examined: search.pairs + blocks.iter().map(|block| block.pairs).sum::<u64>(),
    })
}

struct Points<'a> {
    data: &'a [f32],
    dim: usize,
    n: usize,
    /// The distance of each row from the mean.
    radii: Vec<f64>,
}

struct Search {
    best: f64,
    upper_bound: f64,
    pairs: u64,
}

impl<'a> Points<'a> {
    fn new(data: &'a [f32], dim: usize) -> Result<Self> {
        if dim == 0 || !data.len().is_multiple_of(dim) {
            return Err(Error::Shape {
                what: "data".into(),
                expected: vec![data.len() / dim.max(1), dim],
                found: vec![data.len()],
            });
        }
        let n = data.len() / dim;
        if n < 2 {
            return Err(Error::setting(
                "data",
                format!("{n} rows"),
                "a distance takes two",
            ));
        }
        if let Some(place) = data.iter().position(|value| !value.is_finite()) {
            let reason = format!("row {} has a value that is not finite", place / dim);
            return Err(Error::setting("data", data[place], reason));
        }
        let mut mean = vec![0.0f64; dim];
        for row in data.chunks_exact(dim) {
            for (mean, &value) in mean.iter_mut().zip(row) {
                *mean += f64::from(value);
            }
        }
        mean.iter_mut().for_each(|mean| *mean /= n as f64);
        let radius = |row: &[f32]| {
            let squares = row
                .iter()
                .zip(&mean)
                .map(|(&x, m)| (f64::from(x) - m).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let radii = data.par_chunks_exact(dim).map(radius).collect();
        Ok(Self {
            data,
            dim,
            n,
            radii,
        })
    }

    fn row(&self, index: usize) -> &[f32] {
        &self.data[index * self.dim..][..self.dim]
    }

    fn distance(&self, a: usize, b: usize) -> f64 {
        squared_distance(self.row(a), self.row(b)).sqrt()
    }

    /// The largest distance among `chosen` (two or more), by about `pairs` distances; `compared`
    /// is told how many there were, and may end it.
    fn farthest(
        &self,
        chosen: &[usize],
        pairs: u64,
        compared: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Search> {
        let mut order = chosen.to_vec();
        order.sort_by(|&a, &b| self.radii[b].total_cmp(&self.radii[a]).then(a.cmp(&b)));
        let n = order.len();
        // No pair of places (a, b) or later is further apart; the factor covers rounding.
        let bound =
            |a: usize, b: usize| (self.radii[order[a]] + self.radii[order[b]]) * (1.0 + 1e-9);
        // A good start prunes more: the point furthest from the outermost, and from that one.
        let furthest_from = |from: usize| {
            let distances = order.par_iter().map(|&to| (self.distance(from, to), to));
            distances.reduce(|| (0.0, from), |a, b| if b > a { b } else { a })
        };
        let (_, far) = furthest_from(order[0]);
        let (mut best, _) = furthest_from(far);
        let mut examined = 2 * (n as u64 - 1);
        let mut first = 0;
        while first + 1 < n && bound(first, first + 1) > best {
            compared(examined)?;
            if examined >= pairs {
                return Ok(Search {
                    best,
                    upper_bound: bound(first, first + 1),
                    pairs: examined,
                });
            }
            let end = (first + TILE * TILES).min(n);
            let tiles: Vec<usize> = (first..end).step_by(TILE).collect();
            let (found, count) = tiles
                .into_par_iter()
                .map(|tile| self.tile(&order, tile..(tile + TILE).min(end), best, &bound))
                .reduce(|| (best, 0), |a, b| (a.0.max(b.0), a.1 + b.1));
            (best, examined) = (found, examined + count);
            first = end;
        }
        Ok(Search {
            best,
            upper_bound: best,
            pairs: examined,
        })
    }

    /// The largest distance above `known` from the places `tile` to later ones, and the pairs
    /// it took.
    fn tile(
        &self,
        order: &[usize],
        tile: std::ops::Range<usize>,
        known: f64,
        bound: &(impl Fn(usize, usize) -> f64 + Sync),
    ) -> (f64, u64) {
        let (mut best, mut count) = (known, 0);
        for later in tile.start + 1..order.len() {
            if bound(tile.start, later) <= known {
                break;
            }
            let row = self.row(order[later]);
            let earlier = order.iter().enumerate().take(tile.end.min(later));
            for (place, &point) in earlier.skip(tile.start) {
                if bound(place, later) <= known {
                    break;
                }
                count += 1;
                let other = self.row(point);
                // Single precision sorts out nearly all pairs; what remains is computed in full.
                // Its error is below 6e-6 relative (64 additions in a row at 2^-24) unless it
                // under- or overflows.
                let screen = f64::from(screening_distance(row, other));
                if screen >= best * best * (1.0 - 2e-5) - 1e-30 {
                    best = best.max(squared_distance(row, other).sqrt());
                }
            }
        }
        (best, count)
    }
}

/// ||a - b||^2 in single precision, pieces of 1024 values added in double.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
fn screening_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut total = 0.0f64;
    for (a, b) in a.chunks(1024).zip(b.chunks(1024)) {
        let mut sums = [0.0f32; 32];
        let (a_rows, a_rest) = a.as_chunks::<32>();
        let (b_rows, b_rest) = b.as_chunks::<32>();
        for (a, b) in a_rows.iter().zip(b_rows) {
            for lane in 0..32 {
                let difference = a[lane] - b[lane];
                sums[lane] += difference * difference;
            }
        }
        for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
            sums[lane] += (a - b) * (a - b);
        }
        total += f64::from(sums.iter().sum::<f32>());
    }
    total as f32
}

/// ||a - b||^2 in double precision, always summed in the same order.
fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (a_rows, a_rest) = a.as_chunks::<8>();
    let (b_rows, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_rows.iter().zip(b_rows) {
        for lane in 0..8 {
            let difference = f64::from(a[lane]) - f64::from(b[lane]);
            sums[lane] += difference * difference;
        }
    }
    for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += (f64::from(a) - f64::from(b)).powi(2);
    }
    sums.iter().sum()
}

fn median(points: &Points, source: &NoiseSource) -> f64 {
    let n = points.n;
    let mut distances: Vec<f64> = if n <= 362 {
        // 362 * 361/2 pairs are fewer than the sample.
        let pairs = (0..n).flat_map(|a| (0..a).map(move |b| (a, b)));
        pairs.map(|(a, b)| points.distance(a, b)).collect()
    } else {
        let sample = (0..MEDIAN_PAIRS as u64).into_par_iter().map(|pair| {
            let a = ((source.uniform(pair, 0, 0) * n as f64) as usize).min(n - 1);
            let b = ((source.uniform(pair, 0, 1) * (n - 1) as f64) as usize).min(n - 2);
            points.distance(a, if b >= a { b + 1 } else { b })
        });
        sample.collect()
    };
    let middle = distances.len() / 2;
    *distances.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::job::Progress;
    use crate::random::Stream;

    fn find(data: &[f32], dim: usize, pairs: u64) -> Result<InitialNoise> {
        technique_1(data, dim, pairs, &source(), &mut Monitor::silent())
    }

    fn source() -> NoiseSource {
        NoiseSource::new(0, Stream::Evaluation)
    }

    fn normals(n: usize, dim: usize) -> Vec<f32> {
        let mut data = vec![0.0; n * dim];
        NoiseSource::new(7, Stream::Data).fill_normal(0, 0, &mut data);
        data
    }

    fn brute_force(data: &[f32], dim: usize) -> Vec<f64> {
        let rows: Vec<&[f32]> = data.chunks_exact(dim).collect();
        let distance = |a: &[f32], b: &[f32]| {
            let squares = a
                .iter()
                .zip(b)
                .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let mut all = Vec::new();
        for (i, a) in rows.iter().enumerate() {
            all.extend(rows[..i].iter().map(|b| distance(a, b)));
        }
        all.sort_by(f64::total_cmp);
        all
    }

    #[test]
    fn property_9_the_maximum_is_that_of_all_pairs() {
        for (n, dim) in [(2, 1), (3, 5), (200, 1), (300, 2), (361, 33), (150, 1100)] {
            let data = normals(n, dim);
            let all = brute_force(&data, dim);
            let found = find(&data, dim, u64::MAX).unwrap();
            assert!(found.exact && found.standard_error.is_none());
            assert!(
                (found.sigma_1 - all[all.len() - 1]).abs() < 1e-10,
                "{n} {dim}"
            );
            assert!(
                (found.median - all[all.len() / 2]).abs() < 1e-10,
                "{n} {dim}"
            );
            assert_eq!(found.upper_bound, found.sigma_1);
        }
    }

    #[test]
    fn points_near_the_mean_are_left_out() {
        let n = 20_000;
        let data = normals(n, 2);
        let found = find(&data, 2, 10_000_000).unwrap();
        assert!(found.exact && found.pairs_examined < 500_000, "{found:?}");
        // Rayleigh-distributed squares: the median distance of N(0, 2 I) is sqrt(4 ln 2); its
        // standard error on 65 536 pairs is about 0.005.
        assert!(
            (found.median - (4.0 * 2f64.ln()).sqrt()).abs() < 0.02,
            "{}",
            found.median
        );
    }

    #[test]
    fn an_estimate_brackets_the_truth_and_says_so() {
        let (n, dim) = (1000, 64);
        let data = normals(n, dim);
        let all = brute_force(&data, dim);
        let truth = all[all.len() - 1];
        let found = find(&data, dim, 30_000).unwrap();
        assert!(!found.exact && found.pairs_examined < 100_000, "{found:?}");
        assert!(
            found.sigma_1 <= truth * (1.0 + 1e-12) && truth <= found.upper_bound,
            "{found:?} {truth}"
        );
        assert!(found.sigma_1 > 0.9 * truth);
        assert!(
            found
                .standard_error
                .is_some_and(|error| error > 0.0 && error < 0.1 * truth)
        );
        let one_thread = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let again = one_thread.install(|| find(&data, dim, 30_000).unwrap());
        assert_eq!(found, again);
    }

    #[test]
    fn extreme_scales_and_equal_points_are_measured() {
        for scale in [1e-30f32, 1e-20, 1e25] {
            let data: Vec<f32> = normals(50, 3).iter().map(|x| x * scale).collect();
            let truth = brute_force(&data, 3)[50 * 49 / 2 - 1];
            let found = find(&data, 3, u64::MAX).unwrap();
            assert!(
                (found.sigma_1 / truth - 1.0).abs() < 1e-12,
                "{scale} {found:?} {truth}"
            );
        }
        let equal = find(&[2.5; 30], 3, u64::MAX).unwrap();
        assert_eq!((equal.sigma_1, equal.median, equal.exact), (0.0, 0.0, true));
    }

    #[test]
    fn a_search_is_stopped_where_that_is_wanted() {
        // In many dimensions all points are about as far from the mean: no pair can be left out.
        let data = normals(1000, 300);
        let mut seen = Vec::new();
        let mut watcher = |progress: &Progress<'_>| {
            seen.push((progress.done, progress.total));
            match seen.len() {
                2 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        };
        let mut monitor = Monitor::new(&mut watcher);
        let found = technique_1(&data, 300, u64::MAX, &source(), &mut monitor);
        assert!(matches!(found, Err(Error::Stopped)));
        let [(first, total), (second, _)] = seen[..] else {
            panic!("{seen:?}");
        };
        assert!(first < second && second <= total, "{seen:?}");
        assert_eq!(total, 1000 * 999 / 2);
    }

    #[test]
    fn wrong_data_are_refused() {
        assert!(find(&[1.0; 7], 3, 10).is_err());
        assert!(find(&[], 0, 10).is_err());
        assert!(find(&[1.0; 3], 3, 10).is_err());
        let error = find(&[1.0, 2.0, f32::NAN, 0.0], 2, 10).unwrap_err();
        assert!(error.to_string().contains("row 1"), "{error}");
    }
}
