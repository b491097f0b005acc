//! 1797 handwritten digits, 8x8 pixels of 17 grey values, built in.
//!
//! The test part of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak,
//! UCI Machine Learning Repository, <https://doi.org/10.24432/C50P49>, CC BY 4.0.

/// The number of images.
pub const COUNT: usize = 1797;
/// The height and the width of an image, in pixels.
pub const SIDE: usize = 8;
/// The smallest and the largest value of a pixel: paper and ink.
pub const LEVELS: [f64; 2] = [0.0, 16.0];

const PIXELS: usize = COUNT * SIDE * SIDE;

/// All pixels, then all labels; written by `scripts/pack-digits.py`.
static PACKED: &[u8; PIXELS + COUNT] = include_bytes!("assets/digits.bin");

/// The pixels, `[1797, 8, 8]` row-major, each 0 to 16.
pub fn pixels() -> &'static [u8] {
    &PACKED[..PIXELS]
}

/// The digit that each image shows, `[1797]`, each 0 to 9: what `labels = true` reads.
pub fn labels() -> &'static [u8] {
    &PACKED[PIXELS..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_is_scikit_learns() {
        // sklearn.datasets.load_digits(): data.sum(), bincount(target), data[0][:8], target[:10].
        let sum: u64 = pixels().iter().map(|&p| u64::from(p)).sum();
        assert_eq!((sum, pixels().iter().max()), (561_718, Some(&16)));
        assert_eq!(pixels()[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
        assert_eq!(labels()[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let mut counts = [0; 10];
        labels()
            .iter()
            .for_each(|&label| counts[usize::from(label)] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }
}
