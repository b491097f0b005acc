//! Average pooling on flex.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use tweedie_kernels::pool;

use super::{dims, done, slice, tensor};

/// The mean of every two by two pixels: `[N, H, W, C]` to `[N, H / 2, W / 2, C]`.
///
/// # Panics
/// When height or width is odd.
pub fn avg_pool_2x(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::tweedie_avg_pool_2x(x.into_dispatch()))
}

/// The operation as burn routes it.
#[backend_extension(Flex, Autodiff)]
pub trait PoolOps: Backend {
    /// Average pooling.
    fn tweedie_avg_pool_2x(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// What the backward pass needs of an engine.
pub trait PoolGradients: PoolOps {
    /// Of the pooling's input.
    fn avg_pool_2x_grad(dy: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl PoolOps for Flex {
    fn tweedie_avg_pool_2x(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let [n, h, w, c] = dims(&x);
        let y = done(pool::forward([n, h, w, c], slice(&x)));
        tensor(y, [n, h / 2, w / 2, c])
    }
}

impl PoolGradients for Flex {
    fn avg_pool_2x_grad(dy: FlexTensor) -> FlexTensor {
        let dy = dy.to_contiguous();
        let [n, h, w, c] = dims(&dy);
        let shape = [n, 2 * h, 2 * w, c];
        tensor(done(pool::backward(shape, slice(&dy))), shape)
    }
}

impl<B: PoolGradients, C: CheckpointStrategy> PoolOps for Autodiff<B, C> {
    fn tweedie_avg_pool_2x(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let y = B::tweedie_avg_pool_2x(x.primitive().clone());
        match AvgPool2x
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

/// The backward pass of a pooling.
#[derive(Debug)]
struct AvgPool2x;

impl<B: PoolGradients> Backward<B, 1> for AvgPool2x {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::avg_pool_2x_grad(dy));
        }
    }
}
