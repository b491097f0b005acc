//! Which items are trained on, and which are held out.

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::random::{NoiseSource, Stream};

/// The places of items in a data set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Split {
    /// Those trained on.
    pub train: Vec<usize>,
    /// All others.
    pub held_out: Vec<usize>,
}

impl Split {
    /// A part `held_out` of the items, chosen by `seed`; at least one on either side.
    ///
    /// # Errors
    /// When there are fewer than two items, or those trained on are of one class.
    pub fn new(data: &Dataset, held_out: f64, seed: u64) -> Result<Self> {
        let n = data.len();
        if n < 2 {
            let reason = format!("needs 2 items or more, and {} has {n}", data.name());
            return Err(Error::setting("classifier.held_out", held_out, reason));
        }
        let count = ((n as f64 * held_out).round() as usize).clamp(1, n - 1);
        let order = NoiseSource::new(seed, Stream::Split).permutation(0, n);
        let (mut out, mut train) = (order[..count].to_vec(), order[count..].to_vec());
        // As they lie in memory.
        out.sort_unstable();
        train.sort_unstable();
        let labels = data.labels().map_or(&[][..], |labels| labels.values());
        let first = labels.get(train[0]);
        if train.iter().all(|&item| labels.get(item) == first) {
            let reason = "leaves items of one class only to train on; hold out less";
            return Err(Error::setting("classifier.held_out", held_out, reason));
        }
        Ok(Self {
            train,
            held_out: out,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Labels, Shape, ValueMap};

    #[test]
    fn every_item_is_on_one_side() {
        let set = |labels: Vec<u32>| {
            let shape = Shape::Vector { dim: 1 };
            let values = vec![0.0; labels.len()];
            let set = Dataset::from_f32("test", shape, values, ValueMap::identity()).unwrap();
            let classes = ["a", "b"].map(String::from).to_vec();
            set.with_labels(Labels::new(labels, classes).unwrap())
                .unwrap()
        };
        let data = set((0..50).map(|i| i % 2).collect());
        let split = Split::new(&data, 0.2, 3).unwrap();
        assert_eq!((split.train.len(), split.held_out.len()), (40, 10));
        let mut all = [split.train.clone(), split.held_out.clone()].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..50));
        assert_ne!(Split::new(&data, 0.2, 4).unwrap(), split);
        assert_eq!(Split::new(&data, 1e-9, 3).unwrap().held_out.len(), 1);
        assert!(Split::new(&set(vec![0]), 0.5, 0).is_err());
        let error = Split::new(&set(vec![0, 1]), 0.5, 0).unwrap_err();
        assert!(error.to_string().contains("one class"), "{error}");
    }
}
