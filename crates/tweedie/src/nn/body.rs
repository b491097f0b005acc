//! The interface of a network: rows in, rows out, and parameters by name.
//!
//! A new network is a burn module that implements [`Forward`]; everything else, [`Body`], follows.

use std::fmt::Debug;

use burn::module::Module;
use burn::tensor::{Device, Gradients, Tensor};

use super::params::{self, Array, ByName, Gradient};
use super::{Precision, values};
use crate::error::Result;

/// What the rows of a batch are conditioned on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditioning<'a> {
    /// Each row's noise level, positive; a network that is not conditioned on sigma ignores them.
    pub sigmas: Option<&'a [f64]>,
    /// Each row's class, below the network's [`classes`](Forward::classes), or none. Missing
    /// means none for every row.
    pub classes: Option<&'a [Option<u32>]>,
}

impl<'a> Conditioning<'a> {
    /// On noise levels alone.
    pub fn on_sigmas(sigmas: &'a [f64]) -> Self {
        Self {
            sigmas: Some(sigmas),
            classes: None,
        }
    }
}

/// The forward pass of a network, with what a caller must know.
///
/// A row is a sample, row-major: an image is `[C, H, W]` inside.
pub trait Forward {
    /// Values in a row of the input.
    fn inputs(&self) -> usize;

    /// Values in a row of the output.
    fn outputs(&self) -> usize;

    /// `x` `[N, inputs]` to `[N, outputs]`, inside the graph where the device has gradients.
    ///
    /// Row k of the output depends on row k of `x` and of `conditioning` alone. The caller,
    /// [`Network::forward`](super::Network::forward), has checked that all of them fit.
    fn forward(&self, x: Tensor<2>, conditioning: &Conditioning<'_>) -> Tensor<2>;

    /// Whether the network is conditioned on sigma; [`Conditioning::sigmas`] are then there.
    fn needs_sigmas(&self) -> bool {
        false
    }

    /// How many classes the network is conditioned on, if on any.
    fn classes(&self) -> Option<usize> {
        None
    }

    /// How many rows to pass in one call on the CPU: enough to occupy it, few enough to fit in
    /// memory.
    fn preferred_batch(&self) -> usize {
        1024
    }

    /// How values are stored between the layers.
    fn precision(&self) -> Precision {
        Precision::F32
    }

    /// Stores values between the layers in `precision` from now on; false, and nothing has
    /// changed, where the network does not support it.
    fn set_precision(&mut self, precision: Precision) -> bool {
        precision == Precision::F32
    }
}

/// A network's layers and parameters, behind a pointer. Every burn module that implements
/// [`Forward`] is one.
pub trait Body: Forward + Debug + Send + Sync {
    /// Shapes and values of all parameters.
    fn parameters(&self) -> ByName<Array>;

    /// The gradients of all parameters, taken out of `gradients`; zeros where the loss does not
    /// depend on one.
    fn gradients(&self, gradients: &mut Gradients) -> ByName<Gradient>;

    /// The same network with other values.
    ///
    /// # Errors
    /// Names the first parameter that is missing, too many, or of another length.
    fn with_values(&self, values: &ByName<Vec<f32>>) -> Result<Box<dyn Body>>;

    /// Shapes of all parameters.
    fn shapes(&self) -> ByName<Vec<usize>>;

    /// The gradients of all parameters as flat tensors, taken out of `gradients`; zeros where the
    /// loss does not depend on one.
    fn gradient_tensors(&self, gradients: &mut Gradients) -> ByName<Tensor<1>>;

    /// The same network without its parameters, and those as flat tensors outside any graph.
    fn take(&self) -> (Box<dyn Body>, ByName<Tensor<1>>);

    /// The same network with `tensors` as its parameters.
    ///
    /// # Errors
    /// When a name or a length does not fit.
    fn put(&self, tensors: ByName<Tensor<1>>) -> Result<Box<dyn Body>>;

    /// The same network, whose values are stored in `precision` between the layers; `None` where it
    /// does not support that.
    fn in_precision(&self, precision: Precision) -> Option<Box<dyn Body>>;

    /// The same network outside any graph.
    fn without_gradients(&self) -> Box<dyn Body>;

    /// The same network in the graph of its input, without gradients of its parameters.
    fn frozen(&self) -> Box<dyn Body>;

    /// The same network on `device`, with gradients of its input only.
    fn with_input_gradients(&self, device: &Device) -> Box<dyn Body>;
}

impl<M: Module + Forward + Sync + 'static> Body for M {
    fn parameters(&self) -> ByName<Array> {
        params::collect(self)
    }

    fn gradients(&self, gradients: &mut Gradients) -> ByName<Gradient> {
        params::gradients(self, gradients)
    }

    fn with_values(&self, values: &ByName<Vec<f32>>) -> Result<Box<dyn Body>> {
        Ok(Box::new(params::assign(self.clone(), values)?))
    }

    fn shapes(&self) -> ByName<Vec<usize>> {
        values::shapes(self)
    }

    fn gradient_tensors(&self, gradients: &mut Gradients) -> ByName<Tensor<1>> {
        values::gradients(self, gradients)
    }

    fn take(&self) -> (Box<dyn Body>, ByName<Tensor<1>>) {
        let (module, tensors) = values::take(self.clone());
        (Box::new(module), tensors)
    }

    fn put(&self, tensors: ByName<Tensor<1>>) -> Result<Box<dyn Body>> {
        Ok(Box::new(values::put(self.clone(), tensors)?))
    }

    fn frozen(&self) -> Box<dyn Body> {
        Box::new(self.clone().no_grad())
    }

    fn in_precision(&self, precision: Precision) -> Option<Box<dyn Body>> {
        let mut copy = self.clone();
        copy.set_precision(precision)
            .then(|| Box::new(copy) as Box<dyn Body>)
    }

    fn without_gradients(&self) -> Box<dyn Body> {
        Box::new(self.valid())
    }

    fn with_input_gradients(&self, device: &Device) -> Box<dyn Body> {
        Box::new(self.clone().fork(device).no_grad())
    }
}
