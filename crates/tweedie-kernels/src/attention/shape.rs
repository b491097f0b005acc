//! The sizes of an attention.

use crate::error::{Error, Result, check, product};

/// The sizes of an attention over `[N, T, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// N.
    pub images: usize,
    /// T, the pixels of an image: queries and keys.
    pub tokens: usize,
    /// C.
    pub channels: usize,
    /// A divisor of C.
    pub heads: usize,
}

impl Shape {
    pub(super) fn check(&self, inputs: &[(&'static str, &[f32])]) -> Result<()> {
        if self.heads == 0 || !self.channels.is_multiple_of(self.heads) {
            return Err(Error::Shape(
                "the heads of an attention must divide its channels",
            ));
        }
        // Blocks of a few more queries than there are must be countable as well.
        let (images, tokens) = (self.images.max(1), self.tokens.saturating_add(64));
        product(&[images, tokens, self.channels.max(self.heads).max(64), 4])?;
        inputs
            .iter()
            .try_for_each(|(what, values)| check(what, values.len(), &self.dims()))
    }

    pub(super) fn dims(&self) -> [usize; 3] {
        [self.images, self.tokens, self.channels]
    }

    /// d.
    pub(super) fn width(&self) -> usize {
        self.channels / self.heads
    }

    /// `d^(-1/2)`.
    pub(super) fn scale(&self) -> f32 {
        (self.width() as f64).powf(-0.5) as f32
    }
}
