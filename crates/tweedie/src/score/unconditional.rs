//! The best network that is not conditioned on the noise level.
//!
//! An unconditional network has score net(x)/sigma: it predicts -z whatever sigma is. Trained on
//! data points x_i at levels sigma_l, all equally likely, its optimum averages over both:
//!
//! net(x) = sum_{l,i} w_li (x_i - x)/sigma_l, w_li ~ sigma_l^-D exp(-||x - x_i||^2/(2 sigma_l^2)).
//!
//! Jolicoeur-Martineau et al. 2021, section 2.3 and appendix D.

use super::average::{Sums, Weigh, average, each_point};
use super::check::{check_trace, check_vjp};
use super::denoiser::{Denoiser, Differentiable};
use super::empirical::Empirical;
use super::points::{Points, Rows};
use super::posterior::Posterior;
use super::query::Query;
use crate::error::Result;
use crate::noise::Levels;

/// The optimal unconditional network for a data set and the levels it is trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimalUnconditional<P = Rows> {
    empirical: Empirical<P>,
    levels: Levels,
}

impl<P: Points> OptimalUnconditional<P> {
    /// The optimum for `empirical`'s data points and training `levels`, all equally likely.
    pub fn new(empirical: Empirical<P>, levels: Levels) -> Self {
        Self { empirical, levels }
    }

    /// net(x) at the rows of `x`, written to `out`; both `[n, dim]`.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where lengths do not fit.
    pub fn net(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        let dim = self.empirical.dim();
        // Any good noise level: it does not see one.
        let sigmas = vec![1.0; x.len() / dim];
        Posterior::new(out).check(&Query::new(x, &sigmas), dim)?;
        self.pull(&self.pooled(1), x, out)?;
        Ok(())
    }

    /// Writes sum_li w_li (x_i - x)/sigma_l^p to the rows of `out`, p the `pooled` power.
    fn pull(&self, pooled: &Pooled, x: &[f64], out: &mut [f64]) -> Result<Vec<Sums>> {
        let (points, block) = (self.empirical.points(), self.empirical.block());
        average(
            points,
            block,
            x,
            out,
            |_| pooled,
            |_, x, p, share, out| {
                for ((out, x), p) in out.iter_mut().zip(x).zip(p) {
                    *out += share * (p - x);
                }
            },
        )
    }

    fn pooled(&self, power: i32) -> Pooled {
        let dim = self.empirical.dim() as f64;
        let level = |&sigma: &f64| Level {
            height: -dim * sigma.ln(),
            scale: -0.5 / (sigma * sigma),
            inverse: 1.0 / sigma,
            factor: sigma.powi(-power),
        };
        Pooled {
            levels: self.levels.as_slice().iter().map(level).collect(),
        }
    }

    /// H to `out`, and what the derivative's sums need.
    fn moments(&self, x: &[f64], sigmas: &[f64], out: &mut [f64]) -> Result<Moments> {
        let pooled = self.pooled(1);
        let (mut net, mut second) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let sums = self.pull(&pooled, x, &mut net)?;
        self.pull(&self.pooled(2), x, &mut second)?;
        let dim = self.empirical.dim();
        let places = out.chunks_exact_mut(dim).zip(x.chunks_exact(dim));
        for (((out, x), net), sigma) in places.zip(net.chunks_exact(dim)).zip(sigmas) {
            for ((out, x), net) in out.iter_mut().zip(x).zip(net) {
                *out = x + sigma * net;
            }
        }
        Ok(Moments {
            pooled,
            sums,
            net,
            second,
        })
    }
}

/// The averages that dnet/dx is centred at, for each row.
struct Moments {
    pooled: Pooled,
    sums: Vec<Sums>,
    /// E (x_i - x)/sigma_l, `[n, dim]`.
    net: Vec<f64>,
    /// E (x_i - x)/sigma_l^2, `[n, dim]`.
    second: Vec<f64>,
}

/// exp of sigma_l's exponent at a squared distance, summed over all levels.
struct Pooled {
    levels: Vec<Level>,
}

struct Level {
    /// -D ln sigma_l.
    height: f64,
    /// -1/(2 sigma_l^2).
    scale: f64,
    /// 1/sigma_l.
    inverse: f64,
    /// sigma_l^-p.
    factor: f64,
}

impl Level {
    fn weight(&self, distance: f64, peak: f64) -> f64 {
        (self.height + self.scale * distance - peak).exp()
    }
}

impl Weigh for &Pooled {
    /// Of each level's exponents that of the nearest point is the largest.
    fn peak(&self, nearest: f64) -> f64 {
        let exponents = self.levels.iter();
        exponents
            .map(|level| level.height + level.scale * nearest)
            .fold(f64::NEG_INFINITY, f64::max)
    }

    fn decay(&self, from: f64, to: f64) -> f64 {
        (self.peak(from) - self.peak(to)).exp()
    }

    fn weigh(&self, distance: f64, peak: f64) -> (f64, f64) {
        let (mut weight, mut share) = (0.0, 0.0);
        for level in &self.levels {
            let w = level.weight(distance, peak);
            weight += w;
            share += w * level.factor;
        }
        (weight, share)
    }
}

impl<P: Points> Denoiser for OptimalUnconditional<P> {
    fn dim(&self) -> usize {
        self.empirical.dim()
    }

    /// H = x + sigma net(x), all rows in one pass over the points.
    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        let dim = self.dim();
        posterior.check_plain(query, dim)?;
        self.net(query.x, posterior.mean)?;
        let rows = posterior.mean.chunks_exact_mut(dim);
        for ((out, x), sigma) in rows.zip(query.x.chunks_exact(dim)).zip(query.sigmas) {
            let values = out.iter_mut().zip(x);
            values.for_each(|(out, x)| *out = x + sigma * *out);
        }
        posterior.evaluated();
        Ok(())
    }

    /// s = net(x)/sigma.
    fn score(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        let dim = self.dim();
        posterior.check_plain(query, dim)?;
        self.net(query.x, posterior.mean)?;
        let rows = posterior.mean.chunks_exact_mut(dim);
        for (out, sigma) in rows.zip(query.sigmas) {
            out.iter_mut().for_each(|out| *out /= sigma);
        }
        posterior.evaluated();
        Ok(())
    }
}

/// With a = (x_i - x)/sigma_l and b = (x_i - x)/sigma_l^2 under the weights w_li,
///
/// dnet/dx = Cov(a, b) - I E\[1/sigma_l\], and dH/dx = I + sigma dnet/dx:
///
/// not symmetric, for this is no distribution's denoiser. It takes three passes over the points.
impl<P: Points> Differentiable for OptimalUnconditional<P> {
    fn denoise_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        posterior: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()> {
        let (dim, x, sigmas) = (self.dim(), query.x, query.sigmas);
        check_vjp(dim, query, v, posterior, product)?;
        posterior.plain(query)?;
        let at = self.moments(x, sigmas, posterior.mean)?;
        posterior.evaluated();
        let (points, block) = (self.empirical.points(), self.empirical.block());
        each_point(points, block, x, product, |row, x, point, distance, out| {
            let place = row * dim..(row + 1) * dim;
            let (v, second) = (&v[place.clone()], &at.second[place.clone()]);
            let difference = || point.iter().zip(x).map(|(p, x)| p - x);
            let along: f64 = difference().zip(v).map(|(d, v)| d * v).sum();
            let net: f64 = at.net[place].iter().zip(v).map(|(net, v)| net * v).sum();
            // sum_l w_li v . (a - E a), times 1/sigma_l^2 and times 1.
            let (mut of_b, mut of_mean) = (0.0, 0.0);
            let sums = &at.sums[row];
            let peak = (&at.pooled).peak(sums.nearest);
            for level in &at.pooled.levels {
                let w = level.weight(distance, peak) / sums.total;
                let centred = w * (along * level.inverse - net);
                of_b += centred * level.inverse * level.inverse;
                of_mean += centred;
            }
            if of_b != 0.0 || of_mean != 0.0 {
                for ((out, d), second) in out.iter_mut().zip(difference()).zip(second) {
                    *out += of_b * d - of_mean * second;
                }
            }
        })?;
        let rows = product.chunks_exact_mut(dim).zip(v.chunks_exact(dim));
        for (((product, v), sums), sigma) in rows.zip(&at.sums).zip(sigmas) {
            let inverse = sums.factors / sums.total;
            for (product, v) in product.iter_mut().zip(v) {
                *product = v + sigma * (*product - inverse * v);
            }
        }
        Ok(())
    }

    fn denoise_trace(
        &self,
        query: &Query<'_>,
        posterior: &mut Posterior<'_>,
        trace: &mut [f64],
    ) -> Result<()> {
        let (dim, x, sigmas) = (self.dim(), query.x, query.sigmas);
        check_trace(dim, query, posterior, trace)?;
        posterior.plain(query)?;
        let at = self.moments(x, sigmas, posterior.mean)?;
        posterior.evaluated();
        let (points, block) = (self.empirical.points(), self.empirical.block());
        each_point(points, block, x, trace, |row, x, point, distance, trace| {
            let place = row * dim..(row + 1) * dim;
            let (net, second) = (&at.net[place.clone()], &at.second[place]);
            let sums = &at.sums[row];
            let peak = (&at.pooled).peak(sums.nearest);
            for level in &at.pooled.levels {
                let w = level.weight(distance, peak) / sums.total;
                if w == 0.0 {
                    continue;
                }
                let u = level.inverse;
                let means = net.iter().zip(second);
                for ((p, x), (net, second)) in point.iter().zip(x).zip(means) {
                    let a = (p - x) * u;
                    trace[0] += w * (a - net) * (a * u - second);
                }
            }
        })?;
        for ((trace, sums), sigma) in trace.iter_mut().zip(&at.sums).zip(sigmas) {
            let inverse = sums.factors / sums.total;
            *trace = dim as f64 + sigma * (*trace - dim as f64 * inverse);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::rows::squared_distance;

    fn data() -> Vec<f64> {
        vec![-1.0, 0.3, 0.4, 2.0]
    }

    #[test]
    fn property_3_it_is_the_weighted_sum() {
        let levels = Levels::geometric(2.0, 0.3, 3).unwrap();
        let empirical = Empirical::new(data(), 2).unwrap();
        let optimum = OptimalUnconditional::new(empirical, levels.clone());
        for x in [[0.1, 0.2], [-2.0, 1.0], [3.0, 3.0]] {
            let (mut total, mut sum) = (0.0, [0.0; 2]);
            for &sigma in levels.as_slice() {
                for point in data().chunks_exact(2) {
                    let w = sigma.powi(-2)
                        * (-squared_distance(&x, point) / (2.0 * sigma * sigma)).exp();
                    total += w;
                    for axis in 0..2 {
                        sum[axis] += w * (point[axis] - x[axis]) / sigma;
                    }
                }
            }
            let (mut net, mut h, mut score) = ([0.0; 2], [0.0; 2], [0.0; 2]);
            optimum.net(&x, &mut net).unwrap();
            optimum.denoise_at(&x, 0.7, &mut h).unwrap();
            optimum.score_at(&x, 0.7, &mut score).unwrap();
            for axis in 0..2 {
                assert!((net[axis] - sum[axis] / total).abs() < 1e-10);
                assert!((h[axis] - x[axis] - 0.7 * net[axis]).abs() < 1e-14);
                assert!((score[axis] - net[axis] / 0.7).abs() < 1e-14);
            }
        }
    }

    /// At the minimum of E (net(x~) + z)^2 the residual is orthogonal to every function of x~.
    #[test]
    fn property_3_it_minimises_denoising_score_matching() {
        let levels = Levels::geometric(2.0, 0.5, 4).unwrap();
        let points = [-1.0, 0.3, 2.5];
        let empirical = Empirical::new(points.to_vec(), 1).unwrap();
        let optimum = OptimalUnconditional::new(empirical, levels.clone());
        let tests: [fn(f64) -> f64; 4] = [|_| 1.0, |x| x, f64::sin, |x| 1.0 / (1.0 + x * x)];
        for test in tests {
            let mut inner = 0.0;
            for &sigma in levels.as_slice() {
                for point in points {
                    // The trapezoidal rule over z converges exponentially for a Gaussian.
                    for i in -1000..=1000 {
                        let z = f64::from(i) * 0.01;
                        let noisy = point + sigma * z;
                        let mut net = [0.0];
                        optimum.net(&[noisy], &mut net).unwrap();
                        inner += (net[0] + z) * test(noisy) * (-0.5 * z * z).exp() * 0.01;
                    }
                }
            }
            assert!(inner.abs() < 1e-10, "{inner}");
        }
    }

    #[test]
    fn property_3_one_level_is_the_conditional_optimum() {
        let empirical = Empirical::new(data(), 2).unwrap();
        let level = Levels::new(vec![0.8]).unwrap();
        let optimum = OptimalUnconditional::new(empirical.clone(), level);
        let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
        optimum.score_at(&[0.5, -0.2], 0.8, &mut a).unwrap();
        empirical.score_at(&[0.5, -0.2], 0.8, &mut b).unwrap();
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    /// sigma^-D overflows in high dimensions unless logarithms are kept.
    #[test]
    fn high_dimensions_do_not_overflow() {
        let empirical = Empirical::new(vec![0.5; 3072], 3072).unwrap();
        let levels = Levels::geometric(50.0, 0.01, 232).unwrap();
        let optimum = OptimalUnconditional::new(empirical, levels);
        for offset in [0.0, 0.01, 50.0] {
            let mut net = vec![0.0; 3072];
            optimum.net(&vec![0.5 + offset; 3072], &mut net).unwrap();
            // Noise of this size is recognised in 3072 dimensions: net is about -z = -1.
            let expected = if offset == 0.0 { 0.0 } else { -1.0 };
            assert!((net[0] - expected).abs() < 0.05, "{offset}: {}", net[0]);
        }
    }
}
