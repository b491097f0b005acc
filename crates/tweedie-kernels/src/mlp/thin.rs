//! One hidden layer between a few values in and a few out.
//!
//! Rows fill the lanes of vectors, so that no lane is idle however few values a row has. One
//! hidden unit at a time is computed from the block's inputs, used and forgotten: nothing of the
//! hidden layer ever reaches memory.

use rayon::prelude::*;

use super::{Given, Layer, Shape};
use crate::instruction_set::{by_instruction_set, mul_add};
use crate::{Activation, Buffer, InstructionSet};

/// Values in or out at most.
const FEW: usize = 8;

/// Rows side by side.
const LANES: usize = 64;

/// Lanes of the sums over rows.
const PARTIAL: usize = 16;

/// Blocks of rows that one task of the forward pass takes.
const BLOCKS: usize = 16;

/// Rows from which the backward pass is cut into parts, and how many parts at most.
const PART: usize = 512;
const PARTS: usize = 32;

/// Values of the inputs and outputs of one block.
type Rows = [[f32; LANES]; FEW];

pub(super) fn fits(shape: &Shape) -> bool {
    matches!(shape.widths[..], [i, _, o] if (1..=FEW).contains(&i) && o <= FEW)
}

/// The parameters, unit by unit: its weights `[I]`, its bias, its weights in the output `[O]`.
struct Units<'a> {
    inputs: usize,
    outputs: usize,
    activation: Activation,
    values: &'a [f32],
    /// The output's.
    bias: &'a [f32],
}

impl Units<'_> {
    /// Values of one unit.
    fn each(&self) -> usize {
        self.inputs + 1 + self.outputs
    }
}

fn with_units<T>(shape: &Shape, layers: &[Layer], f: impl FnOnce(&Units) -> T) -> T {
    let [inputs, hidden, outputs] = [0, 1, 2].map(|k| shape.widths[k]);
    let each = inputs + 1 + outputs;
    let mut values = Buffer::take(hidden * each);
    for (k, unit) in values.chunks_exact_mut(each).enumerate() {
        unit[..inputs].copy_from_slice(&layers[0].weight[k * inputs..][..inputs]);
        unit[inputs] = layers[0].bias[k];
        for (o, value) in unit[inputs + 1..].iter_mut().enumerate() {
            *value = layers[1].weight[o * hidden + k];
        }
    }
    f(&Units {
        inputs,
        outputs,
        activation: shape.activation,
        values: &values,
        bias: layers[1].bias,
    })
}

pub(super) fn forward(
    isa: InstructionSet,
    shape: &Shape,
    x: &[f32],
    layers: &[Layer],
    out: &mut [f32],
) {
    with_units(shape, layers, |units| {
        let task = BLOCKS * LANES;
        let one = |(out, x): (&mut [f32], &[f32])| forward_rows(isa, units, x, out);
        if shape.rows <= task {
            return one((out, x));
        }
        out.par_chunks_mut(task * units.outputs)
            .zip(x.par_chunks(task * units.inputs))
            .for_each(one);
    });
}

/// Fills `dx` unless it is empty, and gives the gradients of weights and biases.
pub(super) fn backward(
    isa: InstructionSet,
    shape: &Shape,
    given: &Given,
    dx: &mut [f32],
) -> (Vec<Buffer>, Vec<Buffer>) {
    let &Given { x, layers, dy, .. } = given;
    with_units(shape, layers, |units| {
        let (inputs, outputs) = (units.inputs, units.outputs);
        // Parts depend on the shape alone.
        let parts = shape.rows.div_ceil(PART).min(PARTS);
        let share = shape.rows.div_ceil(parts).next_multiple_of(LANES);
        let parts = shape.rows.div_ceil(share);
        // Of every unit, then of the output's bias.
        let sums = units.values.len() + outputs;
        let mut partial = Buffer::take(parts * sums * PARTIAL);
        // Slices of no length where no gradient of the input is asked for.
        let mut dx: Vec<&mut [f32]> = match dx.is_empty() {
            true => (0..parts).map(|_| &mut [][..]).collect(),
            false => dx.chunks_mut(share * inputs).collect(),
        };
        let given = x
            .par_chunks(share * inputs)
            .zip(dy.par_chunks(share * outputs));
        partial
            .par_chunks_mut(sums * PARTIAL)
            .zip(given)
            .zip(&mut dx)
            .for_each(|((sums, (x, dy)), dx)| {
                sums.fill(0.0);
                let (sums, _) = sums.as_chunks_mut();
                backward_rows(isa, units, x, dy, dx, sums);
            });

        // The parts in order, then the lanes.
        let (lanes, others) = partial.split_at_mut(sums * PARTIAL);
        for other in others.chunks_exact(sums * PARTIAL) {
            lanes
                .iter_mut()
                .zip(other)
                .for_each(|(sum, part)| *sum += part);
        }
        let total: Vec<f32> = lanes.as_chunks().0.iter().map(|&sum| fold(sum)).collect();
        let hidden = shape.widths[1];
        let (each, of_bias) = total.split_at(units.values.len());
        let mut weights = [inputs * hidden, hidden * outputs].map(Buffer::take);
        let mut biases = [Buffer::take(hidden), Buffer::from(of_bias)];
        for (k, unit) in each.chunks_exact(units.each()).enumerate() {
            weights[0][k * inputs..][..inputs].copy_from_slice(&unit[..inputs]);
            biases[0][k] = unit[inputs];
            for (o, &sum) in unit[inputs + 1..].iter().enumerate() {
                weights[1][o * hidden + k] = sum;
            }
        }
        (weights.into(), biases.into())
    })
}

/// The sum of all lanes, by halves.
fn fold(mut lanes: [f32; PARTIAL]) -> f32 {
    let mut half = PARTIAL / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

by_instruction_set! {
    /// Any number of rows.
    fn forward_rows(units: &Units, x: &[f32], out: &mut [f32])
        = forward_body::<false>, forward_body::<true>, forward_body::<true>
}

by_instruction_set! {
    /// Adds to `sums`, `PARTIAL` lanes each of every unit and of the output's bias.
    fn backward_rows(units: &Units, x: &[f32], dy: &[f32], dx: &mut [f32], sums: &mut [[f32; PARTIAL]])
        = backward_body::<false>, backward_body::<true>, backward_body::<true>
}

#[inline(always)]
fn forward_body<const FMA: bool>(units: &Units, x: &[f32], out: &mut [f32]) {
    let (inputs, outputs) = (units.inputs, units.outputs);
    let mut block = [[0.0; LANES]; FEW];
    let mut y = [[0.0; LANES]; FEW];
    let rows = x.chunks(LANES * inputs);
    for (x, out) in rows.zip(out.chunks_mut(LANES * outputs)) {
        spread(x, inputs, &mut block);
        for (y, &bias) in y.iter_mut().zip(units.bias) {
            *y = [bias; LANES];
        }
        for unit in units.values.chunks_exact(units.each()) {
            let (first, second) = unit.split_at(inputs + 1);
            let t = hidden::<FMA>(first, &block);
            let h = units.activation.values::<LANES, FMA>(t);
            for (y, &w) in y.iter_mut().zip(second) {
                for l in 0..LANES {
                    y[l] = mul_add::<FMA>(w, h[l], y[l]);
                }
            }
        }
        collect(&y, outputs, out);
    }
}

// Loops over inputs and outputs use checked indices: if the compiler knew the iterations to be
// independent, it would vectorise across them and treat the lanes one by one.
#[inline(always)]
fn backward_body<const FMA: bool>(
    units: &Units,
    x: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    sums: &mut [[f32; PARTIAL]],
) {
    let (inputs, outputs) = (units.inputs, units.outputs);
    let mut block = [[0.0; LANES]; FEW];
    let mut gradient = [[0.0; LANES]; FEW];
    let with_input = !dx.is_empty();
    let mut back = dx.chunks_mut(LANES * inputs);
    let rows = x.chunks(LANES * inputs);
    for (x, dy) in rows.zip(dy.chunks(LANES * outputs)) {
        spread(x, inputs, &mut block);
        // Lanes beyond the last row have gradients of zero and add nothing.
        spread(dy, outputs, &mut gradient);
        let mut dx = [[0.0; LANES]; FEW];
        let (of_units, of_bias) = sums.split_at_mut(units.values.len());
        let each = of_units.chunks_exact_mut(units.each());
        for (unit, sums) in units.values.chunks_exact(units.each()).zip(each) {
            let (first, second) = unit.split_at(inputs + 1);
            let (of_first, of_second) = sums.split_at_mut(inputs + 1);
            let t = hidden::<FMA>(first, &block);
            let h = units.activation.values::<LANES, FMA>(t);
            let mut d = [0.0; LANES];
            for o in 0..outputs {
                let (w, dy) = (second[o], &gradient[o]);
                for l in 0..LANES {
                    d[l] = mul_add::<FMA>(w, dy[l], d[l]);
                }
                add_products::<FMA>(&h, dy, &mut of_second[o]);
            }
            let d = units.activation.back::<LANES, FMA>(t, d);
            let (of_weights, of_bias) = of_first.split_at_mut(inputs);
            for i in 0..inputs {
                add_products::<FMA>(&d, &block[i], &mut of_weights[i]);
            }
            add_values(&d, &mut of_bias[0]);
            if with_input {
                for (dx, &w) in dx.iter_mut().zip(&first[..inputs]) {
                    for l in 0..LANES {
                        dx[l] = mul_add::<FMA>(w, d[l], dx[l]);
                    }
                }
            }
        }
        for o in 0..outputs {
            add_values(&gradient[o], &mut of_bias[o]);
        }
        if let Some(out) = back.next() {
            collect(&dx, inputs, out);
        }
    }
}

/// What a unit's activation is applied to; `weights` are its own and its bias.
#[inline(always)]
fn hidden<const FMA: bool>(weights: &[f32], x: &Rows) -> [f32; LANES] {
    let (bias, weights) = weights.split_last().unwrap_or((&0.0, &[]));
    let mut t = [*bias; LANES];
    for (x, &w) in x.iter().zip(weights) {
        for l in 0..LANES {
            t[l] = mul_add::<FMA>(w, x[l], t[l]);
        }
    }
    t
}

#[inline(always)]
fn add_products<const FMA: bool>(a: &[f32; LANES], b: &[f32; LANES], sum: &mut [f32; PARTIAL]) {
    let mut s = *sum;
    for (a, b) in a
        .as_chunks::<PARTIAL>()
        .0
        .iter()
        .zip(b.as_chunks::<PARTIAL>().0)
    {
        for l in 0..PARTIAL {
            s[l] = mul_add::<FMA>(a[l], b[l], s[l]);
        }
    }
    *sum = s;
}

#[inline(always)]
fn add_values(a: &[f32; LANES], sum: &mut [f32; PARTIAL]) {
    let mut s = *sum;
    for a in a.as_chunks::<PARTIAL>().0 {
        for l in 0..PARTIAL {
            s[l] += a[l];
        }
    }
    *sum = s;
}

/// Up to `LANES` rows of `width` values, transposed; zeros in the lanes beyond.
#[inline(always)]
fn spread(rows: &[f32], width: usize, block: &mut Rows) {
    if rows.len() < LANES * width {
        *block = [[0.0; LANES]; FEW];
    }
    match width {
        // Rows of one or two values in whole blocks are the usual case, and they vectorise.
        1 if rows.len() == LANES => block[0].copy_from_slice(rows),
        2 if rows.len() == 2 * LANES => {
            for (l, row) in rows.as_chunks::<2>().0.iter().enumerate() {
                (block[0][l], block[1][l]) = (row[0], row[1]);
            }
        }
        _ => {
            for (l, row) in rows.chunks_exact(width).enumerate() {
                for (block, &value) in block.iter_mut().zip(row) {
                    block[l] = value;
                }
            }
        }
    }
}

/// The reverse of [`spread`].
#[inline(always)]
fn collect(block: &Rows, width: usize, rows: &mut [f32]) {
    if width == 1 {
        return rows.copy_from_slice(&block[0][..rows.len()]);
    }
    for (l, row) in rows.chunks_exact_mut(width).enumerate() {
        for (value, block) in row.iter_mut().zip(block) {
            *value = block[l];
        }
    }
}
