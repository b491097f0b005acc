//! Philox4x32-10, the counter-based generator.
//!
//! Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Ten
//! rounds of a Feistel-like network turn a 128-bit counter and a 64-bit key into 128 random bits.

/// The round multipliers (Salmon et al., Table 2).
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// The Weyl increments of the key: the golden ratio and sqrt(3) - 1.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// `N` blocks at once: word `w` of block `l` is at `[w][l]`, so that a lane of a SIMD register
/// holds a block.
#[expect(
    clippy::needless_range_loop,
    reason = "a lane of every word: the SIMD idiom"
)]
#[inline(always)]
pub(super) fn philox<const N: usize>(
    mut key: [u32; 2],
    mut counter: [[u32; N]; 4],
) -> [[u32; N]; 4] {
    for _ in 0..ROUNDS {
        for lane in 0..N {
            let product_0 = u64::from(MULTIPLIERS[0]) * u64::from(counter[0][lane]);
            let product_1 = u64::from(MULTIPLIERS[1]) * u64::from(counter[2][lane]);
            counter[0][lane] = (product_1 >> 32) as u32 ^ counter[1][lane] ^ key[0];
            counter[2][lane] = (product_0 >> 32) as u32 ^ counter[3][lane] ^ key[1];
            counter[1][lane] = product_1 as u32;
            counter[3][lane] = product_0 as u32;
        }
        key[0] = key[0].wrapping_add(WEYL[0]);
        key[1] = key[1].wrapping_add(WEYL[1]);
    }
    counter
}

/// One block.
pub(super) fn philox_block(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    philox(key, counter.map(|word| [word])).map(|[word]| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kat_vectors` of Random123 1.14, the lines `philox4x32 10`.
    #[test]
    fn known_answers_of_random123() {
        let ones = u32::MAX;
        for (counter, key, answer) in [
            (
                [0; 4],
                [0; 2],
                [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
            ),
            (
                [ones; 4],
                [ones; 2],
                [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
            ),
            (
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xa4093822, 0x299f31d0],
                [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
            ),
        ] {
            assert_eq!(philox_block(key, counter), answer);
        }
    }

    #[test]
    fn lanes_are_blocks() {
        let counter: [[u32; 16]; 4] =
            std::array::from_fn(|word| std::array::from_fn(|lane| (word * 100 + lane) as u32));
        let lanes = philox([7, 9], counter);
        for lane in 0..16 {
            let block = philox_block([7, 9], counter.map(|word| word[lane]));
            assert_eq!(lanes.map(|word| word[lane]), block);
        }
    }
}
