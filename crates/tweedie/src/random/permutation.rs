//! Random permutations, for the examples of an epoch and for splits of a data set.
//!
//! The Fisher-Yates shuffle by Durstenfeld's algorithm (CACM 7, 1964), with numbers from the
//! stream.

use super::source::{GROUP, NoiseSource, first_words};

impl NoiseSource {
    /// The order of 0..`n` in `epoch`: a permutation that depends on nothing else.
    pub fn permutation(&self, epoch: u64, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        let (low, high) = (epoch as u32, (epoch >> 32) as u32);
        let mut counters = [[0; GROUP], [0; GROUP], [low; GROUP], [high; GROUP]];
        let mut words = [0; GROUP];
        // Addresses n - 1 to 1, a group of random words at a time.
        let mut end = n;
        while end > 1 {
            let start = end.saturating_sub(GROUP).max(1);
            for (lane, address) in (start..end).rev().enumerate() {
                counters[0][lane] = address as u32;
                counters[1][lane] = (address as u64 >> 32) as u32;
            }
            first_words(self.permutation_key, &counters, &mut words);
            for (last, bits) in (start..end).rev().zip(words) {
                // Uniform on 0..=last up to a bias of last/2^64.
                let chosen = (u128::from(bits) * (last as u128 + 1)) >> 64;
                order.swap(last, chosen as usize);
            }
            end = start;
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use crate::random::philox::philox_block;
    use crate::random::{NoiseSource, Stream};

    #[test]
    fn every_index_appears_once_and_epochs_differ() {
        let source = NoiseSource::new(3, Stream::Order);
        let order = source.permutation(0, 1000);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..1000));
        assert_eq!(order, source.permutation(0, 1000));
        assert_ne!(order, source.permutation(1, 1000));
        assert!(source.permutation(0, 0).is_empty());
        assert_eq!(source.permutation(0, 1), [0]);
    }

    /// Durstenfeld's loop, one random block at a time.
    #[test]
    fn groups_of_words_shuffle_as_single_blocks_do() {
        let source = NoiseSource::new(5, Stream::Order);
        for n in [2, 3, 63, 64, 65, 66, 129, 1000] {
            for epoch in [0, 1, 1 << 40] {
                let mut order: Vec<usize> = (0..n).collect();
                for last in (1..n).rev() {
                    let counter = [last as u32, 0, epoch as u32, (epoch >> 32) as u32];
                    let [low, high, ..] = philox_block(source.permutation_key, counter);
                    let bits = u128::from(u64::from(high) << 32 | u64::from(low));
                    order.swap(last, ((bits * (last as u128 + 1)) >> 64) as usize);
                }
                assert_eq!(source.permutation(epoch, n), order);
            }
        }
    }

    #[test]
    fn the_six_orders_of_three_are_equally_likely() {
        let source = NoiseSource::new(4, Stream::Order);
        let epochs = 60_000u64;
        let mut counts = std::collections::HashMap::new();
        for epoch in 0..epochs {
            *counts.entry(source.permutation(epoch, 3)).or_insert(0.0) += 1.0;
        }
        assert_eq!(counts.len(), 6);
        let expected = epochs as f64 / 6.0;
        let chi_square: f64 = counts
            .values()
            .map(|c: &f64| (c - expected).powi(2) / expected)
            .sum();
        // Five degrees of freedom: P(chi^2 > 20.5) = 0.001.
        assert!(chi_square < 20.5, "{chi_square}");
    }
}
