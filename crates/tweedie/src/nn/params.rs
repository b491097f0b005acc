//! Reading and writing a network's parameters by name, as plain `f32` arrays.
//!
//! Values, gradients and whatever an optimiser keeps beside them are maps from the same names, so
//! that none of them depends on the order of a network's definition.

use std::collections::BTreeMap;
use std::ops::Deref;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Values from which on threads share the copying of parameters.
const SHARED: usize = 1 << 16;

/// A map keyed by parameter: the path of field names that leads to it, joined by dots, as in
/// `down_blocks.0.resnets.0.conv1.weight`.
pub type ByName<T> = BTreeMap<String, T>;

/// A parameter's shape and values.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The tensor's shape.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// A gradient's row-major values, where the backward pass left them.
#[derive(Clone, Debug)]
pub struct Gradient(TensorData);

impl Deref for Gradient {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        let values = self.0.as_slice();
        values.expect("every tensor of a network holds f32")
    }
}

/// Every parameter of `module`.
pub fn collect<M: Module>(module: &M) -> ByName<Array> {
    let mut visitor = Collect::default();
    module.visit(&mut visitor);
    visitor.found
}

/// The gradient of every parameter of `module`, taken out of `gradients`.
///
/// A parameter that the loss does not depend on has a gradient of zeros.
pub fn gradients<M: Module>(module: &M, gradients: &mut Gradients) -> ByName<Gradient> {
    let mut visitor = CollectGradients {
        gradients,
        path: Path::default(),
        found: ByName::new(),
    };
    module.visit(&mut visitor);
    visitor.found
}

/// `module` with the values of its parameters replaced by `values`.
///
/// # Errors
/// When the names are not those of [`collect`], or a length does not fit; the first such name is
/// named.
pub fn assign<M: Module>(module: M, values: &ByName<Vec<f32>>) -> Result<M> {
    // Threads share the copying: of a large network it takes as long as an optimiser's step.
    let copies = match values.values().map(Vec::len).sum::<usize>() < SHARED {
        true => values.iter().map(copy).collect(),
        false => values.par_iter().map(copy).collect(),
    };
    let mut mapper = Assign {
        values: copies,
        path: Path::default(),
        wrong: None,
    };
    let module = module.map(&mut mapper);
    if let Some(error) = mapper.wrong {
        return Err(error);
    }
    match mapper.values.keys().next() {
        Some(&extra) => {
            let reason = "the network has no such parameter; it belongs to another network";
            Err(Error::setting("parameter", extra, reason))
        }
        None => Ok(module),
    }
}

fn copy<'a>((name, values): (&'a String, &Vec<f32>)) -> (&'a str, Vec<f32>) {
    (name, values.clone())
}

/// Where a visitor is.
#[derive(Default)]
pub(super) struct Path(Vec<String>);

impl Path {
    pub fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    pub fn leave(&mut self) {
        self.0.pop();
    }

    pub fn name(&self) -> String {
        self.0.join(".")
    }
}

#[derive(Default)]
struct Collect {
    path: Path,
    found: ByName<Array>,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let array = Array {
            shape: tensor.dims().to_vec(),
            values: to_vec(tensor),
        };
        self.found.insert(self.path.name(), array);
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.leave();
    }
}

struct CollectGradients<'a> {
    gradients: &'a mut Gradients,
    path: Path,
    found: ByName<Gradient>,
}

impl ModuleVisitor for CollectGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let gradient = match tensor.grad_remove(self.gradients) {
            Some(gradient) => gradient.into_data(),
            None => TensorData::zeros::<f32, _>(tensor.dims()),
        };
        self.found.insert(self.path.name(), Gradient(gradient));
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.leave();
    }
}

struct Assign<'a> {
    /// What has not been assigned yet.
    values: BTreeMap<&'a str, Vec<f32>>,
    path: Path,
    wrong: Option<Error>,
}

impl ModuleMapper for Assign<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let shape = tensor.dims();
        let name = self.path.name();
        let replacement = match self.values.remove(&name[..]) {
            Some(values) if values.len() == shape.iter().product::<usize>() => {
                let data = TensorData::new(values, shape);
                let new = Tensor::from_data(data, &tensor.device());
                if tensor.is_autodiff() {
                    new.require_grad()
                } else {
                    new
                }
            }
            Some(values) => {
                let found = vec![values.len()];
                self.wrong.get_or_insert_with(|| Error::Shape {
                    what: format!("parameter {name}"),
                    expected: shape.to_vec(),
                    found,
                });
                tensor
            }
            None => {
                self.wrong.get_or_insert_with(|| {
                    let reason = "is missing; the values belong to another network";
                    Error::setting("parameter", name, reason)
                });
                tensor
            }
        };
        Param::from_mapped_value(id, replacement, mapper)
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.leave();
    }
}

/// A tensor's values in row-major order.
pub fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .try_into_vec::<f32>()
        .expect("every tensor of a network holds f32")
}
