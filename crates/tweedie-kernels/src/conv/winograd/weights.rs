//! The weights' transform, `U[xi] = (G g G^T)[xi]` for every pair of channels.

use rayon::prelude::*;

use super::transform::{Weight, both};
use super::{IN, XI};
use crate::conv::Shape;
use crate::conv::gather::block;
use crate::simd::{Simd, by_simd};
use crate::{Buffer, InstructionSet};

/// Channels that the transforms of images handle at a time; depths are rounded up to it.
pub(super) const LANES: usize = 16;

/// Which convolution the weights `[O, I, 3, 3]` are read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From I channels to O.
    Forward,
    /// From O channels to I, with the kernel flipped: the gradient of the input.
    Back,
}

/// Transformed weights, `[outputs / block, xi, depth, block]`, zeros at the ends.
pub struct Transformed {
    pub(super) values: Buffer,
    /// Outputs side by side.
    pub(super) block: usize,
    /// Channels in, rounded up to whole lanes.
    pub(super) depth: usize,
    /// Channels in and out.
    pub(super) channels: [usize; 2],
}

impl Transformed {
    /// `weight` is `[O, I, 3, 3]` of `shape`.
    pub fn new(isa: InstructionSet, shape: &Shape, direction: Direction, weight: &[f32]) -> Self {
        let channels = match direction {
            Direction::Forward => [shape.inputs, shape.outputs],
            Direction::Back => [shape.outputs, shape.inputs],
        };
        let [inputs, outputs] = channels;
        let block = block(isa, outputs);
        let depth = inputs.next_multiple_of(LANES);
        let mut values = Buffer::take(outputs.div_ceil(block) * XI * depth * block);
        let of = Source {
            weight,
            shape,
            direction,
            channels,
        };
        values
            .par_chunks_mut(XI * depth * block)
            .enumerate()
            .for_each(|(j, out)| pack(isa, &of, j * block, block, out));
        Self {
            values,
            block,
            depth,
            channels,
        }
    }
}

struct Source<'a> {
    weight: &'a [f32],
    shape: &'a Shape,
    direction: Direction,
    channels: [usize; 2],
}

impl Source<'_> {
    /// The 3x3 values between channel `i` in and some channels out from `first` on, zeros beyond
    /// the last.
    #[inline(always)]
    fn read<S: Simd>(&self, s: S, i: usize, first: usize) -> [[S::V; 3]; 3] {
        let mut lanes = [[0.0; LANES]; 9];
        let count = S::LANES.min(self.channels[1].saturating_sub(first));
        for b in 0..count {
            let (o, i) = match self.direction {
                Direction::Forward => (first + b, i),
                Direction::Back => (i, first + b),
            };
            let taps = &self.weight[(o * self.shape.inputs + i) * 9..][..9];
            for (lanes, &tap) in lanes.iter_mut().zip(taps) {
                lanes[b] = tap;
            }
        }
        let mut g = [[s.splat(0.0); 3]; 3];
        for t in 0..9 {
            let from = match self.direction {
                Direction::Forward => t,
                Direction::Back => 8 - t,
            };
            g[t / 3][t % 3] = s.load(&lanes[from]);
        }
        g
    }
}

by_simd! {
    /// One block of outputs.
    fn pack(of: &Source, first: usize, block: usize, out: &mut [f32])
        = pack_body, pack_body, pack_body
}

#[inline(always)]
fn pack_body<S: Simd>(s: S, of: &Source, first: usize, block: usize, out: &mut [f32]) {
    let depth = out.len() / (XI * block);
    for i in 0..depth {
        for b in (0..block).step_by(S::LANES) {
            let mut u = [[s.splat(0.0); IN]; IN];
            if i < of.channels[0] {
                u = both::<Weight, S, 3, IN>(s, of.read(s, i, first + b));
            }
            for xi in 0..XI {
                s.store(
                    u[xi / IN][xi % IN],
                    &mut out[(xi * depth + i) * block + b..],
                );
            }
        }
    }
}
