//! Attention on flex.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use tweedie_kernels::InstructionSet;
use tweedie_kernels::attention::{self as kernel, Shape};

use super::{done, sizes, slice, tensor};

/// Softmax attention of `heads` heads: `q`, `k`, `v` are `[N, T, C]`, scaled by
/// `(C / heads)^(-1/2)`.
///
/// # Panics
/// When the shapes do not fit, as burn's operations do.
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let (q, k, v) = (q.into_dispatch(), k.into_dispatch(), v.into_dispatch());
    Tensor::from_dispatch(Dispatch::tweedie_attention(q, k, v, heads))
}

/// The operation as burn routes it.
#[backend_extension(Flex, Autodiff)]
pub trait AttentionOps: Backend {
    /// Softmax attention.
    fn tweedie_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self>;
}

/// What the backward pass needs of an engine.
pub trait AttentionGradients: AttentionOps {
    /// The output, and the log-sum-exps of the softmax, which the gradients need.
    fn attention_output(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        heads: usize,
    ) -> [FloatTensor<Self>; 2];

    /// Of queries, keys and values.
    fn attention_grads(
        inputs: [FloatTensor<Self>; 3],
        output: [FloatTensor<Self>; 2],
        dy: FloatTensor<Self>,
        heads: usize,
    ) -> [FloatTensor<Self>; 3];
}

impl AttentionOps for Flex {
    fn tweedie_attention(q: FlexTensor, k: FlexTensor, v: FlexTensor, heads: usize) -> FlexTensor {
        let [output, _] = Self::attention_output(q, k, v, heads);
        output
    }
}

impl AttentionGradients for Flex {
    fn attention_output(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        heads: usize,
    ) -> [FlexTensor; 2] {
        let [q, k, v] = [q, k, v].map(|x| x.to_contiguous());
        let shape = shape(&q, heads);
        let forward = done(kernel::forward(
            InstructionSet::best(),
            &shape,
            slice(&q),
            slice(&k),
            slice(&v),
        ));
        let rows = [shape.images, shape.tokens, heads];
        [
            tensor(forward.output, sizes::<3>(&q)),
            tensor(forward.log_sums, rows),
        ]
    }

    fn attention_grads(
        inputs: [FlexTensor; 3],
        [output, log_sums]: [FlexTensor; 2],
        dy: FlexTensor,
        heads: usize,
    ) -> [FlexTensor; 3] {
        let [q, k, v] = inputs.map(|x| x.to_contiguous());
        let dy = dy.to_contiguous();
        let forward = kernel::View {
            output: slice(&output),
            log_sums: slice(&log_sums),
        };
        let grads = done(kernel::backward(
            InstructionSet::best(),
            &shape(&q, heads),
            slice(&q),
            slice(&k),
            slice(&v),
            forward,
            slice(&dy),
        ));
        [grads.q, grads.k, grads.v].map(|gradient| tensor(gradient, sizes::<3>(&q)))
    }
}

fn shape(q: &FlexTensor, heads: usize) -> Shape {
    let [images, tokens, channels] = sizes(q);
    Shape {
        images,
        tokens,
        channels,
        heads,
    }
}

impl<B: AttentionGradients, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn tweedie_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        let nodes = [q.node(), k.node(), v.node()];
        let inputs = [q, k, v].map(|tensor| tensor.primitive().clone());
        let [q, k, v] = inputs.clone();
        let [y, log_sums] = B::attention_output(q, k, v, heads);
        match Attention.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let output = [y.clone(), log_sums];
                prep.finish((inputs, output, heads), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

/// The backward pass of an attention.
#[derive(Debug)]
struct Attention;

impl<B: AttentionGradients> Backward<B, 3> for Attention {
    type State = ([FloatTensor<B>; 3], [FloatTensor<B>; 2], usize);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (inputs, output, heads) = ops.state;
        let found = B::attention_grads(inputs, output, dy, heads);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
