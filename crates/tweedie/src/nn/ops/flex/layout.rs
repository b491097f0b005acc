//! Channels last and first on flex.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use tweedie_kernels::channels;

use super::{dims, done, slice, tensor};

/// `[N, C, H, W]` to `[N, H, W, C]`.
pub fn channels_last(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::tweedie_channels(x.into_dispatch(), Order::Last))
}

/// `[N, H, W, C]` to `[N, C, H, W]`.
pub fn channels_first(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::tweedie_channels(x.into_dispatch(), Order::First))
}

/// The position of the channels.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Behind the pixels.
    Last,
    /// Before them.
    First,
}

impl Order {
    fn other(self) -> Self {
        match self {
            Self::Last => Self::First,
            Self::First => Self::Last,
        }
    }
}

/// The operation as burn routes it.
#[backend_extension(Flex, Autodiff)]
pub trait LayoutOps: Backend {
    /// Moves channels to where `order` says.
    fn tweedie_channels(x: FloatTensor<Self>, order: Order) -> FloatTensor<Self>;
}

impl LayoutOps for Flex {
    fn tweedie_channels(x: FlexTensor, order: Order) -> FlexTensor {
        let x = x.to_contiguous();
        match order {
            Order::Last => {
                let [n, c, h, w] = dims(&x);
                tensor(done(channels::last([n, c, h * w], slice(&x))), [n, h, w, c])
            }
            Order::First => {
                let [n, h, w, c] = dims(&x);
                tensor(
                    done(channels::first([n, c, h * w], slice(&x))),
                    [n, c, h, w],
                )
            }
        }
    }
}

impl<B: LayoutOps, C: CheckpointStrategy> LayoutOps for Autodiff<B, C> {
    fn tweedie_channels(x: FloatTensor<Self>, order: Order) -> FloatTensor<Self> {
        let y = B::tweedie_channels(x.primitive().clone(), order);
        match Channels.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(order, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

/// The backward pass: the inverse permutation.
#[derive(Debug)]
struct Channels;

impl<B: LayoutOps> Backward<B, 1> for Channels {
    type State = Order;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::tweedie_channels(dy, ops.state.other()));
        }
    }
}
