//! The convolution, image by image.

use half::bf16;
use rayon::prelude::*;

use super::unit::Kind;
use super::weights::{BLOCK, DEPTH, Form, Weights};
use crate::channels::round;
use crate::conv::Shape;
use crate::conv::epilogue::Epilogue;
use crate::conv::forward::{border, corners, taps};
use crate::conv::gather::{Part, Pixel, Plan, run};
use crate::conv::pad::Border;
use crate::error::{Result, check};
use crate::level::by_level;
use crate::{Buffer, Level};

/// Pixels of a tile.
pub(super) const ROWS: usize = 16;

/// `y[n, i, j, o] = b[n, o] + r[n, i, j, o] + sum over u, v, c of w[o, c, u, v]
/// x[n, s i + u - top, s j + v - left, c]`, rounded to bf16, `[N, H', W', O]`.
///
/// `bias` is `[O]` for all images or `[N, O]` for each; `residual` is as long as the output. A
/// sum is rounded once, when bias and residual are in it.
///
/// # Errors
/// When a length does not fit `shape`, or the weights were laid out for another.
pub fn forward(
    shape: &Shape,
    x: &[bf16],
    weights: &Weights,
    bias: &[f32],
    residual: Option<&[bf16]>,
) -> Result<Buffer<bf16>> {
    let [oh, ow] = shape.output_size()?;
    let o = shape.outputs;
    check("input", x.len(), &shape.input_dims())?;
    weights.check(shape)?;
    if bias.len() != o {
        check("bias", bias.len(), &[shape.images, o])?;
    }
    let dims = [shape.images, oh, ow, o];
    if let Some(residual) = residual {
        check("residual", residual.len(), &dims)?;
    }
    let mut out = Buffer::take(dims.iter().product());
    if out.is_empty() {
        return Ok(out);
    }
    let terms = Terms {
        outputs: o,
        bias,
        residual: residual.unwrap_or(&[]),
    };
    match &weights.form {
        Form::Plain(packed) => {
            let Kind::Widened(level) = weights.unit.0 else {
                unreachable!("plain weights are laid out for no other unit")
            };
            widened(level, shape, [oh, ow], x, packed, &terms, &mut out);
        }
        #[cfg(target_arch = "x86_64")]
        Form::Pairs(packed) => {
            by_tiles(weights.unit.0, shape, [oh, ow], x, packed, &terms, &mut out)
        }
        #[cfg(not(target_arch = "x86_64"))]
        Form::Pairs(_) => unreachable!("no unit of this machine reads pairs"),
    }
    Ok(out)
}

/// What is added to the sums of a pixel.
pub(super) struct Terms<'a> {
    outputs: usize,
    bias: &'a [f32],
    residual: &'a [bf16],
}

impl Terms<'_> {
    /// Writes `sums + bias + residual` of one image's pixel, counted through the images.
    #[inline(always)]
    fn write(&self, image: usize, pixel: usize, channel: usize, sums: &[f32], y: &mut [bf16]) {
        let count = y.len();
        let row = if self.bias.len() == self.outputs {
            0
        } else {
            image * self.outputs
        };
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

/// The image in `f32`, then the plain kernels.
fn widened(
    level: Level,
    shape: &Shape,
    output: [usize; 2],
    x: &[bf16],
    packed: &crate::conv::gather::Packed,
    terms: &Terms,
    out: &mut [bf16],
) {
    let border = border(shape);
    let width = border.width();
    let taps = taps(shape, width);
    let pixels: Vec<Pixel> = corners(shape, width, output)
        .enumerate()
        .map(|(target, corner)| Pixel { corner, target })
        .collect();
    let targets = pixels.len();
    let o = shape.outputs;
    let plan = Plan {
        taps: &taps,
        pixels: &pixels,
        padded: border.len(),
        targets,
        outputs: o,
        weights: packed,
        epilogue: Epilogue::none(o),
    };
    let image = shape.size[0] * shape.size[1] * shape.inputs;
    out.par_chunks_mut(targets * o)
        .enumerate()
        .for_each(|(n, out)| {
            let mut wide = Buffer::<f32>::take(image);
            let x = &x[n * image..][..image];
            wide.iter_mut()
                .zip(x)
                .for_each(|(to, from)| *to = from.to_f32());
            let mut padded = Buffer::<f32>::take(border.len());
            border.fill(&wide, &mut padded);
            let mut sums = Buffer::<f32>::take(targets * o);
            let part = Part {
                images: 0..1,
                targets: 0..targets,
            };
            run(level, &plan, &part, &padded, &mut sums);
            for p in 0..targets {
                let y = &mut out[p * o..][..o];
                terms.write(n, n * targets + p, 0, &sums[p * o..][..o], y);
            }
        });
}

/// How the outputs of an image are cut into runs of [`ROWS`], each a pixel step apart.
#[cfg(target_arch = "x86_64")]
struct Runs {
    /// Index of the first window's corner in the padded image, for each run.
    corners: Vec<usize>,
    /// Outputs from one row to the next, the last ones of which may lie outside the image.
    pitch: usize,
    /// Values from one output's corner to the next.
    step: usize,
    output: [usize; 2],
}

#[cfg(target_arch = "x86_64")]
impl Runs {
    /// Row by row, or, where rows are short, straight through the padded image: the outputs
    /// between the rows mean nothing and are dropped.
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

/// Two runs of one block of outputs: what a unit computes at a time.
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
pub(super) type Sums = [[[f32; BLOCK]; ROWS]; 2];

#[cfg(target_arch = "x86_64")]
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

#[cfg(target_arch = "x86_64")]
fn by_tiles(
    kind: Kind,
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
    let kernel = shape.kernel;
    let steps: Vec<usize> = (0..kernel * kernel)
        .map(|t| (t / kernel * width + t % kernel) * depth)
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
        let unit = Multiplier::new(kind);
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
                unit.sums(&job, &mut sums);
                let finished = Finished {
                    runs: &runs,
                    pair,
                    start,
                    image: n,
                    block,
                };
                finish(Level::best(), &finished, &sums, terms, out);
            }
        }
    });
}

/// Where the sums of two runs belong.
#[cfg(target_arch = "x86_64")]
struct Finished<'a> {
    runs: &'a Runs,
    pair: [usize; 2],
    /// The first pixel of the task's output.
    start: usize,
    image: usize,
    /// The first channel.
    block: usize,
}

#[cfg(target_arch = "x86_64")]
by_level! {
    /// Adds the terms, rounds and writes.
    fn finish(place: &Finished, sums: &Sums, terms: &Terms, out: &mut [bf16])
        = finish_body, finish_body, finish_body
}

#[cfg(target_arch = "x86_64")]
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

/// A unit made ready on this thread.
#[cfg(target_arch = "x86_64")]
enum Multiplier {
    Pairs,
    #[cfg(target_os = "linux")]
    Tiles(super::amx::Tiles),
}

#[cfg(target_arch = "x86_64")]
impl Multiplier {
    fn new(kind: Kind) -> Self {
        match kind {
            #[cfg(target_os = "linux")]
            Kind::Tiles => Self::Tiles(super::amx::Tiles::new(kind)),
            _ => {
                assert_eq!(
                    kind,
                    Kind::Pairs,
                    "weights in pairs need a unit that reads them"
                );
                Self::Pairs
            }
        }
    }

    fn sums(&self, job: &Job, sums: &mut Sums) {
        job.check();
        match self {
            Self::Pairs => super::pairs::sums(job, sums),
            #[cfg(target_os = "linux")]
            Self::Tiles(tiles) => tiles.sums(job, sums),
        }
    }
}

/// Copies an image of `channels` into its border, channels rounded up by zeros; what is left
/// becomes zero.
#[cfg(target_arch = "x86_64")]
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
