//! The mean and the covariance of features, streamed and merged.
//!
//! A part of n rows is kept as n, its mean m and S = sum_i (x_i - m)(x_i - m)^T, from which the sum
//! and the sum of outer products follow (n m and S + n m m^T). Two parts merge exactly,
//!
//! m = m_a + (n_b/n) d, S = S_a + S_b + (n_a n_b/n) d d^T, d = m_b - m_a, n = n_a + n_b
//!
//! (Chan, Golub and LeVeque 1983). Sums about the mean do not cancel as raw sums do where a mean is
//! large. Orders of merging differ by rounding only, so shards on several machines give the same
//! figure.

use std::ops::Range;

use rayon::prelude::*;

use super::{Features, check_rows};
use crate::error::{Error, Result};
use crate::matrix::{product, view};

/// How far from symmetric a covariance may be, relative to its largest value.
pub(super) const TOLERANCE: f64 = 1e-10;

/// Rows that are added at a time: their product is worth a matrix product, their copy is small.
const BLOCK: usize = 512;
/// Rows of S that a thread computes at a time.
const PANEL: usize = 128;

/// The mean and the covariance of a distribution or a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    mean: Vec<f64>,
    /// `[dim, dim]`, symmetric.
    covariance: Vec<f64>,
    count: Option<u64>,
}

impl Moments {
    /// The `mean` `[dim]` and the `covariance` `[dim, dim]`, symmetric to 1e-10 of its largest
    /// value, of a distribution, or of a sample whose size is not known.
    ///
    /// # Errors
    /// [`Error::Shape`] where the lengths do not fit, [`Error::Setting`] for a value that is not
    /// finite or a matrix that is not symmetric.
    pub fn new(mean: Vec<f64>, covariance: Vec<f64>) -> Result<Self> {
        let dim = mean.len();
        check_rows("mean", &mean, dim)?;
        if covariance.len() != dim * dim {
            return Err(Error::Shape {
                what: "covariance".into(),
                expected: vec![dim, dim],
                found: vec![covariance.len()],
            });
        }
        check_rows("covariance", &covariance, dim)?;
        let largest = covariance.iter().fold(0.0, |top: f64, c| top.max(c.abs()));
        let across = (0..dim * dim).map(|place| covariance[place % dim * dim + place / dim]);
        let pairs = covariance.iter().zip(across);
        let across = pairs.fold(0.0, |top: f64, (a, b)| top.max((a - b).abs()));
        if across > TOLERANCE * largest {
            let reason = "must be symmetric: this is a difference across it";
            return Err(Error::setting("covariance", across, reason));
        }
        Ok(Self {
            mean,
            covariance,
            count: None,
        })
    }

    /// The moments of the rows of a sample, `[n, dim]`, n at least 2; the covariance is over
    /// n - 1, unbiased, as FID takes it.
    ///
    /// # Errors
    /// As for [`Features::new`].
    pub fn of_rows(rows: &[f64], dim: usize) -> Result<Self> {
        Ok(Self::of(Features::new("the sample", rows, dim)?))
    }

    /// The moments of `features`; the covariance is over n - 1.
    pub fn of(features: Features) -> Self {
        let mut running = RunningMoments::new(features.dim());
        running.extend(features.values());
        running.scaled()
    }

    /// The same of a sample of `count` rows, so that it can be merged with others.
    #[must_use]
    pub fn with_count(self, count: u64) -> Self {
        Self {
            count: Some(count),
            ..self
        }
    }

    /// The mean, `[dim]`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The covariance, row-major `[dim, dim]`.
    pub fn covariance(&self) -> &[f64] {
        &self.covariance
    }

    /// How many rows they are the moments of, where that is known.
    pub fn count(&self) -> Option<u64> {
        self.count
    }

    /// The number of features.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// The sum of the variances.
    pub(super) fn trace(&self) -> f64 {
        self.covariance.iter().step_by(self.dim() + 1).sum()
    }
}

/// Moments of rows that come in parts, in f64 and in memory of dim^2.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningMoments {
    count: u64,
    mean: Vec<f64>,
    /// S, `[dim, dim]`, of which the lower triangle is kept up.
    scatter: Vec<f64>,
}

impl RunningMoments {
    /// Those of no rows of `dim` features.
    pub fn new(dim: usize) -> Self {
        Self {
            count: 0,
            mean: vec![0.0; dim],
            scatter: vec![0.0; dim * dim],
        }
    }

    /// How many rows were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds `rows`, `[n, dim]`, n at least 1.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rows` is not whole rows, [`Error::Setting`] for a value that is not
    /// finite; then nothing is added.
    pub fn add(&mut self, rows: &[f64]) -> Result<()> {
        check_rows("the rows", rows, self.mean.len())?;
        self.extend(rows);
        Ok(())
    }

    /// [`RunningMoments::add`] of rows that are checked.
    fn extend(&mut self, rows: &[f64]) {
        let dim = self.mean.len();
        for rows in rows.chunks(BLOCK * dim) {
            let mut mean = vec![0.0; dim];
            for row in rows.chunks_exact(dim) {
                mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
            }
            let n = rows.len() / dim;
            mean.iter_mut().for_each(|mean| *mean /= n as f64);
            let mut centred = rows.to_vec();
            for row in centred.chunks_exact_mut(dim) {
                row.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
            }
            self.join(n as u64, &mean, |panel| {
                let centred = view(&centred, dim);
                let left = centred.subcols(panel.start, panel.len()).transpose();
                product(left, centred.subcols(0, panel.end)).into_values()
            });
        }
    }

    /// Adds all rows of `other`.
    ///
    /// # Errors
    /// [`Error::Shape`] where the dimensions differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.mean.len() != other.mean.len() {
            return Err(Error::Shape {
                what: "the moments to merge".into(),
                expected: vec![self.mean.len()],
                found: vec![other.mean.len()],
            });
        }
        let dim = self.mean.len();
        self.join(other.count, &other.mean, |panel| {
            let lower = panel
                .clone()
                .flat_map(|row| &other.scatter[row * dim..][..panel.end]);
            lower.copied().collect()
        });
        Ok(())
    }

    /// Merges with a part given by its count, its mean and its S, of which `scatter` gives some rows
    /// up to the last one's diagonal.
    fn join(
        &mut self,
        count: u64,
        mean: &[f64],
        scatter: impl Fn(Range<usize>) -> Vec<f64> + Sync,
    ) {
        if count == 0 {
            return;
        }
        let (n_a, n_b) = (self.count as f64, count as f64);
        let n = n_a + n_b;
        let pairs = mean.iter().zip(&self.mean);
        let d: Vec<f64> = pairs.map(|(b, a)| b - a).collect();
        let (dim, weight) = (d.len(), n_a * n_b / n);
        let panels = self.scatter.par_chunks_mut(PANEL * dim).enumerate();
        panels.for_each(|(panel, rows)| {
            let first = panel * PANEL;
            let panel = first..first + rows.len() / dim;
            let part = scatter(panel.clone());
            let parts = part.chunks_exact(panel.end);
            for ((row, part), along) in rows.chunks_exact_mut(dim).zip(parts).zip(&d[panel]) {
                for ((s, part), d) in row.iter_mut().zip(part).zip(&d) {
                    *s += part + weight * along * d;
                }
            }
        });
        let pairs = self.mean.iter_mut().zip(d.iter());
        pairs.for_each(|(mean, d)| *mean += n_b / n * d);
        self.count += count;
    }

    /// The mean and the covariance, over n - 1.
    ///
    /// # Errors
    /// [`Error::Setting`] for fewer than two rows.
    pub fn moments(&self) -> Result<Moments> {
        if self.count < 2 {
            let reason = "a covariance needs at least two";
            return Err(Error::setting("rows", self.count, reason));
        }
        Ok(self.scaled())
    }

    fn scaled(&self) -> Moments {
        let dim = self.mean.len();
        let over = 1.0 / (self.count - 1) as f64;
        let mut covariance = vec![0.0; dim * dim];
        for row in 0..dim {
            for column in 0..=row {
                let c = self.scatter[row * dim + column] * over;
                covariance[row * dim + column] = c;
                covariance[column * dim + row] = c;
            }
        }
        Moments {
            mean: self.mean.clone(),
            covariance,
            count: Some(self.count),
        }
    }
}

impl TryFrom<&Moments> for RunningMoments {
    type Error = Error;

    /// What `moments` are of, for going on or merging.
    ///
    /// # Errors
    /// [`Error::Setting`] where the number of rows is not known.
    fn try_from(moments: &Moments) -> Result<Self> {
        let Some(count) = moments.count.filter(|count| *count > 0) else {
            let reason = "moments merge by their numbers of rows, which these do not say";
            return Err(Error::setting("count", "unknown", reason));
        };
        let covariance = moments.covariance.iter();
        Ok(Self {
            count,
            mean: moments.mean.clone(),
            scatter: covariance.map(|c| c * (count - 1) as f64).collect(),
        })
    }
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

    #[track_caller]
    fn assert_close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-13 * b.abs().max(10.0), "{a} {b}");
        }
    }

    #[test]
    fn moments_of_rows() {
        let m = Moments::of_rows(&[1.0, 2.0, 3.0, 0.0, 5.0, 4.0], 2).unwrap();
        assert_eq!(m.mean(), [3.0, 2.0]);
        // Centred: (-2, 0), (0, -2), (2, 2), over 2.
        assert_eq!(m.covariance(), [4.0, 2.0, 2.0, 4.0]);
        assert_eq!(m.count(), Some(3));
    }

    /// Shards in any order, and files of shards, give the moments of all rows.
    #[test]
    fn parts_in_any_order_are_the_whole() {
        let (n, dim) = (1300, 5);
        // A mean that raw sums of squares would lose eight digits to.
        let rows: Vec<f64> = normals(n * dim, 3).iter().map(|x| x + 1e4).collect();
        let whole = Moments::of_rows(&rows, dim).unwrap();
        let plain = {
            let mean = whole.mean();
            let mut covariance = vec![0.0; dim * dim];
            for row in rows.chunks(dim) {
                for i in 0..dim {
                    for j in 0..dim {
                        covariance[i * dim + j] +=
                            (row[i] - mean[i]) * (row[j] - mean[j]) / (n - 1) as f64;
                    }
                }
            }
            covariance
        };
        assert_close(whole.covariance(), &plain);
        let parts: Vec<_> = [0..1, 1..2, 2..700, 700..1300]
            .map(|part| {
                let mut running = RunningMoments::new(dim);
                running
                    .add(&rows[part.start * dim..part.end * dim])
                    .unwrap();
                running
            })
            .into();
        for order in [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]] {
            let mut merged = RunningMoments::new(dim);
            for part in order {
                merged.merge(&parts[part]).unwrap();
            }
            let merged = merged.moments().unwrap();
            assert_close(merged.mean(), whole.mean());
            assert_close(merged.covariance(), whole.covariance());
            assert_eq!(merged.count(), Some(1300));
        }
        let mut resumed = RunningMoments::try_from(&parts[2].moments().unwrap()).unwrap();
        for part in [0, 1, 3] {
            resumed.merge(&parts[part]).unwrap();
        }
        assert_close(resumed.moments().unwrap().covariance(), whole.covariance());
    }

    #[test]
    fn wrong_moments_are_refused() {
        assert!(Moments::of_rows(&[1.0, 2.0], 2).is_err());
        assert!(Moments::of_rows(&[1.0, 2.0, 3.0], 2).is_err());
        assert!(Moments::of_rows(&[1.0, f64::NAN], 1).is_err());
        assert!(Moments::new(vec![], vec![]).is_err());
        assert!(Moments::new(vec![0.0; 2], vec![1.0; 3]).is_err());
        assert!(Moments::new(vec![0.0; 2], vec![1.0, 0.1, 0.2, 1.0]).is_err());
        let mut running = RunningMoments::new(2);
        assert!(running.moments().is_err());
        assert!(running.add(&[1.0; 3]).is_err());
        assert!(running.add(&[1.0, f64::INFINITY]).is_err());
        assert_eq!(running, RunningMoments::new(2));
        assert!(running.merge(&RunningMoments::new(3)).is_err());
        running.add(&[1.0, 2.0]).unwrap();
        assert!(running.moments().is_err());
        let unknown = Moments::new(vec![0.0], vec![1.0]).unwrap();
        assert!(RunningMoments::try_from(&unknown).is_err());
    }
}
