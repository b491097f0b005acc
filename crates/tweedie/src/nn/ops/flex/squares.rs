//! The losses of a batch on flex.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use tweedie_kernels::{InstructionSet, squares as kernel};

use super::{done, slice, tensor};

/// `1/2 || gain f + offset ||^2` of each row: `[N]` for `f` and `offset` `[N, D]`, `gain` `[N]`.
/// Only `f` has a gradient.
///
/// # Panics
/// When the shapes do not fit, as burn's operations do.
pub fn half_squares(f: Tensor<2>, gain: Tensor<1>, offset: Tensor<2>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::tweedie_half_squares(
        f.into_dispatch(),
        gain.into_dispatch(),
        offset.into_dispatch(),
    ))
}

/// The operation as burn routes it.
#[backend_extension(Flex, Autodiff)]
pub trait SquaresOps: Backend {
    /// The losses.
    fn tweedie_half_squares(
        f: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// What the backward pass needs of an engine.
pub trait SquaresGradients: SquaresOps {
    /// Of `f`.
    fn half_squares_grad(
        f: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        dl: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl SquaresOps for Flex {
    fn tweedie_half_squares(f: FlexTensor, gain: FlexTensor, offset: FlexTensor) -> FlexTensor {
        let [f, gain, offset] = [f, gain, offset].map(|tensor| tensor.to_contiguous());
        let [n, d] = f.layout().shape().dims();
        let (gain, offset) = (slice(&gain), slice(&offset));
        let losses = kernel::forward(InstructionSet::best(), [n, d], slice(&f), gain, offset);
        tensor(done(losses), [n])
    }
}

impl SquaresGradients for Flex {
    fn half_squares_grad(
        f: FlexTensor,
        gain: FlexTensor,
        offset: FlexTensor,
        dl: FlexTensor,
    ) -> FlexTensor {
        let [f, gain, offset, dl] = [f, gain, offset, dl].map(|tensor| tensor.to_contiguous());
        let [n, d] = f.layout().shape().dims();
        let (gain, offset) = (slice(&gain), slice(&offset));
        let df = kernel::backward(
            InstructionSet::best(),
            [n, d],
            slice(&f),
            gain,
            offset,
            slice(&dl),
        );
        tensor(done(df), [n, d])
    }
}

impl<B: SquaresGradients, C: CheckpointStrategy> SquaresOps for Autodiff<B, C> {
    fn tweedie_half_squares(
        f: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [f.node()];
        let [f, gain, offset] = [f, gain, offset].map(|tensor| tensor.primitive().clone());
        let losses = B::tweedie_half_squares(f.clone(), gain.clone(), offset.clone());
        match HalfSquares.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((f, gain, offset), losses),
            OpsKind::UnTracked(prep) => prep.finish(losses),
        }
    }
}

/// The backward pass of the losses.
#[derive(Debug)]
struct HalfSquares;

impl<B: SquaresGradients> Backward<B, 1> for HalfSquares {
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dl = grads.consume::<B>(&ops.node);
        let (f, gain, offset) = ops.state;
        let [node] = ops.parents;
        if let Some(node) = node {
            let df = B::half_squares_grad(f, gain, offset, dl);
            grads.register::<B>(node.id, df);
        }
    }
}
