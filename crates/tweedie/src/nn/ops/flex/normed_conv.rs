//! GroupNorm and the convolution of its result on flex, as one operation.
//!
//! In training a convolution has to keep its input for the gradient of its weights. Here that is
//! the normalised image, which can be recomputed from the image before it; keeping only that one
//! halves the memory of a training step for a few percent of its time.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use super::conv::{ConvGradients, ConvOps};
use super::norm::{NormGradients, NormOps};
use crate::nn::ops::{Convolution, Fused, Kept, Padding, activate};

/// A GroupNorm's settings.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// A divisor of the channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// What follows.
    pub then: Fused,
}

/// The stride and padding of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Input pixels from one output to the next.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
}

/// The convolution of the normalised `operands.x`; `scale` and `shift` are GroupNorm's `[C]`.
///
/// # Panics
/// When the shapes do not fit, as burn's operations do.
pub fn normed_conv2d(
    norm: Norm,
    [scale, shift]: [Tensor<1>; 2],
    operands: Convolution,
) -> Tensor<4> {
    let window = Window {
        stride: operands.stride,
        padding: operands.padding,
    };
    let rows = operands.bias_rows().into_dispatch();
    let (scale, shift) = (scale.into_dispatch(), shift.into_dispatch());
    let (x, weight) = (operands.x.into_dispatch(), operands.weight.into_dispatch());
    let (kept, then) = (operands.kept, operands.then);
    let y = match operands.residual.map(Tensor::into_dispatch) {
        None => Dispatch::tweedie_normed_conv2d(x, scale, shift, weight, rows, norm, window, kept),
        Some(to) => Dispatch::tweedie_normed_conv2d_onto(
            x, scale, shift, weight, rows, to, norm, window, kept,
        ),
    };
    activate(Tensor::from_dispatch(y), then)
}

/// The operation as burn routes it.
#[backend_extension(Flex, Autodiff)]
pub trait NormedConvOps: Backend {
    /// `bias` is `[1, O]` or `[N, O]`.
    #[allow(clippy::too_many_arguments)]
    fn tweedie_normed_conv2d(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        norm: Norm,
        window: Window,
        kept: Kept,
    ) -> FloatTensor<Self>;

    /// The same, plus `residual`.
    #[allow(clippy::too_many_arguments)]
    fn tweedie_normed_conv2d_onto(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        norm: Norm,
        window: Window,
        kept: Kept,
    ) -> FloatTensor<Self>;
}

impl NormedConvOps for Flex {
    fn tweedie_normed_conv2d(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        norm: Norm,
        window: Window,
        kept: Kept,
    ) -> FlexTensor {
        let x = normalise::<Self>(x, scale, shift, norm);
        Self::tweedie_conv2d(x, weight, bias, window.stride, window.padding, kept)
    }

    fn tweedie_normed_conv2d_onto(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        norm: Norm,
        window: Window,
        kept: Kept,
    ) -> FlexTensor {
        let x = normalise::<Self>(x, scale, shift, norm);
        let Window { stride, padding } = window;
        Self::tweedie_conv2d_onto(x, weight, bias, residual, stride, padding, kept)
    }
}

fn normalise<B: NormOps>(
    x: FloatTensor<B>,
    scale: FloatTensor<B>,
    shift: FloatTensor<B>,
    norm: Norm,
) -> FloatTensor<B> {
    B::tweedie_group_norm(x, scale, shift, norm.groups, norm.epsilon, norm.then)
}

/// What the backward pass needs of an engine.
pub trait NormedConvGradients: NormedConvOps + NormGradients + ConvGradients {}

impl<B: NormedConvOps + NormGradients + ConvGradients> NormedConvGradients for B {}

impl<B: NormedConvGradients, C: CheckpointStrategy> NormedConvOps for Autodiff<B, C> {
    fn tweedie_normed_conv2d(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        norm: Norm,
        window: Window,
        kept: Kept,
    ) -> FloatTensor<Self> {
        let parents = [x, scale, shift, weight, bias];
        let nodes = parents.each_ref().map(|tensor| tensor.node());
        let inputs = parents.map(|tensor| tensor.primitive().clone());
        let [x, scale, shift, weight, bias] = inputs.clone();
        let y = B::tweedie_normed_conv2d(x, scale, shift, weight, bias, norm, window, kept);
        match NormedConv.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((inputs, norm, window), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn tweedie_normed_conv2d_onto(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        norm: Norm,
        window: Window,
        kept: Kept,
    ) -> FloatTensor<Self> {
        let parents = [x, scale, shift, weight, bias];
        let [a, b, c, d, e] = parents.each_ref().map(|tensor| tensor.node());
        let nodes = [a, b, c, d, e, residual.node()];
        let inputs = parents.map(|tensor| tensor.primitive().clone());
        let [x, scale, shift, weight, bias] = inputs.clone();
        let to = residual.primitive().clone();
        let y =
            B::tweedie_normed_conv2d_onto(x, scale, shift, weight, bias, to, norm, window, kept);
        match NormedConv.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((inputs, norm, window), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

/// The backward pass: x, scale, shift, weight, bias and, where `N` is 6, a residual.
#[derive(Debug)]
struct NormedConv;

impl<B: NormedConvGradients, const N: usize> Backward<B, N> for NormedConv {
    type State = ([FloatTensor<B>; 5], Norm, Window);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ([x, scale, shift, weight, bias], norm, Window { stride, padding }) = ops.state;
        let mut parents = ops.parents.into_iter();
        let mut next = || parents.next().flatten();
        let for_norm = [next(), next(), next()];
        let [for_weight, for_bias, for_residual] = [next(), next(), next()];
        if let Some(node) = for_residual {
            grads.register::<B>(node.id, dy.clone());
        }
        let [images, h, w, _] = x.shape().dims();
        if let Some(node) = for_bias {
            let each_image = bias.shape()[0] == images;
            grads.register::<B>(node.id, B::conv2d_grad_bias(dy.clone(), each_image));
        }
        if let Some(node) = for_weight {
            let normed = normalise::<B>(x.clone(), scale.clone(), shift.clone(), norm);
            let kernel = [weight.shape()[2], weight.shape()[3]];
            let dw = B::conv2d_grad_weight(normed, dy.clone(), kernel, stride, padding);
            grads.register::<B>(node.id, dw);
        }
        if for_norm.iter().all(Option::is_none) {
            return;
        }
        let dnormed = B::conv2d_grad_input(weight, dy, [h, w], stride, padding);
        let (groups, epsilon) = (norm.groups, norm.epsilon);
        let found = B::group_norm_grads(x, scale, shift, dnormed, groups, epsilon, norm.then);
        for (node, gradient) in for_norm.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
