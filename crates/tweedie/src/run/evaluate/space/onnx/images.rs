//! Images as a network's input.

use super::OnnxSpace;
use crate::data::{Dataset, Filter, Shape, resize};
use crate::error::{Error, Result};

/// The preparation of images of one shape.
pub(super) struct Input {
    /// `[C, H, W]` of the images.
    from: [usize; 3],
    /// Channels, height and width of the input.
    to: [usize; 3],
    /// None where images have the input's size.
    filter: Option<Filter>,
    range: [f64; 2],
    /// A mean and a standard deviation a channel.
    scale: Vec<(f64, f64)>,
    bgr: bool,
    channels_last: bool,
}

impl Input {
    /// The preparation that `space` asks for of the images of `data`, for an input of `to`:
    /// channels, height and width.
    pub(super) fn new(space: &OnnxSpace, data: &Dataset, to: [usize; 3]) -> Result<Self> {
        let from = image_shape(space, data)?;
        let refuse = |reason: String| Err(Error::content(&space.file, reason));
        let [channels, height, width] = to;
        if channels != from[0] && !(space.repeat_grey && from[0] == 1) {
            let way_out = match (from[0], channels) {
                (1, 3) => "add grey=repeat to give it the grey channel three times",
                _ => {
                    "take a network of that many channels, or convert the images by \
                     --set data.channels"
                }
            };
            return refuse(format!(
                "the network takes images of {channels} channels, and those of {} have {}; \
                 {way_out}",
                data.name(),
                from[0]
            ));
        }
        let filter = match [height, width] == from[1..] {
            true => None,
            false if space.filter.is_some() => space.filter,
            false => {
                return refuse(format!(
                    "the network takes images of {height}x{width} (height x width), and those of \
                     {} have {}x{}; name the filter that resizes them, such as \
                     filter=pil-bicubic (antialiased) or filter=torch-bilinear (not)",
                    data.name(),
                    from[1],
                    from[2]
                ));
            }
        };
        for (name, values) in [("mean", &space.mean), ("std", &space.std)] {
            if values.len() != 1 && values.len() != channels {
                return refuse(format!(
                    "{name} has {} numbers, and the network takes {channels} channels; give one \
                     for all, or one each",
                    values.len()
                ));
            }
        }
        let of = |values: &[f64], channel: usize| values[channel.min(values.len() - 1)];
        let scale = (0..channels).map(|c| (of(&space.mean, c), of(&space.std, c)));
        Ok(Self {
            from,
            to,
            filter,
            range: space.range,
            scale: scale.collect(),
            bgr: space.bgr,
            channels_last: space.channels_last,
        })
    }

    /// The items `rows` of `data`, one after another, in the input's layout.
    pub(super) fn read(&self, data: &Dataset, rows: &[usize]) -> Vec<f32> {
        let values = unit(data, rows);
        let images = values.chunks_exact(self.from.iter().product());
        images.flat_map(|image| self.one(image)).collect()
    }

    fn one(&self, image: &[f32]) -> Vec<f32> {
        let [channels, height, width] = self.to;
        let mut planes: Vec<Vec<f32>> = image
            .chunks_exact(self.from[1] * self.from[2])
            .map(|plane| match self.filter {
                None => plane.to_vec(),
                Some(filter) => {
                    resize(plane, [self.from[1], self.from[2]], [height, width], filter)
                }
            })
            .collect();
        if planes.len() < channels {
            planes = vec![planes.swap_remove(0); channels];
        }
        // Mean and deviation are in the order of the input.
        if self.bgr {
            planes.reverse();
        }
        let [low, high] = self.range;
        for (plane, (mean, std)) in planes.iter_mut().zip(&self.scale) {
            for value in plane {
                let ranged = low + (high - low) * f64::from(*value);
                *value = ((ranged - mean) / std) as f32;
            }
        }
        match self.channels_last {
            false => planes.concat(),
            true => {
                let pixels = 0..height * width;
                let pixel = |i: usize| planes.iter().map(move |plane| plane[i]);
                pixels.flat_map(pixel).collect()
            }
        }
    }
}

/// `[C, H, W]` of the images of `data`.
pub(super) fn image_shape(space: &OnnxSpace, data: &Dataset) -> Result<[usize; 3]> {
    match data.shape() {
        Shape::Image {
            channels,
            height,
            width,
        } => Ok([channels, height, width]),
        _ => Err(Error::content(
            &space.file,
            format!(
                "features by ONNX are of images, and the items of {} are none; take pixels or \
                 pca:COUNT",
                data.name()
            ),
        )),
    }
}

/// Values as 0 to 1 where the range of what was stored is known, as of bytes; floats as they are.
fn unit(data: &Dataset, rows: &[usize]) -> Vec<f32> {
    let map = data.map();
    let unit = |value: f32| {
        let raw = map.to_raw(f64::from(value));
        match map.raw_range() {
            Some([low, high]) => ((raw - low) / (high - low)) as f32,
            None => raw as f32,
        }
    };
    data.gather(rows).into_iter().map(unit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ValueMap;

    /// One image of 2 x 1 pixels, (0, 51, 102) and (153, 204, 255), read to [-1, 1].
    fn image() -> Dataset {
        let map = ValueMap::between([0.0, 255.0], [-1.0, 1.0]).unwrap();
        let shape = Shape::Image {
            channels: 3,
            height: 1,
            width: 2,
        };
        Dataset::from_u8("one", shape, vec![0, 153, 51, 204, 102, 255], map).unwrap()
    }

    fn read(text: &str, to: [usize; 3]) -> Vec<f32> {
        let space: OnnxSpace = text.parse().unwrap();
        Input::new(&space, &image(), to)
            .unwrap()
            .read(&image(), &[0])
    }

    fn close(found: &[f32], wanted: &[f32]) {
        assert_eq!(found.len(), wanted.len());
        assert!(
            found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4),
            "{found:?}"
        );
    }

    #[test]
    fn values_range_scale_order_and_layout() {
        let to = [3, 1, 2];
        close(&read("f", to), &[0.0, 0.6, 0.2, 0.8, 0.4, 1.0]);
        close(&read("f,layout=nhwc", to), &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        let bytes = read("f,range=0:255,layout=nhwc,order=bgr", to);
        close(&bytes, &[102.0, 51.0, 0.0, 255.0, 204.0, 153.0]);
        let scaled = read("f,mean=0:0.2:0.4,std=1:2:0.5", to);
        close(&scaled, &[0.0, 0.6, 0.0, 0.3, 0.0, 1.2]);
        // Of bgr input the first mean is that of blue.
        let scaled = read("f,order=bgr,mean=0.4:0:0", to);
        close(&scaled, &[0.0, 0.6, 0.2, 0.8, 0.0, 0.6]);
        // Halfway between both pixels.
        close(
            &read("f,filter=torch-bilinear", [3, 1, 1]),
            &[0.3, 0.5, 0.7],
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_way_out() {
        let error = |text: &str, to: [usize; 3]| {
            let space: OnnxSpace = text.parse().unwrap();
            Input::new(&space, &image(), to).err().unwrap().to_string()
        };
        for (text, to, words) in [
            ("f.onnx", [1, 1, 2], ["f.onnx", "1 channels"]),
            ("f.onnx", [3, 4, 4], ["4x4", "filter=pil-bicubic"]),
            ("f.onnx,mean=1:2", [3, 1, 2], ["mean has 2", "3 channels"]),
        ] {
            let error = error(text, to);
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }
}
