//! Convolution 3x3 of stride 1 by Winograd's minimal filtering, F(4x4, 3x3) (Lavin & Gray 2016,
//! "Fast Algorithms for Convolutional Neural Networks"):
//!
//! `Y = A^T [ (G g G^T) * (B^T d B) ] A`
//!
//! A tile of 4x4 outputs comes from a tile `d` of 6x6 inputs. With `g` the 3x3 weights and `*`
//! the product element by element, 36 products do the work of 144. Summed over channels, the
//! products become 36 matrix products, `M[xi] = V[xi] U[xi]` of `[tiles, I]` with `[I, O]`.
//!
//! The transforms evaluate polynomials at 0, +-5/8, +-3/2 and infinity. These points keep the
//! rounding error within twice that of the direct sum; the textbook's 0, +-1, +-2 lose four times
//! more.
//!
//! The gradients follow from the same bilinear map: that of the input is a convolution with the
//! flipped kernel, and that of the weights is
//! `dg = G^T [ sum over tiles of (B^T d B) * (A dY A^T) ] G`.

mod forward;
mod grad_weight;
mod tiles;
mod transform;
mod weights;

pub(super) use forward::forward;
pub(super) use grad_weight::grad_weight;
pub(super) use tiles::Grid;
pub(super) use weights::{Direction, Transformed};

use super::Shape;

/// Side of a tile of outputs.
const OUT: usize = 4;
/// Side of the tile of inputs it needs.
const IN: usize = 6;
/// Products of a tile.
const XI: usize = IN * IN;

/// Whether this is the faster method. The answer depends on nothing but one image, so that an image
/// gives the same bits in any batch.
pub(super) fn pays(shape: &Shape, output: [usize; 2]) -> bool {
    let fits = shape.kernel == [3, 3] && shape.stride == 1;
    // With few channels the transforms cost more than the products they save.
    let deep = shape.inputs.min(shape.outputs) >= 16;
    // A small image leaves parts of its tiles unused.
    let [h, w] = output;
    let tiles = h.div_ceil(OUT) * w.div_ceil(OUT);
    fits && deep && h * w >= 6 * tiles
}
