//! Pictures that follow one another: animated PNG, which every browser shows.
//!
//! Programs that do not know animations show the first frame.

use std::path::Path;

use super::picture::Picture;
use crate::error::{Error, Result};
use crate::files::write_atomic;

/// Frames of one size, shown in an endless loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Animation {
    frames: Vec<Picture>,
    delay: u16,
}

impl Animation {
    /// `frames` of one size, each shown for `delay` milliseconds.
    ///
    /// # Errors
    /// [`Error::Setting`] for no frames or a delay of 0, [`Error::Shape`] for a frame of another
    /// size than the first.
    pub fn new(frames: Vec<Picture>, delay: u16) -> Result<Self> {
        let Some(first) = frames.first() else {
            let reason = "an animation needs at least one frame";
            return Err(Error::setting("frames", 0, reason));
        };
        if delay == 0 {
            let reason = "must be at least 1 millisecond";
            return Err(Error::setting("delay", delay, reason));
        }
        let size = |picture: &Picture| vec![picture.height(), picture.width()];
        if let Some(k) = frames.iter().position(|frame| size(frame) != size(first)) {
            return Err(Error::Shape {
                what: format!("frame {k} of an animation"),
                expected: size(first),
                found: size(&frames[k]),
            });
        }
        Ok(Self { frames, delay })
    }

    /// The frames; at least one.
    pub fn frames(&self) -> &[Picture] {
        &self.frames
    }

    /// Milliseconds for which each frame is shown.
    pub fn delay(&self) -> u16 {
        self.delay
    }

    /// The animation as an animated PNG file's bytes. Equal animations give equal bytes.
    ///
    /// # Errors
    /// [`Error::Setting`] if the encoder refuses, which no animation made here causes.
    pub fn png_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes)
            .map_err(|error| Error::setting("animation", "PNG", error.to_string()))?;
        Ok(bytes)
    }

    fn encode(&self, bytes: &mut Vec<u8>) -> Result<(), png::EncodingError> {
        let first = &self.frames[0];
        let mut encoder = png::Encoder::new(bytes, first.width() as u32, first.height() as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        // 0 repetitions: an endless loop.
        encoder.set_animated(self.frames.len() as u32, 0)?;
        encoder.set_frame_delay(self.delay, 1000)?;
        let mut writer = encoder.write_header()?;
        for frame in &self.frames {
            writer.write_image_data(frame.rgb())?;
        }
        writer.finish()
    }

    /// Writes the animation to `path`, whole or not at all; missing folders are made.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn save_png(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomic(path.as_ref(), &self.png_bytes()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Picture> {
        (0..3)
            .map(|k| {
                let rgb = (0..5 * 4 * 3).map(|i| (i * 7 + k * 50) as u8).collect();
                Picture::new(5, 4, rgb).unwrap()
            })
            .collect()
    }

    #[test]
    fn every_frame_is_read_back_as_it_was() {
        let animation = Animation::new(frames(), 80).unwrap();
        let bytes = animation.png_bytes().unwrap();
        assert_eq!(bytes, animation.png_bytes().unwrap());
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes))
            .read_info()
            .unwrap();
        let control = reader.info().animation_control().unwrap();
        assert_eq!((control.num_frames, control.num_plays), (3, 0));
        let mut rgb = vec![0; 5 * 4 * 3];
        for frame in animation.frames() {
            let info = reader.next_frame(&mut rgb).unwrap();
            assert_eq!((info.width, info.height), (5, 4));
            assert_eq!(rgb, frame.rgb());
            let shown = reader.info().frame_control().unwrap();
            assert_eq!((shown.delay_num, shown.delay_den), (80, 1000));
        }
        assert!(reader.next_frame(&mut rgb).is_err());
    }

    #[test]
    fn programs_without_animations_see_the_first_frame() {
        let bytes = Animation::new(frames(), 80).unwrap().png_bytes().unwrap();
        let still = image::load_from_memory(&bytes).unwrap().into_rgb8();
        assert_eq!(still.as_raw(), frames()[0].rgb());
    }

    #[test]
    fn what_is_no_animation_is_refused() {
        assert!(Animation::new(Vec::new(), 80).is_err());
        assert!(Animation::new(frames(), 0).is_err());
        let mut mixed = frames();
        mixed.push(Picture::filled(5, 5, [0; 3]).unwrap());
        let error = Animation::new(mixed, 80).unwrap_err().to_string();
        assert!(error.contains("frame 3"), "{error}");
    }
}
