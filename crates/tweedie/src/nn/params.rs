//! Reading and writing a network's parameters by name, as plain `f32` arrays.
//!
//! The order is that of the network's definition, the same for values and gradients, so that an
//! optimiser can keep its state in plain arrays beside them.

use std::collections::BTreeMap;
use std::ops::Deref;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Values from which on threads share the copying of parameters.
const SHARED: usize = 1 << 16;

/// A parameter's name (`down_blocks.0.resnets.0.conv1.weight`), shape and values.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The path of field names, joined by dots.
    pub name: String,
    /// The tensor's shape.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// A tensor on the host: its shape and row-major values.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The tensor's shape.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// Things by the path of field names, joined by dots
/// (`down_blocks.0.resnets.0.conv1.weight`).
pub type ByName<T> = BTreeMap<String, T>;

/// A gradient's row-major values, where the way back through the network left them.
#[derive(Clone, Debug)]
pub struct Gradient(TensorData);

impl Deref for Gradient {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        let values = self.0.as_slice();
        values.expect("every tensor of a network holds f32")
    }
}

/// Every parameter of `module`, in order of definition.
pub fn collect<M: Module>(module: &M) -> Vec<Parameter> {
    let mut visitor = Collect {
        path: Vec::new(),
        found: Vec::new(),
    };
    module.visit(&mut visitor);
    visitor.found
}

/// The gradient of every parameter of `module`, in the order of [`collect`].
///
/// A parameter that the loss does not depend on has a gradient of zeros.
pub fn gradients<M: Module>(module: &M, gradients: &mut Gradients) -> Vec<Gradient> {
    let mut visitor = CollectGradients {
        gradients,
        found: Vec::new(),
    };
    module.visit(&mut visitor);
    visitor.found
}

/// `module` with its parameters replaced by `values`, given in the order of [`collect`].
///
/// # Errors
/// When the number of arrays or a length does not fit.
pub fn assign<M: Module>(module: M, values: &[Vec<f32>]) -> Result<M> {
    // Threads share the copying: of a large network it takes as long as an optimiser's step.
    let copies: Vec<Vec<f32>> = match values.iter().map(Vec::len).sum::<usize>() < SHARED {
        true => values.to_vec(),
        false => values.par_iter().cloned().collect(),
    };
    let mut mapper = Assign {
        values: copies.into_iter(),
        wrong: None,
    };
    let module = module.map(&mut mapper);
    let left = mapper.values.len();
    match mapper.wrong {
        Some(error) => Err(error),
        None if left > 0 => Err(Error::Shape {
            what: "the list of parameters".into(),
            expected: vec![values.len() - left],
            found: vec![values.len()],
        }),
        None => Ok(module),
    }
}

/// The values of `arrays` in the order of `parameters`, whose names and shapes they must have.
///
/// # Errors
/// Names the first that differs.
pub fn in_order(parameters: &[Parameter], mut arrays: ByName<Array>) -> Result<Vec<Vec<f32>>> {
    let another = |name: &str, reason: String| {
        let advice = "another network; use the configuration it was trained with";
        Err(Error::setting(
            "parameter",
            name,
            format!("{reason}: {advice}"),
        ))
    };
    let (found, expected) = (arrays.len(), parameters.len());
    if found != expected {
        let reason = format!("{found} arrays where the network has {expected}");
        return another("number", reason);
    }
    let mut values = Vec::with_capacity(expected);
    for parameter in parameters {
        let (name, shape) = (&parameter.name, &parameter.shape);
        match arrays.remove(name) {
            Some(array) if array.shape == *shape => values.push(array.values),
            Some(array) => {
                let reason = format!("{:?} where the network has {shape:?}", array.shape);
                return another(name, reason);
            }
            None => return another(name, "missing".into()),
        }
    }
    Ok(values)
}

struct Collect {
    path: Vec<String>,
    found: Vec<Parameter>,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        self.found.push(Parameter {
            name: self.path.join("."),
            shape: tensor.dims().to_vec(),
            values: to_vec(tensor),
        });
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

struct CollectGradients<'a> {
    gradients: &'a mut Gradients,
    found: Vec<Gradient>,
}

impl ModuleVisitor for CollectGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        self.found
            .push(Gradient(match tensor.grad_remove(self.gradients) {
                Some(gradient) => gradient.into_data(),
                None => TensorData::zeros::<f32, _>(tensor.dims()),
            }));
    }
}

struct Assign {
    values: std::vec::IntoIter<Vec<f32>>,
    wrong: Option<Error>,
}

impl ModuleMapper for Assign {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let shape = tensor.dims();
        let count: usize = shape.iter().product();
        let replacement = match self.values.next() {
            Some(values) if values.len() == count => {
                let data = TensorData::new(values, shape);
                let new = Tensor::from_data(data, &tensor.device());
                if tensor.is_autodiff() {
                    new.require_grad()
                } else {
                    new
                }
            }
            other => {
                self.wrong.get_or_insert_with(|| Error::Shape {
                    what: "a network parameter".into(),
                    expected: shape.to_vec(),
                    found: other.map(|v| vec![v.len()]).unwrap_or_default(),
                });
                tensor
            }
        };
        Param::from_mapped_value(id, replacement, mapper)
    }
}

/// A tensor's values in row-major order.
pub fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .try_into_vec::<f32>()
        .expect("every tensor of a network holds f32")
}
