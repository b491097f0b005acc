//! A network's complete gradient, and the hooks that may change it before the update.

use std::ops::Deref;

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::optimiser::not_finite;
use super::sums::{CHUNK, sum};
use crate::error::Result;
use crate::nn::{ByName, Values, params};

/// The gradient of one network's objective with respect to its parameters, over all examples of an
/// update.
///
/// It lives where the network does: on the CPU in the plain arrays that the backward pass wrote, on
/// another engine in tensors.
#[derive(Clone, Debug)]
pub struct NetworkGradient {
    pub(super) parts: Parts,
    scale: f64,
    /// Without the scale, once it has been asked for.
    norm: Option<f64>,
}

#[derive(Clone, Debug)]
pub(super) enum Parts {
    Host(ByName<Values>),
    Device(ByName<Tensor<1>>),
}

impl NetworkGradient {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts,
            scale: 1.0,
            norm: None,
        }
    }

    /// Adds the gradient of further examples, as the backward pass returned it.
    pub(super) fn add(&mut self, other: Self) {
        match (&mut self.parts, other.parts) {
            (Parts::Host(a), Parts::Host(b)) => {
                for (a, b) in a.values_mut().zip(b.values()) {
                    let chunks = a.par_chunks_mut(CHUNK).zip(b.par_chunks(CHUNK));
                    chunks.for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, b)| *a += b));
                }
            }
            (Parts::Device(a), Parts::Device(b)) => {
                for (a, b) in a.values_mut().zip(b.into_values()) {
                    *a = a.clone() + b;
                }
            }
            _ => unreachable!("a network stays on its engine"),
        }
        self.norm = None;
    }

    /// The Euclidean norm of all values; not finite where one of them is not.
    pub fn norm(&mut self) -> f64 {
        let parts = &self.parts;
        let norm = *self.norm.get_or_insert_with(|| match parts {
            Parts::Host(values) => global_norm(values.values()),
            Parts::Device(tensors) => device_norm(tensors),
        });
        norm * self.scale.abs()
    }

    /// Multiplies every value by `factor`. The multiplication is deferred to the update; nothing
    /// is read or written here.
    pub fn scale(&mut self, factor: f64) {
        self.scale *= factor;
    }

    /// Passes the values of each parameter to `change`, by name. On the CPU they are changed in
    /// place; on another engine they are copied to the host and back.
    ///
    /// # Errors
    /// The first error that `change` returns.
    pub fn each(&mut self, change: &mut dyn FnMut(&str, &mut [f32]) -> Result<()>) -> Result<()> {
        self.norm = None;
        let scale = std::mem::replace(&mut self.scale, 1.0) as f32;
        let mut apply = |name: &str, values: &mut Values| {
            if scale != 1.0 {
                values.iter_mut().for_each(|value| *value *= scale);
            }
            change(name, values)
        };
        match &mut self.parts {
            Parts::Host(values) => values.iter_mut().try_for_each(|(n, v)| apply(n, v)),
            Parts::Device(tensors) => tensors.iter_mut().try_for_each(|(name, tensor)| {
                let device = tensor.device();
                let mut values = Values::of(tensor.clone());
                apply(name, &mut values)?;
                *tensor = values.into_tensor(&device);
                Ok(())
            }),
        }
    }

    /// The first parameter with a value that is not finite.
    pub(super) fn not_finite(&self) -> Option<String> {
        match &self.parts {
            Parts::Host(values) => {
                let mut values = values.iter();
                let wrong = values.find(|(_, values)| !values.iter().all(|v| v.is_finite()));
                wrong.map(|(name, _)| name.clone())
            }
            Parts::Device(tensors) => not_finite(tensors),
        }
    }

    pub(super) fn into_parts(self) -> (Parts, f64) {
        (self.parts, self.scale)
    }
}

/// Tensors' values in host memory.
pub(super) fn on_host(tensors: ByName<Tensor<1>>) -> ByName<Values> {
    let values = tensors.into_iter();
    values.map(|(name, t)| (name, Values::of(t))).collect()
}

/// The Euclidean norm of all arrays.
fn global_norm<'a, G: Deref<Target = [f32]> + 'a>(arrays: impl Iterator<Item = &'a G>) -> f64 {
    let chunks: Vec<&[f32]> = arrays.flat_map(|g| g.chunks(CHUNK)).collect();
    let squares: Vec<f64> = chunks
        .into_par_iter()
        .with_min_len(4)
        .map(|chunk| sum(chunk, |g| g * g))
        .collect();
    // Added in order.
    squares.iter().sum::<f64>().sqrt()
}

/// The same for tensors; a single row of numbers is read back.
fn device_norm(tensors: &ByName<Tensor<1>>) -> f64 {
    // Divided by the largest of a parameter first: squares leave the range of f32 where the
    // values do not.
    let parts: Vec<Tensor<1>> = tensors
        .values()
        .map(|g| {
            let largest = g.clone().abs().max();
            let unit = largest.clone().clamp_min(f32::MIN_POSITIVE);
            let square = (g.clone() / unit).square().sum();
            Tensor::cat(vec![largest, square], 0)
        })
        .collect();
    if parts.is_empty() {
        return 0.0;
    }
    let numbers = params::to_vec(Tensor::cat(parts, 0));
    let squares = numbers.chunks_exact(2);
    let squares = squares.map(|part| f64::from(part[0]).powi(2) * f64::from(part[1]));
    squares.sum::<f64>().sqrt()
}

/// The network and the number of its update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn<'a> {
    /// The network's name.
    pub network: &'a str,
    /// Which of its updates, from 0.
    pub update: u64,
}

/// Sees each gradient when it is complete, before the update: clipping, a sum over machines.
///
/// Every function of these two arguments is a hook.
pub trait Hook: Send {
    /// Changes or inspects the gradient of `turn`.
    ///
    /// # Errors
    /// When the update must not be made; training then stops.
    fn complete(&mut self, turn: Turn<'_>, gradient: &mut NetworkGradient) -> Result<()>;
}

impl<F: FnMut(Turn<'_>, &mut NetworkGradient) -> Result<()> + Send> Hook for F {
    fn complete(&mut self, turn: Turn<'_>, gradient: &mut NetworkGradient) -> Result<()> {
        self(turn, gradient)
    }
}

/// Scales gradients down to at most this norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip(pub f64);

impl Hook for Clip {
    fn complete(&mut self, _: Turn<'_>, gradient: &mut NetworkGradient) -> Result<()> {
        let norm = gradient.norm();
        if norm > self.0 {
            gradient.scale(self.0 / norm);
        }
        Ok(())
    }
}
