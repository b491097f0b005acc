//! NumPy's legacy generator, for figures that others published with its subsets.
//!
//! `numpy.random.RandomState(seed)` is MT19937 (Matsumoto and Nishimura 1998) with NumPy's own
//! shuffle, both frozen by NumPy's policy (NEP 19). Nothing else here draws from it.

/// N, the words of the state, and M, the distance of those that are combined.
const N: usize = 624;
const M: usize = 397;

/// `numpy.random.RandomState`.
pub(super) struct RandomState {
    words: [u32; N],
    next: usize,
}

impl RandomState {
    /// That of a whole number as the seed.
    pub(super) fn new(seed: u32) -> Self {
        let mut words = [seed; N];
        for i in 1..N {
            let last = words[i - 1];
            words[i] = 1_812_433_253_u32
                .wrapping_mul(last ^ (last >> 30))
                .wrapping_add(i as u32);
        }
        Self { words, next: N }
    }

    fn word(&mut self) -> u32 {
        if self.next == N {
            for i in 0..N {
                let y = (self.words[i] & 0x8000_0000) | (self.words[(i + 1) % N] & 0x7fff_ffff);
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.words[i] = self.words[(i + M) % N] ^ (y >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut y = self.words[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// A number in 0..=`most`, by rejection of masked words.
    fn interval(&mut self, most: u32) -> u32 {
        let mask = u32::MAX.checked_shr(most.leading_zeros()).unwrap_or(0);
        loop {
            let value = self.word() & mask;
            if value <= most {
                return value;
            }
        }
    }

    /// `permutation(n)`, n at most 2^32; its first values are `choice(n, size, replace=False)`.
    pub(super) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.interval(last as u32) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By NumPy 2.4.6.
    #[test]
    fn it_is_that_of_numpy() {
        let mut state = RandomState::new(2020);
        assert_eq!(state.permutation(10), [2, 4, 9, 1, 5, 7, 6, 3, 8, 0]);
        assert_eq!(state.permutation(1000)[..4], [358, 763, 430, 530]);
        assert_eq!(state.permutation(1), [0]);
    }
}
