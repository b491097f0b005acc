//! A network on a device, and the one interface through which everything else calls it.

use std::sync::Arc;

use burn::tensor::{Device, Gradients, Tensor, TensorData};

use super::body::{Body, Conditioning};
use super::init::Init;
use super::params::{self, Array, ByName, Gradient};
use super::{NetworkConfig, Precision, Values, ops, values};
use crate::data::Shape;
use crate::error::{Error, Result};

/// A network on a device. A clone shares its parameters.
#[derive(Clone, Debug)]
pub struct Network {
    body: Arc<dyn Body>,
    device: Device,
}

impl Network {
    /// The network of a configuration with initial weights, for samples of `shape`.
    ///
    /// # Errors
    /// When the configuration names no model or several, or does not fit the shape.
    pub fn new(config: &NetworkConfig, shape: Shape, seed: u64, device: &Device) -> Result<Self> {
        let body = config.body(shape, &Init::new(seed, device))?;
        Ok(Self::from_body(body, device))
    }

    /// The same with weights of zero, to be replaced by [`Network::with_values`].
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn blank(config: &NetworkConfig, shape: Shape, device: &Device) -> Result<Self> {
        let body = config.body(shape, &Init::blank(device))?;
        Ok(Self::from_body(body, device))
    }

    /// Any network, whose parameters are on `device`: a discriminator, a feature extractor.
    pub fn from_body(body: Box<dyn Body>, device: &Device) -> Self {
        Self {
            body: body.into(),
            device: device.clone(),
        }
    }

    /// Values in a row of the input.
    pub fn inputs(&self) -> usize {
        self.body.inputs()
    }

    /// Values in a row of the output.
    pub fn outputs(&self) -> usize {
        self.body.outputs()
    }

    /// How many classes the network is conditioned on, if on any.
    pub fn classes(&self) -> Option<usize> {
        self.body.classes()
    }

    /// Where the parameters are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How many samples to pass in one call on the CPU: enough to occupy it, few enough to fit in
    /// memory.
    pub fn preferred_batch(&self) -> usize {
        self.body.preferred_batch()
    }

    /// Rows of [`inputs`](Self::inputs) values, row-major, as a tensor `[N, inputs]` on the
    /// network's device.
    ///
    /// # Errors
    /// When `rows` is not a whole number of rows.
    pub fn input(&self, rows: Vec<f32>) -> Result<Tensor<2>> {
        self.rows(rows, self.inputs())
    }

    /// The raw output F `[N, outputs]` for `x` `[N, inputs]`, which is already scaled by c_in.
    /// On a device with gradients the output is part of the graph.
    ///
    /// # Errors
    /// When `x` has rows of another length, when sigmas or classes are not one a row, when the
    /// network is conditioned on sigma and there is none, and when a class is not one of the
    /// network's.
    pub fn forward(&self, x: Tensor<2>, conditioning: &Conditioning<'_>) -> Result<Tensor<2>> {
        self.check(&x, conditioning)?;
        // On a thread of the pool: otherwise every operation would have to wake one up, which takes
        // as long as a small image.
        Ok(rayon::scope(|_| self.body.forward(x, conditioning)))
    }

    /// The raw output F of [`Network::forward`], `[N, outputs]`, and v^T dF/dx,
    /// `[N, inputs]`; `v` is as long as F. The network must come from
    /// [`Network::with_input_gradients`].
    pub(super) fn forward_vjp(
        &self,
        x: Vec<f32>,
        conditioning: &Conditioning<'_>,
        v: Vec<f32>,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let x = self.input(x)?.require_grad();
        let v = self.rows(v, self.outputs())?;
        self.check(&x, conditioning)?;
        Ok(rayon::scope(|_| {
            let out = self.body.forward(x.clone(), conditioning);
            let mut gradients = (out.clone() * v).sum().backward();
            let gradient = match x.grad_remove(&mut gradients) {
                Some(gradient) => params::to_vec(gradient),
                // An output that does not depend on the input.
                None => vec![0.0; x.shape().num_elements()],
            };
            (params::to_vec(out.inner()), gradient)
        }))
    }

    fn rows(&self, values: Vec<f32>, width: usize) -> Result<Tensor<2>> {
        let rows = values.len() / width.max(1);
        if rows * width != values.len() {
            return Err(Error::Shape {
                what: "the rows given to a network".into(),
                expected: vec![rows, width],
                found: vec![values.len()],
            });
        }
        let data = TensorData::new(values, [rows, width]);
        Ok(Tensor::from_data(data, &self.device))
    }

    fn check(&self, x: &Tensor<2>, conditioning: &Conditioning<'_>) -> Result<()> {
        let [rows, width] = x.dims();
        let shape = |what: &str, expected: Vec<usize>, found: Vec<usize>| {
            let what = what.to_owned();
            match expected == found {
                true => Ok(()),
                false => Err(Error::Shape {
                    what,
                    expected,
                    found,
                }),
            }
        };
        let inputs = vec![rows, self.inputs()];
        shape("the input of a network", inputs, vec![rows, width])?;
        match conditioning.sigmas {
            Some(sigmas) => shape("the noise levels", vec![rows], vec![sigmas.len()])?,
            None if self.body.needs_sigmas() => {
                let reason = "the network is conditioned on sigma: give one to each row";
                return Err(Error::setting("sigmas", "none", reason));
            }
            None => {}
        }
        let Some(classes) = conditioning.classes else {
            return Ok(());
        };
        shape("the classes", vec![rows], vec![classes.len()])?;
        let count = self.classes().unwrap_or(0);
        let wrong = classes.iter().flatten().find(|&&c| c as usize >= count);
        match wrong {
            None => Ok(()),
            Some(class) if count == 0 => {
                let reason = "the network is not conditioned on classes";
                Err(Error::setting("class", class, reason))
            }
            Some(class) => {
                let reason = format!("the network's classes are 0 to {}", count - 1);
                Err(Error::setting("class", class, reason))
            }
        }
    }

    /// Shapes and values of all parameters.
    pub fn parameters(&self) -> ByName<Array> {
        self.body.parameters()
    }

    /// The gradients of all parameters, taken out of `gradients`; zeros where the loss does not
    /// depend on one.
    pub fn gradients(&self, gradients: &mut Gradients) -> ByName<Gradient> {
        self.body.gradients(gradients)
    }

    /// The same network with other values.
    ///
    /// # Errors
    /// When the names are not exactly those of [`Network::parameters`], or a length does not fit:
    /// names the first.
    pub fn with_values(&self, values: &ByName<Vec<f32>>) -> Result<Self> {
        Ok(Self::from_body(
            self.body.with_values(values)?,
            &self.device,
        ))
    }

    /// Shapes of all parameters.
    pub fn shapes(&self) -> ByName<Vec<usize>> {
        self.body.shapes()
    }

    /// The gradients of all parameters as flat tensors on the network's device, taken out of
    /// `gradients`; zeros where the loss does not depend on one.
    pub fn gradient_tensors(&self, gradients: &mut Gradients) -> ByName<Tensor<1>> {
        self.body.gradient_tensors(gradients)
    }

    /// The same network with the values of stored `arrays`, which are moved in.
    ///
    /// # Errors
    /// When the names and shapes are not exactly those of [`Network::shapes`]: names the first.
    pub fn with_arrays(&self, arrays: ByName<Array>) -> Result<Self> {
        let values = values::checked(&self.shapes(), arrays)?.into_iter();
        let tensor = |values| Values::from(values).into_tensor(&self.device);
        let tensors = values.map(|(name, values)| (name, tensor(values)));
        Ok(Self::from_body(
            self.body.put(tensors.collect())?,
            &self.device,
        ))
    }

    /// Lets `change` change the parameters: flat tensors on the network's device, outside any
    /// graph. They are moved, not copied, where no clone of the network shares them; a clone
    /// keeps the old ones.
    ///
    /// # Errors
    /// When `change` leaves other names or lengths behind. The network has then lost its
    /// parameters.
    pub fn update<T>(&mut self, change: impl FnOnce(&mut ByName<Tensor<1>>) -> T) -> Result<T> {
        let (empty, mut tensors) = self.body.take();
        // The last reference to the parameters besides `tensors` is dropped here.
        self.body = empty.into();
        let result = change(&mut tensors);
        self.body = self.body.put(tensors)?.into();
        Ok(result)
    }

    /// A copy with gradients of its input and not of its parameters: for the objective of another
    /// network that is backpropagated through this one.
    pub fn frozen(&self) -> Self {
        Self::from_body(self.body.frozen(), &self.device)
    }

    /// The same network with values stored in `precision` between its layers: for sampling, on
    /// the CPU.
    ///
    /// # Errors
    /// When `precision` is not `f32` and the network does not support it, or is not on the CPU.
    pub fn in_precision(&self, precision: Precision) -> Result<Self> {
        let refuse = |reason| Err(Error::setting("precision", "bf16", reason));
        if precision != Precision::F32 && !ops::is_on_cpu(&self.device) {
            return refuse("is for the CPU; use the engine `flex`, or sample in f32");
        }
        match self.body.in_precision(precision) {
            Some(body) => Ok(Self::from_body(body, &self.device)),
            None => refuse("is for U-Nets; sample this network in f32"),
        }
    }

    /// A copy with gradients of its input only.
    ///
    /// # Errors
    /// When values are stored in another precision than f32, which gradients do not support.
    pub(super) fn with_input_gradients(&self) -> Result<Self> {
        if self.body.precision() != Precision::F32 {
            let reason = "derivatives are for f32; sample in f32";
            return Err(Error::setting("precision", "bf16", reason));
        }
        let device = self.device.clone().inner().autodiff();
        let body = self.body.with_input_gradients(&device);
        Ok(Self::from_body(body, &device))
    }

    /// A copy without gradients, for sampling.
    pub fn without_gradients(&self) -> Self {
        let device = self.device.clone().inner();
        Self::from_body(self.body.without_gradients(), &device)
    }
}
