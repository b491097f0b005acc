//! The gradients with respect to weights and biases: `dW = dt^T h` and the sum of `dt`, added up
//! over chunks of rows.
//!
//! The work is cut into strips of outputs and, where there are few of those, into parts of the
//! rows, both fixed by the shape. Each is summed by one thread, and the parts are added in order.

use std::ops::Range;

use rayon::prelude::*;

use super::Shape;
use super::wide::BLOCK;
use crate::instruction_set::by_instruction_set;
use crate::product::{SLACK, SPAN, Side, product};
use crate::{Buffer, InstructionSet};

/// Outputs in a strip: whole tiles of every instruction set, as rows of tiles or as lanes.
const STRIP: usize = 48;
const SWAPPED_STRIP: usize = 64;

/// Strips and parts to have at least, where there are rows enough.
const SHARES: usize = 32;

/// Rows of `width` values, in blocks: row r begins at `r / BLOCK * block + r % BLOCK * width`.
#[derive(Clone, Copy)]
pub(super) struct Factor<'a> {
    pub values: &'a [f32],
    pub block: usize,
    pub width: usize,
}

impl Factor<'_> {
    fn place(&self, row: usize) -> usize {
        row / BLOCK * self.block + row % BLOCK * self.width
    }
}

/// The sums of one layer.
struct Layer {
    inputs: usize,
    outputs: usize,
    /// Outputs in a strip.
    strip: usize,
    /// A strip's sums lie as `[input, output]`, not `[output, input]`: where the outputs fill the
    /// lanes of vectors better.
    swapped: bool,
    /// `[parts]` of all strips.
    weight: Buffer,
    /// `[parts, O]`.
    bias: Buffer,
}

/// The sums of all layers.
pub(super) struct Sums {
    isa: InstructionSet,
    layers: Vec<Layer>,
    parts: usize,
    /// Rows of a part in every chunk.
    share: usize,
}

impl Sums {
    /// Sums of zero, to add chunks of up to `chunk` rows to.
    pub fn new(isa: InstructionSet, shape: &Shape, chunk: usize) -> Self {
        let lanes = |len: usize| len.next_multiple_of(isa.widest());
        let forms = shape.widths.windows(2).map(|width| {
            let (inputs, outputs) = (width[0], width[1]);
            let swapped = inputs * lanes(outputs) < outputs * lanes(inputs);
            (inputs, outputs, swapped)
        });
        let strip = |swapped| if swapped { SWAPPED_STRIP } else { STRIP };
        let strips: usize = forms
            .clone()
            .map(|(_, outputs, swapped)| outputs.div_ceil(strip(swapped)))
            .sum();
        let parts = (SHARES / strips.max(1)).clamp(1, chunk.div_ceil(4 * SPAN).max(1));
        let share = chunk.div_ceil(parts).next_multiple_of(SPAN);
        let parts = chunk.div_ceil(share);
        let layers = forms.map(|(inputs, outputs, swapped)| Layer {
            inputs,
            outputs,
            strip: strip(swapped),
            swapped,
            weight: Buffer::zeros(parts * outputs * inputs),
            bias: Buffer::zeros(parts * outputs),
        });
        Self {
            isa,
            layers: layers.collect(),
            parts,
            share,
        }
    }

    /// Adds a chunk of `rows` rows, given each layer's `[h, dt]`.
    pub fn add(&mut self, rows: usize, factors: &[[Factor; 2]]) {
        let isa = self.isa;
        let mut tasks = Vec::new();
        for (layer, factors) in self.layers.iter_mut().zip(factors) {
            let (mut weight, mut bias) = (&mut layer.weight[..], &mut layer.bias[..]);
            for part in 0..self.parts {
                for first in (0..layer.outputs).step_by(layer.strip) {
                    let count = layer.strip.min(layer.outputs - first);
                    let (own_weight, weight_rest) = weight.split_at_mut(count * layer.inputs);
                    let (own_bias, bias_rest) = bias.split_at_mut(count);
                    (weight, bias) = (weight_rest, bias_rest);
                    tasks.push(Strip {
                        factors,
                        rows: part * self.share..rows.min((part + 1) * self.share),
                        first,
                        swapped: layer.swapped,
                        weight: own_weight,
                        bias: own_bias,
                    });
                }
            }
        }
        tasks.into_par_iter().for_each(|strip| strip.add(isa));
    }

    /// Each layer's gradients of weight and bias: the parts added in order.
    pub fn finish(self) -> (Vec<Buffer>, Vec<Buffer>) {
        let parts = self.parts;
        let layers = self.layers.into_iter();
        layers.map(|layer| layer.finish(parts)).unzip()
    }
}

/// Some outputs of a layer, summed over a part of the rows.
struct Strip<'a> {
    factors: &'a [Factor<'a>; 2],
    rows: Range<usize>,
    /// The first output.
    first: usize,
    swapped: bool,
    weight: &'a mut [f32],
    bias: &'a mut [f32],
}

impl Strip<'_> {
    fn add(self, isa: InstructionSet) {
        let [h, dt] = self.factors;
        for start in self.rows.clone().step_by(SPAN) {
            let rows = start..self.rows.end.min(start + SPAN);
            with_side(h, rows.clone(), 0, h.width, |h| {
                with_side(dt, rows, self.first, self.bias.len(), |dt| {
                    if self.swapped {
                        product(isa, h, dt, self.weight);
                    } else {
                        product(isa, dt, h, self.weight);
                    }
                    add_rows(isa, dt, self.bias);
                });
            });
        }
    }
}

impl Layer {
    fn finish(self, parts: usize) -> (Buffer, Buffer) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        if parts == 1 && !self.swapped {
            return (self.weight, self.bias);
        }
        let mut bias = Buffer::zeros(outputs);
        for part in self.bias.chunks_exact(outputs.max(1)) {
            bias.iter_mut().zip(part).for_each(|(sum, b)| *sum += b);
        }
        let each = inputs * outputs;
        let mut weight = Buffer::zeros(each);
        let strip = self.strip * inputs;
        if each == 0 {
            return (weight, bias);
        }
        let strips = weight.par_chunks_mut(strip).enumerate();
        strips.for_each(|(k, sums)| {
            for part in self.weight.chunks_exact(each) {
                let part = &part[k * strip..][..sums.len()];
                if self.swapped {
                    let count = sums.len() / inputs;
                    for (o, sums) in sums.chunks_exact_mut(inputs).enumerate() {
                        let column = part.iter().skip(o).step_by(count);
                        sums.iter_mut().zip(column).for_each(|(sum, w)| *sum += w);
                    }
                } else {
                    sums.iter_mut().zip(part).for_each(|(sum, w)| *sum += w);
                }
            }
        });
        (weight, bias)
    }
}

/// Calls `f` with `len` values from `first` on of the rows of a span: as they lie, or in a copy
/// where a tile would read beyond the end.
fn with_side(factor: &Factor, rows: Range<usize>, first: usize, len: usize, f: impl FnOnce(Side)) {
    let (count, width) = (rows.len(), factor.width);
    let mut at = [0; SPAN];
    for (at, row) in at.iter_mut().zip(rows) {
        *at = factor.place(row);
    }
    let end = at[count - 1] + width;
    if end + SLACK <= factor.values.len() {
        return f(Side {
            values: &factor.values[first..],
            at: &at[..count],
            len,
        });
    }
    let mut copy = Buffer::take(count * len + SLACK);
    for (k, at) in at[..count].iter_mut().enumerate() {
        copy[k * len..][..len].copy_from_slice(&factor.values[*at + first..][..len]);
        *at = k * len;
    }
    copy[count * len..].fill(0.0);
    f(Side {
        values: &copy,
        at: &at[..count],
        len,
    });
}

by_instruction_set! {
    /// Adds the rows of a span to `sums`.
    fn add_rows(side: Side, sums: &mut [f32]) = add_body, add_body, add_body
}

#[inline(always)]
fn add_body(side: Side, sums: &mut [f32]) {
    let mut span = [0.0; SWAPPED_STRIP];
    let span = &mut span[..side.len];
    for &at in side.at {
        let row = &side.values[at..][..side.len];
        span.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value);
    }
    sums.iter_mut()
        .zip(span)
        .for_each(|(sum, value)| *sum += *value);
}
