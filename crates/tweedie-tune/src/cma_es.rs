//! CMA-ES, the evolution strategy with covariance matrix adaptation (Hansen, "The CMA evolution
//! strategy: a tutorial", arXiv 1604.00772, Figure 6 and Table 1, with active, that is negative,
//! weights).
//!
//! With z ~ N(0, I), C = B D^2 B^T, y = B D z, a generation is x_k = m + sigma y_k, k = 1 ...
//! lambda. From y in the order of the objective,
//!
//! m       <- m + sigma y_w,   y_w = sum of w_i y_i over the better half
//! p_sigma <- (1 - c_sigma) p_sigma + sqrt(c_sigma (2 - c_sigma) mu_eff) C^(-1/2) y_w
//! sigma   <- sigma exp(c_sigma/d_sigma (|p_sigma|/E|z| - 1))
//! p_c     <- (1 - c_c) p_c + h sqrt(c_c (2 - c_c) mu_eff) y_w
//! C       <- (1 + c_1 (1 - h) c_c (2 - c_c) - c_1 - c_mu sum w_i) C
//!              + c_1 p_c p_c^T + c_mu sum w_i y_i y_i^T.
//!
//! Only the order of the objective's values is used, so that those of a noisy objective need to be
//! comparable within a generation, at equal seeds, and never with another generation's.

mod eigen;

use tweedie::random::{NoiseSource, Stream};
use tweedie::{Error, Result};

use self::eigen::{Eigen, eigen};

/// The distribution N(m, sigma^2 C) that a search moves, asked for points and told their values.
#[derive(Clone, Debug)]
pub struct CmaEs {
    weights: Weights,
    source: NoiseSource,
    generation: u32,
    mean: Vec<f64>,
    sigma: f64,
    /// C, row-major, and its decomposition.
    covariance: Vec<f64>,
    eigen: Eigen,
    /// p_sigma and p_c.
    path_sigma: Vec<f64>,
    path_c: Vec<f64>,
}

/// What follows from the number of variables n and of points lambda.
#[derive(Clone, Debug)]
struct Weights {
    /// w_i, the best point's first; the positive ones have the sum 1.
    w: Vec<f64>,
    mu_eff: f64,
    c_sigma: f64,
    d_sigma: f64,
    c_c: f64,
    c_1: f64,
    c_mu: f64,
    /// E|N(0, I)|.
    chi: f64,
}

impl Weights {
    fn new(variables: usize, points: usize) -> Self {
        let n = variables as f64;
        let raw: Vec<f64> = (1..=points)
            .map(|i| ((points as f64 + 1.0) / 2.0).ln() - (i as f64).ln())
            .collect();
        let (better, worse) = raw.split_at(points / 2);
        let effective = |w: &[f64]| {
            let sum: f64 = w.iter().sum();
            sum * sum / w.iter().map(|w| w * w).sum::<f64>()
        };
        let (mu_eff, mu_eff_worse) = (effective(better), effective(worse));
        let c_sigma = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        let c_c = (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n);
        let c_1 = 2.0 / ((n + 1.3).powi(2) + mu_eff);
        let c_mu = 2.0 * (0.25 + mu_eff + 1.0 / mu_eff - 2.0) / ((n + 2.0).powi(2) + mu_eff);
        let c_mu = c_mu.min(1.0 - c_1);
        // The sum of the negative weights, which keeps C positive definite.
        let sums = [
            1.0 + c_1 / c_mu,
            1.0 + 2.0 * mu_eff_worse / (mu_eff + 2.0),
            (1.0 - c_1 - c_mu) / (n * c_mu),
        ];
        let negative = sums.into_iter().fold(f64::INFINITY, f64::min);
        let sum = |sign: f64| -> f64 { raw.iter().map(|w| (sign * w).max(0.0)).sum() };
        let (up, down) = (sum(1.0), sum(-1.0));
        let scaled = raw.iter().map(|w| match *w >= 0.0 {
            true => w / up,
            false => w * negative / down,
        });
        Self {
            w: scaled.collect(),
            mu_eff,
            c_sigma,
            d_sigma: 1.0 + 2.0 * (((mu_eff - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0) + c_sigma,
            c_c,
            c_1,
            c_mu,
            chi: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
        }
    }
}

/// Points of a generation, by the tutorial: 4 + 3 ln n.
pub fn usual_points(variables: usize) -> usize {
    4 + (3.0 * (variables.max(1) as f64).ln()) as usize
}

impl CmaEs {
    /// A search that begins at `mean` with the standard deviation `sigma` along each variable, in
    /// generations of `points`, its draws those of `seed`.
    ///
    /// # Errors
    /// [`Error::Setting`] for no variables, fewer than 4 points, or a sigma that is not positive.
    pub fn new(mean: Vec<f64>, sigma: f64, points: usize, seed: u64) -> Result<Self> {
        let n = mean.len();
        if n == 0 || mean.iter().any(|value| !value.is_finite()) {
            let reason = "must be one finite number or more";
            return Err(Error::setting("mean", format!("{mean:?}"), reason));
        }
        if points < 4 {
            let reason = "must be 4 or more, the better half of which is kept";
            return Err(Error::setting("points", points, reason));
        }
        if !(sigma > 0.0 && sigma.is_finite()) {
            return Err(Error::setting(
                "sigma",
                sigma,
                "must be positive and finite",
            ));
        }
        let mut covariance = vec![0.0; n * n];
        covariance.iter_mut().step_by(n + 1).for_each(|c| *c = 1.0);
        Ok(Self {
            weights: Weights::new(n, points),
            source: NoiseSource::new(seed, Stream::Evaluation),
            generation: 0,
            eigen: eigen(&covariance, n),
            covariance,
            sigma,
            path_sigma: vec![0.0; n],
            path_c: vec![0.0; n],
            mean,
        })
    }

    /// The mean of the distribution: what the search says is best.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The step size sigma.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// Generations told.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The points of the next generation; the same until they are told.
    pub fn ask(&self) -> Vec<Vec<f64>> {
        let steps = self.steps();
        let point = |y: Vec<f64>| {
            let moved = self.mean.iter().zip(y);
            moved.map(|(m, y)| m + self.sigma * y).collect()
        };
        steps.into_iter().map(point).collect()
    }

    /// y_k = B D z_k.
    fn steps(&self) -> Vec<Vec<f64>> {
        let n = self.mean.len();
        let step = |k: usize| {
            let mut z = vec![0.0; n];
            self.source.fill_normal(k as u64, self.generation, &mut z);
            let scaled = z.iter().zip(&self.eigen.roots).map(|(z, d)| z * d);
            self.eigen.rotate(&scaled.collect::<Vec<f64>>())
        };
        (0..self.weights.w.len()).map(step).collect()
    }

    /// Moves the distribution by the objective's `values` at the points asked for, smaller ones
    /// better. Values that are not finite are the worst, and where no value is finite the next
    /// points lie nearer to the mean.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are not as many values as points.
    pub fn tell(&mut self, values: &[f64]) -> Result<()> {
        let points = self.weights.w.len();
        if values.len() != points {
            return Err(Error::Shape {
                what: "the values of a generation".into(),
                expected: vec![points],
                found: vec![values.len()],
            });
        }
        let steps = self.steps();
        self.generation += 1;
        let key = |k: usize| match values[k].is_finite() {
            true => values[k],
            false => f64::INFINITY,
        };
        if (0..points).all(|k| key(k) == f64::INFINITY) {
            self.sigma *= 0.5;
            return Ok(());
        }
        let mut order: Vec<usize> = (0..points).collect();
        order.sort_by(|a, b| key(*a).total_cmp(&key(*b)));
        let ranked: Vec<&[f64]> = order.iter().map(|k| steps[*k].as_slice()).collect();
        self.moved(&ranked);
        Ok(())
    }

    /// The update by the steps y, the best first.
    fn moved(&mut self, ranked: &[&[f64]]) {
        let Weights {
            ref w,
            mu_eff,
            c_sigma,
            d_sigma,
            c_c,
            c_1,
            c_mu,
            chi,
        } = self.weights;
        let n = self.mean.len();
        let mut step = vec![0.0; n];
        for (y, w) in ranked.iter().zip(w).filter(|(_, w)| **w > 0.0) {
            step.iter_mut().zip(*y).for_each(|(s, y)| *s += w * y);
        }
        for (m, y) in self.mean.iter_mut().zip(&step) {
            *m += self.sigma * y;
        }
        let white = self.eigen.whiten(&step);
        let fresh = (c_sigma * (2.0 - c_sigma) * mu_eff).sqrt();
        for (p, y) in self.path_sigma.iter_mut().zip(&white) {
            *p = (1.0 - c_sigma) * *p + fresh * y;
        }
        let length = norm(&self.path_sigma);
        self.sigma *= (c_sigma / d_sigma * (length / chi - 1.0)).exp();
        // h stalls p_c while sigma grows fast.
        let begun = (1.0 - (1.0 - c_sigma).powi(2 * self.generation as i32)).sqrt();
        let h = f64::from(length / begun < (1.4 + 2.0 / (n as f64 + 1.0)) * chi);
        let fresh = h * (c_c * (2.0 - c_c) * mu_eff).sqrt();
        for (p, y) in self.path_c.iter_mut().zip(&step) {
            *p = (1.0 - c_c) * *p + fresh * y;
        }
        let kept = 1.0 + c_1 * (1.0 - h) * c_c * (2.0 - c_c) - c_1 - c_mu * w.iter().sum::<f64>();
        self.covariance.iter_mut().for_each(|c| *c *= kept);
        add_outer(&mut self.covariance, c_1, &self.path_c);
        for (y, w) in ranked.iter().zip(w) {
            let scale = match *w >= 0.0 {
                true => 1.0,
                // A bad step counts by its direction alone.
                false => n as f64 / norm(&self.eigen.whiten(y)).powi(2).max(f64::MIN_POSITIVE),
            };
            add_outer(&mut self.covariance, c_mu * w * scale, y);
        }
        self.eigen = eigen(&self.covariance, n);
    }
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// matrix += factor x x^T.
fn add_outer(matrix: &mut [f64], factor: f64, x: &[f64]) {
    for (row, a) in matrix.chunks_exact_mut(x.len()).zip(x) {
        row.iter_mut()
            .zip(x)
            .for_each(|(c, b)| *c += factor * a * b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_tutorial() {
        let weights = Weights::new(10, 10);
        let positive: f64 = weights.w.iter().filter(|w| **w > 0.0).sum();
        assert!((positive - 1.0).abs() < 1e-15);
        // Five better points of ten: mu_eff = 3.17 (Hansen's purecma prints 3.167).
        assert!((weights.mu_eff - 3.167).abs() < 1e-3, "{}", weights.mu_eff);
        assert!(weights.w.is_sorted_by(|a, b| a >= b));
        assert!(weights.w[9] < 0.0);
    }
}
