//! A data set in memory: items of one shape, kept as stored and mapped to model values on access.

use super::array::Values;
use super::labels::Labels;
use super::range::ValueMap;
use super::shape::Shape;
use crate::error::{Error, Result};

/// Items of one shape.
///
/// Values are kept as they were stored (bytes or f32) and become model values through the
/// [`ValueMap`] when they are read, so that a set of bytes takes a byte a value.
#[derive(Clone, Debug)]
pub struct Dataset {
    name: String,
    shape: Shape,
    dim: usize,
    values: Values,
    map: ValueMap,
    /// The model value of each byte; empty for f32 values.
    table: Vec<f32>,
    labels: Option<Labels>,
    notes: Vec<String>,
}

impl Dataset {
    /// A set of bytes. `shape` is one item's; `values` is `[n, shape..]` row-major, with n at
    /// least 1.
    ///
    /// # Errors
    /// A shape with a 0 in it, or values that are not whole items.
    pub fn from_u8(
        name: impl Into<String>,
        shape: Shape,
        values: Vec<u8>,
        map: ValueMap,
    ) -> Result<Self> {
        Self::from_values(name.into(), shape, Values::U8(values), map)
    }

    /// A set of f32 values; `shape` and `values` as in [`Dataset::from_u8`].
    ///
    /// # Errors
    /// Those of [`Dataset::from_u8`], and a value that is NaN or infinite, or becomes so under
    /// `map`: the message names the item and the position in it, both counted from 0.
    pub fn from_f32(
        name: impl Into<String>,
        shape: Shape,
        values: Vec<f32>,
        map: ValueMap,
    ) -> Result<Self> {
        Self::from_values(name.into(), shape, Values::F32(values), map)
    }

    pub(crate) fn from_values(
        name: String,
        shape: Shape,
        values: Values,
        map: ValueMap,
    ) -> Result<Self> {
        let sides = shape.to_vec();
        // The fields are public, so a caller may have set one to 0.
        let dim = Shape::from_sides(&sides)?.values();
        if values.is_empty() || !values.len().is_multiple_of(dim) {
            let mut expected = vec![values.len().div_ceil(dim).max(1)];
            expected.extend(sides);
            return Err(Error::Shape {
                what: name,
                expected,
                found: vec![values.len()],
            });
        }
        let table = match &values {
            Values::U8(_) => (0..=u8::MAX)
                .map(|b| map.to_model(f64::from(b)) as f32)
                .collect(),
            Values::F32(values) => {
                check_finite(&name, dim, values, &map)?;
                Vec::new()
            }
        };
        Ok(Self {
            name,
            shape,
            dim,
            values,
            map,
            table,
            labels: None,
            notes: Vec::new(),
        })
    }

    pub(crate) fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    pub(crate) fn add_note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The same items with a class each.
    ///
    /// # Errors
    /// When there is not one label per item.
    pub fn with_labels(mut self, labels: Labels) -> Result<Self> {
        if labels.len() != self.len() {
            return Err(Error::Shape {
                what: format!("the labels of {}", self.name),
                expected: vec![self.len()],
                found: vec![labels.len()],
            });
        }
        self.labels = Some(labels);
        Ok(self)
    }

    /// The classes of the items, where the set was read with labels.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// Whether stored values are integers, as the bytes of images are.
    pub fn has_levels(&self) -> bool {
        matches!(self.values, Values::U8(_))
    }

    /// The same values under another map: for evaluation data whose training data were mapped by
    /// their statistics.
    ///
    /// # Errors
    /// Where the map does not fit the values.
    pub fn remapped(self, map: ValueMap) -> Result<Self> {
        let set = Self::from_values(self.name, self.shape, self.values, map)?;
        Ok(Self {
            labels: self.labels,
            notes: self.notes,
            ..set
        })
    }

    /// The built-in name or the path the set came from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Remarks for the user on how the set was read, one sentence each (files skipped, alpha
    /// channels dropped); usually none.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there are no items; only [`Dataset::truncate`] and [`Dataset::split_at`] make
    /// such a set.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One item's shape; images and signals are planar.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Values in one item: the product of the shape, at least 1.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Whether items are images.
    pub fn is_image(&self) -> bool {
        self.shape.is_image()
    }

    /// The map from stored to model values.
    pub fn map(&self) -> &ValueMap {
        &self.map
    }

    /// Writes item `i` into `out`, `[dim]`, as model values.
    ///
    /// # Panics
    /// When `i >= len()` or `out.len() != dim()`.
    pub fn read(&self, i: usize, out: &mut [f32]) {
        self.read_all(&[i], out);
    }

    /// Writes the items at `indices`, in that order, into `out`, row-major `[indices.len(), dim]`,
    /// as model values.
    ///
    /// # Panics
    /// When an index is not below `len()` or `out.len() != indices.len() * dim()`.
    pub fn read_all(&self, indices: &[usize], out: &mut [f32]) {
        assert_eq!(
            out.len(),
            indices.len() * self.dim,
            "the output holds the items"
        );
        match &self.values {
            Values::U8(values) => {
                self.map_all(values, indices, out, |raw| self.table[usize::from(raw)]);
            }
            Values::F32(values) => {
                self.map_all(values, indices, out, |raw| {
                    self.map.to_model(f64::from(raw)) as f32
                });
            }
        }
    }

    fn map_all<T: Copy>(
        &self,
        values: &[T],
        indices: &[usize],
        out: &mut [f32],
        map: impl Fn(T) -> f32,
    ) {
        for (&i, out) in indices.iter().zip(out.chunks_exact_mut(self.dim)) {
            assert!(i < self.len(), "item {i} of a set of {}", self.len());
            let item = &values[i * self.dim..(i + 1) * self.dim];
            for (out, &raw) in out.iter_mut().zip(item) {
                *out = map(raw);
            }
        }
    }

    /// The items at `indices`, in that order, as model values: row-major `[indices.len(), dim]`.
    ///
    /// # Panics
    /// When an index is not below `len()`.
    pub fn gather(&self, indices: &[usize]) -> Vec<f32> {
        let mut out = vec![0.0; indices.len() * self.dim];
        self.read_all(indices, &mut out);
        out
    }

    /// The first `n` items, or all where there are fewer.
    pub fn truncate(mut self, n: usize) -> Self {
        self.values.truncate(n.saturating_mul(self.dim));
        if let Some(labels) = &mut self.labels {
            labels.truncate(n);
        }
        self
    }

    /// The first `n` items and the rest, such as a part to train on and a part held out.
    pub fn split_at(mut self, n: usize) -> (Self, Self) {
        let rest = self.values.split_off(n.saturating_mul(self.dim));
        let rest = Self {
            values: rest,
            labels: self.labels.as_mut().map(|labels| labels.split_off(n)),
            ..self.without_values()
        };
        (self, rest)
    }

    /// The mean and the standard deviation (dividing by the count) of all model values, as
    /// scalars; NaN for an empty set.
    pub fn mean_std(&self) -> (f64, f64) {
        let (mean, std) = self.values.mean_std();
        (self.map.to_model(mean), std * self.map.scale().abs())
    }

    fn without_values(&self) -> Self {
        Self {
            name: self.name.clone(),
            shape: self.shape,
            dim: self.dim,
            values: Values::U8(Vec::new()),
            map: self.map.clone(),
            table: self.table.clone(),
            labels: None,
            notes: self.notes.clone(),
        }
    }
}

fn check_finite(name: &str, dim: usize, values: &[f32], map: &ValueMap) -> Result<()> {
    let finite = |&raw: &f32| (map.to_model(f64::from(raw)) as f32).is_finite();
    let Some(at) = values.iter().position(|raw| !finite(raw)) else {
        return Ok(());
    };
    let (item, position, value) = (at / dim, at % dim, values[at]);
    let what = if value.is_nan() {
        "NaN"
    } else {
        "infinite, or too large for f32"
    };
    let reason = format!("item {item}, position {position} is {what}; repair or remove that item");
    Err(Error::content(name, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Dataset {
        let map = ValueMap::between([0.0, 255.0], [-1.0, 1.0]).unwrap();
        let shape = Shape::from_sides(&[1, 1, 2]).unwrap();
        Dataset::from_u8("six", shape, vec![0, 255, 51, 102, 153, 204], map).unwrap()
    }

    #[test]
    fn items_are_read_in_model_values() {
        let set = bytes();
        assert_eq!((set.len(), set.dim(), set.is_image()), (3, 2, true));
        assert_eq!(set.gather(&[1, 0, 1]), [-0.6, -0.2, -1.0, 1.0, -0.6, -0.2]);
        let map = ValueMap::standardising(1.0, 2.0).unwrap();
        let set = Dataset::from_f32("f", Shape::Vector { dim: 1 }, vec![1.0, 3.0], map).unwrap();
        assert_eq!(set.gather(&[0, 1]), [0.0, 1.0]);
        assert!(!set.is_image());
    }

    #[test]
    fn splitting_keeps_order_and_bounds_do_not_matter() {
        let (train, held_out) = bytes().split_at(2);
        assert_eq!((train.len(), held_out.len()), (2, 1));
        assert_eq!(held_out.gather(&[0]), bytes().gather(&[2]));
        let (all, none) = bytes().split_at(9);
        assert_eq!((all.len(), none.is_empty()), (3, true));
        assert_eq!(bytes().truncate(1).len(), 1);
        assert_eq!(bytes().truncate(usize::MAX).len(), 3);
    }

    #[test]
    fn labels_stay_with_their_items() {
        let classes = vec!["a".into(), "b".into()];
        let labels = |values| Labels::new(values, classes.clone()).unwrap();
        let set = bytes().with_labels(labels(vec![1, 0, 1])).unwrap();
        let of = |set: &Dataset| set.labels().unwrap().values().to_vec();
        assert_eq!(of(&set.clone().truncate(2)), [1, 0]);
        let (first, rest) = set.clone().split_at(1);
        assert_eq!((of(&first), of(&rest)), (vec![1], vec![0, 1]));
        assert_eq!(rest.labels().unwrap().classes(), classes);
        let (all, none) = set.clone().split_at(usize::MAX);
        assert_eq!((of(&all), of(&none)), (vec![1, 0, 1], vec![]));
        let map = ValueMap::identity();
        assert_eq!(of(&set.remapped(map).unwrap()), [1, 0, 1]);
        assert!(bytes().labels().is_none());
        let error = bytes().with_labels(labels(vec![1, 0])).unwrap_err();
        assert!(error.to_string().contains("the labels of six"), "{error}");
    }

    #[test]
    fn the_mean_and_deviation_are_those_of_model_values() {
        let (mean, std) = bytes().mean_std();
        // Levels -1, 1, -0.6, -0.2, 0.2, 0.6.
        assert!(mean.abs() < 1e-12, "{mean}");
        assert!((std - (2.8_f64 / 6.0).sqrt()).abs() < 1e-12, "{std}");
    }

    #[test]
    fn what_cannot_be_a_set_is_refused() {
        let f32s = |shape, values| Dataset::from_f32("x", shape, values, ValueMap::identity());
        let vector = |dim| Shape::Vector { dim };
        assert!(f32s(vector(2), vec![0.0; 3]).is_err());
        assert!(f32s(vector(2), vec![]).is_err());
        assert!(f32s(vector(0), vec![0.0]).is_err());
        let signal = Shape::Signal {
            channels: 2,
            length: 3,
        };
        assert!(f32s(signal, vec![0.0; 4]).is_err());
        let too_large = Shape::Image {
            channels: usize::MAX,
            height: 2,
            width: 2,
        };
        assert!(f32s(too_large, vec![0.0; 4]).is_err());
        let error = f32s(vector(2), vec![0.0, 0.0, 0.0, f32::NAN])
            .unwrap_err()
            .to_string();
        assert!(error.contains("x: item 1, position 1 is NaN"), "{error}");
    }
}
