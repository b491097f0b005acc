//! SA-Solver: stochastic Adams methods.
//!
//! Xue et al., "SA-Solver: stochastic Adams solver for fast sampling of diffusion models", 2023,
//! predicting the data, with a constant tau, in VE coordinates: lambda = -ln sigma,
//! h = lambda' - lambda. The reverse diffusions of variance tau have the solution
//!
//! x' = sigma'/sigma e^(-tau^2 h) x + int_lambda^lambda' (1 + tau^2) e^(-(1 + tau^2)(lambda' - u)) H(u) du
//!      + sigma' sqrt(1 - e^(-2 tau^2 h)) z.
//!
//! The integral is taken of the polynomial through the last H, sum_j b_j H_j: those of the last
//! `order` levels predict x'; H(x') and those of the last `corrector` levels then correct it, from
//! the same x and z. H(x') serves the next step too, so a level takes one network call. The first
//! steps have fewer levels to look back to and are of lower order.
//!
//! tau = 0 is deterministic, an Adams-Bashforth method. Of order 1 it is consistent annealed
//! sampling with eps_c = 1 + tau^2. The last step, to 0, returns H.

use serde::{Deserialize, Serialize};

use super::description::{Scheme, levels_at};
use super::sampler::{Sampler, State};
use super::setting::{Interval, Scale, Setting, SettingValue};
use crate::error::{Error, Result};
use crate::noise::{Level, Levels};

/// SA-Solver.
#[derive(Clone, Debug, PartialEq)]
pub struct SaSolver {
    levels: Levels,
    tau: f64,
    order: usize,
    corrector: usize,
    /// H of the last levels, the latest first, `[n, dim]` each.
    history: Vec<Vec<f64>>,
    /// The step before without its integral, `[n, dim]`: what a correction starts from.
    base: Vec<f64>,
}

/// The largest order.
const MOST: usize = 3;

impl SaSolver {
    /// SA-Solver down `levels` and on to 0 with noise `tau`, a predictor of `order` 1 to 3 and a
    /// corrector that looks back over `corrector` levels, 0 to 3; 0 is none.
    ///
    /// # Errors
    /// [`Error::Setting`] for a tau that is negative or not finite, and orders out of range.
    pub fn new(levels: &Levels, tau: f64, order: usize, corrector: usize) -> Result<Self> {
        if !(tau >= 0.0 && tau.is_finite()) {
            let reason = "must be finite and not negative: 0 is deterministic, 1 usual";
            return Err(Error::setting("tau", tau, reason));
        }
        if !(1..=MOST).contains(&order) {
            return Err(Error::setting("order", order, "must be 1, 2 or 3"));
        }
        if corrector > MOST {
            let reason = "must be 0 (none), 1, 2 or 3";
            return Err(Error::setting("corrector", corrector, reason));
        }
        Ok(Self {
            levels: levels.clone(),
            tau,
            order,
            corrector,
            history: Vec::new(),
            base: Vec::new(),
        })
    }

    /// lambda of level `j` less that of level `i`, ln(sigma_i/sigma_j); exact where they are close.
    fn ahead(&self, i: usize, j: usize) -> f64 {
        let (from, to) = (self.levels.as_slice()[i], self.levels.as_slice()[j]);
        ((from - to) / to).ln_1p()
    }

    /// (1 + tau^2) h of the step from level `i`.
    fn length(&self, i: usize) -> f64 {
        (1.0 + self.tau * self.tau) * self.ahead(i, i + 1)
    }

    /// Where the last `count` levels up to level `i` lie, in steps h from there: 0, -1, ...; those
    /// that rounding cannot tell apart are left out, and those there were not.
    fn places(&self, i: usize, count: usize) -> Vec<f64> {
        let h = self.ahead(i, i + 1);
        let mut places = vec![0.0];
        for back in 1..count.min(i + 1) {
            let place = self.ahead(i, i - back) / h;
            if place >= places[back - 1] {
                break;
            }
            places.push(place);
        }
        places
    }
}

impl Sampler for SaSolver {
    fn steps(&self) -> usize {
        self.levels.len()
    }

    fn noise(&self, i: usize) -> (Level, Level) {
        let next = self.levels.as_slice().get(i + 1).copied();
        let to = next.map_or(Level::DATA, Level::ve);
        (Level::ve(self.levels.as_slice()[i]), to)
    }

    fn step(&mut self, i: usize, state: &mut State<'_>) -> Result<()> {
        let (from, to) = self.noise(i);
        state.denoise(from)?;
        if to == Level::DATA {
            state.update(0.0, 1.0, 0.0);
            return Ok(());
        }
        if i == 0 {
            self.history.clear();
        }
        // Correct the step that led here, now that H at its end is known.
        if i > 0 && self.corrector > 0 {
            let mut places = vec![1.0];
            places.extend(self.places(i - 1, self.corrector));
            let b = weights(self.length(i - 1), &places);
            let (x, h) = state.parts();
            x.copy_from_slice(&self.base);
            add(x, b[0], h);
            for (b, h) in b[1..].iter().zip(&self.history) {
                add(x, *b, h);
            }
        }
        // Predict the next.
        let full = self.history.len() == self.order.max(self.corrector);
        let oldest = if full { self.history.pop() } else { None };
        let mut latest = oldest.unwrap_or_default();
        latest.clear();
        latest.extend_from_slice(state.denoised());
        self.history.insert(0, latest);
        let (h, tau2) = (self.ahead(i, i + 1), self.tau * self.tau);
        let kept = to.sigma / from.sigma * (-tau2 * h).exp();
        let noise = to.sigma * (-(-2.0 * tau2 * h).exp_m1()).sqrt();
        state.update(kept, 0.0, noise);
        let (x, _) = state.parts();
        self.base.clear();
        self.base.extend_from_slice(x);
        let b = weights(self.length(i), &self.places(i, self.order));
        for (b, h) in b.iter().zip(&self.history) {
            add(x, *b, h);
        }
        Ok(())
    }

    fn calls(&self) -> Option<usize> {
        Some(self.levels.len())
    }
}

/// x <- x + b h.
fn add(x: &mut [f64], b: f64, h: &[f64]) {
    for (x, h) in x.iter_mut().zip(h) {
        *x += b * h;
    }
}

/// b_j = int_0^1 a e^(-a (1 - v)) l_j(v) dv with the Lagrange polynomials l_j of `places`, which
/// are at most four and differ.
fn weights(a: f64, places: &[f64]) -> Vec<f64> {
    let moments = moments(a);
    let weight = |j: usize| {
        // The coefficients of l_j, from the constant one up.
        let mut l = [1.0, 0.0, 0.0, 0.0];
        for (_, place) in places.iter().enumerate().filter(|(k, _)| *k != j) {
            let scale = 1.0 / (places[j] - place);
            for k in (0..l.len()).rev() {
                let below = if k > 0 { l[k - 1] } else { 0.0 };
                l[k] = scale * (below - place * l[k]);
            }
        }
        l.iter().zip(moments).map(|(l, m)| l * m).sum()
    };
    (0..places.len()).map(weight).collect()
}

/// M_k = int_0^1 a e^(-a (1 - v)) v^k dv, k = 0 to 3.
///
/// By parts M_k = 1 - k/a M_{k-1}, which loses digits where a is small; there it is the series
/// sum_n (-1)^n a^(n+1) k!/(n+k+1)!.
fn moments(a: f64) -> [f64; MOST + 1] {
    let mut moments = [-(-a).exp_m1(); MOST + 1];
    for k in 1..moments.len() {
        moments[k] = if a >= 1.0 {
            1.0 - k as f64 / a * moments[k - 1]
        } else {
            let mut term = a / (k + 1) as f64;
            let mut sum = 0.0;
            for n in 0..20 {
                sum += term;
                term *= -a / (n + k + 2) as f64;
            }
            sum
        };
    }
    moments
}

/// The settings of `sa-solver`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    tau: f64,
    order: usize,
    corrector: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tau: 1.0,
            order: 2,
            corrector: 1,
        }
    }
}

impl Scheme for Settings {
    const NAME: &str = "sa-solver";
    const LABEL: &str = "SA-Solver";
    const ABOUT: &str = "Stochastic Adams methods, predictor and corrector";
    const PAPER: &str = "Xue et al. 2023";
    const CALLS: &str = "N";
    const LAST_STEP: &str = "H";
    const SETTINGS: &[Setting] = &[
        Setting::real(
            "tau",
            Interval::from(0.0),
            (0.0, 1.6),
            Scale::Linear,
            "amount of noise: 0 is deterministic, 1 the reverse diffusion",
        )
        .default(SettingValue::Real(1.0)),
        Setting::count("order", 1, MOST, "order of the predictor, at most 3")
            .default(SettingValue::Count(2)),
        Setting::count(
            "corrector",
            0,
            MOST,
            "steps of the corrector, at most 3; 0 for none",
        )
        .default(SettingValue::Count(1)),
    ];

    fn levels_for(&self, calls: usize) -> Result<usize> {
        levels_at(calls, 1, 1)
    }

    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>> {
        let solver = SaSolver::new(levels, self.tau, self.order, self.corrector)?;
        Ok(Box::new(solver))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [&[f64]; 6] = [
        &[0.0],
        &[0.0, -1.0],
        &[0.0, -0.4, -2.5],
        &[1.0, 0.0],
        &[1.0, 0.0, -0.7],
        &[1.0, 0.0, -0.7, -0.9],
    ];

    /// int_0^1 a e^(-a (1 - v)) v^k dv by Boole's rule.
    fn integral(a: f64, k: i32) -> f64 {
        let f = |v: f64| a * (-a * (1.0 - v)).exp() * v.powi(k);
        let parts = 4000;
        let d = 1.0 / f64::from(parts);
        let part = |i: i32| {
            let at = |q: f64| f((f64::from(i) + 0.25 * q) * d);
            let sum = 7.0 * (at(0.0) + at(4.0)) + 32.0 * (at(1.0) + at(3.0)) + 12.0 * at(2.0);
            sum * d / 90.0
        };
        (0..parts).map(part).sum()
    }

    #[test]
    fn polynomials_are_integrated_exactly() {
        for a in [1e-3, 0.3, 0.999, 1.0, 1.7, 6.0, 40.0] {
            for places in PLACES {
                let b = weights(a, places);
                let size: f64 = b.iter().map(|b| b.abs()).sum();
                for k in 0..places.len() as i32 {
                    let powers = places.iter().map(|place| place.powi(k));
                    let found: f64 = b.iter().zip(powers).map(|(b, power)| b * power).sum();
                    let error = found - integral(a, k);
                    assert!(
                        error.abs() < 2e-13 * (1.0 + size),
                        "{a} {places:?} {k}: {error}"
                    );
                }
                let sum: f64 = b.iter().sum();
                assert!((sum + (-a).exp_m1()).abs() < 1e-14 * (1.0 + size));
            }
        }
    }

    #[test]
    fn short_steps_lose_no_digits_and_endless_ones_are_finite() {
        // To first order in a the weights are those of the Adams methods.
        for a in [1e-9, 1e-14, 1e-300] {
            for (places, adams) in [
                (&[0.0, -1.0][..], &[3.0 / 2.0, -1.0 / 2.0][..]),
                (&[0.0, -1.0, -2.0], &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0]),
                (&[1.0, 0.0], &[0.5, 0.5]),
                (&[1.0, 0.0, -1.0], &[5.0 / 12.0, 8.0 / 12.0, -1.0 / 12.0]),
            ] {
                for (b, adams) in weights(a, places).iter().zip(adams) {
                    assert!((b / a - adams).abs() < 2.0 * a + 1e-14);
                }
            }
        }
        // With all of the noise fresh, only H at the end counts.
        let b = weights(f64::INFINITY, &[1.0, 0.0, -1.0]);
        assert!((b[0] - 1.0).abs() < 1e-14 && b[1].abs() < 1e-14 && b[2].abs() < 1e-14);
    }

    #[test]
    fn wrong_settings_are_named() {
        let levels = Levels::geometric(2.0, 0.5, 4).unwrap();
        for (tau, order, corrector, name) in [
            (-0.1, 2, 1, "tau = -0.1"),
            (f64::NAN, 2, 1, "tau"),
            (f64::INFINITY, 2, 1, "tau"),
            (1.0, 0, 1, "order = 0"),
            (1.0, 4, 1, "order = 4"),
            (1.0, 3, 4, "corrector = 4"),
        ] {
            let error = SaSolver::new(&levels, tau, order, corrector).unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
    }
}
