//! A model of the distance over the cube, from the settings measured so far, and where a better one is
//! to be expected.
//!
//! A Gaussian process (Rasmussen and Williams 2006, section 2.2) with Matern's kernel of smoothness
//! 5/2 (Eq. 4.17),
//!
//! k(r) = (1 + sqrt(5) r + 5 r^2/3) exp(-sqrt(5) r),
//! r^2 = sum over axes ((u - v)/l)^2 + the square of a distance between different categories,
//!
//! whose lengths and noise have the largest marginal likelihood (Eq. 5.8) of a few, and whose mean and
//! variance are fitted in closed form. The next setting is where the improvement on the best so far has
//! the largest expectation (Jones, Schonlau and Welch 1998, Eq. 15).

use tweedie::noise::normal_cdf;

use crate::{AXES, Point};

/// Axes of categories: the sampler and the kind of grid, in so many equal parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Category {
    pub(crate) axis: usize,
    pub(crate) parts: usize,
}

/// What a setting's distance is expected to be.
#[derive(Clone, Debug)]
pub(crate) struct Surrogate {
    points: Vec<Point>,
    kernel: Kernel,
    /// L of K = L L^T, row-major `[n, n]`.
    factor: Vec<f64>,
    /// K^-1 (y - mean).
    weights: Vec<f64>,
    mean: f64,
    /// The variance of the process.
    scale: f64,
}

#[derive(Clone, Debug)]
struct Kernel {
    categories: Vec<Category>,
    /// l.
    length: f64,
    /// The distance between categories.
    apart: f64,
    /// The variance of the noise, in shares of the process's.
    noise: f64,
}

/// The lengths, distances and noises that are tried.
const LENGTHS: [f64; 4] = [0.25, 0.45, 0.8, 1.4];
const APART: [f64; 3] = [0.4, 0.9, 1.8];
const NOISES: [f64; 3] = [1e-3, 1e-2, 1e-1];

impl Kernel {
    fn of(&self, a: &Point, b: &Point) -> f64 {
        let mut square = 0.0;
        for axis in 0..AXES {
            let known = self.categories.iter().find(|known| known.axis == axis);
            square += match known {
                Some(known) if known.part(a) == known.part(b) => 0.0,
                Some(_) => self.apart * self.apart,
                None => ((a[axis] - b[axis]) / self.length).powi(2),
            };
        }
        let r = (5.0 * square).sqrt();
        (1.0 + r + r * r / 3.0) * (-r).exp()
    }
}

impl Category {
    fn part(self, point: &Point) -> usize {
        ((point[self.axis] * self.parts as f64) as usize).min(self.parts - 1)
    }
}

impl Surrogate {
    /// Fits `values` at `points`, equally many; none where there are fewer than two or no variance.
    pub(crate) fn fit(categories: &[Category], points: &[Point], values: &[f64]) -> Option<Self> {
        let mut best: Option<(f64, Self)> = None;
        for length in LENGTHS {
            for apart in APART {
                for noise in NOISES {
                    let kernel = Kernel {
                        categories: categories.to_vec(),
                        length,
                        apart,
                        noise,
                    };
                    let Some((likelihood, found)) = Self::with(kernel, points, values) else {
                        continue;
                    };
                    if best.as_ref().is_none_or(|(known, _)| likelihood > *known) {
                        best = Some((likelihood, found));
                    }
                }
            }
        }
        best.map(|(_, found)| found)
    }

    /// With its log marginal likelihood, up to a constant.
    fn with(kernel: Kernel, points: &[Point], values: &[f64]) -> Option<(f64, Self)> {
        let n = points.len();
        if n < 2 || values.len() != n {
            return None;
        }
        let mut factor = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let noise = if i == j { kernel.noise } else { 0.0 };
                factor[i * n + j] = kernel.of(&points[i], &points[j]) + noise;
            }
        }
        cholesky(&mut factor, n)?;
        let ones = solve(&factor, &vec![1.0; n]);
        let solved = solve(&factor, values);
        let mean = solved.iter().sum::<f64>() / ones.iter().sum::<f64>();
        let weights: Vec<f64> = solved
            .iter()
            .zip(&ones)
            .map(|(y, one)| y - mean * one)
            .collect();
        let away = values.iter().zip(&weights);
        let scale = away.map(|(y, w)| (y - mean) * w).sum::<f64>() / n as f64;
        let log_diagonal: f64 = (0..n).map(|i| factor[i * n + i].ln()).sum();
        let likelihood = -0.5 * n as f64 * scale.ln() - log_diagonal;
        let found = Self {
            points: points.to_vec(),
            kernel,
            factor,
            weights,
            mean,
            scale,
        };
        (scale > 0.0 && likelihood.is_finite()).then_some((likelihood, found))
    }

    /// The mean and standard deviation of what would be measured at `point` without noise.
    pub(crate) fn predict(&self, point: &Point) -> (f64, f64) {
        let near: Vec<f64> = self
            .points
            .iter()
            .map(|p| self.kernel.of(p, point))
            .collect();
        let pull = near.iter().zip(&self.weights).map(|(k, w)| k * w);
        let half = forward(&self.factor, &near);
        let known: f64 = half.iter().map(|h| h * h).sum();
        let variance = self.scale * (1.0 - known).max(0.0);
        (self.mean + pull.sum::<f64>(), variance.sqrt())
    }

    /// How much below `best` the value at `point` is expected to lie, where it does.
    pub(crate) fn expected_improvement(&self, point: &Point, best: f64) -> f64 {
        let (mean, deviation) = self.predict(point);
        if deviation <= 0.0 {
            return (best - mean).max(0.0);
        }
        let z = (best - mean) / deviation;
        let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        deviation * (z * normal_cdf(z) + density)
    }
}

/// L of the symmetric matrix whose lower half is `a`, in its place; none unless it is positive definite.
fn cholesky(a: &mut [f64], n: usize) -> Option<()> {
    for i in 0..n {
        for j in 0..=i {
            let (above, row) = a.split_at(i * n);
            let other = if i == j { row } else { &above[j * n..] };
            let products = row[..j].iter().zip(&other[..j]).map(|(x, y)| x * y);
            let left = row[j] - products.sum::<f64>();
            a[i * n + j] = match i == j {
                true if left <= 0.0 => return None,
                true => left.sqrt(),
                false => left / a[j * n + j],
            };
        }
    }
    Some(())
}

/// L^-1 b.
fn forward(factor: &[f64], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let mut x: Vec<f64> = Vec::with_capacity(n);
    for (row, b) in factor.chunks_exact(n).zip(b) {
        let products = row.iter().zip(&x).map(|(l, x)| l * x);
        let left = b - products.sum::<f64>();
        x.push(left / row[x.len()]);
    }
    x
}

/// (L L^T)^-1 b.
fn solve(factor: &[f64], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let mut x = forward(factor, b);
    for i in (0..n).rev() {
        let below = (i + 1..n).map(|j| factor[j * n + i] * x[j]);
        x[i] = (x[i] - below.sum::<f64>()) / factor[i * n + i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: u32) -> Vec<Point> {
        let point =
            |i| std::array::from_fn(|axis| f64::from(sobol_burley::sample(i, axis as u32, 4)));
        (0..count).map(point).collect()
    }

    const CATEGORIES: [Category; 1] = [Category { axis: 0, parts: 3 }];

    #[test]
    fn solves_by_its_factor() {
        let a = [4.0, 0.0, 0.0, 2.0, 5.0, 0.0, 1.0, 3.0, 6.0];
        let full = [4.0, 2.0, 1.0, 2.0, 5.0, 3.0, 1.0, 3.0, 6.0];
        let mut factor = a;
        cholesky(&mut factor, 3).unwrap();
        let x = solve(&factor, &[1.0, -2.0, 3.0]);
        for (row, b) in full.chunks(3).zip([1.0, -2.0, 3.0]) {
            let product: f64 = row.iter().zip(&x).map(|(a, x)| a * x).sum();
            assert!((product - b).abs() < 1e-14);
        }
        assert!(cholesky(&mut [1.0, 0.0, 2.0, 1.0], 2).is_none());
    }

    /// Of a smooth function the model is near it away from the points, and sure of itself at them.
    #[test]
    fn a_smooth_function_is_known_from_a_few_points() {
        let truth = |p: &Point| {
            let category = f64::from((p[0] * 3.0) as u32);
            category + (p[1] - 0.4).powi(2) + 0.5 * p[AXES - 1]
        };
        let known = points(150);
        let values: Vec<f64> = known.iter().map(truth).collect();
        let model = Surrogate::fit(&CATEGORIES, &known[..100], &values[..100]).unwrap();
        let mut squares = 0.0;
        for (point, value) in known[100..].iter().zip(&values[100..]) {
            squares += (model.predict(point).0 - value).powi(2) / 50.0;
        }
        assert!(squares.sqrt() < 0.1, "{squares}");
        let (mean, deviation) = model.predict(&known[0]);
        assert!((mean - values[0]).abs() < 0.05 && deviation < 0.1);
        assert!(Surrogate::fit(&CATEGORIES, &known[..1], &values[..1]).is_none());
        assert!(Surrogate::fit(&CATEGORIES, &known, &[1.0; 150]).is_none());
    }

    /// E max(best - Y, 0) of a normal Y, against a sum over its density.
    #[test]
    fn the_expected_improvement_is_an_integral() {
        let known = points(20);
        let values: Vec<f64> = known.iter().map(|p| (5.0 * p[1]).sin()).collect();
        let model = Surrogate::fit(&CATEGORIES, &known, &values).unwrap();
        let point = [0.3; AXES];
        let (mean, deviation) = model.predict(&point);
        let best = mean - 0.3 * deviation;
        let steps = 40_000;
        let sum: f64 = (0..steps)
            .map(|i| {
                let z = -8.0 + 16.0 * (f64::from(i) + 0.5) / f64::from(steps);
                let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
                (best - mean - deviation * z).max(0.0) * density * 16.0 / f64::from(steps)
            })
            .sum();
        let found = model.expected_improvement(&point, best);
        assert!((found / sum - 1.0).abs() < 1e-6, "{found} {sum}");
    }
}
