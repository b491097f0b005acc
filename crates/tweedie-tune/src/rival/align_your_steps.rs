//! The published recipes of Align Your Steps.
//!
//! Sabour, Fidler and Kreis 2024, "Align Your Steps: Optimizing Sampling Schedules in Diffusion
//! Models", Table 3: levels of 10 steps, found for four networks by a bound of the Kullback-Leibler
//! divergence. For other numbers of steps they interpolate ln sigma linearly in the share of the
//! steps. Here the result is also stretched in ln sigma to the range of the network at hand, which
//! is what someone without a list for that network would do.

use serde::{Deserialize, Serialize};
use tweedie::Result;
use tweedie::noise::Levels;

/// The network that a list was published for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlignYourSteps {
    /// Stable Diffusion 1.5.
    #[serde(rename = "stable-diffusion-1.5")]
    StableDiffusion15,
    /// Stable Diffusion XL.
    StableDiffusionXl,
    /// The first stage of DeepFloyd-IF, the one network of pixels among them.
    DeepFloydIf,
    /// Stable Video Diffusion.
    StableVideoDiffusion,
}

impl AlignYourSteps {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::StableDiffusion15,
        Self::StableDiffusionXl,
        Self::DeepFloydIf,
        Self::StableVideoDiffusion,
    ];

    /// The network's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::StableDiffusion15 => "Stable Diffusion 1.5",
            Self::StableDiffusionXl => "SDXL",
            Self::DeepFloydIf => "DeepFloyd-IF",
            Self::StableVideoDiffusion => "Stable Video Diffusion",
        }
    }

    /// The published levels, sigma(t_n) to sigma(t_0).
    pub fn sigmas(self) -> [f64; 11] {
        match self {
            Self::StableDiffusion15 => [
                14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029,
            ],
            Self::StableDiffusionXl => [
                14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029,
            ],
            Self::DeepFloydIf => [
                160.41, 8.081, 3.315, 1.885, 1.207, 0.785, 0.553, 0.293, 0.186, 0.030, 0.006,
            ],
            Self::StableVideoDiffusion => [
                700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002,
            ],
        }
    }

    /// `count` levels from `sigma_max` down to `sigma_min`: with t the share of the steps and s the
    /// published levels,
    ///
    /// ln sigma(t) = ln sigma_max + (ln sigma_min - ln sigma_max)
    ///               (ln s(t) - ln s(0))/(ln s(1) - ln s(0)).
    ///
    /// # Errors
    /// As for [`Levels::geometric`].
    pub fn levels(self, sigma_max: f64, sigma_min: f64, count: usize) -> Result<Levels> {
        // Refuses impossible ends and counts, and has the ends to the last bit.
        let even = Levels::geometric(sigma_max, sigma_min, count)?;
        let published = self.sigmas();
        let (top, bottom) = (published[0].ln(), published[published.len() - 1].ln());
        let last = count.max(2) - 1;
        let inner = (1..last).map(|i| {
            let place = (i * (published.len() - 1)) as f64 / last as f64;
            let whole = (place as usize).min(published.len() - 2);
            let (before, after) = (published[whole].ln(), published[whole + 1].ln());
            let published = before + (place - whole as f64) * (after - before);
            let share = (published - top) / (bottom - top);
            (sigma_max.ln() + share * (sigma_min / sigma_max).ln()).exp()
        });
        let mut sigmas = vec![even.first()];
        sigmas.extend(inner);
        if count > 1 {
            sigmas.push(even.last());
        }
        Levels::new(sigmas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_their_own_number_and_range_the_levels_are_those_published() {
        for of in AlignYourSteps::ALL {
            let published = of.sigmas();
            let found = of.levels(published[0], published[10], 11).unwrap();
            for (found, published) in found.as_slice().iter().zip(published) {
                assert!(
                    (found / published - 1.0).abs() < 1e-14,
                    "{found} {published}"
                );
            }
        }
    }

    /// Every second level of 21 is published, the others are the geometric means between.
    #[test]
    fn between_the_published_levels_ln_sigma_is_linear() {
        let of = AlignYourSteps::StableDiffusion15;
        let published = of.sigmas();
        let found = of.levels(14.615, 0.029, 21).unwrap();
        for i in 0..10 {
            let between = (published[i] * published[i + 1]).sqrt();
            assert!((found.as_slice()[2 * i] / published[i] - 1.0).abs() < 1e-14);
            assert!((found.as_slice()[2 * i + 1] / between - 1.0).abs() < 1e-14);
        }
        // On a range whose logarithm is half as long, every ratio is the root.
        let half = of.levels(1.0, (0.029f64 / 14.615).sqrt(), 11).unwrap();
        for (half, published) in half.as_slice().iter().zip(published) {
            assert!((half / (published / 14.615).sqrt() - 1.0).abs() < 1e-14);
        }
        assert_eq!(of.levels(3.0, 0.1, 2).unwrap().as_slice(), [3.0, 0.1]);
        assert!(of.levels(0.1, 3.0, 5).is_err());
    }
}
