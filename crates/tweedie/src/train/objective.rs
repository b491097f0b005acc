//! What a network is trained on: a loss for each example, inside the graph.

use std::ops::Range;

use burn::tensor::Tensor;

use super::Group;
use crate::error::{Error, Result};
use crate::nn::Network;

/// What a network is trained on. An objective has its own examples and may call any of the
/// networks in training; only the network being updated gets a gradient.
pub trait Objective: Send {
    /// The losses of the examples at `draw.places`, which depend on `draw` and the networks
    /// alone, so that a resumed run draws the same ones.
    ///
    /// # Errors
    /// When a network does not fit, or the examples cannot be prepared.
    fn losses(&mut self, networks: &Networks<'_>, draw: &Draw) -> Result<ExampleLosses>;
}

/// Which examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The update of the network in training, from 0.
    pub update: u64,
    /// Examples in the whole update.
    pub batch: usize,
    /// The requested places in the batch: all, or a part where gradients are accumulated.
    pub places: Range<usize>,
}

/// The losses of some examples.
#[derive(Clone, Debug)]
pub struct ExampleLosses {
    /// One per example, `[N]`, in the graph of the network in training. The objective is their
    /// mean.
    pub each: Tensor<1>,
    /// Each one's noise level, `[N]`; empty where there is no noise.
    pub sigmas: Vec<f64>,
}

/// The networks in training, as an objective sees them.
#[derive(Clone, Copy)]
pub struct Networks<'a> {
    pub(super) groups: &'a [(String, Group)],
    pub(super) trained: usize,
}

impl Networks<'_> {
    /// The network `name` inside the graph: gradients flow to its input and, if it is the one being
    /// updated, to its parameters.
    ///
    /// # Errors
    /// When there is no such network.
    pub fn get(&self, name: &str) -> Result<Network> {
        let (place, group) = self.find(name)?;
        let network = group.network();
        Ok(match place == self.trained {
            true => network.clone(),
            false => network.frozen(),
        })
    }

    /// The network `name` outside the graph, on the device without gradients: for outputs that are
    /// treated as constant, such as a generator's samples while the discriminator is updated.
    ///
    /// # Errors
    /// When there is no such network.
    pub fn without_gradients(&self, name: &str) -> Result<Network> {
        Ok(self.find(name)?.1.network().without_gradients())
    }

    fn find(&self, name: &str) -> Result<(usize, &Group)> {
        let mut groups = self.groups.iter().enumerate();
        let found = groups.find(|(_, (other, _))| other == name);
        found
            .map(|(place, (_, group))| (place, group))
            .ok_or_else(|| {
                let names: Vec<&str> = self.groups.iter().map(|(name, _)| &name[..]).collect();
                let reason = format!("is not in training; there are {}", names.join(", "));
                Error::setting("network", name, reason)
            })
    }
}
