//! The table of a discrete variance-preserving process, t = 0, ..., T-1.
//!
//! ```text
//! abar(t) = prod_{i <= t} (1 - beta_i),  x = sqrt(abar) x0 + sqrt(1 - abar) z
//! r(t) = sqrt((1 - abar)/abar)
//! ```
//!
//! Ho et al., "Denoising diffusion probabilistic models", 2020. The relative noise r(t) is the
//! noise level in VE coordinates, sigma/alpha, which denoisers and samplers work with. A network
//! trained on timesteps is evaluated at any noise level by [`Timesteps::timestep`], which
//! interpolates ln r linearly between timesteps, as the k-diffusion library does. Timesteps count
//! from 0 as in the code of the field; the papers count from 1.

mod bins;
mod schedules;
mod spacing;

use serde::{Deserialize, Serialize};

use super::Levels;
use super::levels::{MOST, check_factor};
use crate::error::{Error, Result};

pub use spacing::Spacing;

/// A table of timesteps: at least one, each with more noise than the one before.
///
/// It is stored as its betas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct Timesteps {
    betas: Vec<f64>,
    /// The relative noise, from the last timestep to the first.
    relative: Levels,
}

impl Timesteps {
    /// The table of these betas, the variances of the noise that each timestep adds.
    ///
    /// # Errors
    /// [`Error::Setting`] for an empty list, for a beta outside (0, 1), and where so much or so
    /// little noise is added that the relative noise overflows or stops growing. A last beta of 1,
    /// which some schedules have, makes it infinite: cap it.
    pub fn from_betas(betas: &[f64]) -> Result<Self> {
        let refuse = |value: f64, reason: String| Err(Error::setting("betas", value, reason));
        check_count(betas.len())?;
        for (t, &beta) in betas.iter().enumerate() {
            if beta == 1.0 {
                let reason =
                    format!("beta of timestep {t} leaves nothing of the data; cap it, as at 0.999");
                return refuse(beta, reason);
            }
            if !(beta > 0.0 && beta < 1.0) {
                return refuse(beta, format!("beta of timestep {t} must be in (0, 1)"));
            }
        }
        // In logarithms, where small betas keep their digits: r^2 = 1/abar - 1.
        let mut log = 0.0;
        let mut relative: Vec<f64> = betas
            .iter()
            .map(|&beta| {
                log -= (-beta).ln_1p();
                log.exp_m1().sqrt()
            })
            .collect();
        relative.reverse();
        match Levels::new(relative) {
            Ok(relative) => Ok(Self {
                betas: betas.to_vec(),
                relative,
            }),
            Err(_) => {
                let reason = "the relative noise does not grow from each timestep to the next, or \
                              leaves the range of numbers: no beta may be lost in rounding, and \
                              their product of 1 - beta must stay above 1e-300";
                refuse(betas[betas.len() - 1], reason.into())
            }
        }
    }

    /// T, how many timesteps there are: at least one.
    #[allow(clippy::len_without_is_empty)] // Never empty.
    pub fn len(&self) -> usize {
        self.betas.len()
    }

    /// beta of t = 0, ..., T-1.
    pub fn betas(&self) -> &[f64] {
        &self.betas
    }

    /// abar(t) in (0, 1), the fraction of the data's variance left at timestep `t`; `None` from T
    /// on.
    pub fn abar(&self, t: usize) -> Option<f64> {
        let r = *self.table().as_slice().iter().rev().nth(t)?;
        Some(1.0 / r.mul_add(r, 1.0))
    }

    /// The relative noise of every timestep, from t = T-1, the largest, down to t = 0.
    pub fn table(&self) -> &Levels {
        &self.relative
    }

    /// The relative noise sigma/alpha at `t` in [0, T-1], linear in its logarithm between
    /// timesteps; outside it is that of the nearer end, and NaN gives NaN.
    pub fn relative(&self, t: f64) -> f64 {
        if t.is_nan() {
            return t;
        }
        let t = t.clamp(0.0, (self.len() - 1) as f64);
        let low = t as usize;
        let part = t - low as f64;
        if part == 0.0 {
            return self.entry(low);
        }
        // Rounding must not pass the next timestep.
        (self.entry(low) * (part * self.growth(low)).exp()).min(self.entry(low + 1))
    }

    /// The timestep in [0, T-1] with this `relative` noise, the inverse of
    /// [`Timesteps::relative`]; noise outside the table is that of the nearer end, and NaN gives
    /// NaN.
    pub fn timestep(&self, relative: f64) -> f64 {
        if relative.is_nan() {
            return relative;
        }
        let above = self.relative.as_slice().partition_point(|&r| r > relative);
        // The last timestep with no more noise.
        let Some(low) = (self.len() - above).checked_sub(1) else {
            return 0.0;
        };
        if low == self.len() - 1 {
            return low as f64;
        }
        let start = self.entry(low);
        let part = ((relative - start) / start).ln_1p() / self.growth(low);
        low as f64 + part.min(1.0)
    }

    /// The table with all relative noise times `factor`, for images of another resolution:
    /// log SNR_d = log SNR_r + 2 ln(r/d) with `factor` = d/r, as [`Levels::shifted`] explains.
    ///
    /// # Errors
    /// [`Error::Setting`] for a `factor` that is not positive and finite, or that takes a beta to
    /// 0 or 1.
    pub fn shifted(&self, factor: f64) -> Result<Self> {
        check_factor(factor)?;
        let mut before = 0.0;
        // beta = 1 - abar(t)/abar(t-1) with abar = 1/(1 + r^2).
        let betas = (0..self.len()).map(|t| {
            let r = factor * self.entry(t);
            let beta = (r - before) / (1.0 + r * r) * (r + before);
            before = r;
            beta
        });
        Self::from_betas(&betas.collect::<Vec<_>>()).map_err(|_| {
            let reason = "takes the noise of a timestep out of range";
            Error::setting("factor", factor, reason)
        })
    }

    /// The relative noise of timestep `t` < T.
    fn entry(&self, t: usize) -> f64 {
        self.relative.as_slice()[self.len() - 1 - t]
    }

    /// ln(r(t+1)/r(t)), for `t` < T-1. The difference keeps its digits where the two are close.
    fn growth(&self, t: usize) -> f64 {
        let (low, high) = (self.entry(t), self.entry(t + 1));
        ((high - low) / low).ln_1p()
    }
}

/// Refuses an impossible number of timesteps.
fn check_count(count: usize) -> Result<()> {
    let reason = match count {
        0 => "at least one is needed (1000 is usual)".into(),
        _ if count > MOST => format!("at most {MOST} are possible"),
        _ => return Ok(()),
    };
    Err(Error::setting("timesteps", count, reason))
}

impl TryFrom<Vec<f64>> for Timesteps {
    type Error = Error;

    fn try_from(betas: Vec<f64>) -> Result<Self> {
        Self::from_betas(&betas)
    }
}

impl From<Timesteps> for Vec<f64> {
    fn from(timesteps: Timesteps) -> Self {
        timesteps.betas
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ddpm() -> Timesteps {
        Timesteps::linear(1e-4, 0.02, 1000).unwrap()
    }

    #[test]
    fn abar_is_the_product_of_one_minus_beta() {
        let table = ddpm();
        let mut product = 1.0;
        for (t, beta) in table.betas().iter().enumerate() {
            product *= 1.0 - beta;
            let abar = table.abar(t).unwrap();
            assert!((abar / product - 1.0).abs() < 1e-12, "{t}");
            let relative = ((1.0 - product) / product).sqrt();
            assert!((table.relative(t as f64) / relative - 1.0).abs() < 1e-10);
        }
        assert_eq!(table.abar(1000), None);
        assert_eq!(table.table().last(), table.relative(0.0));
        assert!((table.relative(0.0).powi(2) - 1e-4 / (1.0 - 1e-4)).abs() < 1e-18);
    }

    #[test]
    fn known_tables_end_where_sixty_digits_say() {
        let cases = [
            (ddpm(), 4.035_829_765_375_683e-5, 157.407_280_810_407_43),
            (
                Timesteps::linear(1e-6, 0.01, 1000).unwrap(),
                6.622_643_935_444_061e-3,
                12.247_330_145_129_685,
            ),
            (
                Timesteps::scaled_linear(0.00085, 0.012, 1000).unwrap(),
                4.660_098_513_077_24e-3,
                14.614_641_229_333_64,
            ),
        ];
        for (table, abar, relative) in cases {
            assert!((table.abar(999).unwrap() / abar - 1.0).abs() < 1e-13);
            assert!((table.table().first() / relative - 1.0).abs() < 1e-13);
        }
        // Small betas keep their digits.
        let wavegrad = Timesteps::linear(1e-6, 0.01, 1000).unwrap();
        assert!((wavegrad.relative(9.0) / 0.021_459_872_945_204_63 - 1.0).abs() < 1e-14);
    }

    #[test]
    fn whole_timesteps_are_the_tables_and_come_back_exactly() {
        for table in [
            ddpm(),
            Timesteps::cosine(1000, 0.008, 0.999).unwrap(),
            Timesteps::linear(1e-6, 0.01, 1000).unwrap(),
            Timesteps::from_betas(&[0.3]).unwrap(),
        ] {
            for t in 0..table.len() {
                let relative = table.table().as_slice()[table.len() - 1 - t];
                assert_eq!(table.relative(t as f64), relative);
                assert_eq!(table.timestep(relative), t as f64);
            }
        }
    }

    #[test]
    fn between_timesteps_the_logarithm_is_linear() {
        let table = ddpm();
        for t in [0, 1, 500, 998] {
            let [low, high] = [t, t + 1].map(|t| table.relative(t as f64).ln());
            for part in [0.25, 0.5, 0.9] {
                let found = table.relative(t as f64 + part).ln();
                assert!((found - (low + part * (high - low))).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn beyond_the_table_the_ends_hold() {
        let table = ddpm();
        assert_eq!(table.relative(-3.0), table.relative(0.0));
        assert_eq!(table.relative(1e9), table.relative(999.0));
        assert_eq!(table.timestep(0.0), 0.0);
        assert_eq!(table.timestep(1e-3), 0.0);
        assert_eq!(table.timestep(f64::INFINITY), 999.0);
        assert!(table.timestep(f64::NAN).is_nan() && table.relative(f64::NAN).is_nan());
    }

    #[test]
    fn property_17_a_shifted_table_moves_every_log_snr_by_two_logarithms() {
        let table = Timesteps::cosine(1000, 0.008, 0.999).unwrap();
        let shifted = table.shifted(256.0 / 64.0).unwrap();
        let log_snr = |table: &Timesteps, t: usize| {
            let abar = table.abar(t).unwrap();
            (abar / (1.0 - abar)).ln()
        };
        for t in 0..1000 {
            let moved = log_snr(&shifted, t) - log_snr(&table, t);
            assert!((moved - 2.0 * (64.0f64 / 256.0).ln()).abs() < 1e-10, "{t}");
            let ratio = shifted.relative(t as f64) / table.relative(t as f64);
            assert!((ratio / 4.0 - 1.0).abs() < 1e-12);
        }
        let back = shifted.shifted(0.25).unwrap();
        for (a, b) in back.betas().iter().zip(table.betas()) {
            assert!((a / b - 1.0).abs() < 1e-10);
        }
    }

    #[test]
    fn wrong_tables_are_refused_by_name() {
        let message = |betas: &[f64]| Timesteps::from_betas(betas).unwrap_err().to_string();
        assert!(message(&[]).starts_with("timesteps = 0"));
        assert!(message(&[0.1, 1.0]).contains("timestep 1 leaves nothing"));
        for wrong in [0.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
            assert!(message(&[0.1, wrong]).contains("timestep 1 must be in (0, 1)"));
        }
        // Lost in rounding, and overflow.
        assert!(message(&[0.5, 1e-20]).starts_with("betas = "));
        assert!(message(&[0.999; 200]).starts_with("betas = "));
        for factor in [0.0, f64::NAN, 1e-200, 1e200] {
            let found = ddpm().shifted(factor).unwrap_err().to_string();
            assert!(found.starts_with("factor = "), "{found}");
        }
    }

    #[test]
    fn it_is_stored_as_its_betas() {
        let table = Timesteps::from_betas(&[0.1, 0.25]).unwrap();
        let text = serde_json::to_string(&table).unwrap();
        assert_eq!(text, "[0.1,0.25]");
        assert_eq!(serde_json::from_str::<Timesteps>(&text).unwrap(), table);
        assert!(serde_json::from_str::<Timesteps>("[0.1,1.0]").is_err());
        let shifted = ddpm().shifted(3.0).unwrap();
        assert_eq!(Timesteps::from_betas(shifted.betas()).unwrap(), shifted);
    }

    proptest! {
        #[test]
        fn timestep_inverts_relative(
            betas in prop::collection::vec(1e-3..0.9f64, 1..60),
            part in 0.0..=1.0f64,
        ) {
            let table = Timesteps::from_betas(&betas).unwrap();
            let t = part * (table.len() - 1) as f64;
            let back = table.timestep(table.relative(t));
            prop_assert!((back - t).abs() < 1e-12 * (1.0 + t), "{t} {back}");
            // And no timestep is far from its neighbours.
            let (low, high) = (table.relative(t.floor()), table.relative(t.ceil()));
            prop_assert!((low..=high).contains(&table.relative(t)));
        }

        #[test]
        fn ddpm_timesteps_come_back(t in 0.0..=999.0f64) {
            let table = ddpm();
            prop_assert!((table.timestep(table.relative(t)) - t).abs() < 1e-11);
        }
    }
}
