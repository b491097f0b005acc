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
//! offset = sqrt(w) (c_skip x~ - x). For the parameterisation s = net/sigma with p = 2, the gain is
//! 1 and the offset is z: the network predicts -z.

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
    /// The weighting; `edm` goes with the preconditioning `edm`.
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

/// The objective for one parameterisation of a network.
#[derive(Clone, Debug)]
pub struct ScoreMatching {
    loss: LossConfig,
    parameterisation: Parameterisation,
}

impl ScoreMatching {
    /// An objective for a network whose output means what `parameterisation` says.
    ///
    /// # Errors
    /// When the exponent is not finite or `sigma_data` not positive.
    pub fn new(loss: &LossConfig, parameterisation: Parameterisation) -> Result<Self> {
        if !loss.power.is_finite() {
            let reason = "must be a finite number; the papers use 2";
            return Err(Error::setting("power", loss.power, reason));
        }
        let used = parameterisation.uses_sigma_data() || loss.weighting == Weighting::Edm;
        let sigma_data = parameterisation.sigma_data;
        if used && !(sigma_data > 0.0 && sigma_data.is_finite()) {
            let reason = "must be positive: the standard deviation of the data";
            return Err(Error::setting("sigma_data", sigma_data, reason));
        }
        Ok(Self {
            loss: loss.clone(),
            parameterisation,
        })
    }

    /// The parameterisation of the network's output.
    pub fn parameterisation(&self) -> Parameterisation {
        self.parameterisation
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

    /// The gain at `sigma`.
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
    /// The factor on the network's output.
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
    fn the_scaled_score_compares_the_output_with_minus_z() {
        let parameterisation = Parameterisation::new(Preconditioning::ScaledScore, 1.0);
        let objective = ScoreMatching::new(&LossConfig::default(), parameterisation).unwrap();
        let (mut input, mut offset) = ([0.0; 2], [0.0; 2]);
        let factors = objective.factors(4.0);
        factors.example(&[1.0, 2.0], &[0.5, -1.5], &mut input, &mut offset);
        assert_eq!(input, [3.0, -4.0]);
        assert_eq!((factors.gain, offset), (1.0, [0.5, -1.5]));
    }

    #[test]
    fn every_parameterisation_gives_a_denoiser_the_loss_of_the_papers() {
        let (x, z, sigma, d) = ([0.3_f32, -0.8], [1.2_f32, 0.4], 0.7, 0.5);
        let h = [0.1, -0.5];
        let [x64, z64] = [x, z].map(|v| v.map(f64::from));
        let noisy = [0, 1].map(|i| x64[i] + sigma * z64[i]);
        // sigma^p || s + (x~ - x)/sigma^2 ||^2 with the score s = (H - x~)/sigma^2 (Song & Ermon
        // 2019), and lambda(sigma) || H - x ||^2 (Karras et al. 2022).
        let score = |i: usize| (h[i] - noisy[i]) / sigma.powi(2);
        let of_score = |i: usize| (score(i) + (noisy[i] - x64[i]) / sigma.powi(2)).powi(2);
        let of_h = |i: usize| (h[i] - x64[i]).powi(2);
        let lambda = (sigma.powi(2) + d * d) / (sigma * d).powi(2);
        let sum = |square: &dyn Fn(usize) -> f64| square(0) + square(1);
        for (weighting, power, expected) in [
            (Weighting::Sigma, 2.0, 0.5 * sigma.powi(2) * sum(&of_score)),
            (Weighting::Sigma, 3.0, 0.5 * sigma.powi(3) * sum(&of_score)),
            (Weighting::Sigma, 0.0, 0.5 * sum(&of_score)),
            (Weighting::Edm, 2.0, 0.5 * lambda * sum(&of_h)),
        ] {
            for output in [
                Preconditioning::Score,
                Preconditioning::ScaledScore,
                Preconditioning::Edm,
                Preconditioning::Eps,
                Preconditioning::X0,
                Preconditioning::V,
            ] {
                let config = LossConfig { weighting, power };
                let parameterisation = Parameterisation::new(output, d);
                let objective = ScoreMatching::new(&config, parameterisation).unwrap();
                let c = parameterisation.coefficients(sigma);
                let (mut input, mut offset) = ([0.0; 2], [0.0; 2]);
                let factors = objective.factors(sigma);
                factors.example(&x, &z, &mut input, &mut offset);
                // The raw output that gives this H.
                let raw = [0, 1].map(|i| ((h[i] - c.c_skip * noisy[i]) / c.c_out) as f32);
                let found = loss(factors.gain, &offset, &raw);
                assert!(
                    (found / expected - 1.0).abs() < 1e-5,
                    "{parameterisation:?}, {weighting:?}, {power}: {found} {expected}"
                );
            }
        }
    }
}
