//! Many small images as one picture, every pixel exact.

use super::color::{Color, INK};
use super::font;
use super::picture::{Picture, check_shape};
use super::raster;
use super::shapes::{Anchor, Text};
use super::svg::Svg;
use crate::error::{Error, Result};

/// Cells smaller than this many pixels are enlarged unless a scale is set.
const READABLE: usize = 40;
/// The largest row label, and its distance from the images, in pixels.
const LABEL: f64 = 16.0;
const LABEL_SPACE: f64 = 10.0;

/// Lays images out in rows, enlarged by whole factors, without touching their values.
///
/// Image `k` stands in row `k / columns` and column `k % columns`. Its pixel (r, c) fills the
/// square of `scale` × `scale` pixels whose top left corner is at
///
/// - x = labels + gap + (k % columns) · (W · scale + gap) + c · scale,
/// - y = gap + (k / columns) · (H · scale + gap) + r · scale,
///
/// where `labels` is the width of the row labels' column, 0 without them. The rest is background.
///
/// ```
/// use tweedie::report::Grid;
/// let digits = vec![128; 10 * 8 * 8];
/// let picture = Grid::new([1, 8, 8]).columns(5).render(&digits)?;
/// assert_eq!((picture.width(), picture.height()), (2 + 5 * 42, 2 + 2 * 42));
/// # Ok::<(), tweedie::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Grid {
    shape: [usize; 3],
    columns: Option<usize>,
    scale: Option<usize>,
    gap: usize,
    background: Color,
    row_labels: Vec<String>,
}

impl Grid {
    /// A grid of images of `shape` [C, H, W], C being 1 (grey) or 3 (RGB).
    ///
    /// Unless set otherwise it is about square, has gaps of 2 pixels on white, and enlarges
    /// images until their longer side has at least 40 pixels.
    pub fn new(shape: [usize; 3]) -> Self {
        Self {
            shape,
            columns: None,
            scale: None,
            gap: 2,
            background: [255; 3],
            row_labels: Vec::new(),
        }
    }

    /// The number of images in a row, at least 1. Fewer images make a narrower grid.
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = Some(columns);
        self
    }

    /// The factor of enlargement, at least 1: a pixel becomes `scale` × `scale` pixels.
    pub fn scale(mut self, scale: usize) -> Self {
        self.scale = Some(scale);
        self
    }

    /// The pixels between images and around the grid.
    pub fn gap(mut self, gap: usize) -> Self {
        self.gap = gap;
        self
    }

    /// The color of the gaps and of empty cells (red, green, blue).
    pub fn background(mut self, color: Color) -> Self {
        self.background = color;
        self
    }

    /// Labels at the left of the rows, from the top; missing ones are blank.
    pub fn row_labels(mut self, labels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.row_labels = labels.into_iter().map(Into::into).collect();
        self
    }

    /// Draws `images`: n · C · H · W bytes, image by image, channel by channel, row by row.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number of channels other than 1 and 3, 0 columns, a scale of 0,
    /// or a picture with a side above [`MAX_SIDE`](super::MAX_SIDE); [`Error::Shape`] where
    /// `images` is empty or not a whole number of images.
    pub fn render(&self, images: &[u8]) -> Result<Picture> {
        check_shape(self.shape)?;
        let [channels, height, width] = self.shape;
        let size = channels * height * width;
        let count = images.len() / size;
        if images.is_empty() || !images.len().is_multiple_of(size) {
            return Err(Error::Shape {
                what: "the images of a grid".into(),
                expected: vec![count.max(1), channels, height, width],
                found: vec![images.len()],
            });
        }
        let at_least_1 = |name: &str, value: usize| match value {
            0 => Err(Error::setting(name, value, "must be at least 1")),
            _ => Ok(value),
        };
        let square = (count as f64).sqrt().ceil() as usize;
        let columns = at_least_1("grid columns", self.columns.unwrap_or(square))?.min(count);
        let readable = READABLE.div_ceil(height.max(width));
        let scale = at_least_1("grid scale", self.scale.unwrap_or(readable))?;

        // Saturating: whatever does not fit is far above MAX_SIDE and refused below.
        let pitch = |side: usize| side.saturating_mul(scale).saturating_add(self.gap);
        let (across, down) = (pitch(width), pitch(height));
        let rows = count.div_ceil(columns);
        let labels = Labels::new(&self.row_labels, self.background, self.gap, down, rows);
        let total = |n: usize, pitch: usize| n.saturating_mul(pitch).saturating_add(self.gap);
        let wide = total(columns, across).saturating_add(labels.width);
        let mut sheet = Picture::filled(wide, total(rows, down), self.background)?;
        if labels.width > 0 {
            sheet.paste(&raster::render(&labels.svg()?)?, 0, 0);
        }
        for (k, image) in images.chunks_exact(size).enumerate() {
            let left = labels.width + self.gap + (k % columns) * across;
            let top = self.gap + (k / columns) * down;
            for (r, c) in (0..height).flat_map(|r| (0..width).map(move |c| (r, c))) {
                let value = |channel: usize| image[(channel * height + r) * width + c];
                let color = match channels {
                    1 => [value(0); 3],
                    _ => [value(0), value(1), value(2)],
                };
                sheet.block(left + c * scale, top + r * scale, scale, color);
            }
        }
        Ok(sheet)
    }
}

/// The column of row labels.
struct Labels<'a> {
    texts: &'a [String],
    background: Color,
    size: f64,
    gap: usize,
    down: usize,
    width: usize,
    height: usize,
}

impl<'a> Labels<'a> {
    fn new(texts: &'a [String], background: Color, gap: usize, down: usize, rows: usize) -> Self {
        let texts = &texts[..texts.len().min(rows)];
        // Labels of thin rows shrink with them rather than run into each other.
        let size = LABEL.min((down - gap) as f64 * 0.9);
        let widest = texts
            .iter()
            .map(|text| font::width(text, size))
            .fold(0.0, f64::max);
        let width = if widest > 0.0 {
            (widest + LABEL_SPACE * 1.5).ceil() as usize
        } else {
            0
        };
        let height = rows.saturating_mul(down).saturating_add(gap);
        Self {
            texts,
            background,
            size,
            gap,
            down,
            width,
            height,
        }
    }

    fn svg(&self) -> Result<String> {
        let mut svg = Svg::new((self.width, self.height), self.background)?;
        let right = self.width as f64;
        let dark = self.background.iter().map(|&v| u32::from(v)).sum::<u32>() < 3 * 128;
        for (i, text) in self.texts.iter().enumerate() {
            let middle = (self.gap + self.down) as f64 / 2.0 + (i * self.down) as f64;
            let at = (
                right - LABEL_SPACE,
                middle + self.size * font::CAPITAL / 2.0,
            );
            let color = if dark { [235; 3] } else { INK };
            svg.text(Text::new(text, at, self.size, Anchor::End, color));
        }
        Ok(svg.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte tells which image, channel, row and column it belongs to.
    fn images(n: usize, shape: [usize; 3]) -> Vec<u8> {
        (0..n * shape.iter().product::<usize>())
            .map(|i| (i * 31 % 251) as u8)
            .collect()
    }

    #[test]
    fn every_pixel_lands_where_the_doc_says() {
        for shape in [[1, 3, 2], [3, 2, 4]] {
            let [channels, height, width] = shape;
            let (n, columns, scale, gap) = (5, 3, 4, 3);
            let data = images(n, shape);
            let grid = Grid::new(shape).columns(columns).scale(scale).gap(gap);
            let picture = grid.background([1, 2, 3]).render(&data).unwrap();
            assert_eq!(picture.width(), gap + columns * (width * scale + gap));
            assert_eq!(picture.height(), gap + 2 * (height * scale + gap));
            let mut expected =
                Picture::filled(picture.width(), picture.height(), [1, 2, 3]).unwrap();
            for (k, r, c) in (0..n)
                .flat_map(|k| (0..height).flat_map(move |r| (0..width).map(move |c| (k, r, c))))
            {
                let value = |ch: usize| data[((k * channels + ch) * height + r) * width + c];
                let color = [value(0), value(1 % channels), value(2 % channels)];
                let x = gap + (k % columns) * (width * scale + gap) + c * scale;
                let y = gap + (k / columns) * (height * scale + gap) + r * scale;
                for (dy, dx) in (0..scale).flat_map(|dy| (0..scale).map(move |dx| (dy, dx))) {
                    expected.block(x + dx, y + dy, 1, color);
                }
            }
            assert_eq!(picture, expected);
        }
    }

    #[test]
    fn labels_move_the_images_and_nothing_else() {
        let data = images(4, [1, 8, 8]);
        let plain = Grid::new([1, 8, 8]).columns(2).render(&data).unwrap();
        let grid = Grid::new([1, 8, 8])
            .columns(2)
            .row_labels(["σ = 1", "σ = 0.01", "unused"]);
        let labelled = grid.render(&data).unwrap();
        let moved = labelled.width() - plain.width();
        assert!(moved > 40, "{moved}");
        for y in 0..plain.height() {
            for x in 0..plain.width() {
                assert_eq!(labelled.pixel(x + moved, y), plain.pixel(x, y));
            }
        }
        assert_eq!(labelled, grid.render(&data).unwrap());
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        assert!(Grid::new([1, 2, 2]).render(&[]).is_err());
        assert!(Grid::new([1, 2, 2]).render(&[0; 7]).is_err());
        assert!(Grid::new([2, 2, 2]).render(&[0; 8]).is_err());
        assert!(Grid::new([1, 0, 2]).render(&[0; 8]).is_err());
        assert!(Grid::new([1, 2, 2]).columns(0).render(&[0; 4]).is_err());
        assert!(Grid::new([1, 2, 2]).scale(0).render(&[0; 4]).is_err());
        let huge = Grid::new([1, 2, 2]).scale(usize::MAX).gap(usize::MAX);
        assert!(huge.row_labels(["a"]).render(&[0; 4]).is_err());
        assert!(Grid::new([1, usize::MAX, 2]).render(&[0; 4]).is_err());
    }
}
