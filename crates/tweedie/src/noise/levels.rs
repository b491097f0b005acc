//! A decreasing list of noise levels, sigma_1 > ... > sigma_L.
//!
//! Geometric levels: Song and Ermon, "Generative modeling by estimating gradients of the data
//! distribution", 2019. Levels even in sigma^(1/rho): Karras et al., "Elucidating the design space
//! of diffusion-based generative models", 2022, Eq. 5. Dilated levels: Jolicoeur-Martineau et al.,
//! "Adversarial score matching", 2021, section 3.2.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// More levels than any use needs; the limit keeps a typing error from exhausting the memory.
pub(super) const MOST: usize = 10_000_000;

/// Noise levels: at least one, strictly decreasing, all positive and finite with squares that are
/// (between about 1e-154 and 1e154).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct Levels(Vec<f64>);

impl Levels {
    /// The levels as given.
    ///
    /// # Errors
    /// [`Error::Setting`] for an empty list, or where a level is not positive, not finite, or not
    /// below the one before.
    pub fn new(sigmas: Vec<f64>) -> Result<Self> {
        let refuse = |value: String, reason: String| Err(Error::setting("sigmas", value, reason));
        if sigmas.is_empty() {
            return refuse("[]".into(), "at least one noise level is needed".into());
        }
        for (i, &sigma) in sigmas.iter().enumerate() {
            if !usable(sigma) {
                let reason = format!("level {} must be positive and finite", i + 1);
                return refuse(sigma.to_string(), reason);
            }
            if i > 0 && sigma >= sigmas[i - 1] {
                let reason = format!(
                    "levels must decrease strictly, but level {} is {sigma} after {}",
                    i + 1,
                    sigmas[i - 1]
                );
                return refuse(sigma.to_string(), reason);
            }
        }
        Ok(Self(sigmas))
    }

    /// `count` levels in geometric progression, sigma_1 (sigma_n/sigma_1)^((i-1)/(count-1)).
    ///
    /// The ends are exactly `sigma_1` and `sigma_n`.
    ///
    /// # Errors
    /// [`Error::Setting`] unless sigma_1 > sigma_n > 0, both finite, and `count` >= 2; a single
    /// level is legal where sigma_1 = sigma_n.
    pub fn geometric(sigma_1: f64, sigma_n: f64, count: usize) -> Result<Self> {
        Self::between(sigma_1, sigma_n, count, |t| {
            sigma_1 * (sigma_n / sigma_1).powf(t)
        })
    }

    /// `count` levels evenly spaced in sigma^(1/rho); `rho` = 1 is linear, rho -> inf geometric,
    /// Karras et al. use 7.
    ///
    /// The ends are exactly `sigma_1` and `sigma_n`.
    ///
    /// # Errors
    /// As for [`Levels::geometric`], and for a `rho` that is not positive and finite.
    pub fn karras(sigma_1: f64, sigma_n: f64, count: usize, rho: f64) -> Result<Self> {
        if !(rho > 0.0 && rho.is_finite()) {
            return Err(Error::setting(
                "rho",
                rho,
                "must be positive and finite (7 is usual)",
            ));
        }
        let (top, bottom) = (sigma_1.powf(1.0 / rho), sigma_n.powf(1.0 / rho));
        Self::between(sigma_1, sigma_n, count, |t| {
            (top + t * (bottom - top)).powf(rho)
        })
    }

    /// `count` levels in arithmetic progression.
    ///
    /// The ends are exactly `sigma_1` and `sigma_n`.
    ///
    /// # Errors
    /// As for [`Levels::geometric`].
    pub fn linear(sigma_1: f64, sigma_n: f64, count: usize) -> Result<Self> {
        Self::between(sigma_1, sigma_n, count, |t| {
            sigma_1 + t * (sigma_n - sigma_1)
        })
    }

    /// Levels `at` t = 0, 1/(count-1), ..., 1, with the ends as given.
    pub(super) fn between(
        sigma_1: f64,
        sigma_n: f64,
        count: usize,
        at: impl Fn(f64) -> f64,
    ) -> Result<Self> {
        for (name, sigma) in [("sigma_1", sigma_1), ("sigma_n", sigma_n)] {
            if !usable(sigma) {
                return Err(Error::setting(name, sigma, "must be positive and finite"));
            }
        }
        if count == 1 && sigma_1 == sigma_n {
            return Ok(Self(vec![sigma_1]));
        }
        if sigma_1 <= sigma_n {
            let reason = format!("must be below sigma_1 = {sigma_1}");
            return Err(Error::setting("sigma_n", sigma_n, reason));
        }
        if count < 2 {
            let reason = format!("from {sigma_1} down to {sigma_n} it takes at least 2 levels");
            return Err(Error::setting("levels", count, reason));
        }
        if count > MOST {
            return Err(Error::setting(
                "levels",
                count,
                format!("at most {MOST} are possible"),
            ));
        }
        let last = count - 1;
        let sigmas = (0..count).map(|i| match i {
            0 => sigma_1,
            i if i == last => sigma_n,
            i => at(i as f64 / last as f64),
        });
        Self::new(sigmas.collect())
    }

    /// The levels with `n_sigma` - 1 geometric ones inserted between neighbours, which makes
    /// (L - 1) n_sigma + 1.
    ///
    /// This is how consistent annealed sampling spends n_sigma steps per level. The original levels
    /// are among the new ones to the last bit, at every `n_sigma`-th place.
    ///
    /// # Errors
    /// [`Error::Setting`] for `n_sigma` = 0, or so large that neighbours coincide.
    pub fn dilate(&self, n_sigma: usize) -> Result<Self> {
        if n_sigma == 0 {
            return Err(Error::setting("n_sigma", n_sigma, "must be at least 1"));
        }
        let count = (self.0.len() - 1).saturating_mul(n_sigma).saturating_add(1);
        if count > MOST {
            let reason = format!("makes {count} noise levels; at most {MOST} are possible");
            return Err(Error::setting("n_sigma", n_sigma, reason));
        }
        let mut sigmas = Vec::with_capacity(count);
        for pair in self.0.windows(2) {
            let gamma = pair[1] / pair[0];
            sigmas.push(pair[0]);
            sigmas.extend((1..n_sigma).map(|k| pair[0] * gamma.powf(k as f64 / n_sigma as f64)));
        }
        sigmas.push(self.last());
        Self::new(sigmas)
    }

    /// All levels times `factor`, which takes 2 ln `factor` off every log signal-to-noise ratio.
    ///
    /// An image of d by d pixels under noise sigma keeps as much of its content as one of r by r
    /// under sigma r/d, since averaging pixels averages out the noise: the factor d/r adapts levels
    /// chosen at resolution r to d (Hoogeboom et al., "simple diffusion", 2023, section 3.1).
    ///
    /// # Errors
    /// [`Error::Setting`] for a `factor` that is not positive and finite, or that takes a level
    /// out of range.
    pub fn shifted(&self, factor: f64) -> Result<Self> {
        check_factor(factor)?;
        let sigmas = self.0.iter().map(|sigma| factor * sigma).collect();
        Self::new(sigmas).map_err(|_| {
            let reason = format!(
                "takes levels from {} to {} out of range",
                self.first(),
                self.last()
            );
            Error::setting("factor", factor, reason)
        })
    }

    /// The levels, largest first.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// How many levels there are: at least one.
    #[allow(clippy::len_without_is_empty)] // Never empty.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// sigma_1, the largest level.
    pub fn first(&self) -> f64 {
        self.0[0]
    }

    /// sigma_L, the smallest level.
    pub fn last(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// gamma_i = sigma_{i+1}/sigma_i in (0, 1), one fewer than there are levels.
    pub fn gammas(&self) -> Vec<f64> {
        self.0.windows(2).map(|pair| pair[1] / pair[0]).collect()
    }
}

/// Refuses a factor of noise levels that is not positive and finite.
pub(super) fn check_factor(factor: f64) -> Result<()> {
    if factor > 0.0 && factor.is_finite() {
        return Ok(());
    }
    let reason = "must be positive and finite: the new resolution over the original one";
    Err(Error::setting("factor", factor, reason))
}

/// Whether sigma and sigma^2 are positive, finite and not subnormal.
pub(super) fn usable(sigma: f64) -> bool {
    sigma > 0.0 && (sigma * sigma).is_normal()
}

impl TryFrom<Vec<f64>> for Levels {
    type Error = Error;

    fn try_from(sigmas: Vec<f64>) -> Result<Self> {
        Self::new(sigmas)
    }
}

impl From<Levels> for Vec<f64> {
    fn from(levels: Levels) -> Self {
        levels.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Level;

    #[test]
    fn seed_003_prints_these_geometric_levels() {
        let printed = [
            2.0,
            1.8234449771164336,
            1.6624757922855755,
            1.515716566510398,
            1.381912879967776,
            1.2599210498948732,
            1.1486983549970349,
            1.0472941228206267,
            0.9548416039104165,
            0.8705505632961241,
            0.7937005259840997,
            0.723634618720189,
            0.6597539553864471,
            0.6015125180410583,
            0.548412489847313,
            0.5,
        ];
        let levels = Levels::geometric(2.0, 0.5, 16).unwrap();
        for (sigma, printed) in levels.as_slice().iter().zip(printed) {
            assert!((sigma - printed).abs() < 1e-14);
        }
    }

    #[test]
    fn ends_are_exact_and_karras_is_even_in_the_root() {
        for levels in [
            Levels::geometric(50.0, 0.01, 232).unwrap(),
            Levels::karras(50.0, 0.01, 232, 7.0).unwrap(),
            Levels::linear(50.0, 0.01, 232).unwrap(),
        ] {
            assert_eq!((levels.first(), levels.last()), (50.0, 0.01));
        }
        let levels = Levels::karras(80.0, 0.002, 18, 7.0).unwrap();
        let roots: Vec<f64> = levels
            .as_slice()
            .iter()
            .map(|s| s.powf(1.0 / 7.0))
            .collect();
        let step = (roots[17] - roots[0]) / 17.0;
        assert!(roots.windows(2).all(|r| (r[1] - r[0] - step).abs() < 1e-14));
        // Large rho tends to the geometric progression.
        let geometric = Levels::geometric(80.0, 0.002, 18).unwrap();
        let limit = Levels::karras(80.0, 0.002, 18, 1e7).unwrap();
        assert!(
            limit
                .as_slice()
                .iter()
                .zip(geometric.as_slice())
                .all(|(a, b)| (a / b - 1.).abs() < 1e-5)
        );
    }

    #[test]
    fn linear_levels_are_evenly_spaced_and_karras_with_rho_1() {
        let levels = Levels::linear(3.0, 1.0, 5).unwrap();
        assert_eq!(levels.as_slice(), [3.0, 2.5, 2.0, 1.5, 1.0]);
        let karras = Levels::karras(50.0, 0.01, 101, 1.0).unwrap();
        let linear = Levels::linear(50.0, 0.01, 101).unwrap();
        let mut pairs = karras.as_slice().iter().zip(linear.as_slice());
        assert!(pairs.all(|(a, b)| (a / b - 1.0).abs() < 1e-12));
    }

    #[test]
    fn property_17_a_shift_moves_every_log_snr_by_two_logarithms() {
        // Chosen at 64 pixels, used at 256: log SNR_256 = log SNR_64 + 2 ln(64/256).
        let levels = Levels::geometric(50.0, 0.01, 20).unwrap();
        let shifted = levels.shifted(256.0 / 64.0).unwrap();
        for (&sigma, &wide) in levels.as_slice().iter().zip(shifted.as_slice()) {
            let moved = Level::ve(wide).log_snr() - Level::ve(sigma).log_snr();
            assert!((moved - 2.0 * 0.25f64.ln()).abs() < 1e-13);
        }
        assert_eq!(shifted.shifted(0.25).unwrap(), levels);
    }

    #[test]
    fn property_13_dilated_levels_contain_the_original_and_share_gamma() {
        let levels = Levels::geometric(50.0, 0.01, 232).unwrap();
        assert_eq!(levels.dilate(1).unwrap(), levels);
        for n in [2, 5, 100] {
            let dilated = levels.dilate(n).unwrap();
            assert_eq!(dilated.len(), 231 * n + 1);
            for (i, &sigma) in levels.as_slice().iter().enumerate() {
                assert_eq!(dilated.as_slice()[i * n], sigma);
            }
            let gamma = (0.01f64 / 50.0).powf(1.0 / 231.0).powf(1.0 / n as f64);
            assert!(dilated.gammas().iter().all(|g| (g - gamma).abs() < 1e-12));
        }
        let one = Levels::new(vec![0.3]).unwrap();
        assert_eq!(one.dilate(7).unwrap(), one);
        assert!(one.gammas().is_empty());
    }

    #[test]
    fn wrong_levels_are_refused_by_name() {
        let message = |result: Result<Levels>| result.unwrap_err().to_string();
        assert!(message(Levels::new(vec![])).contains("at least one"));
        assert!(message(Levels::new(vec![1.0, f64::NAN])).contains("level 2"));
        assert!(message(Levels::new(vec![1.0, 1.0])).contains("level 2 is 1 after 1"));
        assert!(message(Levels::new(vec![0.0])).contains("positive"));
        assert!(message(Levels::geometric(f64::INFINITY, 1.0, 3)).contains("sigma_1 = inf"));
        assert!(message(Levels::geometric(1.0, 2.0, 3)).contains("below sigma_1 = 1"));
        assert!(message(Levels::geometric(2.0, 1.0, 1)).contains("levels = 1"));
        assert!(message(Levels::karras(2.0, 1.0, 3, 0.0)).contains("rho = 0"));
        assert!(message(Levels::new(vec![1.0]).unwrap().dilate(0)).contains("n_sigma = 0"));
        assert!(message(Levels::new(vec![1e-200])).contains("level 1"));
        assert!(message(Levels::linear(1.0, 1.0, 2)).contains("below sigma_1 = 1"));
        assert!(message(Levels::linear(2.0, -1.0, 2)).contains("sigma_n = -1"));
        let one = Levels::new(vec![1.0]).unwrap();
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e160, 1e-160] {
            let found = message(one.shifted(factor));
            assert!(found.starts_with("factor = "), "{found}");
        }
        let two = Levels::new(vec![2.0, 1.0]).unwrap();
        assert!(message(two.dilate(usize::MAX)).contains("at most"));
        assert!(message(Levels::geometric(2.0, 1.0, usize::MAX)).contains("at most"));
        assert_eq!(Levels::geometric(2.0, 2.0, 1).unwrap().len(), 1);
    }

    #[test]
    fn files_cannot_hold_invalid_levels() {
        let levels = Levels::geometric(2.0, 0.5, 4).unwrap();
        let text = serde_json::to_string(&levels).unwrap();
        assert_eq!(serde_json::from_str::<Levels>(&text).unwrap(), levels);
        assert!(serde_json::from_str::<Levels>("[1.0, 2.0]").is_err());
    }
}
