//! From a network's raw output F to the expected denoised sample H.
//!
//! ```text
//! H(x, sigma) = c_skip x + c_out F(c_in x, sigma),  x = x0 + sigma z
//! ```
//!
//! | parameterisation | c_skip | c_out | F predicts |
//! |---|---|---|---|
//! | score | 1 | sigma^2 | the score |
//! | scaled score | 1 | sigma | sigma times the score, that is -z (Song & Ermon 2020) |
//! | eps | 1 | -sigma | z (Ho et al. 2020) |
//! | x0 | 0 | 1 | x0 |
//! | v | 1/(1+sigma^2) | -sigma/sqrt(1+sigma^2) | v = alpha z - s x0 (Salimans & Ho 2022) |
//! | EDM | d^2/(sigma^2+d^2) | sigma d/sqrt(sigma^2+d^2) | Karras et al. 2022, d = sigma_data |
//!
//! For v, alpha = 1/sqrt(1+sigma^2) and s = sigma alpha are the VP coordinates of the same noise:
//! with x_vp = alpha x = alpha x0 + s z,
//!
//! ```text
//! alpha x_vp - s v = alpha^2 x0 + alpha s z - s alpha z + s^2 x0 = x0,
//! ```
//!
//! so H = alpha^2 x - s F.
//!
//! c_in is independent of the parameterisation ([`InputScaling`]): a network trained on VP samples
//! sees x_vp whatever it predicts. z, x0 and sigma times the score are the same in any coordinates,
//! so a network of a VP or sub-VP process that predicts one of them can be used unchanged. The
//! plain score cannot: that of alpha x is 1/alpha times that of x. v is always that of VP.
//!
//! x, x0 and sigma are in model values, which the data's value map defines, such as [-1, 1] for
//! images. A sigma from a paper whose images are in [0, 1] is then half of the one meant here.

use serde::{Deserialize, Serialize};

use crate::noise::Coordinates;

/// The parameterisation of the network's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preconditioning {
    /// The score itself, in VE coordinates.
    Score,
    /// The score times sigma: s = net(x)/sigma, the parameterisation of NCSNv2.
    #[default]
    ScaledScore,
    /// The noise z, the parameterisation of DDPM.
    Eps,
    /// The sample x0: the output is H.
    X0,
    /// The velocity of Salimans & Ho 2022, alpha z - sigma x0 in VP coordinates.
    V,
    /// The unit-variance mixture of Karras et al. 2022.
    Edm,
}

/// What the network's input is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputScaling {
    /// 1: the network sees x0 + sigma z.
    None,
    /// alpha of VP, 1/sqrt(1+sigma^2): the network sees samples of a VP process.
    Vp,
    /// alpha of sub-VP, with alpha^2 + sigma alpha = 1: the network sees samples of a sub-VP
    /// process.
    SubVp,
    /// 1/sqrt(sigma^2+d^2), d = sigma_data: the network sees unit variance.
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
    /// The usual input scaling of this parameterisation: none for the scores, as VP
    /// samples for eps, x0 and v, with unit variance for EDM.
    pub fn input_scaling(self) -> InputScaling {
        match self {
            Self::Score | Self::ScaledScore => InputScaling::None,
            Self::Eps | Self::X0 | Self::V => InputScaling::Vp,
            Self::Edm => InputScaling::Edm,
        }
    }

    /// The factors at `sigma`, for data of standard deviation `sigma_data` and the usual scaling
    /// of the input.
    ///
    /// `sigma` is not negative. Only EDM asks for `sigma_data`, which is positive.
    pub fn coefficients(self, sigma: f64, sigma_data: f64) -> Coefficients {
        self.coefficients_with(self.input_scaling(), sigma, sigma_data)
    }

    /// The factors where the input is scaled by `scaling`; [`Preconditioning::coefficients`]
    /// otherwise.
    pub fn coefficients_with(
        self,
        scaling: InputScaling,
        sigma: f64,
        sigma_data: f64,
    ) -> Coefficients {
        let (c_skip, c_out) = match self {
            Self::Score => (1.0, sigma * sigma),
            Self::ScaledScore => (1.0, sigma),
            Self::Eps => (1.0, -sigma),
            Self::X0 => (0.0, 1.0),
            Self::V => {
                let vp = Coordinates::Vp.level(sigma);
                (vp.alpha.powi(2), -vp.sigma)
            }
            Self::Edm => {
                let total = sigma.hypot(sigma_data);
                ((sigma_data / total).powi(2), sigma * sigma_data / total)
            }
        };
        Coefficients {
            c_skip,
            c_out,
            c_in: scaling.c_in(sigma, sigma_data),
        }
    }
}

impl InputScaling {
    /// The factor at `sigma`, for data of standard deviation `sigma_data`.
    pub fn c_in(self, sigma: f64, sigma_data: f64) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Vp => Coordinates::Vp.level(sigma).alpha,
            Self::SubVp => Coordinates::SubVp.level(sigma).alpha,
            Self::Edm => 1.0 / sigma.hypot(sigma_data),
        }
    }
}

/// The parameterisation of a network's output, with the scaling of its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameterisation {
    /// What the network predicts.
    pub output: Preconditioning,
    /// How the input is scaled.
    pub input: InputScaling,
    /// Standard deviation of the data, for EDM's parameterisation and input scaling.
    pub sigma_data: f64,
}

impl Parameterisation {
    /// `output` with its usual input scaling.
    pub fn new(output: Preconditioning, sigma_data: f64) -> Self {
        Self {
            output,
            input: output.input_scaling(),
            sigma_data,
        }
    }

    /// The factors at `sigma`.
    pub fn coefficients(&self, sigma: f64) -> Coefficients {
        self.output
            .coefficients_with(self.input, sigma, self.sigma_data)
    }

    /// Whether the standard deviation of the data is used.
    pub fn uses_sigma_data(&self) -> bool {
        self.output == Preconditioning::Edm || self.input == InputScaling::Edm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUTS: [Preconditioning; 6] = [
        Preconditioning::Score,
        Preconditioning::ScaledScore,
        Preconditioning::Eps,
        Preconditioning::X0,
        Preconditioning::V,
        Preconditioning::Edm,
    ];
    const SCALINGS: [InputScaling; 4] = [
        InputScaling::None,
        InputScaling::Vp,
        InputScaling::SubVp,
        InputScaling::Edm,
    ];

    /// For data N(m, d^2) and a noisy x: E[x0 | x] and E[z | x].
    fn posterior(x: f64, sigma: f64, [m, d]: [f64; 2]) -> [f64; 2] {
        let total = d * d + sigma * sigma;
        [
            (d * d * x + sigma * sigma * m) / total,
            sigma * (x - m) / total,
        ]
    }

    /// The Bayes-optimal network of a parameterisation on data N(m, d^2), as a function of its
    /// input c_in x.
    fn exact(
        output: Preconditioning,
        scaling: InputScaling,
        (input, sigma, sigma_data): (f64, f64, f64),
        data: [f64; 2],
    ) -> f64 {
        // By the definitions of the scalings, independently of the code.
        let x = match scaling {
            InputScaling::None => input,
            InputScaling::Vp => input * (1.0 + sigma * sigma).sqrt(),
            InputScaling::SubVp => input * 0.5 * (sigma + (sigma * sigma + 4.0).sqrt()),
            InputScaling::Edm => input * (sigma * sigma + sigma_data * sigma_data).sqrt(),
        };
        let [x0, z] = posterior(x, sigma, data);
        let alpha = 1.0 / (1.0 + sigma * sigma).sqrt();
        match output {
            Preconditioning::Score => -z / sigma,
            Preconditioning::ScaledScore => -z,
            Preconditioning::Eps => z,
            Preconditioning::X0 => x0,
            Preconditioning::V => alpha * z - alpha * sigma * x0,
            // The target of Karras et al. 2022, Eq. 8: (x0 - c_skip x)/c_out, in a form that
            // does not cancel: with t^2 = sigma^2 + d^2, (sigma x0 - (d^2/sigma)(x - x0)) / (d t)
            // is (sigma x0 - d^2 z)/(d t).
            Preconditioning::Edm => {
                let total = (sigma * sigma + sigma_data * sigma_data).sqrt();
                (sigma * x0 - sigma_data * sigma_data * z) / (sigma_data * total)
            }
        }
    }

    #[test]
    fn property_16_every_parameterisation_and_scaling_gives_the_same_denoised_sample() {
        let (data, sigma_data) = ([0.3, 0.7], 0.5);
        for sigma in [0.002, 0.1, 1.0, 7.0, 80.0] {
            for x in [-3.0, -0.4, 0.9, 20.0] {
                let [h, _] = posterior(x, sigma, data);
                for output in OUTPUTS {
                    for scaling in SCALINGS {
                        let c = output.coefficients_with(scaling, sigma, sigma_data);
                        let seen = (c.c_in * x, sigma, sigma_data);
                        let raw = exact(output, scaling, seen, data);
                        let found = c.c_skip * x + c.c_out * raw;
                        // Relative to the terms of the sum.
                        let scale = h.abs().max((c.c_skip * x).abs());
                        assert!(
                            (found - h).abs() < 1e-12 * scale,
                            "{output:?} {scaling:?} {sigma} {x}: {found} {h}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn without_noise_every_parameterisation_but_x0_returns_the_sample() {
        for output in OUTPUTS {
            let c = output.coefficients(0.0, 0.5);
            let expected = if output == Preconditioning::X0 {
                (0.0, 1.0)
            } else {
                (1.0, 0.0)
            };
            assert_eq!((c.c_skip, c.c_out.abs()), expected, "{output:?}");
        }
    }

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
    fn v_is_edm_of_data_of_unit_variance_with_the_sign_turned() {
        for sigma in [0.002, 0.5, 80.0] {
            let [v, edm] = [Preconditioning::V, Preconditioning::Edm]
                .map(|output| output.coefficients(sigma, 1.0));
            assert!((v.c_skip / edm.c_skip - 1.0).abs() < 1e-14);
            assert!((v.c_out / edm.c_out + 1.0).abs() < 1e-14);
            assert!((v.c_in / edm.c_in - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn score_and_scaled_score_are_tweedie() {
        // H = x + sigma^2 s, with s = F or F/sigma.
        let sigma = 3.0;
        let score = Preconditioning::Score.coefficients(sigma, 1.0);
        assert_eq!((score.c_out, score.c_in), (9.0, 1.0));
        let scaled = Preconditioning::ScaledScore.coefficients(sigma, 1.0);
        assert_eq!((scaled.c_out, scaled.c_in), (3.0, 1.0));
    }

    #[test]
    fn files_know_the_forms_by_these_names() {
        let names = OUTPUTS.map(|output| serde_json::to_string(&output).unwrap());
        assert_eq!(
            names.join(" "),
            r#""score" "scaled-score" "eps" "x0" "v" "edm""#
        );
        let names = SCALINGS.map(|scaling| serde_json::to_string(&scaling).unwrap());
        assert_eq!(names.join(" "), r#""none" "vp" "sub-vp" "edm""#);
    }
}
