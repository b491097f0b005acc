//! The usual schedules of beta.
//!
//! | name | beta | used by |
//! |---|---|---|
//! | linear | even from beta_1 to beta_T | DDPM 1e-4 to 0.02, T = 1000; WaveGrad 1e-6 to 0.01, T = 1000; DiffWave 1e-4 to 0.05, T = 50 |
//! | scaled linear | sqrt(beta) even | Stable Diffusion 0.00085 to 0.012, T = 1000 |
//! | jsd | 1/(T - t + 1), t from 1 | Sohl-Dickstein et al. 2015 |
//! | cosine | 1 - abar(t)/abar(t-1) of a cosine | Nichol and Dhariwal 2021 |
//! | sigmoid | 1 - abar(t)/abar(t-1) of a sigmoid | Jabri et al. 2022 |
//!
//! The last three reach abar(T) = 0, where nothing of the data is left and the relative noise is
//! infinite. As in Nichol and Dhariwal, beta is capped at 0.999, which changes few timesteps but
//! the last.

use super::{Timesteps, check_count};
use crate::error::{Error, Result};
use crate::noise::cosine::{angle, lost};

/// The cap on beta.
const CAP: f64 = 0.999;

impl Timesteps {
    /// `count` betas from `beta_1` to `beta_t`, evenly spaced (Ho et al. 2020: 1e-4, 0.02, 1000).
    ///
    /// # Errors
    /// [`Error::Setting`] for a beta outside (0, 1); for `count` = 0, and 1 where the two betas
    /// differ; and as [`Timesteps::from_betas`].
    pub fn linear(beta_1: f64, beta_t: f64, count: usize) -> Result<Self> {
        Self::between(beta_1, beta_t, count, |u| beta_1 + u * (beta_t - beta_1))
    }

    /// `count` betas from `beta_1` to `beta_t` with evenly spaced roots (Rombach et al., "High
    /// resolution image synthesis with latent diffusion models", 2022: 0.00085, 0.012, 1000).
    ///
    /// # Errors
    /// As for [`Timesteps::linear`].
    pub fn scaled_linear(beta_1: f64, beta_t: f64, count: usize) -> Result<Self> {
        let (first, last) = (beta_1.sqrt(), beta_t.sqrt());
        Self::between(beta_1, beta_t, count, |u| {
            (first + u * (last - first)).powi(2)
        })
    }

    /// beta_t = 1/(T-t+1), t = 1, ..., T = `count`, so that abar falls linearly: (T-t)/T
    /// (Sohl-Dickstein et al., "Deep unsupervised learning using nonequilibrium thermodynamics",
    /// 2015).
    ///
    /// The last beta, 1 by the formula, is 0.999: abar there is 1e-3/T, not 0.
    ///
    /// # Errors
    /// [`Error::Setting`] for `count` = 0 or far too large.
    pub fn jsd(count: usize) -> Result<Self> {
        check_count(count)?;
        let betas: Vec<f64> = (1..=count)
            .rev()
            .map(|left| (1.0 / left as f64).min(CAP))
            .collect();
        Self::from_betas(&betas)
    }

    /// The cosine schedule of [`cosine_level`](crate::noise::cosine_level) at t = 1/T, ..., 1
    /// with T = `count`, where no beta exceeds `clip` (Nichol and Dhariwal 2021: `offset` 0.008,
    /// `clip` 0.999).
    ///
    /// # Errors
    /// [`Error::Setting`] for an `offset` that is negative or not finite, a `clip` outside
    /// (0, 1), and as [`Timesteps::from_betas`].
    pub fn cosine(count: usize, offset: f64, clip: f64) -> Result<Self> {
        check_count(count)?;
        if !(offset >= 0.0 && offset.is_finite()) {
            let reason = "must be finite and not negative (0.008 is usual)";
            return Err(Error::setting("offset", offset, reason));
        }
        if !(clip > 0.0 && clip < 1.0) {
            let reason = "must be in (0, 1): the largest beta (0.999 is usual)";
            return Err(Error::setting("clip", clip, reason));
        }
        let at = |t: usize| angle(t as f64 / count as f64, offset);
        let betas: Vec<f64> = (0..count)
            .map(|t| lost(at(t), at(t + 1)).min(clip))
            .collect();
        Self::from_betas(&betas)
    }

    /// The sigmoid schedule at t = 1/T, ..., 1 with T = `count`:
    ///
    /// ```text
    /// abar(t) = (S(end) - S(start + t (end - start)))/(S(end) - S(start)),  S(x) = 1/(1 +
    /// e^(-x/tau)) ```
    ///
    /// (Jabri et al., "Scalable adaptive computation for iterative generation", 2022; Chen, "On
    /// the importance of noise scheduling for diffusion models", 2023, with `start` -3, `end` 3,
    /// `tau` 1 among others). No beta exceeds 0.999. Other libraries use the name for betas that
    /// are themselves a sigmoid, 6 on either side: [`Timesteps::from_betas`] takes those.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `start` < `end`, both finite, and `tau` is positive and finite;
    /// for a `tau` so small that timesteps near an end add nothing.
    pub fn sigmoid(count: usize, start: f64, end: f64, tau: f64) -> Result<Self> {
        check_count(count)?;
        if !start.is_finite() {
            return Err(Error::setting("start", start, "must be finite, like -3"));
        }
        if !(end > start && end.is_finite()) {
            let reason = format!("must be finite and above start = {start}");
            return Err(Error::setting("end", end, reason));
        }
        if !(tau > 0.0 && tau.is_finite()) {
            return Err(Error::setting(
                "tau",
                tau,
                "must be positive and finite, like 1",
            ));
        }
        let at = |t: usize| (start + t as f64 / count as f64 * (end - start)) / tau;
        // (S(x') - S(x))/(S(end) - S(x)), free of cancellation: S(b) - S(a) is
        // S(-a) S(b) (1 - e^(a-b)), and S(-a) cancels.
        let rise = |a: f64, b: f64| -(a - b).exp_m1() / (1.0 + (-b).exp());
        let last = end / tau;
        let betas: Vec<f64> = (0..count)
            .map(|t| (rise(at(t), at(t + 1)) / rise(at(t), last)).min(CAP))
            .collect();
        Self::from_betas(&betas).map_err(|_| {
            let reason = "makes the sigmoid so steep that timesteps add no noise; take it larger";
            Error::setting("tau", tau, reason)
        })
    }

    /// Betas `at` 0, 1/(T-1), ..., 1, with the ends as given.
    fn between(beta_1: f64, beta_t: f64, count: usize, at: impl Fn(f64) -> f64) -> Result<Self> {
        check_count(count)?;
        for (name, beta) in [("beta_1", beta_1), ("beta_t", beta_t)] {
            if !(beta > 0.0 && beta < 1.0) {
                let reason = "must be in (0, 1), the variance of the noise a timestep adds";
                return Err(Error::setting(name, beta, reason));
            }
        }
        if count == 1 && beta_1 != beta_t {
            let reason = format!("from {beta_1} to {beta_t} it takes at least 2");
            return Err(Error::setting("timesteps", count, reason));
        }
        let last = count - 1;
        let betas: Vec<f64> = (0..count)
            .map(|t| match t {
                0 => beta_1,
                t if t == last => beta_t,
                t => at(t as f64 / last as f64),
            })
            .collect();
        Self::from_betas(&betas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::cosine_level;

    /// abar of every timestep but the last, which is capped, against `expected` at t/T, whose
    /// formula may cancel near 0.
    fn follows(table: &Timesteps, expected: impl Fn(f64) -> f64) {
        let count = table.len();
        for t in 0..count - 1 {
            let expected = expected((t + 1) as f64 / count as f64);
            let abar = table.abar(t).unwrap();
            let near = (abar - expected).abs() < 1e-10 * expected + 1e-15;
            assert!(near, "{t}: {abar} {expected}");
        }
    }

    #[test]
    fn linear_betas_are_even_and_so_are_the_roots_of_scaled_ones() {
        let linear = Timesteps::linear(1e-4, 0.05, 50).unwrap();
        let scaled = Timesteps::scaled_linear(0.00085, 0.012, 1000).unwrap();
        let roots: Vec<f64> = scaled.betas().iter().map(|beta| beta.sqrt()).collect();
        for (values, first, last) in [
            (linear.betas(), 1e-4, 0.05),
            (&roots, 0.00085f64.sqrt(), 0.012f64.sqrt()),
        ] {
            let step = (last - first) / (values.len() - 1) as f64;
            assert_eq!((values[0], values[values.len() - 1]), (first, last));
            assert!(
                values
                    .windows(2)
                    .all(|v| (v[1] - v[0] - step).abs() < 1e-15)
            );
        }
    }

    #[test]
    fn jsd_takes_the_same_share_of_the_data_every_time() {
        let table = Timesteps::jsd(1000).unwrap();
        follows(&table, |t| 1.0 - t);
        assert!((table.abar(999).unwrap() / 1e-6 - 1.0).abs() < 1e-10);
        assert_eq!(Timesteps::jsd(1).unwrap().betas(), [0.999]);
    }

    #[test]
    fn cosine_follows_the_continuous_schedule() {
        for offset in [0.0, 0.008] {
            let table = Timesteps::cosine(1000, offset, 0.999).unwrap();
            follows(&table, |t| cosine_level(t, offset).alpha.powi(2));
            assert_eq!(table.betas()[999], 0.999);
            assert!(table.betas()[998] < 0.999);
            // The definition, with its cancellation.
            let f = |t: f64| cosine_level(t / 1000.0, offset).alpha.powi(2);
            for (t, &beta) in table.betas()[..999].iter().enumerate() {
                let t = t as f64;
                assert!((beta - (1.0 - f(t + 1.0) / f(t))).abs() < 1e-12);
            }
        }
        let clipped = Timesteps::cosine(100, 0.008, 0.05).unwrap();
        assert!(clipped.betas().iter().all(|&beta| beta <= 0.05));
        assert!(clipped.betas().iter().filter(|&&beta| beta == 0.05).count() > 10);
    }

    #[test]
    fn sigmoid_follows_its_formula() {
        for (start, end, tau) in [(-3.0, 3.0, 1.0), (-3.0, 3.0, 0.9), (0.0, 3.0, 0.3)] {
            let table = Timesteps::sigmoid(1000, start, end, tau).unwrap();
            let s = |x: f64| 1.0 / (1.0 + (-x / tau).exp());
            follows(&table, |t| {
                (s(end) - s(start + t * (end - start))) / (s(end) - s(start))
            });
            assert_eq!(table.betas()[999], 0.999);
        }
    }

    #[test]
    fn wrong_settings_are_refused_by_name() {
        let starts = |result: Result<Timesteps>, name: &str| {
            let found = result.unwrap_err().to_string();
            assert!(found.starts_with(&format!("{name} = ")), "{found}");
        };
        let nan = f64::NAN;
        starts(Timesteps::linear(0.0, 0.02, 10), "beta_1");
        starts(Timesteps::linear(1e-4, 1.0, 10), "beta_t");
        starts(Timesteps::linear(1e-4, nan, 10), "beta_t");
        starts(Timesteps::linear(1e-4, 0.02, 1), "timesteps");
        starts(Timesteps::scaled_linear(-1.0, 0.02, 10), "beta_1");
        for count in [0, usize::MAX] {
            starts(Timesteps::linear(1e-4, 0.02, count), "timesteps");
            starts(Timesteps::jsd(count), "timesteps");
            starts(Timesteps::cosine(count, 0.008, 0.999), "timesteps");
            starts(Timesteps::sigmoid(count, -3.0, 3.0, 1.0), "timesteps");
        }
        starts(Timesteps::cosine(10, -0.1, 0.999), "offset");
        starts(Timesteps::cosine(10, nan, 0.999), "offset");
        starts(Timesteps::cosine(10, 0.008, 1.0), "clip");
        starts(Timesteps::cosine(10, 0.008, 0.0), "clip");
        starts(Timesteps::sigmoid(10, nan, 3.0, 1.0), "start");
        starts(Timesteps::sigmoid(10, 3.0, 3.0, 1.0), "end");
        starts(Timesteps::sigmoid(10, -3.0, 3.0, 0.0), "tau");
        starts(Timesteps::sigmoid(10, -3.0, 3.0, 1e-3), "tau");
        assert_eq!(Timesteps::linear(0.1, 0.1, 1).unwrap().betas(), [0.1]);
    }
}
