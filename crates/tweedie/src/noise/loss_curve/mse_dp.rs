//! The levels whose steps cost least, by dynamic programming on the loss curve.
//!
//! A step from sigma_i to sigma_j with H frozen at sigma_i costs
//!
//! C(i, j) = integral from sigma_j to sigma_i of (m(sigma_i) - m(sigma)) sigma^-p d sigma,
//!
//! the integral of E ||H(x_sigma) - H(x_sigma_i)||^2 along the step, of an exact denoiser; p = 3 is the bound on the
//! Kullback-Leibler divergence that Align Your Steps minimises (Sabour, Fidler and Kreis, 2024).
//! Candidates for the levels are K levels, even in ln sigma. With D_n(j) the least cost of n steps
//! from sigma_max to candidate j,
//!
//! D_{n+1}(j) = min over i < j of D_n(i) + C(i, j).
//!
//! As m increases, C(i, j) + C(i', j') <= C(i, j') + C(i', j) for i < i' < j < j', so the best i
//! increases with j: all j are done in O(K log K) by halving (Yao, "Efficient dynamic programming
//! using quadrangle inequalities", 1980).

use super::LossCurve;
use crate::error::Result;
use crate::noise::Levels;

/// Candidates for the levels: at least this many, and this many a step.
const CANDIDATES: usize = 1200;
const CANDIDATES_A_STEP: usize = 16;

/// With more levels than this the best ones are those of short steps.
pub(super) const MOST: usize = 500;

/// `count` >= 2 levels, at most [`MOST`], that minimise the sum of C.
pub(super) fn levels(
    curve: &LossCurve,
    sigma_max: f64,
    sigma_min: f64,
    count: usize,
    p: f64,
) -> Result<Levels> {
    let candidates = CANDIDATES.max(CANDIDATES_A_STEP * count);
    let grid = Levels::geometric(sigma_max, sigma_min, candidates)?;
    let costs = Costs::new(curve, grid.as_slice(), p);
    let mut least = vec![f64::INFINITY; candidates];
    least[0] = 0.0;
    // For each step, the candidate from which each one is reached best.
    let mut from = Vec::new();
    for _ in 1..count {
        let mut next = Row {
            least: vec![f64::INFINITY; candidates],
            from: vec![0; candidates],
        };
        costs.best(&least, &mut next, (1, candidates), (0, candidates - 1));
        least = next.least;
        from.push(next.from);
    }
    let mut at = candidates - 1;
    let mut sigmas = vec![grid.last()];
    for from in from.iter().rev() {
        at = from[at] as usize;
        sigmas.push(grid.as_slice()[at]);
    }
    sigmas.reverse();
    Levels::new(sigmas)
}

/// D_n of all candidates, and where each is reached from.
struct Row {
    least: Vec<f64>,
    from: Vec<u32>,
}

/// What makes C(i, j) = m_i (w_j - w_i) - (v_j - v_i) in one expression.
struct Costs {
    m: Vec<f64>,
    /// Integrals of sigma^-p d sigma from sigma_max down.
    w: Vec<f64>,
    /// Integrals of m sigma^-p d sigma.
    v: Vec<f64>,
}

impl Costs {
    fn new(curve: &LossCurve, sigmas: &[f64], p: f64) -> Self {
        let m: Vec<f64> = sigmas.iter().map(|&sigma| curve.loss(sigma)).collect();
        let (mut w, mut v) = (vec![0.0], vec![0.0]);
        for (sigma, m) in sigmas.windows(2).zip(m.windows(2)) {
            // sigma^(1-p) d ln sigma by Simpson's rule, m by the trapezoidal one.
            let [a, c] = [sigma[0], sigma[1]].map(|sigma| sigma.powf(1.0 - p));
            let width = (sigma[0] / sigma[1]).ln() * (a + 4.0 * (a * c).sqrt() + c) / 6.0;
            w.push(w[w.len() - 1] + width);
            v.push(v[v.len() - 1] + width * (m[0] + m[1]) / 2.0);
        }
        Self { m, w, v }
    }

    /// C(i, j).
    fn cost(&self, i: usize, j: usize) -> f64 {
        let cost = self.m[i] * (self.w[j] - self.w[i]) - (self.v[j] - self.v[i]);
        // Rounding must not reward steps across which m does not change.
        cost.max(0.0)
    }

    /// Fills `next` at the candidates `js`, whose best predecessors lie in `is`, both ends of
    /// `is` included.
    fn best(&self, least: &[f64], next: &mut Row, js: (usize, usize), is: (usize, usize)) {
        let (start, end) = js;
        if start >= end {
            return;
        }
        let j = usize::midpoint(start, end);
        let mut best = (f64::INFINITY, is.0);
        for (i, before) in least.iter().enumerate().take(j.min(is.1 + 1)).skip(is.0) {
            let cost = before + self.cost(i, j);
            if cost < best.0 {
                best = (cost, i);
            }
        }
        next.least[j] = best.0;
        next.from[j] = best.1 as u32;
        self.best(least, next, (start, j), (is.0, best.1));
        self.best(least, next, (j + 1, end), (best.1, is.1));
    }
}
