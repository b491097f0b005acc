//! Convolution on flex.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};
use tweedie_kernels::conv::half;
use tweedie_kernels::{Buffer, InstructionSet, conv};

use super::{dims, done, slice, tensor};
use crate::nn::layers::Activation;
use crate::nn::ops::{Convolution, Padding, activate};

/// As [`generic::conv2d`](crate::nn::ops::generic::conv2d), in one pass over the output.
///
/// # Panics
/// When the shapes do not fit, as burn's operations do.
pub fn conv2d(operands: Convolution) -> Tensor<4> {
    let rectify = operands.is_rectified_at_once();
    let rows = operands.bias_rows().into_dispatch();
    let (x, weight) = (operands.x.into_dispatch(), operands.weight.into_dispatch());
    let (stride, padding, kept) = (operands.stride, operands.padding, operands.kept);
    if rectify {
        let y = Dispatch::tweedie_rectified_conv2d(x, weight, rows, stride, padding, kept);
        return Tensor::from_dispatch(y);
    }
    let y = match operands.residual.map(Tensor::into_dispatch) {
        None => Dispatch::tweedie_conv2d(x, weight, rows, stride, padding, kept),
        Some(to) => Dispatch::tweedie_conv2d_onto(x, weight, rows, to, stride, padding, kept),
    };
    activate(Tensor::from_dispatch(y), operands.then)
}

impl Convolution {
    /// Whether the kernel's one pass may end with ReLU: what needs no gradient.
    fn is_rectified_at_once(&self) -> bool {
        let of_two = self.x.is_autodiff() || self.weight.is_autodiff();
        let tracked = of_two || self.bias.is_autodiff();
        let more = self.residual.is_some() || self.shift.is_some();
        self.then == Activation::Relu && !tracked && !more && self.x.dtype() == DType::F32
    }

    /// One row of biases for all images, or one for each: the kernel adds either in its one pass.
    pub(super) fn bias_rows(&self) -> Tensor<2> {
        let outputs = self.bias.dims()[0];
        let rows = self.bias.clone().reshape([1, outputs]);
        match &self.shift {
            Some(shift) => shift.clone() + rows,
            None => rows,
        }
    }
}

/// A layer's weights as the kernel reads them, kept from call to call while they are the same
/// tensor: in training they change with every step. A copy of a layer starts without.
#[derive(Default)]
pub struct Kept(Arc<Mutex<Option<LaidOut>>>);

/// A tensor, and its values as the kernel reads them.
type LaidOut = (FlexTensor, Arc<Weights>);

/// Weights for images of `f32` or of bf16.
enum Weights {
    Single(conv::Weights),
    Half(half::Weights),
}

impl Weights {
    fn new(shape: &conv::Shape, weight: &FlexTensor, of: DType) -> Self {
        let weight = weight.to_contiguous();
        match of {
            DType::BF16 => Self::Half(done(half::Weights::new(
                half::Unit::best(),
                shape,
                slice(&weight),
            ))),
            _ => Self::Single(done(conv::Weights::new(
                InstructionSet::best(),
                shape,
                slice(&weight),
            ))),
        }
    }

    fn fit(&self, shape: &conv::Shape, of: DType) -> bool {
        match self {
            Self::Single(weights) => of == DType::F32 && weights.fit(shape),
            Self::Half(weights) => of == DType::BF16 && weights.fit(shape),
        }
    }
}

impl Kept {
    /// The weights laid out for images of `shape` and of type `of`.
    fn weights(&self, shape: &conv::Shape, weight: &FlexTensor, of: DType) -> Arc<Weights> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((tensor, weights)) = &*kept
            // While it is held here, the tensor's memory can be neither overwritten nor reused.
            && Arc::ptr_eq(&tensor.data_arc(), &weight.data_arc())
            && weights.fit(shape, of)
        {
            return Arc::clone(weights);
        }
        let weights = Arc::new(Weights::new(shape, weight, of));
        *kept = Some((weight.clone(), Arc::clone(&weights)));
        weights
    }

    /// The same memory, for one call.
    pub fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Clone for Kept {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

/// The operation as burn routes it.
#[backend_extension(Flex, Autodiff)]
pub trait ConvOps: Backend {
    /// `bias` is `[1, O]` or `[N, O]`.
    fn tweedie_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
        padding: Padding,
        kept: Kept,
    ) -> FloatTensor<Self>;

    /// The same, plus `residual`.
    fn tweedie_conv2d_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        stride: usize,
        padding: Padding,
        kept: Kept,
    ) -> FloatTensor<Self>;
}

/// The operation without gradients.
#[backend_extension(Flex)]
pub trait RectifiedConvOps: Backend {
    /// The convolution followed by ReLU.
    fn tweedie_rectified_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
        padding: Padding,
        kept: Kept,
    ) -> FloatTensor<Self>;
}

impl RectifiedConvOps for Flex {
    fn tweedie_rectified_conv2d(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        stride: usize,
        padding: Padding,
        kept: Kept,
    ) -> FlexTensor {
        convolve(x, weight, bias, None, stride, padding, &kept, true)
    }
}

/// What the backward pass needs of an engine.
pub trait ConvGradients: ConvOps {
    /// Of the convolution's input, whose height and width are `size`.
    fn conv2d_grad_input(
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        size: [usize; 2],
        stride: usize,
        padding: Padding,
    ) -> FloatTensor<Self>;

    /// Of the convolution's weight, of kernel sizes `kernel`.
    fn conv2d_grad_weight(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: [usize; 2],
        stride: usize,
        padding: Padding,
    ) -> FloatTensor<Self>;

    /// Of the convolution's bias: `[N, O]`, or their sum `[1, O]`.
    fn conv2d_grad_bias(dy: FloatTensor<Self>, each_image: bool) -> FloatTensor<Self>;
}

impl ConvOps for Flex {
    fn tweedie_conv2d(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        stride: usize,
        padding: Padding,
        kept: Kept,
    ) -> FlexTensor {
        convolve(x, weight, bias, None, stride, padding, &kept, false)
    }

    fn tweedie_conv2d_onto(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        stride: usize,
        padding: Padding,
        kept: Kept,
    ) -> FlexTensor {
        convolve(
            x,
            weight,
            bias,
            Some(residual),
            stride,
            padding,
            &kept,
            false,
        )
    }
}

#[allow(clippy::too_many_arguments)]
fn convolve(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    residual: Option<FlexTensor>,
    stride: usize,
    padding: Padding,
    kept: &Kept,
    rectify: bool,
) -> FlexTensor {
    let (x, bias) = (x.to_contiguous(), bias.to_contiguous());
    let residual = residual.map(|r| r.to_contiguous());
    let [n, h, w, _] = dims(&x);
    let [o, i, k, l] = dims(&weight);
    let shape = conv_shape([n, h, w, i], o, [k, l], stride, padding);
    let [oh, ow] = done(shape.output_size());
    let weights = kept.weights(&shape, &weight, x.dtype());
    let (bias, size) = (slice(&bias), [n, oh, ow, o]);
    match &*weights {
        Weights::Single(weights) => {
            let residual = residual.as_ref().map(slice);
            let y = conv::forward_with(&shape, slice(&x), weights, bias, residual, rectify);
            tensor(done(y), size)
        }
        Weights::Half(weights) => {
            let residual = residual.as_ref().map(slice);
            let y = half::forward(&shape, slice(&x), weights, bias, residual);
            tensor(done(y), size)
        }
    }
}

impl ConvGradients for Flex {
    fn conv2d_grad_input(
        weight: FlexTensor,
        dy: FlexTensor,
        [h, w]: [usize; 2],
        stride: usize,
        padding: Padding,
    ) -> FlexTensor {
        let (weight, dy) = (weight.to_contiguous(), dy.to_contiguous());
        let [n, ..] = dims(&dy);
        let [o, i, k, l] = dims(&weight);
        let shape = conv_shape([n, h, w, i], o, [k, l], stride, padding);
        let dx = conv::grad_input(InstructionSet::best(), &shape, slice(&weight), slice(&dy));
        tensor(done(dx), [n, h, w, i])
    }

    fn conv2d_grad_weight(
        x: FlexTensor,
        dy: FlexTensor,
        kernel: [usize; 2],
        stride: usize,
        padding: Padding,
    ) -> FlexTensor {
        let (x, dy) = (x.to_contiguous(), dy.to_contiguous());
        let input = dims(&x);
        let [.., o] = dims(&dy);
        let shape = conv_shape(input, o, kernel, stride, padding);
        let dw = conv::grad_weight(InstructionSet::best(), &shape, slice(&x), slice(&dy));
        tensor(done(dw), [o, input[3], kernel[0], kernel[1]])
    }

    fn conv2d_grad_bias(dy: FlexTensor, each_image: bool) -> FlexTensor {
        let dy = dy.to_contiguous();
        let [n, h, w, o] = dims(&dy);
        // The sum over a window of one pixel.
        let shape = conv_shape([n, h, w, 1], o, [1, 1], 1, [[0; 2]; 2]);
        let rows = done(conv::grad_bias(InstructionSet::best(), &shape, slice(&dy)));
        if each_image {
            return tensor(rows, [n, o]);
        }
        let mut sum = Buffer::<f32>::zeros(o);
        for row in rows.chunks_exact(o.max(1)) {
            sum.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value);
        }
        tensor(sum, [1, o])
    }
}

/// Of an input `[N, H, W, I]` and a weight's O and `[K, L]`.
fn conv_shape(
    [images, h, w, inputs]: [usize; 4],
    outputs: usize,
    kernel: [usize; 2],
    stride: usize,
    padding: Padding,
) -> conv::Shape {
    conv::Shape {
        images,
        size: [h, w],
        inputs,
        outputs,
        kernel,
        stride,
        padding,
    }
}

impl<B: ConvGradients, C: CheckpointStrategy> ConvOps for Autodiff<B, C> {
    fn tweedie_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
        padding: Padding,
        kept: Kept,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.primitive().clone());
        let given = (x.clone(), weight.clone(), bias.clone());
        let y = B::tweedie_conv2d(given.0, given.1, given.2, stride, padding, kept);
        match Conv2d.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, bias, stride, padding), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn tweedie_conv2d_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        stride: usize,
        padding: Padding,
        kept: Kept,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node(), residual.node()];
        let [x, weight, bias, to] =
            [x, weight, bias, residual].map(|tensor| tensor.primitive().clone());
        let given = (x.clone(), weight.clone(), bias.clone());
        let y = B::tweedie_conv2d_onto(given.0, given.1, given.2, to, stride, padding, kept);
        match Conv2d.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, bias, stride, padding), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

/// The backward pass of a convolution of x, weight, bias and, where `N` is 4, a residual.
#[derive(Debug)]
struct Conv2d;

impl<B: ConvGradients, const N: usize> Backward<B, N> for Conv2d {
    type State = (
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        usize,
        Padding,
    );

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, weight, bias, stride, padding) = ops.state;
        let mut parents = ops.parents.into_iter();
        let mut next = || parents.next().flatten();
        let [for_x, for_weight, for_bias, for_residual] = [next(), next(), next(), next()];
        if let Some(node) = for_residual {
            grads.register::<B>(node.id, dy.clone());
        }
        if let Some(node) = for_bias {
            let each_image = bias.shape()[0] == x.shape()[0];
            grads.register::<B>(node.id, B::conv2d_grad_bias(dy.clone(), each_image));
        }
        let [_, h, w, _] = x.shape().dims();
        if let Some(node) = for_weight {
            let kernel = [weight.shape()[2], weight.shape()[3]];
            let dw = B::conv2d_grad_weight(x, dy.clone(), kernel, stride, padding);
            grads.register::<B>(node.id, dw);
        }
        // None for the first layer, whose input is data.
        if let Some(node) = for_x {
            let dx = B::conv2d_grad_input(weight, dy, [h, w], stride, padding);
            grads.register::<B>(node.id, dx);
        }
    }
}
