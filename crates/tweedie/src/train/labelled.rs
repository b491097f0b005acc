//! Examples of a labelled data set, augmented: what a classifier is trained on.

use rayon::prelude::*;

use super::Draw;
use super::order::Order;
use crate::data::{Dataset, Shape};
use crate::error::{Error, Result};
use crate::random::{NoiseSource, Stream};

/// What is done to an image before it is seen, at random each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augmentation {
    /// The most pixels that it is shifted by in each direction, any number being as likely as any
    /// other; what comes in at an edge is that edge again.
    pub shift: usize,
    /// Whether it is mirrored left to right with probability 1/2.
    pub flip: bool,
}

/// Which uniform number of an example decides what.
const ROW_DRAW: u32 = 0;
const COLUMN_DRAW: u32 = 1;
const FLIP_DRAW: u32 = 2;

/// Items of a data set with their classes, in shuffled epochs.
///
/// Every random number is keyed by (seed, update, place in the batch).
pub struct LabelledExamples<'a> {
    data: &'a Dataset,
    labels: &'a [u32],
    items: Vec<usize>,
    augmentation: Augmentation,
    source: NoiseSource,
    order: Order,
}

impl<'a> LabelledExamples<'a> {
    /// The `items` of `data`, which has labels; images are augmented.
    ///
    /// # Errors
    /// When there are no labels or no items, or an item is not in the set.
    pub fn new(
        data: &'a Dataset,
        items: Vec<usize>,
        augmentation: Augmentation,
        seed: u64,
    ) -> Result<Self> {
        let Some(labels) = data.labels() else {
            let reason = format!("{} was read without labels", data.name());
            return Err(Error::setting("labels", "none", reason));
        };
        if items.is_empty() || items.iter().any(|&item| item >= data.len()) {
            let reason = format!("give 1 or more places in a set of {}", data.len());
            return Err(Error::setting("items", items.len(), reason));
        }
        Ok(Self {
            data,
            labels: labels.values(),
            augmentation,
            source: NoiseSource::new(seed, Stream::Training),
            order: Order::new(items.len(), seed),
            items,
        })
    }

    /// The data.
    pub fn data(&self) -> &'a Dataset {
        self.data
    }

    /// Values `[N, D]` and classes `[N]` of the examples of `draw`.
    pub(super) fn draw(&mut self, draw: &Draw) -> (Vec<f32>, Vec<u32>) {
        let (n, dim) = (draw.places.len(), self.data.dim());
        let first = draw.places.start as u64;
        let places = self.order.at(draw.update * draw.batch as u64 + first, n);
        let items: Vec<usize> = places.iter().map(|&place| self.items[place]).collect();
        let mut x = vec![0.0; n * dim];
        let rows = x.par_chunks_mut(dim).zip(&items).enumerate();
        rows.with_min_len(16).for_each(|(row, (x, &item))| {
            self.data.read(item, x);
            self.augment(x, first + row as u64, draw.update as u32);
        });
        (x, items.iter().map(|&item| self.labels[item]).collect())
    }

    /// Augments the example at `place` of update `step`; leaves all but images alone.
    fn augment(&self, x: &mut [f32], place: u64, step: u32) {
        let Shape::Image { height, width, .. } = self.data.shape() else {
            return;
        };
        let Augmentation { shift, flip } = self.augmentation;
        let uniform = |draw| self.source.uniform(place, step, draw);
        let by = |draw| {
            let steps = (uniform(draw) * (2 * shift + 1) as f64) as isize;
            steps - shift as isize
        };
        if shift > 0 {
            shifted(x, [height, width], [by(ROW_DRAW), by(COLUMN_DRAW)]);
        }
        if flip && uniform(FLIP_DRAW) < 0.5 {
            x.chunks_mut(width).for_each(<[f32]>::reverse);
        }
    }
}

/// Moves an image `[C, height, width]` down and right by `by`; negative is up and left.
fn shifted(x: &mut [f32], [height, width]: [usize; 2], by: [isize; 2]) {
    if by == [0, 0] {
        return;
    }
    let from = |to: usize, by: isize, side: usize| {
        let place = to as isize - by;
        place.clamp(0, side as isize - 1) as usize
    };
    for plane in x.chunks_mut(height * width) {
        let before = plane.to_vec();
        for (row, out) in plane.chunks_mut(width).enumerate() {
            let start = from(row, by[0], height) * width;
            for (column, out) in out.iter_mut().enumerate() {
                *out = before[start + from(column, by[1], width)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Labels, ValueMap};

    #[test]
    fn an_image_is_moved_and_its_edges_repeat() {
        let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let moved = |by| {
            let mut x = image;
            shifted(&mut x, [2, 3], by);
            x
        };
        assert_eq!(moved([0, 0]), image);
        assert_eq!(moved([1, 0]), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
        assert_eq!(moved([0, -1]), [2.0, 3.0, 3.0, 5.0, 6.0, 6.0]);
        assert_eq!(moved([-1, 2]), [4.0, 4.0, 4.0, 4.0, 4.0, 4.0]);
    }

    fn data() -> Dataset {
        // One bright pixel in the middle of 5x5.
        let mut values = vec![0.0; 40 * 25];
        values.chunks_mut(25).for_each(|x| x[12] = 1.0);
        let shape = Shape::from_sides(&[1, 5, 5]).unwrap();
        let data = Dataset::from_f32("test", shape, values, ValueMap::identity()).unwrap();
        let labels = (0..40).map(|i| i % 3).collect();
        let classes = ["a", "b", "c"].map(String::from).to_vec();
        data.with_labels(Labels::new(labels, classes).unwrap())
            .unwrap()
    }

    #[test]
    fn parts_are_the_batch_and_every_shift_is_as_likely() {
        let data = data();
        let augmentation = Augmentation {
            shift: 2,
            flip: true,
        };
        let items: Vec<usize> = (5..35).collect();
        let new = || LabelledExamples::new(&data, items.clone(), augmentation, 3).unwrap();
        let of = |update, places| Draw {
            update,
            batch: 50,
            places,
        };
        let (mut x, mut classes) = new().draw(&of(7, 0..20));
        let (more, rest) = new().draw(&of(7, 20..50));
        x.extend(more);
        classes.extend(rest);
        assert_eq!((x, classes), new().draw(&of(7, 0..50)));

        let mut examples = new();
        let mut places = [0.0_f64; 25];
        let updates = 200;
        for update in 0..updates {
            let (x, _) = examples.draw(&of(update, 0..50));
            for x in x.chunks(25) {
                places[x.iter().position(|&v| v == 1.0).unwrap()] += 1.0;
            }
        }
        let expected = updates as f64 * 50.0 / 25.0;
        let chi_square: f64 = places
            .iter()
            .map(|n| (n - expected).powi(2) / expected)
            .sum();
        // 24 degrees of freedom: P(chi^2 > 51.2) = 0.001.
        assert!(chi_square < 51.2, "{chi_square}");
    }

    #[test]
    fn only_the_items_asked_for_are_seen_with_their_labels() {
        let mut values = vec![0.0; 12];
        for (i, v) in values.iter_mut().enumerate() {
            *v = i as f32;
        }
        let shape = Shape::Vector { dim: 1 };
        let set = Dataset::from_f32("test", shape, values, ValueMap::identity()).unwrap();
        let items = vec![1, 4, 9];
        let none = LabelledExamples::new(&set, items.clone(), Augmentation::default(), 0);
        assert!(none.is_err());
        let classes = ["a", "b"].map(String::from).to_vec();
        let labels = Labels::new((0..12).map(|i| i % 2).collect(), classes).unwrap();
        let set = set.with_labels(labels).unwrap();
        let augmentation = Augmentation {
            shift: 2,
            flip: true,
        };
        let mut examples = LabelledExamples::new(&set, items, augmentation, 0).unwrap();
        let draw = Draw {
            update: 0,
            batch: 6,
            places: 0..6,
        };
        let (x, classes) = examples.draw(&draw);
        let mut seen = x.clone();
        seen.sort_by(f32::total_cmp);
        assert_eq!(seen, [1.0, 1.0, 4.0, 4.0, 9.0, 9.0]);
        let all = x.iter().zip(&classes);
        assert!(all.into_iter().all(|(&x, &c)| x as u32 % 2 == c));
        assert!(LabelledExamples::new(&set, vec![], augmentation, 0).is_err());
        assert!(LabelledExamples::new(&set, vec![12], augmentation, 0).is_err());
    }
}
