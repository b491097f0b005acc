//! One image file, decoded to planar bytes.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{ImageReader, Limits};

use super::arrange::to_planar;
use crate::error::{Error, Result};

/// The largest width or height of an image that is decoded, in pixels.
const MOST_PIXELS: u32 = 32_768;
/// The most memory that decoding one image may take, in bytes.
const MOST_MEMORY: u64 = 1 << 30;

/// A decoded image: `values` is planar, `[C, H, W]`, with C = 1 where the file has no colour.
pub(crate) struct Picture {
    pub shape: [usize; 3],
    pub values: Vec<u8>,
    /// Whether an alpha channel was dropped.
    pub had_alpha: bool,
}

/// Whether the name has the extension of an image file.
pub(crate) fn is_named_as_picture(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    ["png", "jpg", "jpeg", "webp"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// Reads a PNG, JPEG or WebP file, told apart by content. 16-bit channels become 8-bit, colour
/// profiles and orientation tags are not applied; of an animation, the first frame is taken.
pub(crate) fn read(path: &Path) -> Result<Picture> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let format = image::guess_format(&bytes).map_err(|_| {
        let reason = "this is not an image, although its name says so; remove or replace it";
        Error::content(path, reason)
    })?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_PIXELS);
    limits.max_image_height = Some(MOST_PIXELS);
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    let image = reader.decode().map_err(|error| {
        let error = error.to_string().replace('\n', " ");
        let reason = format!("the image cannot be decoded ({error}); remove or replace it");
        Error::content(path, reason)
    })?;
    let color = image.color();
    let (w, h) = (image.width() as usize, image.height() as usize);
    let (c, values) = if color.has_color() {
        (3, to_planar(image.to_rgb8().as_raw(), [h, w, 3]))
    } else {
        (1, image.to_luma8().into_raw())
    };
    if values.is_empty() {
        return Err(Error::content(
            path,
            "the image has no pixels; remove or replace it",
        ));
    }
    Ok(Picture {
        shape: [c, h, w],
        values,
        had_alpha: color.has_alpha(),
    })
}
