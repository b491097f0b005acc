//! The forward processes in continuous time: dx = f(t) x dt + g(t) dw, t from 0 to 1.
//!
//! Song et al., "Score-based generative modeling through stochastic differential equations",
//! 2021, section 3.4 and appendix B, with their reference code's parameters.

use serde::{Deserialize, Serialize};

use super::{Coordinates, Level};
use crate::error::{Error, Result};

/// A forward process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Process {
    /// Variance exploding: sigma(t) = sigma_min (sigma_max/sigma_min)^t, f = 0,
    /// g^2 = d sigma^2/dt.
    Ve {
        /// sigma(0), positive.
        sigma_min: f64,
        /// sigma(1), above `sigma_min`.
        sigma_max: f64,
    },
    /// Variance preserving: beta(t) = beta_min + t (beta_max - beta_min), f = -beta/2,
    /// g^2 = beta.
    Vp {
        /// beta(0), positive; 0.1 in the paper.
        beta_min: f64,
        /// beta(1), at least `beta_min`; 20 in the paper.
        beta_max: f64,
    },
    /// Sub-VP: as VP with g^2 = beta (1 - exp(-2 int beta)), so sigma = 1 - alpha^2.
    SubVp {
        /// beta(0), positive; 0.1 in the paper.
        beta_min: f64,
        /// beta(1), at least `beta_min`; 20 in the paper.
        beta_max: f64,
    },
}

impl Process {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the parameter that is out of range.
    pub fn validate(&self) -> Result<()> {
        let (names, low, high, equal) = match *self {
            Self::Ve {
                sigma_min,
                sigma_max,
            } => (["sigma_min", "sigma_max"], sigma_min, sigma_max, false),
            Self::Vp { beta_min, beta_max } | Self::SubVp { beta_min, beta_max } => {
                (["beta_min", "beta_max"], beta_min, beta_max, true)
            }
        };
        if !(low > 0.0 && low.is_finite()) {
            return Err(Error::setting(names[0], low, "must be positive and finite"));
        }
        if !(high.is_finite() && (high > low || equal && high == low)) {
            let reason = format!("must be finite and above {} = {low}", names[0]);
            return Err(Error::setting(names[1], high, reason));
        }
        // Above, alpha(1)^2 rounds to 0, and the relative noise is infinite.
        if equal && 0.5 * (low + high) > 600.0 {
            let reason = "leaves nothing of the data at t = 1; the paper has 20";
            return Err(Error::setting(names[1], high, reason));
        }
        Ok(())
    }

    /// The coordinates it lives in.
    pub fn coordinates(&self) -> Coordinates {
        match self {
            Self::Ve { .. } => Coordinates::Ve,
            Self::Vp { .. } => Coordinates::Vp,
            Self::SubVp { .. } => Coordinates::SubVp,
        }
    }

    /// alpha(t) and sigma(t).
    pub fn level(&self, t: f64) -> Level {
        match *self {
            Self::Ve {
                sigma_min,
                sigma_max,
            } => Level::ve(sigma_min * (sigma_max / sigma_min).powf(t)),
            Self::Vp { .. } => {
                let integral = self.integral(t);
                Level {
                    alpha: (-0.5 * integral).exp(),
                    sigma: (-(-integral).exp_m1()).sqrt(),
                }
            }
            Self::SubVp { .. } => {
                let integral = self.integral(t);
                Level {
                    alpha: (-0.5 * integral).exp(),
                    sigma: -(-integral).exp_m1(),
                }
            }
        }
    }

    /// f(t), the drift's factor of x.
    pub fn drift(&self, t: f64) -> f64 {
        -0.5 * self.beta(t)
    }

    /// g(t)^2.
    pub fn g2(&self, t: f64) -> f64 {
        match *self {
            Self::Ve {
                sigma_min,
                sigma_max,
            } => 2.0 * self.level(t).sigma.powi(2) * (sigma_max / sigma_min).ln(),
            Self::Vp { .. } => self.beta(t),
            Self::SubVp { .. } => -self.beta(t) * (-2.0 * self.integral(t)).exp_m1(),
        }
    }

    /// The time at which the `relative` noise sigma/alpha is reached: the inverse of
    /// [`Process::level`].
    pub fn time(&self, relative: f64) -> f64 {
        match *self {
            Self::Ve {
                sigma_min,
                sigma_max,
            } => (relative / sigma_min).ln() / (sigma_max / sigma_min).ln(),
            Self::Vp { beta_min, beta_max } | Self::SubVp { beta_min, beta_max } => {
                let integral = match self {
                    Self::SubVp { .. } => -2.0 * Coordinates::SubVp.level(relative).alpha.ln(),
                    _ => (relative * relative).ln_1p(),
                };
                let root = (beta_min * beta_min + 2.0 * (beta_max - beta_min) * integral).sqrt();
                2.0 * integral / (beta_min + root)
            }
        }
    }

    /// beta(t); 0 for VE.
    fn beta(&self, t: f64) -> f64 {
        match *self {
            Self::Ve { .. } => 0.0,
            Self::Vp { beta_min, beta_max } | Self::SubVp { beta_min, beta_max } => {
                beta_min + t * (beta_max - beta_min)
            }
        }
    }

    /// The integral of beta from 0 to t.
    fn integral(&self, t: f64) -> f64 {
        0.5 * t * (self.beta(0.0) + self.beta(t))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESSES: [Process; 3] = [
        Process::Ve {
            sigma_min: 0.01,
            sigma_max: 50.0,
        },
        Process::Vp {
            beta_min: 0.1,
            beta_max: 20.0,
        },
        Process::SubVp {
            beta_min: 0.1,
            beta_max: 20.0,
        },
    ];

    /// d alpha/dt = f alpha and d sigma^2/dt = 2 f sigma^2 + g^2, by the classical Runge-Kutta
    /// method.
    #[test]
    fn property_15_marginals_are_the_integrated_moment_equations() {
        for process in PROCESSES {
            let steps = 20_000;
            let h = 1.0 / f64::from(steps);
            let slope = |t: f64, [alpha, v]: [f64; 2]| {
                [
                    process.drift(t) * alpha,
                    2.0 * process.drift(t) * v + process.g2(t),
                ]
            };
            let start = process.level(0.0);
            let mut y = [start.alpha, start.sigma.powi(2)];
            let ahead = |y: [f64; 2], k: [f64; 2], h: f64| [y[0] + h * k[0], y[1] + h * k[1]];
            for i in 0..steps {
                let t = f64::from(i) * h;
                let k1 = slope(t, y);
                let k2 = slope(t + 0.5 * h, ahead(y, k1, 0.5 * h));
                let k3 = slope(t + 0.5 * h, ahead(y, k2, 0.5 * h));
                let k4 = slope(t + h, ahead(y, k3, h));
                for j in 0..2 {
                    y[j] += h / 6.0 * (k1[j] + 2.0 * k2[j] + 2.0 * k3[j] + k4[j]);
                }
                if i % 2000 == 1999 {
                    let level = process.level(t + h);
                    assert!((y[0] / level.alpha - 1.0).abs() < 1e-10, "{process:?} {t}");
                    assert!(
                        (y[1] / level.sigma.powi(2) - 1.0).abs() < 1e-10,
                        "{process:?} {t}"
                    );
                }
            }
        }
    }

    #[test]
    fn time_inverts_the_level() {
        for process in PROCESSES {
            for i in 0..=50 {
                let t = f64::from(i) / 50.0;
                assert!((process.time(process.level(t).relative()) - t).abs() < 1e-12);
                let level = process.coordinates().level(process.level(t).relative());
                assert!((level.alpha - process.level(t).alpha).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn wrong_parameters_are_named() {
        let name = |process: Process| process.validate().unwrap_err().to_string();
        let (sigma_min, sigma_max) = (1.0, 1.0);
        assert!(
            name(Process::Ve {
                sigma_min,
                sigma_max
            })
            .starts_with("sigma_max = 1")
        );
        let (beta_min, beta_max) = (0.0, 1.0);
        assert!(name(Process::Vp { beta_min, beta_max }).starts_with("beta_min = 0"));
        let (beta_min, beta_max) = (0.1, 1e4);
        assert!(name(Process::SubVp { beta_min, beta_max }).starts_with("beta_max = 10000"));
        assert!(PROCESSES.iter().all(|process| process.validate().is_ok()));
    }
}
