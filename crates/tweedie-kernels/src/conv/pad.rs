//! Images copied into a border of zeros.

/// The border around an image of `size` pixels of `channels` values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Border {
    pub size: [usize; 2],
    pub channels: usize,
    pub before: [usize; 2],
    pub after: [usize; 2],
}

impl Border {
    /// Pixels of a padded row.
    pub fn width(&self) -> usize {
        self.before[1] + self.size[1] + self.after[1]
    }

    /// Values of a padded image.
    pub fn len(&self) -> usize {
        (self.before[0] + self.size[0] + self.after[0]) * self.width() * self.channels
    }

    /// Copies the whole images of `x` into `out`; what is left of `out` becomes zero.
    pub fn fill(&self, x: &[f32], out: &mut [f32]) {
        let image = self.size[0] * self.size[1] * self.channels;
        let row = self.size[1] * self.channels;
        let [left, right] = [
            self.before[1] * self.channels,
            self.after[1] * self.channels,
        ];
        let wide = self.width() * self.channels;
        let images = x.len().checked_div(image).unwrap_or(0);
        let (padded, slack) = out.split_at_mut(images * self.len());
        slack.fill(0.0);
        for n in 0..images {
            let (source, target) = (&x[n * image..][..image], &mut padded[n * self.len()..]);
            let (top, rest) = target[..self.len()].split_at_mut(self.before[0] * wide);
            let (middle, bottom) = rest.split_at_mut(self.size[0] * wide);
            top.fill(0.0);
            bottom.fill(0.0);
            for (to, from) in middle.chunks_exact_mut(wide).zip(source.chunks_exact(row)) {
                to[..left].fill(0.0);
                to[left..left + row].copy_from_slice(from);
                to[wide - right..].fill(0.0);
            }
        }
    }
}
