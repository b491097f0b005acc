//! Initial weights, drawn from counter-based streams: parameter `p` depends on (seed, p) alone.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};

use crate::random::{NoiseSource, Stream};

/// Hands out initial parameters in the order in which a network asks for them.
pub struct Init {
    device: Device,
    /// None where weights are about to be loaded: they start at zero.
    source: Option<NoiseSource>,
    next: u64,
}

impl Init {
    /// Parameters on `device`, determined by `seed`.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self {
            device: device.clone(),
            source: Some(NoiseSource::new(seed, Stream::Initial)),
            next: 0,
        }
    }

    /// Zeros on `device`, for weights to be loaded: drawing those of a large network takes longer
    /// than reading them.
    pub fn blank(device: &Device) -> Self {
        Self {
            device: device.clone(),
            source: None,
            next: 0,
        }
    }

    /// Uniform in `[-bound, bound]`.
    ///
    /// With `bound = fan_in^(-1/2)` this is PyTorch's default for linear and convolution layers,
    /// weights and biases alike.
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D], bound: f64) -> Param<Tensor<D>> {
        let p = self.number();
        let count: usize = shape.iter().product();
        let Some(source) = &self.source else {
            return self.constant(shape, 0.0);
        };
        let values = (0..count).map(|i| {
            let u = source.uniform(p, (i >> 16) as u32, (i & 0xffff) as u32);
            ((2.0 * u - 1.0) * bound) as f32
        });
        self.parameter(shape, values.collect())
    }

    /// Gaussian with mean zero and standard deviation `std`.
    pub fn normal<const D: usize>(&mut self, shape: [usize; D], std: f64) -> Param<Tensor<D>> {
        let mut values = vec![0.0_f32; shape.iter().product()];
        let p = self.number();
        if let Some(source) = &self.source {
            source.fill_normal(p, 0, &mut values);
        }
        for value in &mut values {
            *value = (f64::from(*value) * std) as f32;
        }
        self.parameter(shape, values)
    }

    /// One value throughout.
    pub fn constant<const D: usize>(&mut self, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        self.parameter(shape, vec![value; shape.iter().product()])
    }

    /// The number of the parameter about to be drawn.
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn parameter<const D: usize>(&self, shape: [usize; D], values: Vec<f32>) -> Param<Tensor<D>> {
        let tensor = Tensor::from_data(TensorData::new(values, shape), &self.device);
        Param::from_tensor(tensor)
    }
}
