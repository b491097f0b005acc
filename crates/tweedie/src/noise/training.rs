//! The law of the noise level in training.
//!
//! Denoising score matching draws sigma anew for every example. The law is given by its quantile
//! function, so that a draw is a function of one uniform number.

use serde::{Deserialize, Serialize};

use super::{Levels, normal_quantile};
use crate::error::{Error, Result};

/// The law sigma is drawn from in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainingNoise {
    /// One of the levels, all equally likely (Song and Ermon 2019).
    Discrete(Levels),
    /// ln sigma uniform: the continuum of geometric levels (Serra et al. 2021, after Chen et al.
    /// 2021), for sampling with any number of steps.
    LogUniform {
        /// The smallest level, positive.
        sigma_min: f64,
        /// The largest level, at least `sigma_min`.
        sigma_max: f64,
    },
    /// ln sigma ~ N(mean, std^2) (Karras et al. 2022, who use -1.2 and 1.2).
    LogNormal {
        /// The mean of ln sigma.
        mean: f64,
        /// The standard deviation of ln sigma, not negative.
        std: f64,
    },
}

impl TrainingNoise {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the parameter that is out of range.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::Discrete(_) => Ok(()),
            Self::LogUniform { sigma_min, .. } if !(sigma_min > 0.0 && sigma_min.is_finite()) => {
                Err(Error::setting(
                    "sigma_min",
                    sigma_min,
                    "must be positive and finite",
                ))
            }
            Self::LogUniform {
                sigma_min,
                sigma_max,
            } if !(sigma_max >= sigma_min && sigma_max.is_finite()) => {
                let reason = format!("must be finite and at least sigma_min = {sigma_min}");
                Err(Error::setting("sigma_max", sigma_max, reason))
            }
            Self::LogNormal { mean, .. } if !mean.is_finite() => Err(Error::setting(
                "mean",
                mean,
                "the mean of ln sigma must be finite",
            )),
            Self::LogNormal { std, .. } if !(std >= 0.0 && std.is_finite()) => {
                let reason = "the standard deviation of ln sigma must be finite and not negative";
                Err(Error::setting("std", std, reason))
            }
            _ => Ok(()),
        }
    }

    /// The noise level at quantile `u` in (0, 1): where u is uniform, sigma has this law.
    ///
    /// It does not decrease with `u`. Take u from [`crate::random::NoiseSource::uniform`].
    pub fn sigma(&self, u: f64) -> f64 {
        match self {
            Self::Discrete(levels) => levels.as_slice()[place(levels, u)],
            Self::LogUniform {
                sigma_min,
                sigma_max,
            } => {
                // Rounding must not leave the range the network is made for.
                (sigma_min * (sigma_max / sigma_min).powf(u))
                    .max(*sigma_min)
                    .min(*sigma_max)
            }
            Self::LogNormal { mean, std } => (mean + std * normal_quantile(u)).exp(),
        }
    }

    /// Where the noise level at quantile `u` stands among the levels, if there are levels.
    pub(crate) fn place(&self, u: f64) -> Option<usize> {
        match self {
            Self::Discrete(levels) => Some(place(levels, u)),
            _ => None,
        }
    }

    /// The levels that are drawn from, if there are levels.
    pub(crate) fn levels(&self) -> &[f64] {
        match self {
            Self::Discrete(levels) => levels.as_slice(),
            _ => &[],
        }
    }
}

/// The level at quantile `u`, counted from the largest.
fn place(levels: &Levels, u: f64) -> usize {
    // A cast of a float saturates, so any u finds a level.
    let rank = ((u * levels.len() as f64) as usize).min(levels.len() - 1);
    levels.len() - 1 - rank
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::normal_cdf;

    #[test]
    fn quantiles_invert_the_distribution_functions() {
        let continuum = TrainingNoise::LogUniform {
            sigma_min: 0.01,
            sigma_max: 50.0,
        };
        let edm = TrainingNoise::LogNormal {
            mean: -1.2,
            std: 1.2,
        };
        for i in 0..1000 {
            let u = (i as f64 + 0.5) / 1000.0;
            let back = (continuum.sigma(u) / 0.01).ln() / 5000f64.ln();
            assert!((back - u).abs() < 1e-14);
            let back = normal_cdf((edm.sigma(u).ln() + 1.2) / 1.2);
            assert!((back - u).abs() < 1e-14);
        }
    }

    #[test]
    fn discrete_levels_are_equally_likely() {
        let levels = Levels::geometric(2.0, 0.5, 16).unwrap();
        let noise = TrainingNoise::Discrete(levels.clone());
        for i in 0..1600 {
            let sigma = noise.sigma((i as f64 + 0.5) / 1600.0);
            assert_eq!(sigma, levels.as_slice()[15 - i / 100]);
        }
        assert_eq!(noise.sigma(0.0), 0.5);
        assert_eq!(noise.sigma(1.0), 2.0);
    }

    #[test]
    fn wrong_parameters_are_named() {
        for (noise, name) in [
            (
                TrainingNoise::LogUniform {
                    sigma_min: 0.0,
                    sigma_max: 1.0,
                },
                "sigma_min",
            ),
            (
                TrainingNoise::LogUniform {
                    sigma_min: 1.0,
                    sigma_max: 0.5,
                },
                "sigma_max",
            ),
            (
                TrainingNoise::LogNormal {
                    mean: f64::NAN,
                    std: 1.0,
                },
                "mean",
            ),
            (
                TrainingNoise::LogNormal {
                    mean: 0.0,
                    std: -1.0,
                },
                "std",
            ),
        ] {
            assert!(noise.validate().unwrap_err().to_string().starts_with(name));
        }
        assert!(
            TrainingNoise::LogNormal {
                mean: -1.2,
                std: 1.2
            }
            .validate()
            .is_ok()
        );
    }

    #[test]
    fn it_survives_a_text_format() {
        let noise = TrainingNoise::LogUniform {
            sigma_min: 0.01,
            sigma_max: 50.0,
        };
        let text = serde_json::to_string(&noise).unwrap();
        assert_eq!(
            text,
            r#"{"log-uniform":{"sigma_min":0.01,"sigma_max":50.0}}"#
        );
        assert_eq!(serde_json::from_str::<TrainingNoise>(&text).unwrap(), noise);
    }
}
