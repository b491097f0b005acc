//! Multi-layer perceptrons, all layers at once over blocks of rows, so that what lies between the
//! layers stays in the cache:
//!
//! `y = W_L f(... f(W_1 x + b_1) ...) + b_L`
//!
//! One layer is a linear map. Two kernels share the work: `thin` keeps rows in the lanes of
//! vectors, for one hidden layer between a few values in and a few out; `wide` keeps features
//! there, for everything else. Which one runs depends on the widths alone.
//!
//! Gradients need the hidden values. `thin` recomputes them, which costs less than storing
//! them; `wide` takes what [`forward_keeping`] has kept.

mod activate;
mod grad_weight;
mod shape;
mod thin;
mod wide;

pub use shape::{Layer, Shape};

use crate::error::{Result, check};
use crate::{Buffer, InstructionSet};

/// The output, `[N, O]`.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn forward(isa: InstructionSet, shape: &Shape, x: &[f32], layers: &[Layer]) -> Result<Buffer> {
    shape.check(x, layers)?;
    Ok(output(isa, shape, x, layers, &mut []))
}

/// The output, and the hidden values for [`backward`]: none where recomputing them is cheaper.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn forward_keeping(
    isa: InstructionSet,
    shape: &Shape,
    x: &[f32],
    layers: &[Layer],
) -> Result<[Buffer; 2]> {
    shape.check(x, layers)?;
    let mut kept = Buffer::take(kept(shape));
    let out = output(isa, shape, x, layers, &mut kept);
    Ok([out, kept])
}

/// Hidden values that are kept.
fn kept(shape: &Shape) -> usize {
    match thin::fits(shape) || shape.outputs() == 0 {
        true => 0,
        false => wide::kept(shape),
    }
}

fn output(
    isa: InstructionSet,
    shape: &Shape,
    x: &[f32],
    layers: &[Layer],
    kept: &mut [f32],
) -> Buffer {
    let mut out = Buffer::take(shape.rows * shape.outputs());
    if out.is_empty() {
        return out;
    }
    if thin::fits(shape) {
        thin::forward(isa, shape, x, layers, &mut out);
    } else {
        wide::forward(isa, shape, x, layers, &mut out, kept);
    }
    out
}

/// The gradients of a perceptron.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// With respect to the input, `[N, I]`; empty where it was not asked for.
    pub input: Buffer,
    /// With respect to each layer's weight, `[O, I]`.
    pub weights: Vec<Buffer>,
    /// With respect to each layer's bias, `[O]`.
    pub biases: Vec<Buffer>,
}

/// The gradients, with `dy` `[N, O]` that of the output. From the last layer to the first, with
/// `t` what a layer's activation was applied to and `h` the layer's input,
///
/// `dW = dt^T h`, `db = sum over rows of dt`, `dh = dt W`, and `dt = dh f'(t)` a layer below.
///
/// `hidden` are the values kept by [`forward_keeping`], or empty to recompute them. The
/// gradient of the input is computed only `with_input`.
///
/// # Errors
/// When a length does not fit `shape`.
pub fn backward(
    isa: InstructionSet,
    shape: &Shape,
    x: &[f32],
    layers: &[Layer],
    hidden: &[f32],
    dy: &[f32],
    with_input: bool,
) -> Result<Gradients> {
    shape.check(x, layers)?;
    if !hidden.is_empty() {
        check("hidden values", hidden.len(), &[kept(shape)])?;
    }
    shape.check_output(dy)?;
    let mut input = Buffer::take(if with_input { x.len() } else { 0 });
    if dy.is_empty() {
        input.fill(0.0);
        let zeros = layers
            .iter()
            .map(|l| [l.weight.len(), l.bias.len()].map(Buffer::zeros));
        let (weights, biases) = zeros.map(|[weight, bias]| (weight, bias)).unzip();
        return Ok(Gradients {
            input,
            weights,
            biases,
        });
    }
    let given = Given {
        x,
        layers,
        hidden,
        dy,
    };
    let (weights, biases) = match thin::fits(shape) {
        true => thin::backward(isa, shape, &given, &mut input),
        false => wide::backward(isa, shape, &given, &mut input),
    };
    Ok(Gradients {
        input,
        weights,
        biases,
    })
}

/// What gradients are computed from.
struct Given<'a> {
    x: &'a [f32],
    layers: &'a [Layer<'a>],
    hidden: &'a [f32],
    dy: &'a [f32],
}
