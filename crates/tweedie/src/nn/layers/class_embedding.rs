//! How a class becomes a vector that every block of the network sees.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};

use crate::nn::init::Init;

/// A row for each class and, behind them, one for "no class": `torch.nn.Embedding`, with
/// `weight` `[classes + 1, width]`.
///
/// Training withholds some labels, so that one network is conditioned on classes and not: what
/// classifier-free guidance (Ho and Salimans 2022) takes the difference of. diffusers knows
/// such a table by `num_class_embeds = classes + 1`.
#[derive(Module, Debug)]
pub struct ClassEmbedding {
    /// `[classes + 1, width]`.
    pub weight: Param<Tensor<2>>,
    #[module(skip)]
    classes: usize,
}

impl ClassEmbedding {
    /// A table of N(0, 1), PyTorch's initial values.
    pub fn new(classes: usize, width: usize, init: &Init) -> Self {
        Self {
            weight: init.normal("weight", [classes + 1, width], 1.0),
            classes,
        }
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// `[rows, width]`: the embedding of each row's class, below [`classes`](Self::classes), or
    /// of no class. Missing `classes` mean none for every row.
    pub fn forward(&self, rows: usize, classes: Option<&[Option<u32>]>) -> Tensor<2> {
        let none = self.classes as i64;
        let places: Vec<i64> = match classes {
            Some(classes) => {
                let places = classes.iter().map(|class| class.map_or(none, i64::from));
                places.collect()
            }
            None => vec![none; rows],
        };
        let weight = self.weight.val();
        let places = TensorData::new(places, [rows]);
        let places = Tensor::<1, Int>::from_data(places, &weight.device());
        weight.select(0, places)
    }
}
