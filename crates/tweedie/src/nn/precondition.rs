//! From a network's raw output F to the expected denoised sample H.
//!
//! ```text
//! H(x, sigma) = c_skip x + c_out F(c_in x, sigma)
//! ```
//!
//! | form | c_skip | c_out | c_in | F predicts |
//! |---|---|---|---|---|
//! | score | 1 | sigma^2 | 1 | the score |
//! | scaled score | 1 | sigma | 1 | sigma times the score, that is -z (Song & Ermon 2020) |
//! | EDM | d^2/(sigma^2+d^2) | sigma d/sqrt(sigma^2+d^2) | 1/sqrt(sigma^2+d^2) | Karras et al. 2022, d = sigma_data |

use serde::{Deserialize, Serialize};

/// What the network's output means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preconditioning {
    /// The score itself.
    Score,
    /// The score times sigma: s = net(x)/sigma, the form of the papers.
    #[default]
    ScaledScore,
    /// The unit-variance mixture of Karras et al. 2022.
    Edm,
}

/// The three factors at one noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    /// Factor of the noisy sample in H.
    pub c_skip: f64,
    /// Factor of the network's output in H.
    pub c_out: f64,
    /// Factor of the network's input.
    pub c_in: f64,
}

impl Preconditioning {
    /// The factors at `sigma`, for data of standard deviation `sigma_data`.
    pub fn coefficients(self, sigma: f64, sigma_data: f64) -> Coefficients {
        match self {
            Self::Score => Coefficients {
                c_skip: 1.0,
                c_out: sigma * sigma,
                c_in: 1.0,
            },
            Self::ScaledScore => Coefficients {
                c_skip: 1.0,
                c_out: sigma,
                c_in: 1.0,
            },
            Self::Edm => {
                let total = sigma.hypot(sigma_data);
                Coefficients {
                    c_skip: (sigma_data / total).powi(2),
                    c_out: sigma * sigma_data / total,
                    c_in: 1.0 / total,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_16_edm_is_the_posterior_mean_of_gaussian_data_with_f_zero() {
        // For x0 ~ N(0, d^2), H = d^2/(d^2 + sigma^2) x: F contributes nothing.
        for sigma in [0.002, 0.5, 80.0] {
            let c = Preconditioning::Edm.coefficients(sigma, 0.5);
            assert!((c.c_skip - 0.25 / (0.25 + sigma * sigma)).abs() < 1e-12);
            // lambda c_out^2 = 1 with lambda = (sigma^2 + d^2)/(sigma d)^2.
            let lambda = (sigma * sigma + 0.25) / (sigma * 0.5).powi(2);
            assert!((lambda * c.c_out * c.c_out - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn score_and_scaled_score_are_tweedie() {
        // H = x + sigma^2 s, with s = F or F/sigma.
        let sigma = 3.0;
        assert_eq!(Preconditioning::Score.coefficients(sigma, 1.0).c_out, 9.0);
        assert_eq!(
            Preconditioning::ScaledScore.coefficients(sigma, 1.0).c_out,
            3.0
        );
    }
}
