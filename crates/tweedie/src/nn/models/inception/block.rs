//! Branches side by side, whose channels are joined.

use burn::tensor::Tensor;

use super::conv::{ConvNorm, Layer};
use super::parameters::Parameters;
use crate::nn::ops::{self, Pool, Window};

/// A layer that keeps the resolution: channels out, and rows and columns of its kernel.
pub(super) fn layer(outputs: usize, kernel: [usize; 2]) -> Layer {
    Layer {
        outputs,
        kernel,
        stride: 1,
        padding: kernel.map(|side| side / 2),
    }
}

/// What a branch is made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Branch {
    pool: Option<(Pool, Window)>,
    layers: Vec<(&'static str, Layer)>,
    /// Layers on the result of those, side by side.
    ends: Vec<(&'static str, Layer)>,
}

impl Branch {
    /// A branch that begins with pooling.
    pub fn pooled(pool: Pool, window: Window) -> Self {
        Self {
            pool: Some((pool, window)),
            ..Self::default()
        }
    }

    /// The branch with one layer more.
    pub fn then(mut self, name: &'static str, layer: Layer) -> Self {
        self.layers.push((name, layer));
        self
    }

    /// The branch with one layer more at its end, beside others.
    pub fn beside(mut self, name: &'static str, layer: Layer) -> Self {
        self.ends.push((name, layer));
        self
    }
}

/// A block of branches with their parameters.
#[derive(Debug)]
pub(super) struct Block(Vec<Built>);

#[derive(Debug)]
struct Built {
    pool: Option<(Pool, Window)>,
    layers: Vec<ConvNorm>,
    ends: Vec<ConvNorm>,
}

impl Block {
    pub fn new(p: &mut Parameters<'_>, name: &str, inputs: usize, branches: &[Branch]) -> Self {
        let build = |branch: &Branch| {
            let mut channels = inputs;
            let mut conv = |&(of, layer): &(&str, Layer), inputs| {
                ConvNorm::new(p, &format!("{name}.{of}"), inputs, layer)
            };
            let mut layers = Vec::new();
            for named in &branch.layers {
                layers.push(conv(named, channels));
                channels = named.1.outputs;
            }
            let ends = branch.ends.iter().map(|named| conv(named, channels));
            Built {
                pool: branch.pool,
                ends: ends.collect(),
                layers,
            }
        };
        Self(branches.iter().map(build).collect())
    }

    /// The channels of all branches, in order.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut parts = Vec::new();
        for branch in &self.0 {
            let x = match branch.pool {
                Some((pool, window)) => ops::pool(x.clone(), pool, window),
                None => x.clone(),
            };
            let x = branch.layers.iter().fold(x, |x, layer| layer.forward(x));
            match branch.ends.is_empty() {
                true => parts.push(x),
                false => parts.extend(branch.ends.iter().map(|end| end.forward(x.clone()))),
            }
        }
        ops::concat_all(parts)
    }
}
