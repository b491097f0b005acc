//! From an array in a file to items: what each axis means.

use std::path::Path;

use super::array::{Array, Values};
use super::shape::Shape;
use super::spec::Kind;
use crate::error::{Error, Result};

/// Items of one shape, row-major; images have 1 or 3 channels.
#[derive(Debug, PartialEq)]
pub(crate) struct Items {
    pub shape: Shape,
    pub values: Values,
}

/// The first `limit` items of `array`, by its rank:
///
/// - 1, `[N]`: floats are vectors of one number; bytes are refused, since they are usually labels.
/// - 2, `[N, D]`: vectors.
/// - 3, `[N, H, W]`: images of one channel.
/// - 4, `[N, H, W, C]` or `[N, C, H, W]`: images; the axis of length 1 or 3 is the channels.
///   Where both axes could be (images 1 or 3 pixels high or wide), the array is refused.
///
/// Signals are `[N, T]` (one channel) or `[N, C, T]`.
pub(crate) fn arrange(
    path: &Path,
    array: Array,
    kind: Kind,
    limit: Option<usize>,
) -> Result<Items> {
    let Array { dims, mut values } = array;
    let refuse = |reason: String| Err(Error::content(path, reason));
    if values.is_empty() {
        return refuse(format!(
            "the array of shape {dims:?} holds nothing; give at least one item"
        ));
    }
    let (count, item) = (
        dims.first().copied().unwrap_or(1),
        dims.get(1..).unwrap_or_default(),
    );
    let kept = limit.map_or(count, |limit| limit.min(count));
    values.truncate(values.len() / count * kept);
    let is_channels = |side: usize| side == 1 || side == 3;
    let sides = match *item {
        [t] if kind == Kind::Signal => vec![1, t],
        [c, t] if kind == Kind::Signal => vec![c, t],
        _ if kind == Kind::Signal => {
            return refuse(format!(
                "an array of shape {dims:?} holds no signals; give [N, T] or [N, C, T]"
            ));
        }
        [] if matches!(values, Values::U8(_)) || dims.is_empty() => {
            return refuse(format!(
                "an array of shape {dims:?} holds no images or vectors (labels, perhaps?); give the \
                 file with the images"
            ));
        }
        [] => vec![1],
        [d] => vec![d],
        [h, w] => vec![1, h, w],
        [a, _, c] if is_channels(a) && is_channels(c) => {
            return refuse(format!(
                "in the shape {dims:?} either axis 1 or axis 3 could be the channels; store such \
                 small images as vectors [N, D]"
            ));
        }
        [h, w, c] if is_channels(c) => {
            values = planar(values, [h, w, c]);
            vec![c, h, w]
        }
        [c, h, w] if is_channels(c) => vec![c, h, w],
        _ => {
            return refuse(format!(
                "an array of shape {dims:?} is not read; give [N, D], [N, H, W], [N, H, W, C] or \
                 [N, C, H, W] with C = 1 or 3"
            ));
        }
    };
    let shape = Shape::from_sides(&sides)?;
    Ok(Items { shape, values })
}

/// `[.., H, W, C]` as `[.., C, H, W]`.
fn planar(values: Values, hwc: [usize; 3]) -> Values {
    match values {
        Values::U8(values) => Values::U8(to_planar(&values, hwc)),
        Values::F32(values) => Values::F32(to_planar(&values, hwc)),
    }
}

/// Images `[.., H, W, C]` as `[.., C, H, W]`.
pub(crate) fn to_planar<T: Copy>(values: &[T], [h, w, c]: [usize; 3]) -> Vec<T> {
    let images = values.chunks_exact(h * w * c);
    images
        .flat_map(|hwc| (0..c).flat_map(move |i| hwc.iter().skip(i).step_by(c)))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(dims: &[usize], limit: Option<usize>) -> Result<Items> {
        read(dims, Kind::Auto, limit)
    }

    fn sides(dims: &[usize], kind: Kind) -> Vec<usize> {
        read(dims, kind, None).unwrap().shape.to_vec()
    }

    fn read(dims: &[usize], kind: Kind, limit: Option<usize>) -> Result<Items> {
        let n = dims.iter().product::<usize>();
        let values = Values::U8((0..n).map(|i| i as u8).collect());
        arrange(
            Path::new("a"),
            Array {
                dims: dims.to_vec(),
                values,
            },
            kind,
            limit,
        )
    }

    #[test]
    fn the_rank_says_what_items_are() {
        assert_eq!(sides(&[2, 5], Kind::Auto), [5]);
        assert_eq!(sides(&[2, 5, 4], Kind::Auto), [1, 5, 4]);
        assert_eq!(sides(&[2, 3, 5, 4], Kind::Auto), [3, 5, 4]);
        assert_eq!(sides(&[2, 5, 4, 1], Kind::Auto), [1, 5, 4]);
        assert_eq!(sides(&[2, 5], Kind::Signal), [1, 5]);
        assert_eq!(sides(&[2, 5, 4], Kind::Signal), [5, 4]);
        let last = bytes(&[2, 2, 2, 3], None).unwrap();
        assert_eq!(last.shape.to_vec(), [3, 2, 2]);
        let Values::U8(values) = last.values else {
            unreachable!()
        };
        assert_eq!(values[..12], [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
        assert_eq!(values[12..15], [12, 15, 18]);
        let floats = Array {
            dims: vec![2],
            values: Values::F32(vec![0.5, 1.5]),
        };
        let numbers = arrange(Path::new("a"), floats, Kind::Auto, None).unwrap();
        assert_eq!(numbers.shape, Shape::Vector { dim: 1 });
    }

    #[test]
    fn the_limit_keeps_the_first_items() {
        assert_eq!(
            bytes(&[4, 2], Some(3)).unwrap().values,
            Values::U8((0..6).collect())
        );
        assert_eq!(bytes(&[4, 2], Some(9)).unwrap().values.len(), 8);
    }

    #[test]
    fn other_shapes_are_refused() {
        for dims in [
            &[][..],
            &[5],
            &[0, 5],
            &[2, 0],
            &[2, 5, 5, 2],
            &[2, 3, 5, 1],
            &[1; 5],
        ] {
            let error = bytes(dims, None).unwrap_err().to_string();
            assert!(error.contains("give") || error.contains("store"), "{error}");
        }
        for dims in [&[5][..], &[2, 0, 3], &[2, 1, 4, 4]] {
            let error = read(dims, Kind::Signal, None).unwrap_err().to_string();
            assert!(error.contains("give"), "{error}");
        }
    }
}
