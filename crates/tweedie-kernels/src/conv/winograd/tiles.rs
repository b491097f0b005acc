//! Where the tiles of a batch lie, and their input.
//!
//! Four rows of output of one image are a band; bands lie one behind the other in memory, so
//! that tasks own whole slices of the output.

use std::ops::Range;

use super::transform::{Input, OutputBack, both};
use super::weights::LANES;
use super::{IN, OUT, XI};
use crate::simd::Simd;

/// The tiles of every image.
#[derive(Clone, Copy, Debug)]
pub(in crate::conv) struct Grid {
    /// H and W of the input.
    pub input: [usize; 2],
    /// Zeros before the first row and column.
    pub before: [usize; 2],
    /// H and W of the output.
    pub output: [usize; 2],
    /// Bands of an image.
    pub bands: usize,
    /// Tiles of a band.
    pub across: usize,
}

/// One tile: its image, and the first row and column of its output.
#[derive(Clone, Copy, Debug)]
pub(in crate::conv) struct Tile {
    pub image: usize,
    pub row: usize,
    pub column: usize,
}

impl Grid {
    pub fn new(input: [usize; 2], before: [usize; 2], output: [usize; 2]) -> Self {
        Self {
            input,
            before,
            output,
            bands: output[0].div_ceil(OUT),
            across: output[1].div_ceil(OUT),
        }
    }

    /// Tile number `t`, counted through bands and images.
    pub fn tile(&self, t: usize) -> Tile {
        let (band, column) = (t / self.across, t % self.across);
        Tile {
            image: band / self.bands,
            row: band % self.bands * OUT,
            column: column * OUT,
        }
    }

    /// Pixels of output in the bands `range`, counted through the images.
    pub fn pixels(&self, range: Range<usize>) -> usize {
        let rows = |bands: usize| {
            bands / self.bands * self.output[0] + (bands % self.bands * OUT).min(self.output[0])
        };
        (rows(range.end) - rows(range.start)) * self.output[1]
    }
}

/// Values between the products of one xi and the next: a row more than needed, since at powers
/// of two all 36 would fall on the same few lines of the L1 cache.
pub(super) fn pitch(rows: usize, depth: usize) -> usize {
    rows * depth + LANES
}

/// `V[xi][t] = (B^T d B)[xi]` of the tiles `range`, `[xi, t, depth]` with [`pitch`]; `x` holds
/// whole images of `channels`.
#[inline(always)]
pub(super) fn transform_input<S: Simd>(
    s: S,
    grid: &Grid,
    channels: usize,
    x: &[f32],
    range: Range<usize>,
    pitch: usize,
    v: &mut [f32],
) {
    let depth = channels.next_multiple_of(LANES);
    let [h, w] = grid.input;
    for (t, tile) in range.map(|t| grid.tile(t)).enumerate() {
        let image = &x[tile.image * h * w * channels..][..h * w * channels];
        // The pixels of the tile; nothing where they lie outside the image.
        let mut pixels = [[&ZEROS[..0]; IN]; IN];
        for (u, pixels) in pixels.iter_mut().enumerate() {
            for (k, pixel) in pixels.iter_mut().enumerate() {
                let row = (tile.row + u).wrapping_sub(grid.before[0]);
                let column = (tile.column + k).wrapping_sub(grid.before[1]);
                if row < h && column < w {
                    *pixel = &image[(row * w + column) * channels..][..channels];
                }
            }
        }
        for c in (0..depth).step_by(S::LANES) {
            let whole = c + S::LANES <= channels;
            let mut d = [[s.splat(0.0); IN]; IN];
            for u in 0..IN {
                for k in 0..IN {
                    let pixel = pixels[u][k];
                    d[u][k] = if whole {
                        // A choice between two addresses, not a branch.
                        s.load(if pixel.is_empty() {
                            &ZEROS
                        } else {
                            &pixel[c..]
                        })
                    } else {
                        s.load_some(&pixel[c.min(pixel.len())..])
                    };
                }
            }
            store(s, both::<Input, S, IN, IN>(s, d), t * depth + c, pitch, v);
        }
    }
}

/// What a pixel outside the image holds.
static ZEROS: [f32; LANES] = [0.0; LANES];

/// `Z[xi][t] = (A dY A^T)[xi]` of the tiles `range`, `[xi, t, depth]` with [`pitch`].
#[inline(always)]
pub(super) fn transform_gradient<S: Simd>(
    s: S,
    grid: &Grid,
    channels: usize,
    dy: &[f32],
    range: Range<usize>,
    pitch: usize,
    z: &mut [f32],
) {
    let depth = channels.next_multiple_of(LANES);
    let [h, w] = grid.output;
    for (t, tile) in range.map(|t| grid.tile(t)).enumerate() {
        let image = &dy[tile.image * h * w * channels..][..h * w * channels];
        for c in (0..depth).step_by(S::LANES) {
            let mut y = [[s.splat(0.0); OUT]; OUT];
            for (row, y) in (tile.row..h).zip(&mut y) {
                for (column, y) in (tile.column..w).zip(y) {
                    let pixel = &image[(row * w + column) * channels..][..channels];
                    *y = s.load_some(&pixel[c.min(channels)..]);
                }
            }
            store(
                s,
                both::<OutputBack, S, OUT, IN>(s, y),
                t * depth + c,
                pitch,
                z,
            );
        }
    }
}

#[inline(always)]
fn store<S: Simd>(s: S, values: [[S::V; IN]; IN], at: usize, pitch: usize, out: &mut [f32]) {
    let out = &mut out[at..][..(XI - 1) * pitch + S::LANES];
    for u in 0..IN {
        for k in 0..IN {
            s.store(values[u][k], &mut out[(u * IN + k) * pitch..]);
        }
    }
}
