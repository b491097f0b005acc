//! Denoising score matching (Vincent 2011; Song & Ermon 2019).
//!
//! With x~ = x + sigma z, the score of the noise kernel is -(x~ - x)/sigma^2 and
//!
//! ```text
//! loss = 1/2 E sigma^p || s(x~, sigma) + (x~ - x)/sigma^2 ||^2      (p = 2 in the papers)
//!      = 1/2 E w || H(x~, sigma) - x ||^2,                           w = sigma^(p - 4)
//!      = 1/2 E || gain F(c_in x~) + offset ||^2
//! ```
//!
//! summed over dimensions and averaged over the batch, with gain = sqrt(w) c_out and
//! offset = sqrt(w) (c_skip x~ - x). In the form s = net/sigma with p = 2 the gain is 1 and the
//! offset is z: the network predicts -z.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nn::Parameterisation;

/// How noise levels are weighted against each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// sigma^p on the squared error of the score.
    #[default]
    Sigma,
    /// (sigma^2 + d^2)/(sigma d)^2 on the squared error of H (Karras et al. 2022).
    Edm,
}

/// The `[loss]` table of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// The weighting; `edm` goes with `network.preconditioning = "edm"`.
    pub weighting: Weighting,
    /// The exponent p of `sigma`.
    pub power: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            weighting: Weighting::Sigma,
            power: 2.0,
        }
    }
}

/// The objective for one form of network.
#[derive(Clone, Debug)]
pub struct Objective {
    loss: LossConfig,
    parameterisation: Parameterisation,
}

impl Objective {
    /// An objective for a network whose output means what `parameterisation` says.
    ///
    /// # Errors
    /// When the exponent is not finite or `sigma_data` not positive.
    pub fn new(loss: &LossConfig, parameterisation: Parameterisation) -> Result<Self> {
        if !loss.power.is_finite() {
            let reason = "must be a finite number; the papers use 2";
            return Err(Error::setting("loss.power", loss.power, reason));
        }
        let used = parameterisation.uses_sigma_data() || loss.weighting == Weighting::Edm;
        let sigma_data = parameterisation.sigma_data;
        if used && !(sigma_data > 0.0 && sigma_data.is_finite()) {
            let reason = "must be positive: the standard deviation of the data";
            return Err(Error::setting("network.sigma_data", sigma_data, reason));
        }
        Ok(Self {
            loss: loss.clone(),
            parameterisation,
        })
    }

    /// The weight w of ||H - x||^2 at `sigma`.
    pub fn weight(&self, sigma: f64) -> f64 {
        match self.loss.weighting {
            Weighting::Sigma => sigma.powf(self.loss.power - 4.0),
            Weighting::Edm => {
                let d = self.parameterisation.sigma_data;
                (sigma.hypot(d) / (sigma * d)).powi(2)
            }
        }
    }

    /// What an example at `sigma` is multiplied by.
    pub fn factors(&self, sigma: f64) -> Factors {
        let c = self.parameterisation.coefficients(sigma);
        let root = self.weight(sigma).sqrt();
        Factors {
            sigma,
            c_in: c.c_in,
            // c_skip x~ - x, grouped so that c_skip = 1 leaves exactly sigma z.
            of_x: root * (c.c_skip - 1.0),
            of_z: root * c.c_skip * sigma,
            gain: (root * c.c_out) as f32,
        }
    }
}

/// The factors of the examples at one noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factors {
    /// The noise level.
    pub sigma: f64,
    c_in: f64,
    of_x: f64,
    of_z: f64,
    /// The factor of the network's output.
    pub gain: f32,
}

impl Factors {
    /// Prepares one example: writes the network's input c_in (x + sigma z) and the offset. All
    /// slices have one sample's length.
    pub fn example(&self, x: &[f32], z: &[f32], input: &mut [f32], offset: &mut [f32]) {
        for (((input, offset), &x), &z) in input.iter_mut().zip(offset).zip(x).zip(z) {
            let (x, z) = (f64::from(x), f64::from(z));
            *input = (self.c_in * (x + self.sigma * z)) as f32;
            *offset = (self.of_x * x + self.of_z * z) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Preconditioning;

    /// 1/2 ||gain F + offset||^2 for a raw output F.
    fn loss(gain: f32, offset: &[f32], raw: &[f32]) -> f64 {
        let squares = offset
            .iter()
            .zip(raw)
            .map(|(&o, &f)| f64::from(gain * f + o).powi(2));
        0.5 * squares.sum::<f64>()
    }

    #[test]
    fn the_papers_form_compares_the_output_with_minus_z() {
        let form = Parameterisation::new(Preconditioning::ScaledScore, 1.0);
        let objective = Objective::new(&LossConfig::default(), form).unwrap();
        let (mut input, mut offset) = ([0.0; 2], [0.0; 2]);
        let factors = objective.factors(4.0);
        factors.example(&[1.0, 2.0], &[0.5, -1.5], &mut input, &mut offset);
        assert_eq!(input, [3.0, -4.0]);
        assert_eq!((factors.gain, offset), (1.0, [0.5, -1.5]));
    }

    #[test]
    fn every_form_gives_the_same_loss_to_the_same_denoiser() {
        let (x, z, sigma) = ([0.3_f32, -0.8], [1.2_f32, 0.4], 0.7);
        let h = [0.1, -0.5];
        for weighting in [Weighting::Sigma, Weighting::Edm] {
            let config = LossConfig {
                weighting,
                power: 2.0,
            };
            let mut found = Vec::new();
            for form in [
                Preconditioning::Score,
                Preconditioning::ScaledScore,
                Preconditioning::Edm,
                Preconditioning::Eps,
                Preconditioning::X0,
                Preconditioning::V,
            ] {
                let form = Parameterisation::new(form, 0.5);
                let objective = Objective::new(&config, form).unwrap();
                let c = form.coefficients(sigma);
                let (mut input, mut offset) = ([0.0; 2], [0.0; 2]);
                let factors = objective.factors(sigma);
                factors.example(&x, &z, &mut input, &mut offset);
                // The raw output that makes H what it is.
                let raw: Vec<f32> = (0..2)
                    .map(|i| {
                        let noisy = f64::from(x[i]) + sigma * f64::from(z[i]);
                        ((h[i] - c.c_skip * noisy) / c.c_out) as f32
                    })
                    .collect();
                let squares: f64 = (0..2).map(|i| (h[i] - f64::from(x[i])).powi(2)).sum();
                let expected = 0.5 * objective.weight(sigma) * squares;
                assert!((loss(factors.gain, &offset, &raw) - expected).abs() < 1e-5 * expected);
                found.push(expected);
            }
            assert!(found.windows(2).all(|w| w[0] == w[1]));
        }
    }
}
