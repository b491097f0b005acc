//! The operations on burn's CPU engine, `flex`, by the kernels of `tweedie-kernels`.
//!
//! burn routes each call by the tensor's engine: to the kernels on flex, and on flex with
//! gradients to a wrapper that records the step back. On any other engine a call panics, so ask
//! [`is_flex`] first. Second derivatives are not provided.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Bytes, DType, Device, Shape, Tensor};
use tweedie_kernels::{Level, conv, group_norm as norm, upsample};

/// Zero padding of the two spatial axes: `[[top, left], [bottom, right]]`.
pub type Padding = [[usize; 2]; 2];

/// Whether a device is the engine of these operations, with or without gradients.
pub fn is_flex(device: &Device) -> bool {
    // Devices are equal by hardware, whatever their gradients.
    *device == Device::flex()
}

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

/// GroupNorm, followed by SiLU if `silu`: mean and (biased) variance over each of `groups` groups
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
    silu: bool,
) -> Tensor<4> {
    let (x, weight, bias) = (
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    );
    Tensor::from_dispatch(Dispatch::tweedie_group_norm(
        x, weight, bias, groups, epsilon, silu,
    ))
}

/// Nearest-neighbour upsampling by two: `[N, H, W, C]` to `[N, 2H, 2W, C]`.
pub fn upsample_2x(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::tweedie_upsample_2x(x.into_dispatch()))
}

/// The operations as burn routes them.
#[backend_extension(Flex, Autodiff)]
pub trait FlexOps: Backend {
    /// `bias` is `[1, O]` or `[N, O]`.
    fn tweedie_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
        padding: Padding,
    ) -> FloatTensor<Self>;

    /// GroupNorm, then SiLU if `silu`.
    fn tweedie_group_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        silu: bool,
    ) -> FloatTensor<Self>;

    /// Nearest-neighbour upsampling.
    fn tweedie_upsample_2x(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// What the steps back need of an engine.
pub trait FlexGradients: FlexOps {
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

    /// Of the normalisation's input, weight and bias.
    fn group_norm_grads(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        silu: bool,
    ) -> [FloatTensor<Self>; 3];

    /// Of the upsampling's input.
    fn upsample_2x_grad(dy: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FlexOps for Flex {
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

    fn tweedie_group_norm(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        groups: usize,
        epsilon: f64,
        silu: bool,
    ) -> FlexTensor {
        let (x, weight, bias) = (
            x.to_contiguous(),
            weight.to_contiguous(),
            bias.to_contiguous(),
        );
        let shape = norm_shape(&x, groups, epsilon, silu);
        let y = norm::forward(
            Level::best(),
            &shape,
            slice(&x),
            slice(&weight),
            slice(&bias),
        );
        tensor(done(y), dims(&x))
    }

    fn tweedie_upsample_2x(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let [n, h, w, c] = dims(&x);
        tensor(
            done(upsample::forward([n, h, w, c], slice(&x))),
            [n, 2 * h, 2 * w, c],
        )
    }
}

impl FlexGradients for Flex {
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

    fn group_norm_grads(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        dy: FlexTensor,
        groups: usize,
        epsilon: f64,
        silu: bool,
    ) -> [FlexTensor; 3] {
        let (x, dy) = (x.to_contiguous(), dy.to_contiguous());
        let (weight, bias) = (weight.to_contiguous(), bias.to_contiguous());
        let shape = norm_shape(&x, groups, epsilon, silu);
        let (w, b) = (slice(&weight), slice(&bias));
        let grads = done(norm::backward(
            Level::best(),
            &shape,
            slice(&x),
            w,
            b,
            slice(&dy),
        ));
        let c = [shape.channels];
        [
            tensor(grads.input, dims(&x)),
            tensor(grads.weight, c),
            tensor(grads.bias, c),
        ]
    }

    fn upsample_2x_grad(dy: FlexTensor) -> FlexTensor {
        let dy = dy.to_contiguous();
        let [n, h, w, c] = dims(&dy);
        let shape = [n, h / 2, w / 2, c];
        tensor(done(upsample::backward(shape, slice(&dy))), shape)
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

fn norm_shape(x: &FlexTensor, groups: usize, epsilon: f64, silu: bool) -> norm::Shape {
    let [images, h, w, channels] = dims(x);
    norm::Shape {
        images,
        pixels: h * w,
        channels,
        groups,
        epsilon,
        silu,
    }
}

fn dims(tensor: &FlexTensor) -> [usize; 4] {
    tensor.layout().shape().dims()
}

/// The values of a contiguous tensor.
fn slice(tensor: &FlexTensor) -> &[f32] {
    assert_eq!(tensor.dtype(), DType::F32, "the CPU kernels take f32");
    tensor.as_slice().expect("the tensor was made contiguous")
}

fn tensor<const D: usize>(values: Vec<f32>, dims: [usize; D]) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(Shape::new(dims)),
        DType::F32,
    )
}

/// An operation's result; burn's operations have no error to return, they panic.
fn done<T>(result: tweedie_kernels::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

impl<B: FlexGradients, C: CheckpointStrategy> FlexOps for Autodiff<B, C> {
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

    fn tweedie_group_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        silu: bool,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.primitive().clone());
        let y = B::tweedie_group_norm(
            x.clone(),
            weight.clone(),
            bias.clone(),
            groups,
            epsilon,
            silu,
        );
        match GroupNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, bias, groups, epsilon, silu), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

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

/// The step back through a convolution.
#[derive(Debug)]
struct Conv2d;

impl<B: FlexGradients> Backward<B, 3> for Conv2d {
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

/// The step back through a normalisation.
#[derive(Debug)]
struct GroupNorm;

impl<B: FlexGradients> Backward<B, 3> for GroupNorm {
    type State = (
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        usize,
        f64,
        bool,
    );

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, weight, bias, groups, epsilon, silu) = ops.state;
        let found = B::group_norm_grads(x, weight, bias, dy, groups, epsilon, silu);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

/// The step back through an upsampling.
#[derive(Debug)]
struct Upsample2x;

impl<B: FlexGradients> Backward<B, 1> for Upsample2x {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::upsample_2x_grad(dy));
        }
    }
}
