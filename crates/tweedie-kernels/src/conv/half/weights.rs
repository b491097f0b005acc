//! Weights rounded to bf16, as the units read them.

use half::bf16;

use super::unit::{Kind, Unit};
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use crate::Buffer;
use crate::conv::{self, Shape};
use crate::error::{Result, check};

/// Values that one tile of AMX multiplies at a time; depths are rounded up to it.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) const DEPTH: usize = 32;

/// Outputs side by side.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) const BLOCK: usize = 32;

/// A convolution's weights, rounded to bf16 and laid out for a unit.
pub struct Weights {
    pub(super) form: Form,
    dims: [usize; 4],
}

pub(super) enum Form {
    /// Values of bf16 as `f32`.
    Wide(conv::Weights),
    /// `[O / 32, taps, C / 32, 2, 16, 16, 2]`: for each block of outputs and 32 channels of a
    /// tap, two tiles of 16 outputs, which hold pairs of channels. Zeros at the ends.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Tiles(Buffer<bf16>),
}

impl Weights {
    /// Rounds and lays out `weight` `[O, I, K, L]` for `shape`, of which the number of images
    /// does not matter.
    ///
    /// # Errors
    /// When the length does not fit `shape`.
    pub fn new(unit: Unit, shape: &Shape, weight: &[f32]) -> Result<Self> {
        check("weight", weight.len(), &shape.weight_dims())?;
        let form = match unit.0 {
            Kind::Widened(isa) => {
                let rounded: Vec<f32> =
                    weight.iter().map(|&w| bf16::from_f32(w).to_f32()).collect();
                Form::Wide(conv::Weights::new(isa, shape, &rounded)?)
            }
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Kind::Tiles => Form::Tiles(tiles(shape, weight)),
        };
        let dims = shape.weight_dims();
        Ok(Self { form, dims })
    }

    /// Whether these weights are laid out for `shape`.
    pub fn fit(&self, shape: &Shape) -> bool {
        let fits = match &self.form {
            Form::Wide(weights) => weights.fit(shape),
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Form::Tiles(_) => true,
        };
        fits && self.dims == shape.weight_dims()
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn tiles(shape: &Shape, weight: &[f32]) -> Buffer<bf16> {
    let Shape {
        inputs,
        outputs,
        kernel: [rows, columns],
        ..
    } = *shape;
    let depth = inputs.next_multiple_of(DEPTH);
    let taps = rows * columns;
    let mut out = Buffer::zeros(outputs.div_ceil(BLOCK) * taps * depth * BLOCK);
    for o in 0..outputs {
        for t in 0..taps {
            for i in 0..inputs {
                let step = (o / BLOCK * taps + t) * (depth / DEPTH) + i / DEPTH;
                let tile = 2 * step + o % BLOCK / 16;
                let at = (tile * 16 + i % DEPTH / 2) * DEPTH + o % 16 * 2 + i % 2;
                let w = weight[shape.weight_index(o, i, t / columns, t % columns)];
                out[at] = bf16::from_f32(w);
            }
        }
    }
    out
}
