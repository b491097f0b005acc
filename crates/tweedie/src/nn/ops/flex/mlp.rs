//! Multi-layer perceptrons on flex; a linear layer is one of a single layer.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use tweedie_kernels::InstructionSet;
use tweedie_kernels::mlp::{self, Layer, Shape};

use super::tensors::Tensors;
use super::{done, slice, tensor};
use crate::nn::layers::Activation;
use crate::nn::ops::{Fused, LayerParameters, activate, fused};

/// Layers of one operation at most: the backward pass is compiled for each number of them.
const TOGETHER: usize = 8;

/// Linear layers on `x` `[N, I]`, with an activation after each but the last.
///
/// # Panics
/// When the shapes do not fit, as burn's operations do.
pub fn mlp(
    mut x: Tensor<2>,
    mut layers: Vec<LayerParameters>,
    activation: Activation,
) -> Tensor<2> {
    while layers.len() > TOGETHER {
        let rest = layers.split_off(TOGETHER);
        x = activate(together(x, layers, activation), activation);
        layers = rest;
    }
    together(x, layers, activation)
}

fn together(x: Tensor<2>, layers: Vec<LayerParameters>, activation: Activation) -> Tensor<2> {
    let parameters = layers
        .into_iter()
        .flat_map(|(weight, bias)| [weight.into_dispatch(), bias.into_dispatch()])
        .collect();
    // Each layer's weight and bias in turn.
    Tensor::from_dispatch(Dispatch::tweedie_mlp(
        x.into_dispatch(),
        Tensors(parameters),
        fused(activation),
    ))
}

/// The operation as burn routes it.
#[backend_extension(Flex, Autodiff)]
pub trait MlpOps: Backend {
    /// The output.
    fn tweedie_mlp(
        x: FloatTensor<Self>,
        #[extension_type] parameters: Tensors<Self>,
        activation: Fused,
    ) -> FloatTensor<Self>;
}

/// What the backward pass needs of an engine.
pub trait MlpGradients: MlpOps {
    /// The output, and hidden values for the backward pass.
    fn mlp_keeping(
        x: FloatTensor<Self>,
        parameters: Vec<FloatTensor<Self>>,
        activation: Fused,
    ) -> [FloatTensor<Self>; 2];

    /// Of the input, if asked for, and of every parameter.
    fn mlp_grads(
        x: FloatTensor<Self>,
        parameters: Vec<FloatTensor<Self>>,
        activation: Fused,
        hidden: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        with_input: bool,
    ) -> (Option<FloatTensor<Self>>, Vec<FloatTensor<Self>>);
}

/// Tensors whose values lie in order.
struct Given {
    x: FlexTensor,
    parameters: Vec<FlexTensor>,
    shape: Shape,
}

impl Given {
    fn new(x: FlexTensor, parameters: Vec<FlexTensor>, activation: Fused) -> Self {
        let x = x.to_contiguous();
        let parameters: Vec<_> = parameters.iter().map(FlexTensor::to_contiguous).collect();
        let [rows, inputs] = x.layout().shape().dims();
        // A bias has as many values as its layer has outputs.
        let outputs = parameters
            .iter()
            .skip(1)
            .step_by(2)
            .map(|b| slice::<f32>(b).len());
        let shape = Shape {
            rows,
            widths: std::iter::once(inputs).chain(outputs).collect(),
            activation,
        };
        Self {
            x,
            parameters,
            shape,
        }
    }

    fn layers(&self) -> Vec<Layer<'_>> {
        let (pairs, _) = self.parameters.as_chunks();
        pairs
            .iter()
            .map(|[weight, bias]| Layer {
                weight: slice(weight),
                bias: slice(bias),
            })
            .collect()
    }
}

impl MlpOps for Flex {
    fn tweedie_mlp(x: FlexTensor, parameters: Tensors<Self>, activation: Fused) -> FlexTensor {
        let given = Given::new(x, parameters.0, activation);
        let shape = &given.shape;
        let y = mlp::forward(
            InstructionSet::best(),
            shape,
            slice(&given.x),
            &given.layers(),
        );
        tensor(done(y), [shape.rows, shape.widths[shape.widths.len() - 1]])
    }
}

impl MlpGradients for Flex {
    fn mlp_keeping(
        x: FlexTensor,
        parameters: Vec<FlexTensor>,
        activation: Fused,
    ) -> [FlexTensor; 2] {
        let given = Given::new(x, parameters, activation);
        let shape = &given.shape;
        let found = mlp::forward_keeping(
            InstructionSet::best(),
            shape,
            slice(&given.x),
            &given.layers(),
        );
        let [y, hidden] = done(found);
        let dims = [hidden.len()];
        [
            tensor(y, [shape.rows, shape.widths[shape.widths.len() - 1]]),
            tensor(hidden, dims),
        ]
    }

    fn mlp_grads(
        x: FlexTensor,
        parameters: Vec<FlexTensor>,
        activation: Fused,
        hidden: FlexTensor,
        dy: FlexTensor,
        with_input: bool,
    ) -> (Option<FlexTensor>, Vec<FlexTensor>) {
        let given = Given::new(x, parameters, activation);
        let (shape, dy) = (&given.shape, dy.to_contiguous());
        let grads = done(mlp::backward(
            InstructionSet::best(),
            shape,
            slice(&given.x),
            &given.layers(),
            slice(&hidden),
            slice(&dy),
            with_input,
        ));
        let input = with_input.then(|| tensor(grads.input, [shape.rows, shape.widths[0]]));
        let layers = shape.widths.windows(2).zip(grads.weights);
        let parameters = layers
            .zip(grads.biases)
            .flat_map(|((width, weight), bias)| {
                [
                    tensor(weight, [width[1], width[0]]),
                    tensor(bias, [width[1]]),
                ]
            })
            .collect();
        (input, parameters)
    }
}

impl<B: MlpGradients, C: CheckpointStrategy> MlpOps for Autodiff<B, C> {
    fn tweedie_mlp(
        x: FloatTensor<Self>,
        parameters: Tensors<Self>,
        activation: Fused,
    ) -> FloatTensor<Self> {
        let mut inputs = vec![x];
        inputs.extend(parameters.0);
        // The input and two parameters for each layer.
        let record = match inputs.len() {
            3 => record::<B, C, 3>,
            5 => record::<B, C, 5>,
            7 => record::<B, C, 7>,
            9 => record::<B, C, 9>,
            11 => record::<B, C, 11>,
            13 => record::<B, C, 13>,
            15 => record::<B, C, 15>,
            17 => record::<B, C, 17>,
            other => panic!("{other} tensors are not those of 1 to {TOGETHER} layers"),
        };
        record(inputs, activation)
    }
}

/// The operation on an input and its parameters, with its backward pass.
fn record<B: MlpGradients, C: CheckpointStrategy, const N: usize>(
    inputs: Vec<FloatTensor<Autodiff<B, C>>>,
    activation: Fused,
) -> FloatTensor<Autodiff<B, C>> {
    let nodes = std::array::from_fn::<_, N, _>(|k| inputs[k].node());
    let mut inputs = inputs.iter().map(|tensor| tensor.primitive().clone());
    let x = inputs.next().expect("the caller has counted the inputs");
    let parameters: Vec<_> = inputs.collect();
    let [y, hidden] = B::mlp_keeping(x.clone(), parameters.clone(), activation);
    match Mlp.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((x, parameters, activation, hidden), y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

/// The backward pass of all layers.
#[derive(Debug)]
struct Mlp;

impl<B: MlpGradients, const N: usize> Backward<B, N> for Mlp {
    type State = (FloatTensor<B>, Vec<FloatTensor<B>>, Fused, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, parameters, activation, hidden) = ops.state;
        let mut nodes = ops.parents.into_iter();
        // None for data.
        let for_x = nodes.next().flatten();
        let (dx, found) = B::mlp_grads(x, parameters, activation, hidden, dy, for_x.is_some());
        if let (Some(node), Some(dx)) = (for_x, dx) {
            grads.register::<B>(node.id, dx);
        }
        for (node, gradient) in nodes.zip(found) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
