//! The convolution, on the unit that its weights were laid out for.

use half::bf16;

use super::weights::{Form, Weights};
use crate::Buffer;
use crate::channels::{round_to, to_single};
use crate::conv::{self, Shape};
use crate::error::Result;

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
    let residual_len = residual.map(<[bf16]>::len);
    let dims = shape.output_dims(weights.fit(shape), x.len(), bias.len(), residual_len)?;
    let mut out = Buffer::take(dims.iter().product());
    if out.is_empty() {
        return Ok(out);
    }
    match &weights.form {
        Form::Wide(weights) => wide(shape, x, weights, bias, residual, &mut out)?,
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        Form::Tiles(weights) => {
            let [_, oh, ow, o] = dims;
            let terms = super::tiles::Terms::new(o, bias, residual);
            super::tiles::forward(shape, [oh, ow], x, weights, &terms, &mut out);
        }
    }
    Ok(out)
}

/// In `f32` throughout; only the input and the output are bf16.
fn wide(
    shape: &Shape,
    x: &[bf16],
    weights: &conv::Weights,
    bias: &[f32],
    residual: Option<&[bf16]>,
    out: &mut [bf16],
) -> Result<()> {
    let residual = residual.map(to_single);
    let y = conv::forward_with(
        shape,
        &to_single(x),
        weights,
        bias,
        residual.as_deref(),
        false,
    )?;
    round_to(&y, out);
    Ok(())
}
