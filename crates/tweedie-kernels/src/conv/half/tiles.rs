//! Convolution by tiles of 16 pixels, 32 channels and 16 outputs, image by image.

use half::bf16;
use rayon::prelude::*;

use super::amx::Registers;
use super::weights::{BLOCK, DEPTH};
use crate::channels::round;
use crate::conv::Shape;
use crate::conv::epilogue::bias_row;
use crate::conv::forward::border;
use crate::conv::pad::Border;
use crate::instruction_set::by_instruction_set;
use crate::{Buffer, InstructionSet};

/// Pixels of a tile.
pub(super) const ROWS: usize = 16;

/// What is added to the sums of a pixel.
pub(super) struct Terms<'a> {
    outputs: usize,
    bias: &'a [f32],
    residual: &'a [bf16],
}

impl<'a> Terms<'a> {
    /// `bias` is `[O]` or `[N, O]`.
    pub fn new(outputs: usize, bias: &'a [f32], residual: Option<&'a [bf16]>) -> Self {
        Self {
            outputs,
            bias,
            residual: residual.unwrap_or(&[]),
        }
    }

    /// Writes `sums + bias + residual` of one image's pixel, counted through the images.
    #[inline(always)]
    fn write(&self, image: usize, pixel: usize, channel: usize, sums: &[f32], y: &mut [bf16]) {
        let count = y.len();
        let row = bias_row(self.bias, self.outputs, image) * self.outputs;
        let bias = &self.bias[row + channel..][..count];
        let sums = &sums[..count];
        if self.residual.is_empty() {
            for i in 0..count {
                y[i] = round(sums[i] + bias[i]);
            }
        } else {
            let residual = &self.residual[pixel * self.outputs + channel..][..count];
            for i in 0..count {
                y[i] = round(sums[i] + bias[i] + residual[i].to_f32());
            }
        }
    }
}

/// How the outputs of an image are cut into runs of [`ROWS`], each a pixel step apart.
struct Runs {
    /// Index of the first window's corner in the padded image, for each run.
    corners: Vec<usize>,
    /// Outputs from one row to the next, the last ones of which may lie outside the image.
    pitch: usize,
    /// Values from one output's corner to the next.
    step: usize,
    output: [usize; 2],
}

impl Runs {
    /// Row by row, or, where rows are short, straight through the padded image: the outputs
    /// between the rows are meaningless and are dropped.
    fn new(shape: &Shape, output: [usize; 2], width: usize, depth: usize) -> Self {
        let [oh, ow] = output;
        let step = shape.stride * depth;
        let by_row = oh * ow.div_ceil(ROWS);
        let through = (oh * width).div_ceil(ROWS);
        let rows = shape.stride > 1 || by_row <= through;
        let pitch = match rows {
            true => ow.next_multiple_of(ROWS),
            false => width,
        };
        let count = if rows { by_row } else { through };
        let corner = |first: usize| match rows {
            true => first / pitch * shape.stride * width * depth + first % pitch * step,
            false => first * depth,
        };
        Self {
            corners: (0..count).map(|r| corner(r * ROWS)).collect(),
            pitch,
            step,
            output,
        }
    }

    /// The output pixel at place `q` of the runs, if it is one.
    fn pixel(&self, q: usize) -> Option<usize> {
        let [oh, ow] = self.output;
        let (row, column) = (q / self.pitch, q % self.pitch);
        (row < oh && column < ow).then_some(row * ow + column)
    }

    /// How many pixels lie before place `q`.
    fn before(&self, q: usize) -> usize {
        let [oh, ow] = self.output;
        (q / self.pitch * ow + (q % self.pitch).min(ow)).min(oh * ow)
    }
}

/// Two runs of one block of outputs: what the registers hold at a time.
pub(super) struct Job<'a> {
    /// The padded image, channels rounded up to [`DEPTH`].
    pub x: &'a [bf16],
    /// The first corner of each run.
    pub corners: [usize; 2],
    /// Values from one corner to the next.
    pub step: usize,
    /// Where each step of [`DEPTH`] channels of a tap begins, relative to a corner.
    pub steps: &'a [usize],
    /// The weights of the block.
    pub weights: &'a [bf16],
}

/// The sums of two runs, `[2, 16, 32]`.
pub(super) type Sums = [[[f32; BLOCK]; ROWS]; 2];

impl Job<'_> {
    /// Panics where a run or the weights do not lie inside their slices.
    pub fn check(&self) {
        let farthest = self.steps.iter().copied().max().unwrap_or(0) + DEPTH;
        let reach = self.corners[0].max(self.corners[1]) + (ROWS - 1) * self.step + farthest;
        assert!(reach <= self.x.len(), "a run leaves the padded image");
        let weights = self.steps.len() * DEPTH * BLOCK;
        assert!(weights <= self.weights.len(), "weights are missing");
    }
}

/// The convolution of checked arguments.
pub(super) fn forward(
    shape: &Shape,
    output: [usize; 2],
    x: &[bf16],
    weights: &[bf16],
    terms: &Terms,
    out: &mut [bf16],
) {
    let depth = shape.inputs.next_multiple_of(DEPTH);
    let o = shape.outputs;
    let pixels = output[0] * output[1];
    let border = Border {
        channels: depth,
        ..border(shape)
    };
    let width = border.width();
    let runs = Runs::new(shape, output, width, depth);
    let [rows, columns] = shape.kernel;
    let steps: Vec<usize> = (0..rows * columns)
        .map(|t| (t / columns * width + t % columns) * depth)
        .flat_map(|tap| (0..depth).step_by(DEPTH).map(move |c| tap + c))
        .collect();
    // What the last run reads behind the image.
    let reach = runs.corners.iter().max().unwrap_or(&0)
        + (ROWS - 1) * runs.step
        + steps.last().unwrap_or(&0)
        + DEPTH;
    let image = shape.size[0] * shape.size[1] * shape.inputs;
    let padded = |n: usize| {
        let mut padded = Buffer::take(border.len().max(reach));
        fill(&border, shape.inputs, &x[n * image..][..image], &mut padded);
        padded
    };

    // Whole images where there are enough of them, otherwise pairs of runs.
    let threads = rayon::current_num_threads();
    let count = runs.corners.len();
    let each = match shape.images >= 2 * threads {
        true => count,
        false => count.div_ceil(4 * threads).next_multiple_of(2),
    };
    let shared: Option<Vec<Buffer<bf16>>> =
        (each < count).then(|| (0..shape.images).into_par_iter().map(padded).collect());
    let mut tasks = Vec::new();
    for (n, mut rest) in out.chunks_mut(pixels * o).enumerate() {
        for first in (0..count).step_by(each) {
            let some = first..count.min(first + each);
            let targets = runs.before(some.end * ROWS) - runs.before(some.start * ROWS);
            let (part, after) = rest.split_at_mut(targets * o);
            rest = after;
            tasks.push((n, some, part));
        }
    }
    tasks.into_par_iter().for_each(|(n, some, out)| {
        let own;
        let x = match &shared {
            Some(all) => &all[n],
            None => {
                own = padded(n);
                &own
            }
        };
        let start = runs.before(some.start * ROWS);
        let registers = Registers::shaped();
        let mut sums: Box<Sums> = Box::new([[[0.0; BLOCK]; ROWS]; 2]);
        for first in some.clone().step_by(2) {
            // A last run alone is computed twice.
            let pair = [first, (first + 1).min(some.end - 1)];
            for (j, block) in (0..o).step_by(BLOCK).enumerate() {
                let of_block = steps.len() * DEPTH * BLOCK;
                let job = Job {
                    x,
                    corners: pair.map(|run| runs.corners[run]),
                    step: runs.step,
                    steps: &steps,
                    weights: &weights[j * of_block..][..of_block],
                };
                registers.sums(&job, &mut sums);
                let finished = Finished {
                    runs: &runs,
                    pair,
                    start,
                    image: n,
                    block,
                };
                finish(InstructionSet::best(), &finished, &sums, terms, out);
            }
        }
    });
}

/// Where the sums of two runs belong.
struct Finished<'a> {
    runs: &'a Runs,
    pair: [usize; 2],
    /// The first pixel of the task's output.
    start: usize,
    image: usize,
    /// The first channel.
    block: usize,
}

by_instruction_set! {
    /// Adds the terms, rounds and writes.
    fn finish(place: &Finished, sums: &Sums, terms: &Terms, out: &mut [bf16])
        = finish_body, finish_body, finish_body
}

#[inline(always)]
fn finish_body(place: &Finished, sums: &Sums, terms: &Terms, out: &mut [bf16]) {
    let Finished {
        runs,
        pair,
        start,
        image,
        block,
    } = *place;
    let o = terms.outputs;
    let pixels = runs.output[0] * runs.output[1];
    for (run, sums) in pair.into_iter().zip(sums) {
        for (r, sums) in sums.iter().enumerate() {
            if let Some(pixel) = runs.pixel(run * ROWS + r) {
                let y = &mut out[(pixel - start) * o + block..];
                let at = image * pixels + pixel;
                // A whole block has a length that the compiler knows.
                match y.first_chunk_mut::<BLOCK>() {
                    Some(y) if block + BLOCK <= o => terms.write(image, at, block, sums, y),
                    _ => terms.write(image, at, block, sums, &mut y[..o - block]),
                }
            }
        }
    }
}

/// Copies an image of `channels` into its border, channels rounded up by zeros; what is left
/// becomes zero.
fn fill(border: &Border, channels: usize, x: &[bf16], out: &mut [bf16]) {
    let depth = border.channels;
    let wide = border.width() * depth;
    let row = border.size[1];
    let start = border.before[0] * wide;
    let end = start + border.size[0] * wide;
    out[..start].fill(bf16::ZERO);
    out[end..].fill(bf16::ZERO);
    for (to, from) in out[start..end]
        .chunks_exact_mut(wide)
        .zip(x.chunks_exact(row * channels))
    {
        let left = border.before[1] * depth;
        let right = left + row * depth;
        to[..left].fill(bf16::ZERO);
        to[right..].fill(bf16::ZERO);
        let to = &mut to[left..right];
        if depth == channels {
            to.copy_from_slice(from);
            continue;
        }
        for (to, from) in to.chunks_exact_mut(depth).zip(from.chunks_exact(channels)) {
            to[..channels].copy_from_slice(from);
            to[channels..].fill(bf16::ZERO);
        }
    }
}
