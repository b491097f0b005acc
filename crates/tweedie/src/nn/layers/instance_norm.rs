//! InstanceNorm++ of NCSN and NCSNv2 (Song & Ermon 2019, 2020).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Activation;
use crate::nn::init::Init;
use crate::nn::ops;

/// Added to both variances.
const EPSILON: f64 = 1e-5;

/// Instance normalisation that restores the channels' means relative to one another,
/// `InstanceNorm2dPlus` of NCSNv2.
#[derive(Module, Debug)]
pub struct InstanceNormPlusPlus {
    /// How much of the standardised means is restored, `[C]`.
    pub alpha: Param<Tensor<1>>,
    /// The scale, `[C]`.
    pub gamma: Param<Tensor<1>>,
    /// The shift, `[C]`.
    pub beta: Param<Tensor<1>>,
}

impl InstanceNormPlusPlus {
    /// `channels` must be at least two. NCSNv2 draws alpha and gamma from N(1, 0.02^2).
    pub fn new(channels: usize, init: &Init) -> Self {
        let near_one = |name| {
            let noise = init.normal(name, [channels], 0.02);
            noise.map(|noise| noise + 1.0)
        };
        Self {
            alpha: near_one("alpha"),
            gamma: near_one("gamma"),
            beta: init.constant("beta", [channels], 0.0),
        }
    }

    /// Normalises `[N, H, W, C]`, then applies `then`.
    pub fn forward(&self, x: Tensor<4>, then: Activation) -> Tensor<4> {
        let parameters =
            [&self.gamma, &self.alpha, &self.beta].map(|values| values.val().unsqueeze::<2>());
        ops::instance_norm_pp(x, parameters, EPSILON, then)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn flat_channels_give_their_standardised_means() {
        let device = Device::flex();
        let norm = InstanceNormPlusPlus::new(2, &Init::new(3, &device));
        let values = |t: Tensor<1>| t.into_data().try_into_vec::<f32>().unwrap();
        let alpha = values(norm.alpha.val());
        let gamma = values(norm.gamma.val());
        assert!(alpha.iter().chain(&gamma).all(|v| (v - 1.0).abs() < 0.1));
        // Means of 1 and 5, whose unbiased deviation is the square root of 8.
        let pixels = TensorData::new([1.0f32, 5.0].repeat(4), [1, 2, 2, 2]);
        let y = norm.forward(Tensor::from_data(pixels, &device), Activation::None);
        let y = values(y.reshape([8]));
        for (i, y) in y.iter().enumerate() {
            let mean = if i % 2 == 0 { -2.0 } else { 2.0 };
            let expected = gamma[i % 2] * alpha[i % 2] * mean / 8.0f32.sqrt();
            // Flat channels are divided by the root of epsilon, and so is what f32 rounds off 5.
            assert!((y - expected).abs() < 1e-4, "{y} and {expected}");
        }
    }
}
