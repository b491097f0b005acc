//! Bringing an image to the channels and the size that a [`DataSpec`] asks for.

use super::array::Values;
use super::resize::{Filter, resize};
use super::spec::{DataSpec, Fit};

/// A value of a pixel, in whatever unit it is stored.
pub(crate) trait Level: Copy {
    fn to_f32(self) -> f32;
    /// The nearest representable value.
    fn from_f32(value: f32) -> Self;
}

impl Level for u8 {
    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    fn from_f32(value: f32) -> Self {
        value.round() as u8
    }
}

impl Level for f32 {
    fn to_f32(self) -> f32 {
        self
    }

    fn from_f32(value: f32) -> Self {
        value
    }
}

/// The shape that an image of `shape`, `[C, H, W]`, gets. The spec has been checked: `fit` other
/// than exact comes with a size.
pub(crate) fn fitted_shape([c, h, w]: [usize; 3], spec: &DataSpec) -> [usize; 3] {
    let c = spec.channels.unwrap_or(c);
    match (spec.fit, spec.size) {
        (Fit::Resize | Fit::Crop, Some(size)) => [c, size, size],
        _ => [c, h, w],
    }
}

/// All images of `shape` in `values`, fitted.
pub(crate) fn fit_all(values: Values, shape: [usize; 3], spec: &DataSpec) -> Values {
    if fitted_shape(shape, spec) == shape {
        return values;
    }
    fn each<T: Level>(values: &[T], shape: [usize; 3], spec: &DataSpec) -> Vec<T> {
        let images = values.chunks_exact(shape.iter().product());
        images.flat_map(|image| fit(image, shape, spec)).collect()
    }
    match values {
        Values::U8(values) => Values::U8(each(&values, shape, spec)),
        Values::F32(values) => Values::F32(each(&values, shape, spec)),
    }
}

/// One planar image of `shape`, `[C, H, W]`, fitted: channels, then the crop, then the size.
pub(crate) fn fit<T: Level>(image: &[T], [c, h, w]: [usize; 3], spec: &DataSpec) -> Vec<T> {
    let mut image = match (c, spec.channels) {
        (1, Some(3)) => image.repeat(3),
        (3, Some(1)) => grey(image),
        _ => image.to_vec(),
    };
    let (mut h, mut w) = (h, w);
    if spec.fit == Fit::Crop && h != w {
        image = crop(&image, h, w);
        (h, w) = (h.min(w), h.min(w));
    }
    match (spec.fit, spec.size) {
        (Fit::Resize | Fit::Crop, Some(size)) if [h, w] != [size; 2] => {
            let planes = image.chunks_exact(h * w).flat_map(|plane| {
                let plane: Vec<f32> = plane.iter().map(|v| v.to_f32()).collect();
                resize(&plane, [h, w], [size; 2], Filter::PilBilinear)
            });
            planes.map(T::from_f32).collect()
        }
        _ => image,
    }
}

/// The luma of ITU-R BT.601, as Pillow's `convert("L")` takes it.
fn grey<T: Level>(image: &[T]) -> Vec<T> {
    let (red, rest) = image.split_at(image.len() / 3);
    let (green, blue) = rest.split_at(red.len());
    let luma = |((r, g), b): ((&T, &T), &T)| {
        T::from_f32(0.299 * r.to_f32() + 0.587 * g.to_f32() + 0.114 * b.to_f32())
    };
    red.iter().zip(green).zip(blue).map(luma).collect()
}

/// The largest square in the middle of every plane; an odd remainder stays at the end.
fn crop<T: Level>(image: &[T], h: usize, w: usize) -> Vec<T> {
    let side = h.min(w);
    let (top, left) = ((h - side) / 2, (w - side) / 2);
    let rows = image
        .chunks_exact(h * w)
        .flat_map(|plane| plane.chunks_exact(w).skip(top).take(side));
    rows.flat_map(|row| &row[left..left + side])
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(fit: Fit, size: Option<usize>, channels: Option<usize>) -> DataSpec {
        DataSpec {
            fit,
            size,
            channels,
            ..DataSpec::new("x")
        }
    }

    #[test]
    fn channels_are_repeated_or_mixed() {
        let to_3 = spec(Fit::Exact, None, Some(3));
        assert_eq!(fit(&[1_u8, 2], [1, 1, 2], &to_3), [1, 2, 1, 2, 1, 2]);
        assert_eq!(fitted_shape([1, 1, 2], &to_3), [3, 1, 2]);
        let to_1 = spec(Fit::Exact, None, Some(1));
        // Image.new("RGB", (1, 1), (200, 100, 50)).convert("L") is 124.
        assert_eq!(fit(&[200_u8, 100, 50], [3, 1, 1], &to_1), [124]);
    }

    #[test]
    fn the_crop_takes_the_middle_of_every_plane() {
        let wide: Vec<u8> = (0..16).collect();
        let square = spec(Fit::Crop, Some(2), None);
        assert_eq!(fit(&wide, [2, 2, 4], &square), [1, 2, 5, 6, 9, 10, 13, 14]);
        assert_eq!(fit(&wide, [2, 4, 2], &square), [2, 3, 4, 5, 10, 11, 12, 13]);
    }

    #[test]
    fn bytes_are_rounded_when_resized() {
        let half = spec(Fit::Resize, Some(1), None);
        assert_eq!(fit(&[0_u8, 255], [1, 1, 2], &half), [128]);
        assert_eq!(fit(&[-1.0_f32, 0.5], [1, 2, 1], &half), [-0.25]);
    }
}
