//! The examples of an update.
//!
//! Every random number is keyed by (seed, step, place in the batch), so that examples can be
//! prepared in any order and by any thread.

use rayon::prelude::*;

use super::Objective;
use super::objective::Factors;
use crate::data::{Dataset, Shape};
use crate::noise::TrainingNoise;
use crate::random::{NoiseSource, Stream, rows_a_task};

/// Examples, prepared for the network.
#[derive(Debug, PartialEq)]
pub(super) struct Batch {
    /// The noise levels, `[N]`.
    pub sigma: Vec<f64>,
    /// The network's input, `[N, D]`.
    pub input: Vec<f32>,
    /// The factor of its output in the residual, `[N]`.
    pub gain: Vec<f32>,
    /// What is added to that, `[N, D]`.
    pub offset: Vec<f32>,
}

/// Where examples come from.
pub(super) struct Examples<'a> {
    data: &'a Dataset,
    noise: TrainingNoise,
    objective: Objective,
    /// Of each level, where there are levels: powers and roots cost more than the rest of a
    /// small example.
    levels: Vec<Factors>,
    size: usize,
    flip: bool,
    source: NoiseSource,
    order: Order,
}

/// Which uniform number of an example decides what.
const LEVEL_DRAW: u32 = 0;
const FLIP_DRAW: u32 = 1;

impl<'a> Examples<'a> {
    /// Batches of `size` examples, mirrored with probability 1/2 if `flip`.
    pub fn new(
        data: &'a Dataset,
        noise: TrainingNoise,
        objective: Objective,
        size: usize,
        flip: bool,
        seed: u64,
    ) -> Self {
        let levels = noise.levels().iter().map(|&sigma| objective.factors(sigma));
        Self {
            data,
            levels: levels.collect(),
            noise,
            objective,
            size,
            flip,
            source: NoiseSource::new(seed, Stream::Training),
            order: Order {
                source: NoiseSource::new(seed, Stream::Order),
                items: data.len(),
                epochs: Vec::new(),
            },
        }
    }

    /// The examples of update number `step`.
    pub fn draw(&mut self, step: u64) -> Batch {
        let (n, dim) = (self.size, self.data.dim());
        let items = self.order.at(step * n as u64, n);
        let mut batch = Batch {
            sigma: vec![0.0; n],
            input: vec![0.0; n * dim],
            gain: vec![0.0; n],
            offset: vec![0.0; n * dim],
        };
        let step = step as u32;
        // An example costs several times what a value of noise does.
        let rows = rows_a_task(4 * dim);
        let outputs = batch
            .input
            .par_chunks_mut(rows * dim)
            .zip(batch.offset.par_chunks_mut(rows * dim));
        let levels = batch
            .sigma
            .par_chunks_mut(rows)
            .zip(batch.gain.par_chunks_mut(rows));
        let tasks = outputs.zip(levels).zip(items.par_chunks(rows)).enumerate();
        tasks.for_each(|(task, (((input, offset), (sigma, gain)), items))| {
            let first = (task * rows) as u64;
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
        });
        batch
    }

    /// The factors at a quantile of the noise levels' law.
    fn factors(&self, quantile: f64) -> Factors {
        match self.noise.place(quantile) {
            Some(place) => self.levels[place],
            None => self.objective.factors(self.noise.sigma(quantile)),
        }
    }
}

/// The endless sequence of shuffled epochs.
struct Order {
    source: NoiseSource,
    /// Items of an epoch.
    items: usize,
    /// The orders last asked for, of epochs that follow one another.
    epochs: Vec<(u64, Vec<usize>)>,
}

impl Order {
    /// The items at `count` positions from `first` on.
    fn at(&mut self, first: u64, count: usize) -> Vec<usize> {
        let each = self.items as u64;
        let positions = first..first + count as u64;
        let epochs = positions.start / each..positions.end.div_ceil(each);
        self.epochs.retain(|(epoch, _)| epochs.contains(epoch));
        if self
            .epochs
            .first()
            .is_some_and(|first| first.0 != epochs.start)
        {
            self.epochs.clear();
        }
        // What is kept are the first of them, if any.
        let known = self.epochs.last().map_or(epochs.start, |last| last.0 + 1);
        let found = (known..epochs.end).into_par_iter();
        let found = found.map(|epoch| (epoch, self.source.permutation(epoch, self.items)));
        self.epochs.extend(found.collect::<Vec<_>>());
        let mut items = Vec::with_capacity(count);
        for (epoch, order) in &self.epochs {
            let within = |position: u64| position.saturating_sub(epoch * each).min(each) as usize;
            items.extend_from_slice(&order[within(positions.start)..within(positions.end)]);
        }
        items
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
    fn one_by_one(examples: &Examples, step: u64) -> Batch {
        let (n, dim) = (examples.size, examples.data.dim());
        let mut batch = Batch {
            sigma: vec![],
            input: vec![0.0; n * dim],
            gain: vec![],
            offset: vec![0.0; n * dim],
        };
        let (source, order) = (&examples.source, &examples.order);
        let places = batch
            .input
            .chunks_mut(dim)
            .zip(batch.offset.chunks_mut(dim));
        for (slot, (input, offset)) in (0..).zip(places) {
            let position = step * n as u64 + slot;
            let each = examples.data.len() as u64;
            let shuffled = order.source.permutation(position / each, each as usize);
            let (mut x, mut z) = (vec![0.0; dim], vec![0.0; dim]);
            examples
                .data
                .read(shuffled[(position % each) as usize], &mut x);
            if examples.flip && source.uniform(slot, step as u32, FLIP_DRAW) < 0.5 {
                mirror(&mut x, examples.data.shape());
            }
            source.fill_normal(slot, step as u32, &mut z);
            let quantile = source.uniform(slot, step as u32, LEVEL_DRAW);
            let factors = examples.objective.factors(examples.noise.sigma(quantile));
            factors.example(&x, &z, input, offset);
            batch.sigma.push(factors.sigma);
            batch.gain.push(factors.gain);
        }
        batch
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
            for noise in [&discrete, &continuous] {
                let form = Parameterisation::new(Preconditioning::Edm, 0.7);
                let objective = Objective::new(&LossConfig::default(), form).unwrap();
                let new = || Examples::new(&data, noise.clone(), objective.clone(), size, true, 3);
                let mut examples = new();
                for step in [0, 1, 2, 7, 3] {
                    let expected = one_by_one(&examples, step);
                    assert_eq!(examples.draw(step), expected);
                    for threads in [1, 3] {
                        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                        let found = pool.unwrap().install(|| new().draw(step));
                        assert_eq!(found, expected);
                    }
                }
            }
        }
    }
}
