//! Adam on the network's own device, where the moments, the average and the weights stay.

use burn::tensor::Tensor;

use super::{AdamConfig, UpdateNumbers};
use crate::nn::ByName;

/// Moments and moving average as flat tensors, one of each per parameter.
#[derive(Clone, Debug)]
pub struct DeviceAdam {
    config: AdamConfig,
    /// First moments m.
    pub first: ByName<Tensor<1>>,
    /// Second moments v.
    pub second: ByName<Tensor<1>>,
    /// The moving average of the weights, where one is kept.
    pub ema: Option<ByName<Tensor<1>>>,
}

impl DeviceAdam {
    /// Zero moments; the average, if `average` asks for one, starts at the weights.
    ///
    /// The constants are those of [`AdamConfig::validate`].
    pub fn new(config: AdamConfig, weights: &ByName<Tensor<1>>, average: bool) -> Self {
        let zeros = || -> ByName<Tensor<1>> {
            let zeros = weights
                .iter()
                .map(|(name, w)| (name.clone(), w.zeros_like()));
            zeros.collect()
        };
        Self {
            config,
            first: zeros(),
            second: zeros(),
            ema: average.then(|| weights.clone()),
        }
    }

    /// One update of `weights` along `-gradients`, as [`super::Adam::update`] has it.
    ///
    /// Returns the name of the first parameter whose new values are not all finite.
    ///
    /// # Panics
    /// When `weights` and `gradients` are not of the parameters this was made for.
    #[must_use]
    pub fn update(
        &mut self,
        weights: &mut ByName<Tensor<1>>,
        gradients: &ByName<Tensor<1>>,
        numbers: &UpdateNumbers,
    ) -> Option<String> {
        let &AdamConfig {
            beta1,
            beta2,
            epsilon,
        } = &self.config;
        let [correction1, correction2] = self.config.corrections(numbers.step);
        let (size, root) = (numbers.rate / correction1, correction2.sqrt());
        for (name, w) in weights.iter_mut() {
            let g = gradients[name].clone() * numbers.gradient_scale;
            change(state(&mut self.first, name), |m| {
                m.clone() + (g.clone() - m) * (1.0 - beta1)
            });
            change(state(&mut self.second, name), |v| {
                v.clone() + (g.square() - v) * (1.0 - beta2)
            });
            let (m, v) = (self.first[name].clone(), self.second[name].clone());
            change(w, |w| w - m * size / (v.sqrt() / root + epsilon));
            if let Some(ema) = &mut self.ema {
                change(state(ema, name), |ema| {
                    ema.clone() + (w.clone() - ema) * (1.0 - numbers.decay)
                });
            }
        }
        not_finite(weights)
    }
}

fn state<'a>(states: &'a mut ByName<Tensor<1>>, name: &str) -> &'a mut Tensor<1> {
    match states.get_mut(name) {
        Some(state) => state,
        None => panic!("the optimiser does not know {name}"),
    }
}

/// Replaces a tensor by `f` of it, which may reuse its memory.
fn change(tensor: &mut Tensor<1>, f: impl FnOnce(Tensor<1>) -> Tensor<1>) {
    let device = tensor.device();
    let old = std::mem::replace(tensor, Tensor::empty([0], &device));
    *tensor = f(old);
}

/// The first tensor with a value that is not finite. Where there is none, a single number is read
/// back.
pub(in crate::train) fn not_finite(tensors: &ByName<Tensor<1>>) -> Option<String> {
    // 0 x is 0 for a finite x, and NaN otherwise.
    let check = |tensor: &Tensor<1>| (tensor.clone() * 0.0).sum();
    let all = tensors.values().map(check).reduce(|a, b| a + b)?;
    if all.into_scalar::<f32>() == 0.0 {
        return None;
    }
    let wrong = |tensor: &Tensor<1>| check(tensor).into_scalar::<f32>() != 0.0;
    let first = tensors.iter().find(|(_, tensor)| wrong(tensor));
    first.map(|(name, _)| name.clone())
}
