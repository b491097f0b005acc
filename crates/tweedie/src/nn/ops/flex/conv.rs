//! Convolution on flex.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use tweedie_kernels::{Level, conv};

use super::{dims, done, slice, tensor};

/// Zero padding of the two spatial axes: `[[top, left], [bottom, right]]`.
pub type Padding = [[usize; 2]; 2];

/// Cross-correlation of `x` `[N, H, W, I]` with `weight` `[O, I, K, K]`, plus `bias` `[O]` and,
/// where given, a `shift` `[N, O]` for each image and channel.
///
/// # Panics
/// When the shapes do not fit, as burn's operations do.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    shift: Option<Tensor<2>>,
    stride: usize,
    padding: Padding,
) -> Tensor<4> {
    let outputs = bias.dims()[0];
    // One row of biases for all images, or one for each: the kernel adds either in its one pass.
    let mut rows = bias.reshape([1, outputs]);
    if let Some(shift) = shift {
        rows = shift + rows;
    }
    let (x, weight, rows) = (
        x.into_dispatch(),
        weight.into_dispatch(),
        rows.into_dispatch(),
    );
    Tensor::from_dispatch(Dispatch::tweedie_conv2d(x, weight, rows, stride, padding))
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
    ) -> FloatTensor<Self>;
}

/// What the step back needs of an engine.
pub trait ConvGradients: ConvOps {
    /// Of the convolution's input, whose height and width are `size`.
    fn conv2d_grad_input(
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        size: [usize; 2],
        stride: usize,
        padding: Padding,
    ) -> FloatTensor<Self>;

    /// Of the convolution's weight, of kernel size `kernel`.
    fn conv2d_grad_weight(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        kernel: usize,
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
    ) -> FlexTensor {
        let (x, weight, bias) = (
            x.to_contiguous(),
            weight.to_contiguous(),
            bias.to_contiguous(),
        );
        let [n, h, w, _] = dims(&x);
        let [o, i, k, _] = dims(&weight);
        let shape = conv_shape([n, h, w, i], [o, k], stride, padding);
        let [oh, ow] = done(shape.output_size());
        let y = conv::forward(
            Level::best(),
            &shape,
            slice(&x),
            slice(&weight),
            slice(&bias),
        );
        tensor(done(y), [n, oh, ow, o])
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
        let [o, i, k, _] = dims(&weight);
        let shape = conv_shape([n, h, w, i], [o, k], stride, padding);
        let dx = conv::grad_input(Level::best(), &shape, slice(&weight), slice(&dy));
        tensor(done(dx), [n, h, w, i])
    }

    fn conv2d_grad_weight(
        x: FlexTensor,
        dy: FlexTensor,
        kernel: usize,
        stride: usize,
        padding: Padding,
    ) -> FlexTensor {
        let (x, dy) = (x.to_contiguous(), dy.to_contiguous());
        let input = dims(&x);
        let [.., o] = dims(&dy);
        let shape = conv_shape(input, [o, kernel], stride, padding);
        let dw = conv::grad_weight(Level::best(), &shape, slice(&x), slice(&dy));
        tensor(done(dw), [o, input[3], kernel, kernel])
    }

    fn conv2d_grad_bias(dy: FlexTensor, each_image: bool) -> FlexTensor {
        let dy = dy.to_contiguous();
        let [n, h, w, o] = dims(&dy);
        // The sum over a window of one pixel.
        let shape = conv_shape([n, h, w, 1], [o, 1], 1, [[0; 2]; 2]);
        let rows = done(conv::grad_bias(&shape, slice(&dy)));
        if each_image {
            return tensor(rows, [n, o]);
        }
        let mut sum = vec![0.0; o];
        for row in rows.chunks_exact(o.max(1)) {
            sum.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value);
        }
        tensor(sum, [1, o])
    }
}

/// Of an input `[N, H, W, I]` and a weight's `[O, K]`.
fn conv_shape(
    [images, h, w, inputs]: [usize; 4],
    [outputs, kernel]: [usize; 2],
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
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.primitive().clone());
        let y = B::tweedie_conv2d(x.clone(), weight.clone(), bias.clone(), stride, padding);
        match Conv2d.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, bias, stride, padding), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

/// The step back through a convolution.
#[derive(Debug)]
struct Conv2d;

impl<B: ConvGradients> Backward<B, 3> for Conv2d {
    type State = (
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        usize,
        Padding,
    );

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, weight, bias, stride, padding) = ops.state;
        let [for_x, for_weight, for_bias] = ops.parents;
        if let Some(node) = for_bias {
            let each_image = bias.shape()[0] == x.shape()[0];
            grads.register::<B>(node.id, B::conv2d_grad_bias(dy.clone(), each_image));
        }
        let [_, h, w, _] = x.shape().dims();
        if let Some(node) = for_weight {
            let kernel = weight.shape()[2];
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
