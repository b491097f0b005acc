//! GroupNorm on flex.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor};
use tweedie_kernels::{Buffer, InstructionSet, group_norm as norm};

use super::{dims, done, slice, tensor};
use crate::nn::ops::Fused;

/// GroupNorm, then `then`: mean and (biased) variance over each of `groups` groups
/// of channels of each image `[N, H, W, C]`, then `weight` and `bias` `[C]` per channel.
///
/// # Panics
/// When the shapes do not fit, as burn's operations do.
pub fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
    then: Fused,
) -> Tensor<4> {
    let (x, weight, bias) = (
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    );
    Tensor::from_dispatch(Dispatch::tweedie_group_norm(
        x, weight, bias, groups, epsilon, then,
    ))
}

/// The operation as burn routes it.
#[backend_extension(Flex, Autodiff)]
pub trait NormOps: Backend {
    /// GroupNorm, then `then`.
    fn tweedie_group_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        then: Fused,
    ) -> FloatTensor<Self>;
}

/// What the backward pass needs of an engine.
pub trait NormGradients: NormOps {
    /// Of the normalisation's input, weight and bias.
    fn group_norm_grads(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        then: Fused,
    ) -> [FloatTensor<Self>; 3];
}

impl NormOps for Flex {
    fn tweedie_group_norm(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        groups: usize,
        epsilon: f64,
        then: Fused,
    ) -> FlexTensor {
        let (x, weight, bias) = (
            x.to_contiguous(),
            weight.to_contiguous(),
            bias.to_contiguous(),
        );
        let shape = norm_shape(&x, groups, epsilon, then);
        let (isa, size) = (InstructionSet::best(), dims(&x));
        let (weight, bias) = (slice(&weight), slice(&bias));
        match x.dtype() {
            DType::BF16 => {
                let y = norm::forward_half(isa, &shape, slice(&x), weight, bias);
                tensor(done(y), size)
            }
            _ => tensor(
                done(norm::forward(isa, &shape, slice(&x), weight, bias)),
                size,
            ),
        }
    }
}

impl NormGradients for Flex {
    fn group_norm_grads(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        dy: FlexTensor,
        groups: usize,
        epsilon: f64,
        then: Fused,
    ) -> [FlexTensor; 3] {
        let (x, dy) = (x.to_contiguous(), dy.to_contiguous());
        let (weight, bias) = (weight.to_contiguous(), bias.to_contiguous());
        let shape = norm_shape(&x, groups, epsilon, then);
        let (w, b) = (slice(&weight), slice(&bias));
        let grads = done(norm::backward(
            InstructionSet::best(),
            &shape,
            slice(&x),
            w,
            b,
            slice(&dy),
        ));
        let c = [shape.channels];
        [
            tensor(grads.input, dims(&x)),
            tensor(Buffer::from(&grads.weight[..]), c),
            tensor(Buffer::from(&grads.bias[..]), c),
        ]
    }
}

fn norm_shape(x: &FlexTensor, groups: usize, epsilon: f64, then: Fused) -> norm::Shape {
    let [images, h, w, channels] = dims(x);
    norm::Shape {
        images,
        pixels: h * w,
        channels,
        groups,
        epsilon,
        then,
    }
}

impl<B: NormGradients, C: CheckpointStrategy> NormOps for Autodiff<B, C> {
    fn tweedie_group_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        then: Fused,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.primitive().clone());
        let y = B::tweedie_group_norm(
            x.clone(),
            weight.clone(),
            bias.clone(),
            groups,
            epsilon,
            then,
        );
        match GroupNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, bias, groups, epsilon, then), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

/// The backward pass of a normalisation.
#[derive(Debug)]
struct GroupNorm;

impl<B: NormGradients> Backward<B, 3> for GroupNorm {
    type State = (
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        usize,
        f64,
        Fused,
    );

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, weight, bias, groups, epsilon, then) = ops.state;
        let found = B::group_norm_grads(x, weight, bias, dy, groups, epsilon, then);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
