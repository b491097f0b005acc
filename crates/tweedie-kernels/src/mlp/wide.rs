//! Any number of layers of any width: features fill the lanes of vectors.
//!
//! A block of rows goes through all layers before the next, so that its hidden values stay in
//! the cache. The gradients of the weights are sums over rows; they are added up a chunk of
//! blocks at a time.

use rayon::prelude::*;

use super::activate;
use super::grad_weight::{Factor, Sums};
use super::{Given, Layer, Shape};
use crate::conv::epilogue::Epilogue;
use crate::conv::gather::{Packed, Part, Pixel, Plan, run};
use crate::product::SLACK;
use crate::tile::Tap;
use crate::{Buffer, InstructionSet};

/// Rows that go through the layers together.
pub(super) const BLOCK: usize = 32;

/// Hidden values and their gradients in a chunk at most, where it is more than a block.
const CHUNK: usize = 1 << 21;

/// Products worth a task.
const TASK: usize = 1 << 20;

/// Packs the weight of layer `k`, for `h W^T` or, `back`, for `dt W`.
fn pack(isa: InstructionSet, shape: &Shape, layers: &[Layer], k: usize, back: bool) -> Packed {
    let dims = [shape.widths[k + 1], shape.widths[k]];
    match back {
        false => Packed::of_rows(isa, dims, layers[k].weight),
        true => Packed::of_columns(isa, dims, layers[k].weight),
    }
}

/// `out = x W^T + bias` for up to [`BLOCK`] rows, or without bias where it is empty.
fn linear(
    isa: InstructionSet,
    weights: &Packed,
    rows: usize,
    bias: &[f32],
    x: &[f32],
    out: &mut [f32],
) {
    let [inputs, outputs] = [x.len() / rows, out.len() / rows];
    let tap = Tap {
        offset: 0,
        len: inputs,
    };
    // Rows are the pixels of an image.
    let pixels: [Pixel; BLOCK] = std::array::from_fn(|target| Pixel {
        corner: target * inputs,
        target,
    });
    let plan = Plan {
        taps: &[tap],
        pixels: &pixels[..rows],
        padded: x.len(),
        targets: rows,
        outputs,
        weights,
        epilogue: Epilogue {
            bias,
            ..Epilogue::none(outputs)
        },
    };
    let part = Part {
        images: 0..1,
        targets: 0..rows,
    };
    run(isa, &plan, &part, x, out);
}

/// Values that [`forward`] keeps of each block: what the activations are applied to, layer by
/// layer.
fn kept_of_block(shape: &Shape) -> usize {
    let hidden = &shape.widths[1..shape.widths.len() - 1];
    BLOCK * hidden.iter().sum::<usize>()
}

/// Values that [`forward`] keeps at most; where there are more, they are computed again.
const KEPT: usize = 1 << 24;

/// Values that [`forward`] keeps: for all blocks, or none.
pub(super) fn kept(shape: &Shape) -> usize {
    let all = shape.rows.div_ceil(BLOCK) * kept_of_block(shape);
    if all <= KEPT { all } else { 0 }
}

/// Blocks of rows that make a task.
fn blocks_a_task(shape: &Shape) -> usize {
    let products: usize = shape.widths.windows(2).map(|w| w[0] * w[1]).sum();
    TASK / (BLOCK * products + 1)
}

/// Cuts `values` into `count` parts of `len` values or what is left of them.
fn cut(mut values: &mut [f32], len: usize, count: usize) -> Vec<&mut [f32]> {
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let (part, rest) = values.split_at_mut(len.min(values.len()));
        parts.push(part);
        values = rest;
    }
    parts
}

/// Fills `out`, and `kept` unless it is empty.
pub(super) fn forward(
    isa: InstructionSet,
    shape: &Shape,
    x: &[f32],
    layers: &[Layer],
    out: &mut [f32],
    kept: &mut [f32],
) {
    let widths = &shape.widths;
    let (inputs, outputs, last) = (shape.inputs(), shape.outputs(), layers.len() - 1);
    let packed: Vec<Packed> = (0..=last)
        .map(|k| pack(isa, shape, layers, k, false))
        .collect();
    let widest = widths[1..=last].iter().max().copied().unwrap_or(0);
    let one = |(block, (out, mut kept)): (usize, (&mut [f32], &mut [f32]))| {
        let rows = out.len() / outputs;
        let mut buffers = Buffer::take(2 * rows * widest);
        let (mut from, mut to) = buffers.split_at_mut(rows * widest);
        let mut h = &x[block * BLOCK * inputs..][..rows * inputs];
        for k in 0..last {
            let t = &mut to[..rows * widths[k + 1]];
            linear(isa, &packed[k], rows, layers[k].bias, h, t);
            if !kept.is_empty() {
                let (own, rest) = kept.split_at_mut(BLOCK * widths[k + 1]);
                own[..t.len()].copy_from_slice(t);
                kept = rest;
            }
            activate::forward(isa, shape.activation, t);
            (from, to) = (to, from);
            h = &from[..rows * widths[k + 1]];
        }
        linear(isa, &packed[last], rows, layers[last].bias, h, out);
    };
    let count = shape.rows.div_ceil(BLOCK);
    let kept = cut(kept, kept_of_block(shape), count);
    if count == 1 {
        out.chunks_mut(BLOCK * outputs)
            .zip(kept)
            .enumerate()
            .for_each(one);
    } else {
        out.par_chunks_mut(BLOCK * outputs)
            .zip(kept)
            .enumerate()
            .with_min_len(blocks_a_task(shape))
            .for_each(one);
    }
}

/// Fills `dx` unless it is empty, and gives the gradients of weights and biases.
pub(super) fn backward(
    isa: InstructionSet,
    shape: &Shape,
    given: &Given,
    dx: &mut [f32],
) -> (Vec<Buffer>, Vec<Buffer>) {
    let &Given {
        x,
        layers,
        hidden: kept,
        dy,
    } = given;
    let (inputs, outputs) = (shape.inputs(), shape.outputs());
    let with_input = !dx.is_empty();
    let hidden = &shape.widths[1..layers.len()];
    let values: usize = hidden.iter().sum();
    let walk = Walk {
        isa,
        shape,
        layers,
        kept,
        forward: (0..if kept.is_empty() { hidden.len() } else { 0 })
            .map(|k| pack(isa, shape, layers, k, false))
            .collect(),
        back: (usize::from(!with_input)..layers.len())
            .map(|k| pack(isa, shape, layers, k, true))
            .collect(),
    };

    let chunk = match values {
        0 => shape.rows,
        _ => (CHUNK / (2 * values) / BLOCK).max(1) * BLOCK,
    };
    let chunk = chunk.min(shape.rows.next_multiple_of(BLOCK));
    let mut sums = Sums::new(isa, shape, chunk);
    // Of each block, its hidden values layer by layer, then their gradients.
    let block = 2 * BLOCK * values;
    let mut buffer = Buffer::take(chunk.div_ceil(BLOCK) * block + SLACK);
    for first in (0..shape.rows).step_by(chunk) {
        let rows = chunk.min(shape.rows - first);
        let x = &x[first * inputs..][..rows * inputs];
        let dy = &dy[first * outputs..][..rows * outputs];
        let dx = match with_input {
            true => &mut dx[first * inputs..][..rows * inputs],
            false => &mut [][..],
        };
        if block > 0 || with_input {
            walk.all(first, x, dy, &mut buffer, dx);
        }
        // The input, the hidden values and the output's gradient as factors of the products.
        let rows_of = |values, width| Factor {
            values,
            block: BLOCK * width,
            width,
        };
        let mut factors = vec![[rows_of(x, inputs); 2]; layers.len()];
        let mut start = 0;
        for (k, &width) in hidden.iter().enumerate() {
            let of = |start| Factor {
                values: &buffer[start..],
                block,
                width,
            };
            factors[k + 1][0] = of(start);
            factors[k][1] = of(start + BLOCK * values);
            start += BLOCK * width;
        }
        factors[hidden.len()][1] = rows_of(dy, outputs);
        sums.add(rows, &factors);
    }
    sums.finish()
}

/// One block of rows through the forward and the backward pass of all layers.
struct Walk<'a> {
    isa: InstructionSet,
    shape: &'a Shape,
    layers: &'a [Layer<'a>],
    /// What the activations were applied to, or nothing.
    kept: &'a [f32],
    /// Of all layers but the last, unless that is known.
    forward: Vec<Packed>,
    /// Of all layers, or all but the first where no gradient of the input is asked for.
    back: Vec<Packed>,
}

impl Walk<'_> {
    /// Fills `buffer` with hidden values and their gradients for the rows of a chunk from
    /// `first` on, and `dx`.
    fn all(&self, first: usize, x: &[f32], dy: &[f32], buffer: &mut [f32], dx: &mut [f32]) {
        let (inputs, outputs) = (self.shape.inputs(), self.shape.outputs());
        let count = (dy.len() / outputs).div_ceil(BLOCK);
        cut(buffer, 2 * kept_of_block(self.shape), count)
            .into_par_iter()
            .zip(cut(dx, BLOCK * inputs, count))
            .enumerate()
            .with_min_len(blocks_a_task(self.shape))
            .for_each(|(b, (part, dx))| {
                let dy = &dy[b * BLOCK * outputs..];
                let dy = &dy[..dy.len().min(BLOCK * outputs)];
                let rows = dy.len() / outputs;
                let x = &x[b * BLOCK * inputs..][..rows * inputs];
                self.block(first / BLOCK + b, x, dy, part, dx);
            });
    }

    /// The same for one block.
    fn block(&self, number: usize, x: &[f32], dy: &[f32], part: &mut [f32], dx: &mut [f32]) {
        let Self { isa, shape, .. } = *self;
        let rows = dy.len() / shape.outputs();
        let hidden = &shape.widths[1..self.layers.len()];
        let (mut values, mut gradients) = part.split_at_mut(part.len() / 2);
        let size = values.len();
        let mut again = Buffer::take(if self.kept.is_empty() { size } else { 0 });
        let mut h = x;
        let mut places = Vec::with_capacity(hidden.len());
        let mut start = 0;
        for (k, &width) in hidden.iter().enumerate() {
            let place = start..start + rows * width;
            let (here, rest) = values.split_at_mut(BLOCK * width);
            let here = &mut here[..rows * width];
            match self.kept.is_empty() {
                true => {
                    let t = &mut again[place.clone()];
                    linear(isa, &self.forward[k], rows, self.layers[k].bias, h, t);
                    here.copy_from_slice(t);
                }
                false => here.copy_from_slice(&self.kept[number * size..][place.clone()]),
            }
            activate::forward(isa, shape.activation, here);
            places.push(place);
            start += BLOCK * width;
            (h, values) = (here, rest);
        }
        let before = match self.kept.is_empty() {
            true => &again[..],
            false => &self.kept[number * size..][..size],
        };

        let mut back = self.back.iter().rev();
        let mut d = dy;
        for place in places.into_iter().rev() {
            let Some(weights) = back.next() else { break };
            let (rest, here) = gradients.split_at_mut(place.start);
            let here = &mut here[..place.len()];
            linear(isa, weights, rows, &[], d, here);
            activate::backward(isa, shape.activation, &before[place], here);
            (d, gradients) = (here, rest);
        }
        if let (Some(weights), false) = (back.next(), dx.is_empty()) {
            linear(isa, weights, rows, &[], d, dx);
        }
    }
}
