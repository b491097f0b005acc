//! The order in which the items of a data set are seen: every epoch is shuffled anew.

use rayon::prelude::*;

use crate::random::{NoiseSource, Stream};

/// The endless sequence of shuffled epochs.
#[derive(Debug)]
pub(super) struct Order {
    source: NoiseSource,
    /// Items of an epoch.
    items: usize,
    /// The orders last asked for, of epochs that follow one another.
    epochs: Vec<(u64, Vec<usize>)>,
}

impl Order {
    /// The order of `items` items that `seed` determines.
    pub fn new(items: usize, seed: u64) -> Self {
        Self {
            source: NoiseSource::new(seed, Stream::Order),
            items,
            epochs: Vec::new(),
        }
    }

    /// The items at `count` positions from `first` on.
    pub fn at(&mut self, first: u64, count: usize) -> Vec<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_follow_one_another_each_with_every_item() {
        let mut order = Order::new(7, 3);
        let whole = order.at(0, 21);
        for epoch in whole.chunks(7) {
            let mut items = epoch.to_vec();
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2, 3, 4, 5, 6]);
        }
        assert_ne!(whole[..7], whole[7..14]);
        // However it is split, forwards or backwards.
        for (first, count) in [(0, 5), (5, 9), (14, 7), (3, 1), (6, 2), (0, 21), (20, 1)] {
            assert_eq!(order.at(first as u64, count), whole[first..first + count]);
        }
    }
}
