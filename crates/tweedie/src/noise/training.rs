//! The distribution of the noise level in training.
//!
//! Denoising score matching draws sigma anew for every example. The distribution is given by its
//! quantile function, so that a draw is a function of one uniform number.

use serde::{Deserialize, Serialize};

use super::levels::usable;
use super::{Levels, Process, Timesteps, normal_quantile};
use crate::error::{Error, Result};

/// The distribution that sigma is drawn from in training.
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
    /// The relative noise at one of a table's timesteps, all equally likely (Ho et al. 2020).
    Timesteps(Timesteps),
    /// The relative noise where sqrt(abar) is uniform in each of a table's bins, all equally
    /// likely (Chen et al., "WaveGrad", 2021): a continuum around the same timesteps, for
    /// sampling on any schedule.
    TimestepBins(Timesteps),
    /// The relative noise at a uniform time of a process (Song et al. 2021): ln sigma uniform for
    /// VE.
    Continuous {
        /// The process.
        process: Process,
        /// The earliest time, in [0, 1), at which there must be noise. The reference code has
        /// 1e-5 for VE, 1e-3 for VP and sub-VP.
        t_min: f64,
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
            Self::Continuous { process, t_min } => {
                process.validate()?;
                if !(0.0..1.0).contains(&t_min) {
                    let reason = "must be in [0, 1), the earliest time, like 1e-3";
                    return Err(Error::setting("t_min", t_min, reason));
                }
                if !usable(process.level(t_min).relative()) {
                    let reason = "there is no noise at this time; take it later, like 1e-3";
                    return Err(Error::setting("t_min", t_min, reason));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The noise level at quantile `u` in (0, 1): where u is uniform, sigma has this distribution.
    ///
    /// It does not decrease with `u`. Take u from [`crate::random::NoiseSource::uniform`].
    pub fn sigma(&self, u: f64) -> f64 {
        match self {
            Self::Discrete(levels) => levels.as_slice()[place(levels, u)],
            Self::Timesteps(table) => table.table().as_slice()[place(table.table(), u)],
            Self::TimestepBins(table) => table.quantile(u),
            Self::Continuous { process, t_min } => {
                let t = (t_min + u * (1.0 - t_min)).min(1.0);
                process.level(t).relative()
            }
            Self::LogUniform {
                sigma_min,
                sigma_max,
            } => {
                // Rounding must not leave the range the network is trained on.
                (sigma_min * (sigma_max / sigma_min).powf(u))
                    .max(*sigma_min)
                    .min(*sigma_max)
            }
            Self::LogNormal { mean, std } => (mean + std * normal_quantile(u)).exp(),
        }
    }

    /// The index of the noise level at quantile `u`, where the distribution is over levels.
    pub(crate) fn place(&self, u: f64) -> Option<usize> {
        match self {
            Self::Discrete(levels) => Some(place(levels, u)),
            Self::Timesteps(table) => Some(place(table.table(), u)),
            _ => None,
        }
    }

    /// The levels, where the distribution is over levels.
    pub(crate) fn levels(&self) -> &[f64] {
        match self {
            Self::Discrete(levels) => levels.as_slice(),
            Self::Timesteps(table) => table.table().as_slice(),
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
    use proptest::prelude::*;

    use super::*;
    use crate::noise::normal_cdf;

    fn continuous(beta_min: f64, beta_max: f64, t_min: f64) -> TrainingNoise {
        let process = Process::Vp { beta_min, beta_max };
        TrainingNoise::Continuous { process, t_min }
    }

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
    fn timesteps_are_equally_likely_and_have_their_places() {
        let table = Timesteps::linear(1e-4, 0.02, 1000).unwrap();
        let noise = TrainingNoise::Timesteps(table.clone());
        assert_eq!(noise.levels(), table.table().as_slice());
        for i in 0..3000 {
            let u = (f64::from(i) + 0.5) / 3000.0;
            let sigma = noise.sigma(u);
            assert_eq!(table.timestep(sigma), f64::from(i / 3));
            assert_eq!(noise.levels()[noise.place(u).unwrap()], sigma);
        }
    }

    #[test]
    fn a_uniform_time_comes_back_from_its_noise() {
        let (beta_min, beta_max) = (0.1, 20.0);
        let (sigma_min, sigma_max) = (0.01, 50.0);
        for (process, t_min) in [
            (
                Process::Ve {
                    sigma_min,
                    sigma_max,
                },
                1e-5,
            ),
            (Process::Vp { beta_min, beta_max }, 1e-3),
            (Process::SubVp { beta_min, beta_max }, 1e-3),
        ] {
            let noise = TrainingNoise::Continuous { process, t_min };
            noise.validate().unwrap();
            for i in 0..=1000 {
                let u = f64::from(i) / 1000.0;
                let t = process.time(noise.sigma(u));
                assert!((t - (t_min + u * (1.0 - t_min))).abs() < 1e-12);
            }
            assert_eq!(noise.place(0.5), None);
            assert!(noise.levels().is_empty());
        }
        // For VE, log-uniform noise is the same distribution.
        let process = Process::Ve {
            sigma_min,
            sigma_max,
        };
        let time = TrainingNoise::Continuous {
            process,
            t_min: 0.0,
        };
        let log = TrainingNoise::LogUniform {
            sigma_min,
            sigma_max,
        };
        for u in [1e-9, 0.2, 0.7, 1.0 - 1e-9] {
            assert!((time.sigma(u) / log.sigma(u) - 1.0).abs() < 1e-14);
        }
    }

    proptest! {
        #[test]
        fn no_quantile_function_decreases(u in 0.0..1.0f64, v in 0.0..1.0f64) {
            let (low, high) = (u.min(v), u.max(v));
            let table = Timesteps::cosine(100, 0.008, 0.999).unwrap();
            let (beta_min, beta_max, t_min) = (0.1, 20.0, 1e-3);
            let (sigma_min, sigma_max) = (0.01, 50.0);
            for noise in [
                TrainingNoise::Discrete(Levels::linear(50.0, 0.01, 20).unwrap()),
                TrainingNoise::LogUniform { sigma_min, sigma_max },
                TrainingNoise::LogNormal { mean: -1.2, std: 1.2 },
                TrainingNoise::Continuous {
                    process: Process::Ve { sigma_min, sigma_max },
                    t_min: 1e-5,
                },
                TrainingNoise::Timesteps(table.clone()),
                TrainingNoise::TimestepBins(table),
                TrainingNoise::Continuous {
                    process: Process::Vp { beta_min, beta_max },
                    t_min,
                },
                TrainingNoise::Continuous {
                    process: Process::SubVp { beta_min, beta_max },
                    t_min,
                },
            ] {
                // Up to the rounding of neighbours.
                prop_assert!(noise.sigma(low) <= noise.sigma(high) * (1.0 + 1e-14));
            }
        }
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
            (continuous(0.1, 20.0, 0.0), "t_min"),
            (continuous(0.1, 20.0, 1.0), "t_min"),
            (continuous(0.1, 20.0, -0.1), "t_min"),
            (continuous(0.1, 20.0, f64::NAN), "t_min"),
            (continuous(0.0, 20.0, 1e-3), "beta_min"),
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
        let table = Timesteps::from_betas(&[0.25, 0.5]).unwrap();
        for (noise, expected) in [
            (
                TrainingNoise::Discrete(Levels::new(vec![2.0, 0.5]).unwrap()),
                r#"{"discrete":[2.0,0.5]}"#,
            ),
            (
                TrainingNoise::LogNormal {
                    mean: -1.2,
                    std: 1.5,
                },
                r#"{"log-normal":{"mean":-1.2,"std":1.5}}"#,
            ),
            (
                TrainingNoise::LogUniform {
                    sigma_min: 0.01,
                    sigma_max: 50.0,
                },
                r#"{"log-uniform":{"sigma_min":0.01,"sigma_max":50.0}}"#,
            ),
            (
                TrainingNoise::Timesteps(table.clone()),
                r#"{"timesteps":[0.25,0.5]}"#,
            ),
            (
                TrainingNoise::TimestepBins(table),
                r#"{"timestep-bins":[0.25,0.5]}"#,
            ),
            (
                continuous(0.1, 20.0, 0.001),
                r#"{"continuous":{"process":{"vp":{"beta_min":0.1,"beta_max":20.0}},"t_min":0.001}}"#,
            ),
        ] {
            let text = serde_json::to_string(&noise).unwrap();
            assert_eq!(text, expected);
            assert_eq!(serde_json::from_str::<TrainingNoise>(&text).unwrap(), noise);
        }
    }
}
