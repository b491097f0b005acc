//! InstanceNorm++ on flex.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use tweedie_kernels::instance_norm::{self as norm, Parameters};
use tweedie_kernels::{Buffer, InstructionSet};

use super::{dims, done, sizes, slice, tensor};
use crate::nn::ops::Fused;

/// InstanceNorm++, then `then`: gamma, alpha and beta are `[1, C]` or `[N, C]`.
///
/// # Panics
/// When the shapes do not fit, as burn's operations do.
pub fn instance_norm_pp(
    x: Tensor<4>,
    parameters: [Tensor<2>; 3],
    epsilon: f64,
    then: Fused,
) -> Tensor<4> {
    let x = x.into_dispatch();
    let [gamma, alpha, beta] = parameters.map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::tweedie_instance_norm_pp(
        x, gamma, alpha, beta, epsilon, then,
    ))
}

/// The operation as burn routes it.
#[backend_extension(Flex, Autodiff)]
pub trait InstanceNormOps: Backend {
    /// InstanceNorm++, then `then`.
    fn tweedie_instance_norm_pp(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        then: Fused,
    ) -> FloatTensor<Self>;
}

/// What the backward pass needs of an engine.
pub trait InstanceNormGradients: InstanceNormOps {
    /// Of input, gamma, alpha and beta.
    fn instance_norm_pp_grads(
        given: [FloatTensor<Self>; 4],
        dy: FloatTensor<Self>,
        epsilon: f64,
        then: Fused,
    ) -> [FloatTensor<Self>; 4];
}

impl InstanceNormOps for Flex {
    fn tweedie_instance_norm_pp(
        x: FlexTensor,
        gamma: FlexTensor,
        alpha: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
        then: Fused,
    ) -> FlexTensor {
        let given = [x, gamma, alpha, beta].map(|tensor| tensor.to_contiguous());
        let [x, parameters @ ..] = &given;
        let shape = norm_shape(x, epsilon, then);
        let y = norm::forward(
            InstructionSet::best(),
            &shape,
            slice(x),
            &slices(parameters),
        );
        tensor(done(y), dims(x))
    }
}

impl InstanceNormGradients for Flex {
    fn instance_norm_pp_grads(
        given: [FlexTensor; 4],
        dy: FlexTensor,
        epsilon: f64,
        then: Fused,
    ) -> [FlexTensor; 4] {
        let given = given.map(|tensor| tensor.to_contiguous());
        let dy = dy.to_contiguous();
        let [x, parameters @ ..] = &given;
        let shape = norm_shape(x, epsilon, then);
        let grads = done(norm::backward(
            InstructionSet::best(),
            &shape,
            slice(x),
            &slices(parameters),
            slice(&dy),
        ));
        let [gamma, alpha, beta] = parameters;
        let like = |values: &[f32], of| tensor(Buffer::from(values), sizes::<2>(of));
        [
            tensor(grads.input, dims(x)),
            like(&grads.gamma, gamma),
            like(&grads.alpha, alpha),
            like(&grads.beta, beta),
        ]
    }
}

fn norm_shape(x: &FlexTensor, epsilon: f64, then: Fused) -> norm::Shape {
    let [images, h, w, channels] = dims(x);
    norm::Shape {
        images,
        pixels: h * w,
        channels,
        epsilon,
        then,
    }
}

fn slices([gamma, alpha, beta]: &[FlexTensor; 3]) -> Parameters<'_> {
    Parameters {
        gamma: slice(gamma),
        alpha: slice(alpha),
        beta: slice(beta),
    }
}

impl<B: InstanceNormGradients, C: CheckpointStrategy> InstanceNormOps for Autodiff<B, C> {
    fn tweedie_instance_norm_pp(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        then: Fused,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), gamma.node(), alpha.node(), beta.node()];
        let given = [x, gamma, alpha, beta].map(|tensor| tensor.primitive().clone());
        let [x, gamma, alpha, beta] = given.clone();
        let y = B::tweedie_instance_norm_pp(x, gamma, alpha, beta, epsilon, then);
        match InstanceNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((given, epsilon, then), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

/// The backward pass of a normalisation.
#[derive(Debug)]
struct InstanceNorm;

impl<B: InstanceNormGradients> Backward<B, 4> for InstanceNorm {
    type State = ([FloatTensor<B>; 4], f64, Fused);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (given, epsilon, then) = ops.state;
        let found = B::instance_norm_pp_grads(given, dy, epsilon, then);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
