//! Initial weights keyed by name: value i of a parameter is a function of the seed, the
//! parameter's path and i alone, so that adding a layer does not change those of the others.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};

use crate::random::{NoiseSource, Stream};

/// Creates the initial parameters of the part of a network at one path.
///
/// A layer asks by the names of its fields: `init.at("conv1")` for a part, `init.at(0)` for the
/// first of several, `init.uniform("weight", ..)` for a parameter.
#[derive(Clone)]
pub struct Init {
    device: Device,
    /// None where weights are about to be loaded: parameters are then zero.
    source: Option<NoiseSource>,
    path: String,
    /// Every path requested so far, by any part.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Init {
    /// Parameters on `device`, determined by `seed`.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self::root(Some(NoiseSource::new(seed, Stream::Initial)), device)
    }

    /// Zeros on `device`, for weights to be loaded: drawing those of a large network takes longer
    /// than reading them.
    pub fn blank(device: &Device) -> Self {
        Self::root(None, device)
    }

    fn root(source: Option<NoiseSource>, device: &Device) -> Self {
        Self {
            device: device.clone(),
            source,
            path: String::new(),
            asked: Arc::default(),
        }
    }

    /// The part called `name`: a field, or a place in a list.
    #[must_use]
    pub fn at(&self, name: impl Display) -> Self {
        Self {
            path: self.join(&name),
            ..self.clone()
        }
    }

    /// Uniform in `[-bound, bound]`.
    ///
    /// With `bound = fan_in^(-1/2)` this is PyTorch's default for linear and convolution layers,
    /// weights and biases alike.
    pub fn uniform<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        bound: f64,
    ) -> Param<Tensor<D>> {
        let address = self.address(name);
        let count: usize = shape.iter().product();
        let Some(source) = &self.source else {
            return self.parameter(shape, vec![0.0; count]);
        };
        let values = (0..count).map(|i| {
            let u = source.uniform(address, (i >> 16) as u32, (i & 0xffff) as u32);
            ((2.0 * u - 1.0) * bound) as f32
        });
        self.parameter(shape, values.collect())
    }

    /// Gaussian with mean zero and standard deviation `std`.
    pub fn normal<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        std: f64,
    ) -> Param<Tensor<D>> {
        let mut values = vec![0.0_f32; shape.iter().product()];
        let address = self.address(name);
        if let Some(source) = &self.source {
            source.fill_normal(address, 0, &mut values);
        }
        for value in &mut values {
            *value = (f64::from(*value) * std) as f32;
        }
        self.parameter(shape, values)
    }

    /// A constant.
    pub fn constant<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        value: f32,
    ) -> Param<Tensor<D>> {
        self.address(name);
        self.parameter(shape, vec![value; shape.iter().product()])
    }

    /// The paths asked for so far, by this part and all others of its network, in order.
    pub fn paths(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }

    fn join(&self, name: &dyn Display) -> String {
        match self.path.is_empty() {
            true => name.to_string(),
            false => format!("{}.{name}", self.path),
        }
    }

    /// The index of the source's sequence for the parameter about to be created.
    fn address(&self, name: &str) -> u64 {
        let path = self.join(&name);
        let address = fnv_1a(&path);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(path);
        address
    }

    fn parameter<const D: usize>(&self, shape: [usize; D], values: Vec<f32>) -> Param<Tensor<D>> {
        let tensor = Tensor::from_data(TensorData::new(values, shape), &self.device);
        Param::from_tensor(tensor)
    }
}

/// The 64-bit FNV-1a hash of a path's bytes, the same everywhere and for ever.
fn fnv_1a(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_hashed_by_fnv_1a() {
        // Of the test vectors published with the hash.
        assert_eq!(fnv_1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv_1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv_1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn values_depend_on_seed_and_path_and_on_nothing_else() {
        let device = Device::flex();
        let values = |init: &Init, name: &str| {
            let values = init.uniform(name, [100], 1.0).val().into_data();
            values.try_into_vec::<f32>().unwrap()
        };
        let init = Init::new(3, &device);
        let weight = values(&init.at("a").at(0), "weight");
        assert_ne!(values(&init.at("a").at(1), "weight"), weight);
        assert_ne!(values(&init.at("a").at(0), "bias"), weight);
        let other = Init::new(3, &device);
        values(&other, "first");
        assert_eq!(values(&other.at("a").at(0), "weight"), weight);
        assert_ne!(
            values(&Init::new(4, &device).at("a").at(0), "weight"),
            weight
        );
        assert_eq!(init.paths(), ["a.0.weight", "a.1.weight", "a.0.bias"]);
    }
}
