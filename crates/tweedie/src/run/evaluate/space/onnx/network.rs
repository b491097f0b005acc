//! The network itself, run by tract.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;
use tract_onnx::tract_hir::ops::unimpl::UnimplementedOp;

use super::OnnxSpace;
use super::images::{Input, image_shape};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::run::evaluate::space::{Extracted, Extractor};

/// Batches between two reports of progress.
const ROUND: usize = 32;

/// A network ready to run on batches of one size.
pub(super) struct Network {
    file: PathBuf,
    plan: Arc<TypedRunnableModel>,
    input: Input,
    /// `[N, C, H, W]`, or the same in another layout.
    input_shape: [usize; 4],
    features: Pooling,
}

/// How an output becomes features.
struct Pooling {
    dim: usize,
    /// Places of a feature map that are averaged.
    places: usize,
    /// Whether the features of a place lie together.
    channels_last: bool,
}

impl Network {
    /// Reads the network of `space` for images like those of `reference`.
    pub(super) fn load(space: &OnnxSpace, reference: &Dataset) -> Result<Self> {
        let file = space.file.as_path();
        let images = image_shape(space, reference)?;
        let proto = read(file)?;
        check_names(file, &proto)?;
        let folder = file.parent().and_then(Path::to_str);
        let onnx = tract_onnx::onnx()
            // What exporters note down need not hold for other batches and sizes.
            .with_ignore_output_shapes(true)
            .with_ignore_value_info(true);
        let mut model = guard(file, || Ok(onnx.parse(&proto, folder)?.model))?;
        choose_output(space, &mut model)?;
        check_operators(file, &model)?;
        let input_shape = input_shape(space, &model, images)?;
        let [n, a, b, c] = input_shape;
        let to = match space.channels_last {
            false => [a, b, c],
            true => [c, a, b],
        };
        let input = Input::new(space, reference, to)?;
        let fact = f32::fact([n, a, b, c]);
        let plan = guard(file, || {
            let model = model.with_input_fact(0, fact.into())?;
            model.into_optimized()?.into_runnable()
        })?;
        let output = guard(file, || {
            let fact = plan.model().output_fact(0)?;
            let shape = fact.shape.as_concrete().map(<[usize]>::to_vec);
            Ok((fact.datum_type, shape, format!("{fact:?}")))
        })?;
        let features = match output {
            (DatumType::F32, Some(shape), _) => Pooling::new(space, n, &shape)?,
            (_, _, fact) => {
                return Err(Error::content(
                    file,
                    format!(
                        "its output is {fact}, not a table [N, D] of float32; name another by \
                         output=NAME"
                    ),
                ));
            }
        };
        Ok(Self {
            file: file.into(),
            plan,
            input,
            input_shape,
            features,
        })
    }

    /// The features of the items `rows`, at most a batch.
    fn batch(&self, data: &Dataset, rows: &[usize]) -> Result<Vec<f64>> {
        let mut values = self.input.read(data, rows);
        // The last batch may be short; the rest of its output is not looked at.
        values.resize(self.input_shape.iter().product(), 0.0);
        let output = guard(&self.file, || {
            let tensor = Tensor::from_shape(&self.input_shape, &values)?;
            let output = self.plan.run(tvec!(tensor.into()))?;
            Ok(output[0]
                .to_plain_array_view::<f32>()?
                .iter()
                .copied()
                .collect::<Vec<f32>>())
        })?;
        Ok(self.features.of(&output, rows.len()))
    }
}

impl Extractor for Network {
    fn dim(&self) -> usize {
        self.features.dim
    }

    fn extract(&self, data: &Dataset, monitor: &mut Monitor<'_>) -> Result<Extracted> {
        let rows: Vec<usize> = (0..data.len()).collect();
        let size = self.input_shape[0];
        let mut features = Vec::with_capacity(rows.len() * self.dim());
        for round in rows.chunks(ROUND * size) {
            let batches = round.par_chunks(size).map(|rows| self.batch(data, rows));
            for found in batches.collect::<Result<Vec<_>>>()? {
                features.extend(found);
            }
            let done = (features.len() / self.dim()) as u64;
            monitor.step("features by ONNX", done, rows.len() as u64, "images")?;
        }
        Ok(Extracted {
            features,
            probabilities: None,
        })
    }
}

impl Pooling {
    fn new(space: &OnnxSpace, batch: usize, shape: &[usize]) -> Result<Self> {
        let refuse = |reason: String| Err(Error::content(&space.file, reason));
        let (dim, places) = match *shape {
            [n, dim] if n == batch => (dim, 1),
            // A feature map that is already pooled.
            [n, dim, 1, 1] if n == batch && !space.channels_last => (dim, 1),
            [n, 1, 1, dim] if n == batch && space.channels_last => (dim, 1),
            [n, a, b, c] if n == batch && space.pool => match space.channels_last {
                false => (a, b * c),
                true => (c, a * b),
            },
            [n, _, _, _] if n == batch => {
                return refuse(format!(
                    "its output is a feature map {shape:?}; add pool=mean to average it over \
                     height and width, or name another output by output=NAME"
                ));
            }
            _ => {
                return refuse(format!(
                    "its output for {batch} images has shape {shape:?}, not [{batch}, D]; name \
                     another output by output=NAME"
                ));
            }
        };
        match dim * places {
            0 => refuse("its output has no features; name another by output=NAME".into()),
            _ => Ok(Self {
                dim,
                places,
                channels_last: space.channels_last,
            }),
        }
    }

    /// The features of the first `count` images of an output.
    fn of(&self, output: &[f32], count: usize) -> Vec<f64> {
        let images = output.chunks_exact(self.dim * self.places).take(count);
        let mean = |image: &[f32], k: usize| {
            let place = |i: usize| match self.channels_last {
                false => image[k * self.places + i],
                true => image[i * self.dim + k],
            };
            let sum: f64 = (0..self.places).map(|i| f64::from(place(i))).sum();
            sum / self.places as f64
        };
        images
            .flat_map(|image| (0..self.dim).map(move |k| mean(image, k)))
            .collect()
    }
}

/// What `work` gives; its error, or its panic on a file that breaks its assumptions, as one about
/// `file`.
fn guard<T>(file: &Path, work: impl FnOnce() -> TractResult<T>) -> Result<T> {
    let reason = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(found)) => return Ok(found),
        Ok(Err(error)) => {
            // The cause is the last; what was being done, the first.
            let (first, last) = (error.to_string(), error.root_cause().to_string());
            match first == last {
                true => first,
                false => format!("{first}: {last}"),
            }
        }
        Err(_) => "it broke an assumption of tract".into(),
    };
    let line = reason.lines().next().unwrap_or_default();
    let line: String = line.chars().take(300).collect();
    Err(Error::content(
        file,
        format!("this network cannot be run ({line}); export it for opset 9 to 18, or simplify it"),
    ))
}

fn read(file: &Path) -> Result<ModelProto> {
    let bytes = std::fs::read(file).map_err(Error::io("read", file))?;
    let proto = tract_onnx::onnx().proto_model_for_read(&mut bytes.as_slice());
    match proto {
        Ok(proto) if proto.graph.is_some() => Ok(proto),
        _ => Err(Error::content(
            file,
            "this is not an ONNX model, or it is damaged; export it again",
        )),
    }
}

/// Every tensor that is used must be made by someone: tract takes it for granted.
fn check_names(file: &Path, proto: &ModelProto) -> Result<()> {
    let Some(graph) = &proto.graph else {
        return Ok(());
    };
    let mut made: BTreeSet<&str> = graph
        .input
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    made.extend(graph.initializer.iter().map(|tensor| tensor.name.as_str()));
    made.extend(
        graph
            .sparse_initializer
            .iter()
            .filter_map(|tensor| Some(tensor.values.as_ref()?.name.as_str())),
    );
    made.extend(
        graph
            .node
            .iter()
            .flat_map(|node| &node.output)
            .map(String::as_str),
    );
    let inputs = graph
        .node
        .iter()
        .flat_map(|node| &node.input)
        .map(String::as_str);
    let mut used = inputs.chain(graph.output.iter().map(|output| output.name.as_str()));
    match used.find(|name| !name.is_empty() && !made.contains(name)) {
        None => Ok(()),
        Some(name) => Err(Error::content(
            file,
            format!("nothing in it makes the tensor {name}: it is damaged; export it again"),
        )),
    }
}

/// Makes the output that `space` names the only one.
fn choose_output(space: &OnnxSpace, model: &mut InferenceModel) -> Result<()> {
    let outputs = model.outputs.clone();
    let name = |outlet: &OutletId| {
        let label = model.outlet_label(*outlet);
        label
            .unwrap_or(model.node(outlet.node).name.as_str())
            .to_owned()
    };
    let names: Vec<String> = outputs.iter().map(name).collect();
    let list = names.join(", ");
    let refuse = |reason: String| Err(Error::content(&space.file, reason));
    match &space.output {
        None if names.len() == 1 => Ok(()),
        None => refuse(format!(
            "it has the outputs {list}; name one by output=NAME"
        )),
        Some(wanted) => {
            // An outlet by its own name first: tract would take a node of the same name.
            let by_label = model.find_outlet_label(wanted);
            let found = by_label.map_or_else(
                || {
                    model
                        .clone()
                        .with_outputs_by_name([wanted])
                        .map(|model| model.outputs)
                },
                |outlet| Ok(vec![outlet]),
            );
            match found {
                Ok(outlets) => {
                    model.outputs = outlets;
                    Ok(())
                }
                Err(_) => refuse(format!(
                    "it has no output or tensor {wanted}; its outputs are {list}"
                )),
            }
        }
    }
}

/// Refuses operators that tract does not know, where the output depends on them.
fn check_operators(file: &Path, model: &InferenceModel) -> Result<()> {
    let order = guard(file, || model.eval_order())?;
    let unknown = order.into_iter().filter_map(|id| {
        let node = model.node(id);
        node.op_is::<UnimplementedOp>().then(|| {
            let name = node.op.name().into_owned();
            name.trim_start_matches("Unimplemented(")
                .trim_end_matches(')')
                .to_owned()
        })
    });
    let unknown: BTreeSet<String> = unknown.collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = unknown.into_iter().collect();
    Err(Error::content(
        file,
        format!(
            "it uses operators that tract does not know: {}; export the network without them, or \
             name an output before them by output=NAME",
            names.join(", ")
        ),
    ))
}

/// The shape of a batch for `images`, `[C, H, W]`, in the network's layout.
fn input_shape(
    space: &OnnxSpace,
    model: &InferenceModel,
    images: [usize; 3],
) -> Result<[usize; 4]> {
    let refuse = |reason: String| Err(Error::content(&space.file, reason));
    let inputs = &model.inputs;
    let [input] = inputs[..] else {
        let names: Vec<&str> = inputs
            .iter()
            .map(|i| model.node(i.node).name.as_str())
            .collect();
        let list = names.join(", ");
        return refuse(format!(
            "it has the inputs {list}, and only one, of images, can be given; export it with one"
        ));
    };
    let name = &model.node(input.node).name;
    let fact = guard(&space.file, || Ok(model.outlet_fact(input)?.clone()))?;
    let kind = fact.datum_type.concretize();
    if let Some(kind) = kind.filter(|kind| *kind != DatumType::F32) {
        return refuse(format!(
            "its input {name} is of {kind:?}, and only float32 can be given; export it with such \
             an input"
        ));
    }
    // The sides, where the network names them.
    let dims: Vec<Option<usize>> = fact
        .shape
        .dims()
        .map(|dim| dim.concretize().and_then(|dim| dim.to_usize().ok()))
        .collect();
    let open = fact.shape.is_open();
    let dims = match <[Option<usize>; 4]>::try_from(dims) {
        Ok(dims) => dims,
        Err(_) if open => [None; 4],
        Err(dims) => {
            let dims: Vec<String> = dims
                .iter()
                .map(|side| side.map_or("?".into(), |side| side.to_string()))
                .collect();
            return refuse(format!(
                "its input {name} has shape [{}], not that of a batch of images, [N, C, H, W]",
                dims.join(", ")
            ));
        }
    };
    let (places, layout) = match space.channels_last {
        false => ([1, 2, 3], "nchw"),
        true => ([3, 1, 2], "nhwc"),
    };
    let [channels, height, width] = places.map(|place| dims[place]);
    // A sensible layout is one whose channels are grey or colours.
    let other = if space.channels_last {
        dims[1]
    } else {
        dims[3]
    };
    if !matches!(channels, None | Some(1 | 3)) && matches!(other, Some(1 | 3)) {
        let wanted = if space.channels_last { "nchw" } else { "nhwc" };
        return refuse(format!(
            "its input {name} is {}x{}x{} after the batch, which layout={layout} does not fit; \
             add layout={wanted}",
            shown(dims[1]),
            shown(dims[2]),
            shown(dims[3])
        ));
    }
    let sides = match space.size {
        None => [height.unwrap_or(images[1]), width.unwrap_or(images[2])],
        Some(size) => {
            let fits = |own: Option<usize>, wanted| own.is_none_or(|own| own == wanted);
            if !fits(height, size[0]) || !fits(width, size[1]) {
                return refuse(format!(
                    "size={}x{} does not fit: the network takes {}x{} (height x width); leave \
                     size out",
                    size[0],
                    size[1],
                    shown(height),
                    shown(width)
                ));
            }
            size
        }
    };
    let channels = channels.unwrap_or(images[0]);
    let batch = match dims[0] {
        None => space.batch,
        Some(own) if space.batch == 1 || space.batch == own => own,
        Some(own) => {
            return refuse(format!(
                "batch={} does not fit: the network takes {own} images at a time; leave batch out",
                space.batch
            ));
        }
    };
    if [batch, channels, sides[0], sides[1]].contains(&0) {
        return refuse(format!("its input {name} has a side of 0; export it again"));
    }
    Ok(match space.channels_last {
        false => [batch, channels, sides[0], sides[1]],
        true => [batch, sides[0], sides[1], channels],
    })
}

/// A side, where it is known.
fn shown(side: Option<usize>) -> String {
    side.map_or("any".into(), |side| side.to_string())
}
