//! Concatenating channels on flex.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor, bf16};
use tweedie_kernels::channels;

use super::{dims, done, slice, tensor};

/// `[N, H, W, A]` and `[N, H, W, B]` to `[N, H, W, A + B]`.
///
/// # Panics
/// When the shapes do not fit, as burn's operations do.
pub fn concat(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    let (a, b) = (a.into_dispatch(), b.into_dispatch());
    Tensor::from_dispatch(Dispatch::tweedie_concat(a, b))
}

/// The operation as burn routes it.
#[backend_extension(Flex, Autodiff)]
pub trait ConcatOps: Backend {
    /// Concatenates channels.
    fn tweedie_concat(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// What the backward pass needs of an engine.
pub trait ConcatGradients: ConcatOps {
    /// The parts of the output's gradient that belong to `channels`.
    fn concat_grads(dy: FloatTensor<Self>, channels: [usize; 2]) -> [FloatTensor<Self>; 2];
}

impl ConcatOps for Flex {
    fn tweedie_concat(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        let (a, b) = (a.to_contiguous(), b.to_contiguous());
        let ([n, h, w, first], [.., second]) = (dims(&a), dims(&b));
        let size = [n, h, w, first + second];
        let (pixels, widths) = (n * h * w, [first, second]);
        match a.dtype() {
            DType::BF16 => {
                let joined = channels::concat::<bf16>(pixels, widths, slice(&a), slice(&b));
                tensor(done(joined), size)
            }
            _ => {
                let joined = channels::concat::<f32>(pixels, widths, slice(&a), slice(&b));
                tensor(done(joined), size)
            }
        }
    }
}

impl ConcatGradients for Flex {
    fn concat_grads(dy: FlexTensor, channels: [usize; 2]) -> [FlexTensor; 2] {
        let dy = dy.to_contiguous();
        let [n, h, w, _] = dims(&dy);
        let [a, b] = done(channels::split::<f32>(n * h * w, channels, slice(&dy)));
        let size = channels.map(|c| [n, h, w, c]);
        [tensor(a, size[0]), tensor(b, size[1])]
    }
}

impl<B: ConcatGradients, C: CheckpointStrategy> ConcatOps for Autodiff<B, C> {
    fn tweedie_concat(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [a.node(), b.node()];
        let [a, b] = [a, b].map(|tensor| tensor.primitive().clone());
        let channels = [&a, &b].map(|part| part.shape()[3]);
        let y = B::tweedie_concat(a, b);
        match Concat.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(channels, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

/// The backward pass of a concatenation.
#[derive(Debug)]
struct Concat;

impl<B: ConcatGradients> Backward<B, 2> for Concat {
    type State = [usize; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let parts = B::concat_grads(dy, ops.state);
        for (node, gradient) in ops.parents.into_iter().zip(parts) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
