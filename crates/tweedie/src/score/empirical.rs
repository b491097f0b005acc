//! The optimal denoiser of a finite data set.
//!
//! The distribution of the data points themselves, each equally likely, noised by sigma:
//!
//! H(x, sigma) = sum_i w_i x_i, w = softmax(-||x - x_i||^2/(2 sigma^2)),
//! dH/dx = Cov\[x0 | x\]/sigma^2, ds/dx = (dH/dx - I)/sigma^2.
//!
//! A network that minimises denoising score matching without error on these points is this
//! function (Jolicoeur-Martineau et al. 2021, appendix D). H tends to the mean of the data as
//! sigma -> inf and to the nearest point as sigma -> 0.

use super::average::{Sums, Weigh, average, block, each_point};
use super::check::{check_count, check_draw, check_one, check_trace, check_vjp};
use super::denoiser::{Denoiser, Differentiable, Distribution};
use super::points::{Points, Rows, read};
use super::posterior::Posterior;
use super::query::{Batch, Query};
use super::rows::squared_distance;
use crate::error::{Error, Result};
use crate::random::NoiseSource;

/// The distribution of data points, each equally likely: those of any [`Points`], in memory unless said
/// otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Empirical<P = Rows> {
    points: P,
    /// Points a block.
    block: usize,
}

impl Empirical {
    /// The data points: rows `[n, dim]`, at least one.
    ///
    /// # Errors
    /// As for [`Rows::new`].
    pub fn new(data: Vec<f64>, dim: usize) -> Result<Self> {
        Self::over(Rows::new(data, dim)?)
    }

    /// The data points, `[n, dim]`.
    pub fn data(&self) -> &[f64] {
        self.points.data()
    }
}

impl<P: Points> Empirical<P> {
    /// The distribution of `points`, which every call reads from the first to the last: [`Denoiser`]'s
    /// once, [`Differentiable`]'s twice.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are no points, or none of their values.
    pub fn over(points: P) -> Result<Self> {
        if points.count() == 0 || points.dim() == 0 {
            return Err(Error::Shape {
                what: "data".into(),
                expected: vec![points.count().max(1), points.dim().max(1)],
                found: vec![points.count(), points.dim()],
            });
        }
        let block = block(points.dim());
        Ok(Self { points, block })
    }

    /// Reads the points in blocks of `points` > 0, where the set has blocks of its own. Results
    /// change by rounding only.
    ///
    /// # Errors
    /// [`Error::Setting`] for blocks of no points.
    pub fn with_block(self, points: usize) -> Result<Self> {
        if points == 0 {
            return Err(Error::setting("block", points, "must be at least 1 point"));
        }
        Ok(Self {
            block: points,
            ..self
        })
    }

    /// The set of points.
    pub fn points(&self) -> &P {
        &self.points
    }

    /// The number of data points.
    pub fn count(&self) -> usize {
        self.points.count()
    }

    /// Points a block.
    pub(super) fn block(&self) -> usize {
        self.block
    }

    /// Cov\[x0 | x\], the covariance of the data points under their weights at one `x`, `[dim]`:
    /// row-major `[dim, dim]`.
    ///
    /// # Errors
    /// As for [`Denoiser::denoise`], and unless `x` is one row.
    pub fn covariance(&self, x: &[f64], sigma: f64) -> Result<Vec<f64>> {
        let dim = self.points.dim();
        check_one(dim, x, sigma)?;
        let (mut mean, mut covariance) = (vec![0.0; dim], vec![0.0; dim * dim]);
        let sigmas = [sigma];
        let query = Query::new(x, &sigmas);
        let sums = self.means(&query, &mut mean)?;
        self.weighted(&query, &sums, &mut covariance, |_, point, w, out| {
            for (i, row) in out.chunks_exact_mut(dim).enumerate() {
                let left = w * (point[i] - mean[i]);
                for ((out, p), m) in row.iter_mut().zip(point).zip(&mean) {
                    *out += left * (p - m);
                }
            }
        })?;
        Ok(covariance)
    }

    /// The derivative of the score at one `x`, `[dim]`: row-major `[dim, dim]`, symmetric.
    ///
    /// # Errors
    /// As for [`Empirical::covariance`].
    pub fn score_jacobian(&self, x: &[f64], sigma: f64) -> Result<Vec<f64>> {
        let mut jacobian = self.covariance(x, sigma)?;
        let (dim, square) = (self.points.dim(), sigma * sigma);
        for (place, value) in jacobian.iter_mut().enumerate() {
            let unit = f64::from(u8::from(place / dim == place % dim));
            *value = (*value / square - unit) / square;
        }
        Ok(jacobian)
    }

    /// Writes H at the rows of `query` to `out`.
    fn means(&self, query: &Query<'_>, out: &mut [f64]) -> Result<Vec<Sums>> {
        let weigh = |row: usize| Gaussian::new(query.sigmas[row]);
        let term = |_: usize, _: &[f64], p: &[f64], w: f64, out: &mut [f64]| {
            out.iter_mut().zip(p).for_each(|(out, p)| *out += w * p);
        };
        average(&self.points, self.block, query.x, out, weigh, term)
    }

    /// Adds to each row of `out` by `term`, given the row's number, each point, and its weight.
    fn weighted(
        &self,
        query: &Query<'_>,
        sums: &[Sums],
        out: &mut [f64],
        term: impl Fn(usize, &[f64], f64, &mut [f64]) + Sync,
    ) -> Result<()> {
        let weigh = |row: usize| Gaussian::new(query.sigmas[row]);
        each_point(
            &self.points,
            self.block,
            query.x,
            out,
            |row, _, p, d, out| {
                let w = weigh(row).weigh(d, sums[row].nearest).0 / sums[row].total;
                if w != 0.0 {
                    term(row, p, w, out);
                }
            },
        )
    }
}

/// exp(-distance/(2 sigma^2)), relative to that of the nearest point, whose weight is exactly 1.
#[derive(Clone, Copy)]
struct Gaussian {
    scale: f64,
}

impl Gaussian {
    fn new(sigma: f64) -> Self {
        Self {
            scale: -0.5 / (sigma * sigma),
        }
    }
}

impl Weigh for Gaussian {
    fn peak(&self, nearest: f64) -> f64 {
        nearest
    }

    fn decay(&self, from: f64, to: f64) -> f64 {
        ((from - to) * self.scale).exp()
    }

    fn weigh(&self, distance: f64, peak: f64) -> (f64, f64) {
        let w = ((distance - peak) * self.scale).exp();
        (w, w)
    }
}

impl<P: Points> Denoiser for Empirical<P> {
    fn dim(&self) -> usize {
        self.points.dim()
    }

    /// All rows in one pass over the points.
    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        posterior.check_plain(query, self.dim())?;
        self.means(query, posterior.mean)?;
        posterior.evaluated();
        Ok(())
    }

    /// Directly: (H - x)/sigma^2 would cancel for small sigma.
    fn score(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        posterior.check_plain(query, self.dim())?;
        let (x, out) = (query.x, &mut *posterior.mean);
        let squares: Vec<f64> = query.sigmas.iter().map(|sigma| sigma * sigma).collect();
        let weigh = |row: usize| Gaussian::new(query.sigmas[row]);
        average(
            &self.points,
            self.block,
            x,
            out,
            weigh,
            |row, x, p, w, out| {
                for ((out, x), p) in out.iter_mut().zip(x).zip(p) {
                    *out += w * ((p - x) / squares[row]);
                }
            },
        )?;
        posterior.evaluated();
        Ok(())
    }
}

impl<P: Points> Differentiable for Empirical<P> {
    fn denoise_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        posterior: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()> {
        let dim = self.dim();
        check_vjp(dim, query, v, posterior, product)?;
        posterior.plain(query)?;
        let sums = self.means(query, posterior.mean)?;
        let mean = &*posterior.mean;
        // Centred, so that nothing large cancels: v^T Cov = sum_i w_i (v . (x_i - H)) (x_i - H).
        self.weighted(query, &sums, product, |row, point, w, product| {
            let place = row * dim..(row + 1) * dim;
            let (h, v) = (&mean[place.clone()], &v[place]);
            let away = || point.iter().zip(h).map(|(p, h)| p - h);
            let along: f64 = away().zip(v).map(|(away, v)| away * v).sum();
            let factor = w * (along / query.sigmas[row].powi(2));
            for (out, away) in product.iter_mut().zip(away()) {
                *out += factor * away;
            }
        })?;
        posterior.evaluated();
        Ok(())
    }

    fn denoise_trace(
        &self,
        query: &Query<'_>,
        posterior: &mut Posterior<'_>,
        trace: &mut [f64],
    ) -> Result<()> {
        let dim = self.dim();
        check_trace(dim, query, posterior, trace)?;
        posterior.plain(query)?;
        let sums = self.means(query, posterior.mean)?;
        let mean = &*posterior.mean;
        self.weighted(query, &sums, trace, |row, point, w, trace| {
            let h = &mean[row * dim..][..dim];
            trace[0] += w * (squared_distance(point, h) / query.sigmas[row].powi(2));
        })?;
        posterior.evaluated();
        Ok(())
    }
}

/// The density needs `sigma` > 0; a sample of `sigma` = 0 is a data point.
impl<P: Points> Distribution for Empirical<P> {
    fn log_density(&self, query: &Query<'_>, out: &mut [f64]) -> Result<()> {
        let dim = self.dim();
        query.check(dim)?;
        query.batch.unconditioned()?;
        check_count("the log densities", query.rows(), out)?;
        let mut none = vec![0.0; query.x.len()];
        let weigh = |row: usize| Gaussian::new(query.sigmas[row]);
        let nothing = |_: usize, _: &[f64], _: &[f64], _: f64, _: &mut [f64]| ();
        let sums = average(&self.points, self.block, query.x, &mut none, weigh, nothing)?;
        for ((out, sums), sigma) in out.iter_mut().zip(sums).zip(query.sigmas) {
            let square = sigma * sigma;
            let peak = -0.5 * dim as f64 * (std::f64::consts::TAU * square).ln();
            let mean = sums.total / self.count() as f64;
            *out = peak - 0.5 * sums.nearest / square + mean.ln();
        }
        Ok(())
    }

    fn draw(
        &self,
        source: &NoiseSource,
        batch: Batch<'_>,
        sigma: f64,
        out: &mut [f64],
    ) -> Result<()> {
        let (dim, count, samples) = (self.dim(), self.count(), batch.numbers());
        check_draw(dim, &batch, sigma, out)?;
        batch.unconditioned()?;
        source.fill_batch(samples, 0, out);
        let mut buffer = Vec::new();
        for (row, &sample) in out.chunks_exact_mut(dim).zip(samples) {
            // The product may round up to `count`.
            let at = ((source.uniform(sample, 0, 0) * count as f64) as usize).min(count - 1);
            let point = read(&self.points, at..at + 1, &mut buffer)?;
            row.iter_mut()
                .zip(point)
                .for_each(|(z, p)| *z = p + sigma * *z);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{NoiseSource, Stream};
    use crate::score::GaussianMixture;

    fn points(n: usize, dim: usize) -> Vec<f64> {
        let mut data = vec![0.0; n * dim];
        NoiseSource::new(2, Stream::Data).fill_normal(0, 0, &mut data);
        data
    }

    #[test]
    fn property_2_it_is_the_mixture_of_points() {
        let data = points(7, 3);
        let empirical = Empirical::new(data.clone(), 3).unwrap();
        let mixture = GaussianMixture::new(&[1.0; 7], data, &[0.0; 7]).unwrap();
        let x = points(20, 3);
        let (mut a, mut b) = (vec![0.0; 60], vec![0.0; 60]);
        for sigma in [0.05, 0.5, 3.0] {
            empirical.denoise_at(&x, sigma, &mut a).unwrap();
            mixture.denoise_at(&x, sigma, &mut b).unwrap();
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
            empirical.score_at(&x, sigma, &mut a).unwrap();
            mixture.score_at(&x, sigma, &mut b).unwrap();
            assert!(
                a.iter()
                    .zip(&b)
                    .all(|(a, b)| (a - b).abs() < 1e-10 * b.abs().max(1.0))
            );
        }
    }

    #[test]
    fn property_2_limits_are_the_mean_and_the_nearest_point() {
        let data = points(50, 4);
        let empirical = Empirical::new(data.clone(), 4).unwrap();
        let x = [0.3, -1.0, 0.2, 0.9];
        let mut h = [0.0; 4];
        empirical.denoise_at(&x, 1e8, &mut h).unwrap();
        for (axis, h) in h.iter().enumerate() {
            let mean = data.iter().skip(axis).step_by(4).sum::<f64>() / 50.0;
            assert!((h - mean).abs() < 1e-12);
        }
        let nearest = data
            .chunks_exact(4)
            .min_by(|a, b| squared_distance(&x, a).total_cmp(&squared_distance(&x, b)))
            .unwrap();
        for sigma in [1e-2, 1e-6, 1e-100] {
            empirical.denoise_at(&x, sigma, &mut h).unwrap();
            assert_eq!(h, nearest);
        }
    }

    #[test]
    fn property_2_the_jacobian_is_the_derivative_of_the_score() {
        let empirical = Empirical::new(points(12, 3), 3).unwrap();
        let x = [0.2, -0.1, 0.4];
        for sigma in [0.5, 1.0, 4.0] {
            let jacobian = empirical.score_jacobian(&x, sigma).unwrap();
            let step = 0.02 * sigma;
            for axis in 0..3 {
                let score = |offset: f64| {
                    let mut x = x;
                    x[axis] += offset * step;
                    let mut out = [0.0; 3];
                    empirical.score_at(&x, sigma, &mut out).unwrap();
                    out
                };
                let ends: Vec<_> = (1..=4)
                    .map(|k| (score(f64::from(k)), score(-f64::from(k))))
                    .collect();
                for row in 0..3 {
                    let pair = |k: usize| ends[k - 1].0[row] - ends[k - 1].1[row];
                    let derivative = (672.0 * pair(1) - 168.0 * pair(2) + 32.0 * pair(3)
                        - 3.0 * pair(4))
                        / (840.0 * step);
                    assert!((jacobian[row * 3 + axis] - derivative).abs() < 1e-10);
                }
            }
        }
    }

    #[test]
    fn wrong_data_are_refused() {
        assert!(Empirical::new(vec![], 1).is_err());
        assert!(Empirical::new(vec![1.0; 3], 2).is_err());
        assert!(Empirical::new(vec![1.0], 0).is_err());
        assert!(Empirical::new(vec![1.0, f64::INFINITY], 1).is_err());
        let empirical = Empirical::new(vec![1.0; 4], 2).unwrap();
        assert!(empirical.covariance(&[0.0; 4], 1.0).is_err());
    }
}
