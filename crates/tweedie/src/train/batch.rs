//! The examples of an update.
//!
//! Every random number is keyed by (seed, step, place in the batch), so that examples can be
//! prepared in any order and by any thread.

use rayon::prelude::*;

use super::Draw;
use super::order::Order;
use super::score_matching::{Factors, ScoreMatching};
use crate::data::{Dataset, Shape};
use crate::error::{Error, Result};
use crate::nn::Parameterisation;
use crate::noise::TrainingNoise;
use crate::random::{NoiseSource, Stream, rows_a_task};

/// Examples, prepared for the network.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Batch {
    /// The noise levels, `[N]`.
    pub sigmas: Vec<f64>,
    /// The classes, `[N]`, none where one is withheld; missing where examples have none.
    pub classes: Option<Vec<Option<u32>>>,
    /// The network's input, `[N, D]`.
    pub input: Vec<f32>,
    /// The factor on its output in the residual, `[N]`.
    pub gain: Vec<f32>,
    /// What is added to that, `[N, D]`.
    pub offset: Vec<f32>,
    /// The items themselves, `[N, D]`, where they are asked for.
    pub clean: Option<Vec<f32>>,
}

/// Where the examples of denoising score matching come from.
pub struct Examples<'a> {
    data: &'a Dataset,
    noise: TrainingNoise,
    objective: ScoreMatching,
    /// Of each level, where there are levels: powers and roots cost more than the rest of a
    /// small example.
    levels: Vec<Factors>,
    flip: bool,
    labels: Option<Labels<'a>>,
    source: NoiseSource,
    order: Order,
}

/// The class of each item, and how often it is withheld.
struct Labels<'a> {
    values: &'a [u32],
    dropout: f64,
}

/// The index of each uniform number of an example.
const LEVEL_DRAW: u32 = 0;
const FLIP_DRAW: u32 = 1;
const LABEL_DRAW: u32 = 2;

impl<'a> Examples<'a> {
    /// Items of `data` in shuffled epochs, noised by levels of `noise`, weighted as `objective`
    /// says.
    pub fn new(
        data: &'a Dataset,
        noise: TrainingNoise,
        objective: ScoreMatching,
        seed: u64,
    ) -> Self {
        let levels = noise.levels().iter().map(|&sigma| objective.factors(sigma));
        Self {
            data,
            levels: levels.collect(),
            noise,
            objective,
            flip: false,
            labels: None,
            source: NoiseSource::new(seed, Stream::Training),
            order: Order::new(data.len(), seed),
        }
    }

    /// With `flip`, mirrors images left to right with probability 1/2.
    #[must_use]
    pub fn flipped(self, flip: bool) -> Self {
        Self { flip, ..self }
    }

    /// Adds the classes `labels` of the items, each withheld with probability `dropout`.
    ///
    /// # Errors
    /// When there is not one label per item, or `dropout` is not a probability.
    pub fn labelled(self, labels: &'a [u32], dropout: f64) -> Result<Self> {
        if labels.len() != self.data.len() {
            return Err(Error::Shape {
                what: format!("the labels of {}", self.data.name()),
                expected: vec![self.data.len()],
                found: vec![labels.len()],
            });
        }
        if !(0.0..=1.0).contains(&dropout) {
            let reason = "must lie in [0, 1]";
            return Err(Error::setting("label_dropout", dropout, reason));
        }
        let values = labels;
        Ok(Self {
            labels: Some(Labels { values, dropout }),
            ..self
        })
    }

    /// The data.
    pub fn data(&self) -> &'a Dataset {
        self.data
    }

    /// One more than the largest label, where there are labels.
    pub fn classes(&self) -> Option<u32> {
        let labels = self.labels.as_ref()?;
        Some(labels.values.iter().max().map_or(0, |max| max + 1))
    }

    /// The parameterisation of the network's output.
    pub(super) fn parameterisation(&self) -> Parameterisation {
        self.objective.parameterisation()
    }

    /// The examples of `draw`, with the items themselves if `clean`.
    pub(super) fn draw(&mut self, draw: &Draw, clean: bool) -> Batch {
        let (n, dim) = (draw.places.len(), self.data.dim());
        let place = draw.places.start as u64;
        let items = self.order.at(draw.update * draw.batch as u64 + place, n);
        let step = draw.update as u32;
        let mut batch = Batch {
            sigmas: vec![0.0; n],
            classes: self.classes_of(&items, place, step),
            input: vec![0.0; n * dim],
            gain: vec![0.0; n],
            offset: vec![0.0; n * dim],
            clean: clean.then(|| vec![0.0; n * dim]),
        };
        // An example costs several times what a value of noise does.
        let rows = rows_a_task(4 * dim);
        // Empty for every task where the items are not asked for.
        let mut kept: Vec<Option<&mut [f32]>> = match &mut batch.clean {
            Some(clean) => clean.chunks_mut(rows * dim).map(Some).collect(),
            None => items.chunks(rows).map(|_| None).collect(),
        };
        let outputs = batch
            .input
            .par_chunks_mut(rows * dim)
            .zip(batch.offset.par_chunks_mut(rows * dim));
        let levels = batch
            .sigmas
            .par_chunks_mut(rows)
            .zip(batch.gain.par_chunks_mut(rows));
        let given = items.par_chunks(rows).zip(&mut kept);
        let tasks = outputs.zip(levels).zip(given).enumerate();
        tasks.for_each(
            |(task, (((input, offset), (sigma, gain)), (items, kept)))| {
                let first = place + (task * rows) as u64;
                let slots: Vec<u64> = (first..first + items.len() as u64).collect();
                let mut z = vec![0.0; input.len()];
                self.source.fill_rows(&slots, step, &mut z);
                // Quantiles, replaced by the levels they stand for.
                self.source.fill_uniform(&slots, step, LEVEL_DRAW, sigma);
                let mut x = vec![0.0; input.len()];
                self.data.read_all(items, &mut x);
                if self.flip {
                    for (x, &slot) in x.chunks_exact_mut(dim).zip(&slots) {
                        if self.source.uniform(slot, step, FLIP_DRAW) < 0.5 {
                            mirror(x, self.data.shape());
                        }
                    }
                }
                if let Some(kept) = kept {
                    kept.copy_from_slice(&x);
                }
                let given = x.chunks_exact(dim).zip(z.chunks_exact(dim));
                let examples = input
                    .chunks_exact_mut(dim)
                    .zip(offset.chunks_exact_mut(dim));
                let levels = sigma.iter_mut().zip(gain);
                for (((x, z), (input, offset)), (sigma, gain)) in given.zip(examples).zip(levels) {
                    let factors = self.factors(*sigma);
                    factors.example(x, z, input, offset);
                    (*sigma, *gain) = (factors.sigma, factors.gain);
                }
            },
        );
        batch
    }

    /// The classes of `items` at the places from `first` on, some of them withheld.
    fn classes_of(&self, items: &[usize], first: u64, step: u32) -> Option<Vec<Option<u32>>> {
        let labels = self.labels.as_ref()?;
        let classes = items.iter().zip(first..).map(|(&item, place)| {
            let kept = self.source.uniform(place, step, LABEL_DRAW) >= labels.dropout;
            kept.then_some(labels.values[item])
        });
        Some(classes.collect())
    }

    /// The factors at a quantile of the noise levels' distribution.
    fn factors(&self, quantile: f64) -> Factors {
        match self.noise.place(quantile) {
            Some(place) => self.levels[place],
            None => self.objective.factors(self.noise.sigma(quantile)),
        }
    }
}

/// Mirrors an image `[C, H, W]` left to right; leaves anything else alone.
fn mirror(x: &mut [f32], shape: Shape) {
    if let Shape::Image { width, .. } = shape {
        x.chunks_mut(width).for_each(<[f32]>::reverse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ValueMap;
    use crate::nn::{Parameterisation, Preconditioning};
    use crate::noise::Levels;
    use crate::train::LossConfig;

    /// One example after another, as the equations say.
    fn one_by_one(examples: &Examples, n: usize, step: u64) -> Batch {
        let dim = examples.data.dim();
        let mut batch = Batch {
            input: vec![0.0; n * dim],
            offset: vec![0.0; n * dim],
            classes: examples.labels.as_ref().map(|_| vec![]),
            clean: Some(vec![]),
            ..Batch::default()
        };
        let source = &examples.source;
        let order = NoiseSource::new(3, Stream::Order);
        let places = batch
            .input
            .chunks_mut(dim)
            .zip(batch.offset.chunks_mut(dim));
        for (slot, (input, offset)) in (0..).zip(places) {
            let position = step * n as u64 + slot;
            let each = examples.data.len() as u64;
            let shuffled = order.permutation(position / each, each as usize);
            let item = shuffled[(position % each) as usize];
            let (mut x, mut z) = (vec![0.0; dim], vec![0.0; dim]);
            examples.data.read(item, &mut x);
            if examples.flip && source.uniform(slot, step as u32, FLIP_DRAW) < 0.5 {
                mirror(&mut x, examples.data.shape());
            }
            source.fill_normal(slot, step as u32, &mut z);
            let quantile = source.uniform(slot, step as u32, LEVEL_DRAW);
            let factors = examples.objective.factors(examples.noise.sigma(quantile));
            factors.example(&x, &z, input, offset);
            batch.sigmas.push(factors.sigma);
            batch.gain.push(factors.gain);
            batch.clean.as_mut().unwrap().extend(&x);
            if let Some(labels) = &examples.labels {
                let kept = source.uniform(slot, step as u32, LABEL_DRAW) >= labels.dropout;
                let class = kept.then_some(labels.values[item]);
                batch.classes.as_mut().unwrap().push(class);
            }
        }
        batch
    }

    fn all(update: u64, batch: usize) -> Draw {
        Draw {
            update,
            batch,
            places: 0..batch,
        }
    }

    #[test]
    fn a_batch_holds_the_examples_one_by_one_with_any_number_of_threads() {
        let discrete = TrainingNoise::Discrete(Levels::geometric(2.0, 0.5, 16).unwrap());
        let continuous = TrainingNoise::LogUniform {
            sigma_min: 0.01,
            sigma_max: 50.0,
        };
        for (shape, items, size) in [
            (vec![1], 10, 2500),
            (vec![2], 700, 64),
            (vec![3], 64, 64),
            (vec![1, 3, 4], 5, 23),
            (vec![3, 8, 8], 40, 9),
        ] {
            let dim: usize = shape.iter().product();
            let values = (0..items * dim).map(|i| i as f32 * 0.01).collect();
            let shape = Shape::from_sides(&shape).unwrap();
            let data = Dataset::from_f32("test", shape, values, ValueMap::identity()).unwrap();
            let labels: Vec<u32> = (0..items as u32).map(|i| i % 4).collect();
            for noise in [&discrete, &continuous] {
                let parameterisation = Parameterisation::new(Preconditioning::Edm, 0.7);
                let objective =
                    ScoreMatching::new(&LossConfig::default(), parameterisation).unwrap();
                let new = || {
                    let examples = Examples::new(&data, noise.clone(), objective.clone(), 3);
                    examples.flipped(true).labelled(&labels, 0.3).unwrap()
                };
                let mut examples = new();
                for step in [0, 1, 2, 7, 3] {
                    let expected = one_by_one(&examples, size, step);
                    assert_eq!(examples.draw(&all(step, size), true), expected);
                    for threads in [1, 3] {
                        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                        let draw = all(step, size);
                        let found = pool.unwrap().install(|| new().draw(&draw, true));
                        assert_eq!(found, expected);
                    }
                }
            }
        }
    }

    fn points(n: usize) -> Dataset {
        let values = (0..2 * n).map(|i| i as f32 * 0.1).collect();
        Dataset::from_f32(
            "points",
            Shape::Vector { dim: 2 },
            values,
            ValueMap::identity(),
        )
        .unwrap()
    }

    fn examples(data: &Dataset) -> Examples<'_> {
        let noise = TrainingNoise::Discrete(Levels::geometric(2.0, 0.5, 16).unwrap());
        let parameterisation = Parameterisation::new(Preconditioning::ScaledScore, 1.0);
        let objective = ScoreMatching::new(&LossConfig::default(), parameterisation).unwrap();
        Examples::new(data, noise, objective, 3)
    }

    #[test]
    fn the_parts_of_a_batch_are_the_batch() {
        let data = points(50);
        let mut examples = examples(&data);
        let whole = examples.draw(&all(2, 24), true);
        let mut joined = Batch {
            clean: Some(vec![]),
            ..Batch::default()
        };
        for places in [0..8, 8..9, 9..24] {
            let draw = Draw {
                places,
                ..all(2, 24)
            };
            let part = examples.draw(&draw, true);
            joined.sigmas.extend(part.sigmas);
            joined.gain.extend(part.gain);
            joined.input.extend(part.input);
            joined.offset.extend(part.offset);
            joined.clean.as_mut().unwrap().extend(part.clean.unwrap());
        }
        assert_eq!(joined, whole);
    }

    #[test]
    fn labels_are_withheld_as_often_as_asked_and_move_no_other_draw() {
        let data = points(50);
        let labels: Vec<u32> = (0..50).collect();
        const N: usize = 4000;
        let without = examples(&data).draw(&all(1, N), false);
        for dropout in [0.0, 0.1, 1.0] {
            let mut labelled = examples(&data).labelled(&labels, dropout).unwrap();
            let mut batch = labelled.draw(&all(1, N), false);
            let classes = batch.classes.take().unwrap();
            assert_eq!(batch, without);
            let withheld = classes.iter().filter(|class| class.is_none()).count() as f64;
            // Four standard errors of a binomial count.
            let error = (N as f64 * dropout * (1.0 - dropout)).sqrt();
            assert!(
                (withheld - N as f64 * dropout).abs() <= 4.0 * error,
                "{withheld}"
            );
        }
        assert!(examples(&data).labelled(&labels[1..], 0.1).is_err());
        assert!(examples(&data).labelled(&labels, 1.5).is_err());
    }
}
