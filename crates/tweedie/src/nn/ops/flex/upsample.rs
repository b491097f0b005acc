//! Upsampling on flex.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor, bf16};
use tweedie_kernels::upsample;

use super::{dims, done, slice, tensor};

/// Nearest-neighbour upsampling by two: `[N, H, W, C]` to `[N, 2H, 2W, C]`.
pub fn upsample_2x(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::tweedie_upsample_2x(x.into_dispatch()))
}

/// The operation as burn routes it.
#[backend_extension(Flex, Autodiff)]
pub trait UpsampleOps: Backend {
    /// Nearest-neighbour upsampling.
    fn tweedie_upsample_2x(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// What the backward pass needs of an engine.
pub trait UpsampleGradients: UpsampleOps {
    /// Of the upsampling's input.
    fn upsample_2x_grad(dy: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl UpsampleOps for Flex {
    fn tweedie_upsample_2x(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let [n, h, w, c] = dims(&x);
        let (shape, size) = ([n, h, w, c], [n, 2 * h, 2 * w, c]);
        match x.dtype() {
            DType::BF16 => tensor(done(upsample::forward::<bf16>(shape, slice(&x))), size),
            _ => tensor(done(upsample::forward::<f32>(shape, slice(&x))), size),
        }
    }
}

impl UpsampleGradients for Flex {
    fn upsample_2x_grad(dy: FlexTensor) -> FlexTensor {
        let dy = dy.to_contiguous();
        let [n, h, w, c] = dims(&dy);
        let shape = [n, h / 2, w / 2, c];
        tensor(done(upsample::backward(shape, slice(&dy))), shape)
    }
}

impl<B: UpsampleGradients, C: CheckpointStrategy> UpsampleOps for Autodiff<B, C> {
    fn tweedie_upsample_2x(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let y = B::tweedie_upsample_2x(x.primitive().clone());
        match Upsample2x
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

/// The backward pass of an upsampling.
#[derive(Debug)]
struct Upsample2x;

impl<B: UpsampleGradients> Backward<B, 1> for Upsample2x {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::upsample_2x_grad(dy));
        }
    }
}
