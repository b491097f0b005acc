//! The shape of one item: a vector, a signal of several channels, or an image.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The shape of one item of a data set, and of one sample. Values are stored row-major in the
/// order of the fields, so that channels are planar.
///
/// It prints and serialises as the list of its sides: `[2]`, `[2, 4000]`, `[3, 32, 32]`. The
/// number of sides determines the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Vec<usize>", try_from = "Vec<usize>")]
pub enum Shape {
    /// `[D]`: numbers without spatial or temporal order.
    Vector {
        /// Numbers.
        dim: usize,
    },
    /// `[C, T]`: channels over time.
    Signal {
        /// Channels: 1 for mono audio.
        channels: usize,
        /// Values in a channel.
        length: usize,
    },
    /// `[C, H, W]`.
    Image {
        /// Channels: 1 for grey, 3 for colour.
        channels: usize,
        /// Rows.
        height: usize,
        /// Pixels in a row.
        width: usize,
    },
}

impl Shape {
    /// The shape with these sides: one for a vector, two for a signal, three for an image.
    ///
    /// # Errors
    /// Another number of sides, a side of 0, or more values than a machine can address.
    pub fn from_sides(sides: &[usize]) -> Result<Self> {
        let shape = match *sides {
            [dim] => Self::Vector { dim },
            [channels, length] => Self::Signal { channels, length },
            [channels, height, width] => Self::Image {
                channels,
                height,
                width,
            },
            _ => return Err(refused(sides)),
        };
        let values = sides
            .iter()
            .try_fold(1_usize, |product, &side| product.checked_mul(side));
        match values {
            Some(1..) => Ok(shape),
            _ => Err(refused(sides)),
        }
    }

    /// The sides, as [`Shape::from_sides`] takes them.
    pub fn to_vec(&self) -> Vec<usize> {
        match *self {
            Self::Vector { dim } => vec![dim],
            Self::Signal { channels, length } => vec![channels, length],
            Self::Image {
                channels,
                height,
                width,
            } => vec![channels, height, width],
        }
    }

    /// Values in one item: the product of the sides.
    pub fn values(&self) -> usize {
        self.to_vec().into_iter().fold(1, usize::saturating_mul)
    }

    /// Whether it is an image's.
    pub fn is_image(&self) -> bool {
        matches!(self, Self::Image { .. })
    }
}

fn refused(sides: &[usize]) -> Error {
    let reason = "an item is a vector [D], a signal [C, T] or an image [C, H, W], every number at \
                  least 1";
    Error::setting("shape", format!("{sides:?}"), reason)
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:?}", self.to_vec())
    }
}

impl From<Shape> for Vec<usize> {
    fn from(shape: Shape) -> Self {
        shape.to_vec()
    }
}

impl TryFrom<Vec<usize>> for Shape {
    type Error = Error;

    fn try_from(sides: Vec<usize>) -> Result<Self> {
        Self::from_sides(&sides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_written_as_its_sides_and_read_back() {
        for (sides, values, text) in [
            (&[2][..], 2, "[2]"),
            (&[2, 40], 80, "[2, 40]"),
            (&[3, 4, 5], 60, "[3, 4, 5]"),
        ] {
            let shape = Shape::from_sides(sides).unwrap();
            assert_eq!((shape.values(), shape.to_vec()), (values, sides.to_vec()));
            assert_eq!(shape.is_image(), sides.len() == 3);
            assert_eq!(shape.to_string(), text);
            let json = serde_json::to_string(&shape).unwrap();
            assert_eq!(json, text.replace(' ', ""));
            assert_eq!(serde_json::from_str::<Shape>(&json).unwrap(), shape);
        }
    }

    #[test]
    fn what_is_no_shape_is_refused() {
        for sides in [&[][..], &[0], &[3, 0], &[1; 4], &[usize::MAX, 2, 1]] {
            let error = Shape::from_sides(sides).unwrap_err().to_string();
            assert!(error.contains(&format!("{sides:?}")), "{error}");
            let json = serde_json::to_string(sides).unwrap();
            assert!(serde_json::from_str::<Shape>(&json).is_err(), "{json}");
        }
    }
}
