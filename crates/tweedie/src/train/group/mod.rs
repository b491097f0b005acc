//! A parameter group: one network and the state of its optimiser.

#[cfg(test)]
mod tests;

use std::ops::Deref;

use burn::tensor::{Gradients, Tensor};

use super::gradient::{NetworkGradient, Parts, on_host};
use super::learning_rate::{LearningRate, ema_decay};
use super::optimiser::{Adam, AdamConfig, DeviceAdam, UpdateNumbers};
use super::state::{self, Sections};
use crate::error::{Error, Result};
use crate::nn::{ByName, Network, Values, ops};

/// How a network's parameters are updated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupConfig {
    /// Adam's constants.
    pub adam: AdamConfig,
    /// The learning rate over the network's own updates.
    pub rate: LearningRate,
    /// The largest norm of the gradient; `None` turns clipping off.
    pub clip: Option<f64>,
    /// The decay of the moving average of the weights; none keeps no average.
    pub ema: Option<f64>,
}

impl GroupConfig {
    /// Adam with its usual decay rates and a constant learning rate, without clipping or averaging.
    pub fn new(rate: f64) -> Self {
        Self {
            adam: AdamConfig::default(),
            rate: LearningRate::constant(rate),
            clip: None,
            ema: None,
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// Names the first one that is out of its range.
    pub fn validate(&self) -> Result<()> {
        self.rate.validate()?;
        self.adam.validate()?;
        if let Some(clip) = self.clip
            && !(clip > 0.0 && clip.is_finite())
        {
            return Err(Error::setting("clip", clip, "must be 0 (off) or positive"));
        }
        match self.ema {
            Some(ema) if !(0.0..1.0).contains(&ema) => {
                Err(Error::setting("ema", ema, "must lie in [0, 1)"))
            }
            _ => Ok(()),
        }
    }
}

/// A network with its optimiser's state. The weights are stored once, in the network.
#[derive(Debug)]
pub struct Group {
    config: GroupConfig,
    network: Network,
    optimiser: Optimiser,
}

/// The optimiser's state, on the network's device.
#[derive(Debug)]
enum Optimiser {
    Host(Adam),
    Device(DeviceAdam),
}

impl Group {
    /// Zero moments; the average starts at the weights. `network` must live on a device with
    /// gradients.
    ///
    /// # Errors
    /// When a setting is out of its range, or the device has no gradients.
    pub fn new(network: Network, config: GroupConfig) -> Result<Self> {
        config.validate()?;
        if !network.device().is_autodiff() {
            let reason = "training needs a device with gradients";
            return Err(Error::setting("device", "without gradients", reason));
        }
        let on_cpu = ops::is_on_cpu(network.device());
        Self::placed(network, config, on_cpu)
    }

    /// The optimiser on the host, or by the engine's operations.
    fn placed(network: Network, config: GroupConfig, host: bool) -> Result<Self> {
        let average = config.ema.is_some();
        let optimiser = network.clone().update(|weights| match host {
            true => {
                let weights = on_host(weights.clone());
                Optimiser::Host(Adam::new(config.adam, &weights, average))
            }
            false => Optimiser::Device(DeviceAdam::new(config.adam, weights, average)),
        })?;
        Ok(Self {
            config,
            network,
            optimiser,
        })
    }

    /// The optimiser's settings.
    pub fn config(&self) -> &GroupConfig {
        &self.config
    }

    /// The network with its current weights.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network with the moving average of its weights, or the current weights where none is
    /// kept.
    ///
    /// # Errors
    /// Never in practice: the arrays come from the same network.
    pub fn average(&self) -> Result<Network> {
        match &self.optimiser {
            Optimiser::Host(Adam { ema: Some(ema), .. }) => self.network.with_values(ema),
            Optimiser::Device(DeviceAdam { ema: Some(ema), .. }) => {
                let mut network = self.network.clone();
                network.update(|weights| weights.clone_from(ema))?;
                Ok(network)
            }
            _ => Ok(self.network.clone()),
        }
    }

    /// The learning rate of the network's update `number`, from 0.
    pub fn rate(&self, number: u64) -> f64 {
        self.config.rate.at(number)
    }

    /// The gradient with respect to the network's parameters, taken out of `gradients`.
    pub(super) fn gradient(&self, gradients: &mut Gradients) -> NetworkGradient {
        let tensors = self.network.gradient_tensors(gradients);
        NetworkGradient::new(match self.optimiser {
            Optimiser::Host(_) => Parts::Host(on_host(tensors)),
            Optimiser::Device(_) => Parts::Device(tensors),
        })
    }

    /// Update `number`, from 0, along a complete gradient. Returns the first parameter whose new
    /// values are not all finite; the group cannot be used after that.
    pub(super) fn update(
        &mut self,
        gradient: NetworkGradient,
        number: u64,
    ) -> Result<Option<String>> {
        let (gradient, scale) = gradient.into_parts();
        let numbers = UpdateNumbers {
            step: number,
            rate: self.rate(number),
            gradient_scale: scale,
            decay: self.config.ema.map_or(0.0, |ema| ema_decay(ema, number)),
        };
        let device = self.network.device().clone();
        let optimiser = &mut self.optimiser;
        self.network.update(|weights| match (optimiser, gradient) {
            (Optimiser::Host(adam), Parts::Host(gradient)) => {
                let mut values = on_host(std::mem::take(weights));
                let wrong = adam.update(&mut values, &gradient, &numbers);
                let tensors = values.into_iter();
                *weights = tensors.map(|(n, v)| (n, v.into_tensor(&device))).collect();
                wrong
            }
            (Optimiser::Device(adam), Parts::Device(gradient)) => {
                adam.update(weights, &gradient, &numbers)
            }
            _ => unreachable!("a network stays on its engine"),
        })
    }

    /// The sections of a checkpoint: "model", "adam.first", "adam.second", and "ema" where an
    /// average is kept.
    pub(super) fn sections(&self) -> Sections {
        let shapes = self.network.shapes();
        let mut sections = Sections::from([("model".to_owned(), self.network.parameters())]);
        let mut add = |name: &str, section| sections.insert(name.to_owned(), section);
        match &self.optimiser {
            Optimiser::Host(adam) => {
                let array = |values: &Vec<f32>| values.clone();
                add("adam.first", state::section(&shapes, &adam.first, array));
                add("adam.second", state::section(&shapes, &adam.second, array));
                if let Some(ema) = &adam.ema {
                    add("ema", state::section(&shapes, ema, array));
                }
            }
            Optimiser::Device(adam) => {
                let array = |tensor: &Tensor<1>| Values::of(tensor.clone()).deref().to_vec();
                add("adam.first", state::section(&shapes, &adam.first, array));
                add("adam.second", state::section(&shapes, &adam.second, array));
                if let Some(ema) = &adam.ema {
                    add("ema", state::section(&shapes, ema, array));
                }
            }
        }
        sections
    }

    /// Continues from the sections that [`Group::sections`] made of the same network. They are
    /// moved.
    ///
    /// # Errors
    /// When a section is missing or belongs to another network; nothing has changed then.
    pub(super) fn restore(&mut self, mut sections: Sections) -> Result<()> {
        let shapes = self.network.shapes();
        let mut take = |name: &str| {
            let section = sections.remove(name);
            state::values(name, &shapes, section)
        };
        let weights = take("model")?;
        let (first, second) = (take("adam.first")?, take("adam.second")?);
        let ema = match self.config.ema {
            Some(_) => Some(take("ema")?),
            None => None,
        };
        let device = self.network.device().clone();
        let tensors = |arrays: ByName<Vec<f32>>| -> ByName<Tensor<1>> {
            let arrays = arrays.into_iter();
            let tensors = arrays.map(|(name, v)| (name, Values::from(v).into_tensor(&device)));
            tensors.collect()
        };
        self.network.update(|own| *own = tensors(weights))?;
        match &mut self.optimiser {
            Optimiser::Host(adam) => (adam.first, adam.second, adam.ema) = (first, second, ema),
            Optimiser::Device(adam) => {
                (adam.first, adam.second) = (tensors(first), tensors(second));
                adam.ema = ema.map(tensors);
            }
        }
        Ok(())
    }
}
