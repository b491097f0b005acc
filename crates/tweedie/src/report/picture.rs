//! A picture in memory: 8-bit RGB pixels, PNG bytes, and laying pictures out together.

use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::error::{Error, Result};
use crate::files::write_atomic;

/// The longest side a picture may have, in pixels.
pub const MAX_SIDE: usize = 32_768;

/// An RGB picture: `height` rows of `width` pixels of three bytes, top row first.
///
/// Both sides are between 1 and [`MAX_SIDE`] and the buffer always fits them: the constructors
/// check, and nothing changes them later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// A picture from `rgb`, which holds `height` × `width` × 3 bytes.
    ///
    /// # Errors
    /// [`Error::Setting`] for a side outside 1..=[`MAX_SIDE`], [`Error::Shape`] where the number
    /// of bytes does not fit.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self> {
        check_side("picture width", width)?;
        check_side("picture height", height)?;
        if rgb.len() != width * height * 3 {
            return Err(Error::Shape {
                what: "the buffer of a picture".into(),
                expected: vec![height, width, 3],
                found: vec![rgb.len()],
            });
        }
        Ok(Self { width, height, rgb })
    }

    /// A picture of one `color` (red, green, blue).
    ///
    /// # Errors
    /// [`Error::Setting`] for a side outside 1..=[`MAX_SIDE`].
    pub fn filled(width: usize, height: usize, color: [u8; 3]) -> Result<Self> {
        check_side("picture width", width)?;
        check_side("picture height", height)?;
        Ok(Self {
            width,
            height,
            rgb: color.repeat(width * height),
        })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels: `height` × `width` × 3 bytes, row by row from the top.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The color at column `x`, row `y` (from the top left), or `None` outside.
    pub fn pixel(&self, x: usize, y: usize) -> Option<[u8; 3]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let at = (y * self.width + x) * 3;
        Some([self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]])
    }

    /// The picture as a PNG file's bytes. Equal pictures give equal bytes.
    ///
    /// # Errors
    /// [`Error::Setting`] if the encoder refuses, which no picture made here causes.
    pub fn png_bytes(&self) -> Result<Vec<u8>> {
        encode(self.width, self.height, &self.rgb, ExtendedColorType::Rgb8)
    }

    /// Writes the picture to `path` as PNG, whole or not at all; missing folders are made.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn save_png(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomic(path.as_ref(), &self.png_bytes()?)
    }

    /// The pictures in a row on white, tops aligned, with `margin` pixels of white around each.
    ///
    /// # Errors
    /// [`Error::Setting`] for no pictures, or a result with a side above [`MAX_SIDE`].
    pub fn side_by_side(pictures: &[Picture], margin: usize) -> Result<Self> {
        let width = pictures.iter().fold(margin, |sum, p| {
            sum.saturating_add(p.width).saturating_add(margin)
        });
        let height = pictures.iter().map(|p| p.height).max().unwrap_or(0);
        let mut sheet = Self::sheet(
            pictures,
            width,
            height.saturating_add(margin.saturating_mul(2)),
        )?;
        let mut left = margin;
        for picture in pictures {
            sheet.paste(picture, left, margin);
            left += picture.width + margin;
        }
        Ok(sheet)
    }

    /// The pictures in a column on white, left sides aligned, with `margin` pixels of white
    /// around each.
    ///
    /// # Errors
    /// [`Error::Setting`] for no pictures, or a result with a side above [`MAX_SIDE`].
    pub fn stack(pictures: &[Picture], margin: usize) -> Result<Self> {
        let height = pictures.iter().fold(margin, |sum, p| {
            sum.saturating_add(p.height).saturating_add(margin)
        });
        let width = pictures.iter().map(|p| p.width).max().unwrap_or(0);
        let mut sheet = Self::sheet(
            pictures,
            width.saturating_add(margin.saturating_mul(2)),
            height,
        )?;
        let mut top = margin;
        for picture in pictures {
            sheet.paste(picture, margin, top);
            top += picture.height + margin;
        }
        Ok(sheet)
    }

    fn sheet(pictures: &[Picture], width: usize, height: usize) -> Result<Self> {
        if pictures.is_empty() {
            return Err(Error::setting(
                "pictures",
                0,
                "give at least one picture to lay out",
            ));
        }
        Self::filled(width, height, [255; 3])
    }

    /// Copies `other` with its top left corner at (`left`, `top`); what sticks out is cut.
    pub(super) fn paste(&mut self, other: &Picture, left: usize, top: usize) {
        let wide = other.width.min(self.width.saturating_sub(left)) * 3;
        for row in 0..other.height.min(self.height.saturating_sub(top)) {
            let to = ((top + row) * self.width + left) * 3;
            let from = row * other.width * 3;
            self.rgb[to..to + wide].copy_from_slice(&other.rgb[from..from + wide]);
        }
    }

    /// Fills the `side` × `side` block whose top left corner is (`left`, `top`), which must lie
    /// inside.
    pub(super) fn block(&mut self, left: usize, top: usize, side: usize, color: [u8; 3]) {
        for y in top..top + side {
            let row = (y * self.width + left) * 3;
            for pixel in self.rgb[row..row + side * 3].chunks_exact_mut(3) {
                pixel.copy_from_slice(&color);
            }
        }
    }
}

/// One image of shape [C, H, W] as a PNG file's bytes: 8-bit grey for C = 1, RGB for C = 3.
///
/// `pixels` is planar: channel by channel, row by row.
///
/// # Errors
/// [`Error::Setting`] for another number of channels or a side outside 1..=[`MAX_SIDE`],
/// [`Error::Shape`] where the number of bytes does not fit.
pub fn image_png_bytes(shape: [usize; 3], pixels: &[u8]) -> Result<Vec<u8>> {
    let [channels, height, width] = shape;
    check_shape(shape)?;
    if pixels.len() != channels * height * width {
        return Err(Error::Shape {
            what: "the image".into(),
            expected: shape.to_vec(),
            found: vec![pixels.len()],
        });
    }
    if channels == 1 {
        return encode(width, height, pixels, ExtendedColorType::L8);
    }
    let plane = height * width;
    let interleaved: Vec<u8> = (0..plane)
        .flat_map(|i| [pixels[i], pixels[plane + i], pixels[2 * plane + i]])
        .collect();
    encode(width, height, &interleaved, ExtendedColorType::Rgb8)
}

/// Writes one planar [C, H, W] image to `path` as PNG (see [`image_png_bytes`]), whole or not at
/// all; missing folders are made.
///
/// # Errors
/// Those of [`image_png_bytes`], and [`Error::Io`] where the system refuses.
pub fn save_image_png(path: impl AsRef<Path>, shape: [usize; 3], pixels: &[u8]) -> Result<()> {
    write_atomic(path.as_ref(), &image_png_bytes(shape, pixels)?)
}

/// Refuses shapes [C, H, W] that are not grey or RGB images of a sensible size.
pub(super) fn check_shape([channels, height, width]: [usize; 3]) -> Result<()> {
    if channels != 1 && channels != 3 {
        return Err(Error::setting(
            "channels",
            channels,
            "pictures are grey (1) or RGB (3)",
        ));
    }
    check_side("image height", height)?;
    check_side("image width", width)
}

/// Refuses a side that is 0 or beyond [`MAX_SIDE`].
pub(super) fn check_side(name: &str, side: usize) -> Result<()> {
    if (1..=MAX_SIDE).contains(&side) {
        return Ok(());
    }
    Err(Error::setting(
        name,
        side,
        format!("must be between 1 and {MAX_SIDE} pixels"),
    ))
}

fn encode(width: usize, height: usize, bytes: &[u8], color: ExtendedColorType) -> Result<Vec<u8>> {
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        // Both sides were checked against MAX_SIDE, far below u32::MAX.
        .write_image(bytes, width as u32, height as u32, color)
        .map_err(|e| Error::setting("picture", format!("{width}x{height}"), e.to_string()))?;
    Ok(png)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ColorType, DynamicImage, load_from_memory};

    fn ramp(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i * 37 % 256) as u8).collect()
    }

    fn decode(png: &[u8]) -> DynamicImage {
        load_from_memory(png).unwrap()
    }

    #[test]
    fn png_holds_the_same_pixels() {
        let picture = Picture::new(5, 4, ramp(60)).unwrap();
        let back = decode(&picture.png_bytes().unwrap());
        assert_eq!((back.color(), back.width()), (ColorType::Rgb8, 5));
        assert_eq!(back.into_bytes(), picture.rgb());
        assert_eq!(picture.png_bytes().unwrap(), picture.png_bytes().unwrap());
    }

    #[test]
    fn one_image_is_grey_or_rgb() {
        let grey = decode(&image_png_bytes([1, 2, 3], &ramp(6)).unwrap());
        assert_eq!((grey.color(), grey.into_bytes()), (ColorType::L8, ramp(6)));
        let rgb = decode(&image_png_bytes([3, 1, 2], &[1, 2, 3, 4, 5, 6]).unwrap());
        assert_eq!(rgb.into_bytes(), [1, 3, 5, 2, 4, 6]);
    }

    #[test]
    fn wrong_lengths_sides_and_channels_are_refused() {
        assert!(matches!(
            Picture::new(2, 2, vec![0; 11]),
            Err(Error::Shape { .. })
        ));
        assert!(Picture::filled(0, 2, [0; 3]).is_err());
        assert!(Picture::filled(usize::MAX, 2, [0; 3]).is_err());
        assert!(image_png_bytes([1, 2, 2], &[0; 3]).is_err());
        for channels in [0, 2, 4] {
            let error = image_png_bytes([channels, 1, 1], &vec![0; channels]).unwrap_err();
            assert!(error.to_string().contains("grey (1) or RGB (3)"), "{error}");
        }
    }

    #[test]
    fn sheets_place_pictures_on_white() {
        let red = Picture::filled(2, 1, [255, 0, 0]).unwrap();
        let blue = Picture::filled(1, 3, [0, 0, 255]).unwrap();
        let row = Picture::side_by_side(&[red.clone(), blue.clone()], 1).unwrap();
        assert_eq!((row.width(), row.height()), (6, 5));
        assert_eq!(row.pixel(1, 1), Some([255, 0, 0]));
        assert_eq!(row.pixel(1, 2), Some([255; 3]));
        assert_eq!(row.pixel(4, 3), Some([0, 0, 255]));
        let column = Picture::stack(&[red, blue], 1).unwrap();
        assert_eq!((column.width(), column.height()), (4, 7));
        assert_eq!(column.pixel(1, 5), Some([0, 0, 255]));
        assert_eq!(column.pixel(4, 0), None);
        assert!(Picture::stack(&[], 1).is_err());
        assert!(Picture::stack(&[column], usize::MAX).is_err());
    }

    #[test]
    fn saving_makes_folders() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.png");
        Picture::filled(1, 1, [9; 3])
            .unwrap()
            .save_png(&path)
            .unwrap();
        assert_eq!(decode(&std::fs::read(&path).unwrap()).into_bytes(), [9; 3]);
        save_image_png(&path, [1, 1, 1], &[7]).unwrap();
        assert_eq!(decode(&std::fs::read(&path).unwrap()).into_bytes(), [7]);
    }
}
