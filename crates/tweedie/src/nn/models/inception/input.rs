//! Images as the network takes them.

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::SIDE;
use crate::data::Shape;
use crate::error::{Error, Result};

/// Channels that the network sees.
const CHANNELS: usize = 3;
/// Values of a row of an image that it sees.
const ROW: usize = SIDE * CHANNELS;

/// Images `[n, C, H, W]` in [0, 1] to `[n, 299, 299, 3]` in [-1, 1], resized by bilinear
/// interpolation without antialiasing: as PyTorch's `interpolate(mode="bilinear",
/// align_corners=False)`.
pub(super) fn resized(images: &[f32], shape: Shape, device: &Device) -> Result<Tensor<4>> {
    let Shape::Image {
        channels: channels @ (1 | CHANNELS),
        height,
        width,
    } = shape
    else {
        let reason = "Inception's features are of images with 1 or 3 channels";
        return Err(Error::setting("an item of shape", shape, reason));
    };
    let image = channels * height * width;
    if !images.len().is_multiple_of(image) {
        return Err(Error::Shape {
            what: "the images given to Inception".into(),
            expected: vec![images.len() / image, channels, height, width],
            found: vec![images.len()],
        });
    }
    let n = images.len() / image;
    let (rows, columns) = (places(height), places(width));
    let mut out = vec![0.0; n * SIDE * ROW];
    out.par_chunks_exact_mut(SIDE * ROW)
        .zip(images.par_chunks_exact(image))
        .for_each(|(out, image)| resize(image, [height, width], &rows, &columns, out));
    let data = TensorData::new(out, [n, SIDE, SIDE, CHANNELS]);
    Ok(Tensor::from_data(data, device))
}

/// Two neighbouring pixels and the weight of the second.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    second: usize,
    weight: f32,
}

/// Where the pixels of an axis come from: centres of pixels are at halves in both images.
fn places(side: usize) -> Vec<Place> {
    let scale = side as f32 / SIDE as f32;
    let place = |to: usize| {
        let at = (scale * (to as f32 + 0.5) - 0.5).max(0.0);
        let first = (at as usize).min(side - 1);
        Place {
            first,
            second: (first + 1).min(side - 1),
            weight: at - first as f32,
        }
    };
    (0..SIDE).map(place).collect()
}

/// One image: rows in their new width, then between two of them.
fn resize(
    image: &[f32],
    [height, width]: [usize; 2],
    rows: &[Place],
    columns: &[Place],
    out: &mut [f32],
) {
    let channels = image.len() / (height * width);
    let widen = |row: usize, out: &mut Vec<f32>| {
        out.clear();
        let line = |c: usize| &image[(c % channels * height + row) * width..][..width];
        let lines: [&[f32]; CHANNELS] = std::array::from_fn(line);
        for column in columns {
            out.extend(lines.map(|line| between(line[column.first], line[column.second], column)));
        }
    };
    // The two rows of the input that were widened last.
    let (mut upper, mut lower) = (Vec::with_capacity(ROW), Vec::with_capacity(ROW));
    let mut held = [usize::MAX; 2];
    for (row, out) in rows.iter().zip(out.chunks_exact_mut(ROW)) {
        if held[0] != row.first {
            match held[1] == row.first {
                true => std::mem::swap(&mut upper, &mut lower),
                false => widen(row.first, &mut upper),
            }
            held = [row.first, usize::MAX];
        }
        if held[1] != row.second {
            widen(row.second, &mut lower);
            held[1] = row.second;
        }
        for ((out, &a), &b) in out.iter_mut().zip(&upper).zip(&lower) {
            *out = 2.0 * between(a, b, row) - 1.0;
        }
    }
}

fn between(a: f32, b: f32, place: &Place) -> f32 {
    (1.0 - place.weight) * a + place.weight * b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized_values(images: &[f32], sides: &[usize]) -> Vec<f32> {
        let shape = Shape::from_sides(sides).unwrap();
        let x = resized(images, shape, &Device::flex()).unwrap();
        x.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn an_image_of_the_right_size_keeps_its_pixels() {
        let image: Vec<f32> = (0..3 * SIDE * SIDE)
            .map(|i| (i % 256) as f32 / 255.0)
            .collect();
        let found = resized_values(&image, &[3, SIDE, SIDE]);
        for (i, found) in found.into_iter().enumerate() {
            let (pixel, channel) = (i / 3, i % 3);
            assert_eq!(found, 2.0 * image[channel * SIDE * SIDE + pixel] - 1.0);
        }
    }

    #[test]
    fn a_linear_image_stays_linear_between_the_outermost_centres() {
        for [height, width] in [[5, 9], [64, 40], [400, 700], [1, 1]] {
            // The brightness at (y, x) in units of the image's sides.
            let at = |y: f64, x: f64| 0.2 + 0.3 * y + 0.4 * x;
            let centre = |i: usize, side: usize| (i as f64 + 0.5) / side as f64;
            let image: Vec<f32> = (0..height * width)
                .map(|i| at(centre(i / width, height), centre(i % width, width)) as f32)
                .collect();
            let found = resized_values(&image, &[1, height, width]);
            let inside = |i: usize, side: usize| {
                let half = 0.5 / side as f64;
                centre(i, SIDE).clamp(half, 1.0 - half)
            };
            for (i, pixel) in found.chunks_exact(3).enumerate() {
                let expected = 2.0 * at(inside(i / SIDE, height), inside(i % SIDE, width)) - 1.0;
                for &value in pixel {
                    assert!(
                        (f64::from(value) - expected).abs() < 1e-5,
                        "{value} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for sides in [&[12][..], &[3, 4], &[4, 2, 2], &[2, 2, 2]] {
            let shape = Shape::from_sides(sides).unwrap();
            let error = resized(&vec![0.0; shape.values()], shape, &Device::flex()).unwrap_err();
            assert!(error.to_string().contains("1 or 3 channels"), "{error}");
        }
        let shape = Shape::from_sides(&[1, 2, 2]).unwrap();
        assert!(resized(&[0.0; 5], shape, &Device::flex()).is_err());
    }
}
