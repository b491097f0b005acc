//! A network's parameters as flat tensors on its own device: what an optimiser works on.
//!
//! They are moved out of a network and back into it. Nothing is copied, on the CPU or elsewhere,
//! unless a clone of the network shares them.

use std::ops::{Deref, DerefMut};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use super::params::{Array, ByName, Path};
use crate::error::{Error, Result};

/// A flat tensor's values in host memory. On the CPU they are the tensor's own.
#[derive(Clone, Debug)]
pub struct Values(TensorData);

impl Values {
    /// The values of `tensor`.
    pub fn of(tensor: Tensor<1>) -> Self {
        Self(tensor.into_data())
    }

    /// A tensor of these values on `device`, outside any graph.
    pub fn into_tensor(self, device: &Device) -> Tensor<1> {
        Tensor::from_data(self.0, &device.clone().inner())
    }
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        let shape = [values.len()];
        Self(TensorData::new(values, shape))
    }
}

impl Deref for Values {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        let values = self.0.as_slice();
        values.expect("every tensor of a network holds f32")
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [f32] {
        let values = self.0.as_mut_slice();
        values.expect("every tensor of a network holds f32")
    }
}

/// The shape of every parameter of `module`.
pub fn shapes<M: Module>(module: &M) -> ByName<Vec<usize>> {
    let mut visitor = Visit {
        path: Path::default(),
        found: ByName::new(),
        of: Shapes,
    };
    module.visit(&mut visitor);
    visitor.found
}

/// The gradient of every parameter of `module` as a flat tensor, taken out of `gradients`; zeros
/// where the loss does not depend on one.
pub fn gradients<M: Module>(module: &M, gradients: &mut Gradients) -> ByName<Tensor<1>> {
    let mut visitor = Visit {
        path: Path::default(),
        found: ByName::new(),
        of: gradients,
    };
    module.visit(&mut visitor);
    visitor.found
}

/// Moves the parameters out of `module`, which keeps zeros in their place.
pub fn take<M: Module>(module: M) -> (M, ByName<Tensor<1>>) {
    let mut mapper = Take::default();
    (module.map(&mut mapper), mapper.taken)
}

/// `module` with `tensors` as its parameters.
///
/// # Errors
/// When the names are not those of the module's parameters, or a length does not fit.
pub fn put<M: Module>(module: M, tensors: ByName<Tensor<1>>) -> Result<M> {
    let mut mapper = Put {
        path: Path::default(),
        tensors,
        wrong: None,
    };
    let module = module.map(&mut mapper);
    match (mapper.wrong, mapper.tensors.keys().next()) {
        (Some(error), _) => Err(error),
        (None, Some(extra)) => {
            let reason = "the network has no such parameter";
            Err(Error::setting("parameter", extra, reason))
        }
        (None, None) => Ok(module),
    }
}

/// The values of `arrays`, which must be of parameters of these names and shapes.
///
/// # Errors
/// Names the first that differs.
pub fn checked(shapes: &ByName<Vec<usize>>, arrays: ByName<Array>) -> Result<ByName<Vec<f32>>> {
    let another = |parameter: &str, reason: String| {
        let advice = "they belong to another network; use the configuration it was trained with";
        Error::setting("parameter", parameter, format!("{reason}: {advice}"))
    };
    if let Some(missing) = shapes.keys().find(|&name| !arrays.contains_key(name)) {
        return Err(another(missing, "is missing from the weights".into()));
    }
    let checked = arrays.into_iter().map(|(name, array)| {
        let reason = match shapes.get(&name) {
            Some(shape) if *shape == array.shape => return Ok((name, array.values)),
            Some(shape) => format!("{:?} where the network has {shape:?}", array.shape),
            None => "the network has no such parameter".into(),
        };
        Err(another(&name, reason))
    });
    checked.collect()
}

/// What a visitor does with each parameter.
trait Ask<T> {
    fn ask<const D: usize>(&mut self, tensor: Tensor<D>) -> T;
}

struct Shapes;

impl Ask<Vec<usize>> for Shapes {
    fn ask<const D: usize>(&mut self, tensor: Tensor<D>) -> Vec<usize> {
        tensor.dims().to_vec()
    }
}

impl Ask<Tensor<1>> for &mut Gradients {
    fn ask<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<1> {
        let gradient = tensor.grad_remove(self);
        let count = tensor.shape().num_elements();
        match gradient {
            Some(gradient) => gradient.reshape([count]),
            None => Tensor::zeros([count], &tensor.device().inner()),
        }
    }
}

struct Visit<T, A> {
    path: Path,
    found: ByName<T>,
    of: A,
}

impl<T, A: Ask<T>> ModuleVisitor for Visit<T, A> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let answer = self.of.ask(param.val());
        self.found.insert(self.path.name(), answer);
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.leave();
    }
}

#[derive(Default)]
struct Take {
    path: Path,
    taken: ByName<Tensor<1>>,
}

impl ModuleMapper for Take {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        // One zero, seen everywhere: the shape without the memory.
        let zero = Tensor::<1>::zeros([1], &tensor.device());
        let place = zero.reshape([1; D]).expand(tensor.dims());
        let count = tensor.shape().num_elements();
        let values = tensor.inner().reshape([count]);
        self.taken.insert(self.path.name(), values);
        Param::from_mapped_value(id, place, mapper)
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.leave();
    }
}

struct Put {
    path: Path,
    /// Values that have not been put back yet.
    tensors: ByName<Tensor<1>>,
    wrong: Option<Error>,
}

impl ModuleMapper for Put {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, place, mapper) = param.consume();
        let name = self.path.name();
        let (count, found) = (place.shape().num_elements(), self.tensors.remove(&name));
        let new = match found {
            Some(tensor) if tensor.dims() == [count] => {
                let new = tensor.reshape(place.dims());
                match place.is_autodiff() {
                    true => new.autodiff().require_grad(),
                    false => new,
                }
            }
            found => {
                self.wrong.get_or_insert_with(|| Error::Shape {
                    what: format!("parameter {name}"),
                    expected: place.dims().to_vec(),
                    found: found.map(|t| t.dims().to_vec()).unwrap_or_default(),
                });
                place
            }
        };
        Param::from_mapped_value(id, new, mapper)
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.leave();
    }
}
