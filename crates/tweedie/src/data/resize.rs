//! Resizing one plane by separable filters, under the conventions of Pillow and of PyTorch.
//!
//! Pillow's filters widen when they shrink an image: each output pixel averages over all input
//! pixels that it covers (no aliasing). PyTorch's `interpolate`, unless told otherwise, takes the
//! same two or four pixels a line however much it shrinks. The two also differ in the cubic: Keys'
//! (1981) has a parameter a, -1/2 in Pillow and -3/4 in PyTorch. Weights are computed in f64, without
//! rounding in between: Pillow's, of images of floats.

use std::fmt;
use std::str::FromStr;

/// A filter under its convention. Both put pixel i of n at (i + 1/2)/n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Pillow's `BILINEAR`, a triangle. Positive: results stay within the range of the values.
    PilBilinear,
    /// Pillow's `BICUBIC`, which clean-fid uses.
    PilBicubic,
    /// PyTorch's `interpolate(mode="bilinear")`, without antialiasing.
    TorchBilinear,
    /// PyTorch's `interpolate(mode="bicubic")`, without antialiasing.
    TorchBicubic,
}

impl Filter {
    /// All filters by name.
    pub(crate) const ALL: [(&str, Self); 4] = [
        ("pil-bilinear", Self::PilBilinear),
        ("pil-bicubic", Self::PilBicubic),
        ("torch-bilinear", Self::TorchBilinear),
        ("torch-bicubic", Self::TorchBicubic),
    ];

    /// How far the kernel reaches.
    fn reach(self) -> usize {
        match self {
            Self::PilBilinear | Self::TorchBilinear => 1,
            Self::PilBicubic | Self::TorchBicubic => 2,
        }
    }

    fn kernel(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::PilBilinear | Self::TorchBilinear => (1.0 - x).max(0.0),
            Self::PilBicubic => cubic(-0.5, x),
            Self::TorchBicubic => cubic(-0.75, x),
        }
    }

    /// Whether the kernel widens when it shrinks an image.
    fn antialiases(self) -> bool {
        matches!(self, Self::PilBilinear | Self::PilBicubic)
    }

    fn weights(self, from: usize, to: usize) -> Vec<Tap> {
        let scale = from as f64 / to as f64;
        let centres = (0..to).map(|i| (i as f64 + 0.5) * scale);
        match self.antialiases() {
            true => centres.map(|at| self.covering(at, scale, from)).collect(),
            false => centres.map(|at| self.around(at, from)).collect(),
        }
    }

    /// The pixels that the widened kernel covers, within the line, to sum 1.
    fn covering(self, centre: f64, scale: f64, from: usize) -> Tap {
        let widened = scale.max(1.0);
        let support = self.reach() as f64 * widened;
        // Casts of negative numbers give 0; rounding down after adding a half is Pillow's.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weight = |x: usize| self.kernel((x as f64 + 0.5 - centre) / widened);
        let total: f64 = (first..end).map(weight).sum();
        let weights = (first..end).map(|x| weight(x) / total).collect();
        Tap { first, weights }
    }

    /// The pixels nearest to the centre; those beyond the ends of the line are its last ones.
    fn around(self, centre: f64, from: usize) -> Tap {
        let (at, reach) = (centre - 0.5, self.reach() as i64);
        let floor = at.floor() as i64;
        let inside = |x: i64| x.clamp(0, from as i64 - 1) as usize;
        let places = floor - reach + 1..=floor + reach;
        let (first, last) = (inside(*places.start()), inside(*places.end()));
        let mut weights = vec![0.0; last - first + 1];
        for x in places {
            weights[inside(x) - first] += self.kernel(x as f64 - at);
        }
        Tap { first, weights }
    }
}

/// Keys' cubic convolution at `x` >= 0.
fn cubic(a: f64, x: f64) -> f64 {
    match x {
        x if x < 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * a,
        _ => 0.0,
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, filter)| filter == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.iter().find(|(name, _)| *name == text);
        named.map(|(_, filter)| *filter).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            format!("there is no filter {text}; choose from {names}")
        })
    }
}

/// The `plane`, `[height, width]` of the first sides, at `[height, width]` of the second.
pub(crate) fn resize(
    plane: &[f32],
    [height, width]: [usize; 2],
    to: [usize; 2],
    filter: Filter,
) -> Vec<f32> {
    let across = filter.weights(width, to[1]);
    let down = filter.weights(height, to[0]);
    let mut narrow = Vec::with_capacity(height * to[1]);
    for row in plane.chunks_exact(width) {
        narrow.extend(across.iter().map(|tap| tap.apply(|x| f64::from(row[x]))));
    }
    let mut out = Vec::with_capacity(to[0] * to[1]);
    for tap in &down {
        out.extend((0..to[1]).map(|x| tap.apply(|y| narrow[y * to[1] + x]) as f32));
    }
    out
}

/// The weights of one output pixel on a line of input pixels.
struct Tap {
    first: usize,
    weights: Vec<f64>,
}

impl Tap {
    fn apply(&self, value: impl Fn(usize) -> f64) -> f64 {
        self.weights
            .iter()
            .enumerate()
            .map(|(i, weight)| weight * value(self.first + i))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Pillow's triangle to a square.
    fn resize(plane: &[f32], sides: [usize; 2], size: usize) -> Vec<f32> {
        super::resize(plane, sides, [size; 2], Filter::PilBilinear)
    }

    /// `scripts/golden-onnx.py`: Pillow 13 on float32 images, torch 2.15's `interpolate`.
    #[test]
    fn every_filter_agrees_with_its_program() {
        let golden = include_bytes!("../../tests/golden/onnx/golden.safetensors");
        let golden = safetensors::SafeTensors::deserialize(golden).unwrap();
        let values = |name: &str| -> Vec<f32> {
            let bytes = golden.tensor(name).unwrap().data().as_chunks::<4>().0;
            bytes.iter().map(|b| f32::from_le_bytes(*b)).collect()
        };
        let plane = values("plane");
        for (name, filter) in Filter::ALL {
            for to in [[7, 9], [3, 5], [20, 13], [16, 4], [1, 1]] {
                let found = super::resize(&plane, [7, 9], to, filter);
                let wanted = values(&format!("{name}-{}x{}", to[0], to[1]));
                assert_eq!(found.len(), wanted.len());
                for (found, wanted) in found.iter().zip(wanted) {
                    assert!(
                        (found - wanted).abs() < 2e-6,
                        "{name} {to:?} {found} {wanted}"
                    );
                }
            }
        }
    }

    #[test]
    fn agrees_with_pillow() {
        // Image.fromarray(float32 array).resize((s, s), Image.BILINEAR), Pillow 12.
        #[rustfmt::skip]
        let plane = [
            0.0, 10.0, 200.0, 30.0,
            5.0, 250.0, 60.0, 70.0,
            80.0, 90.0, 15.0, 110.0,
            120.0, 35.0, 140.0, 255.0,
        ];
        let close = |size, expected: &[f32]| {
            let out = resize(&plane, [4, 4], size);
            assert!(
                out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3),
                "{out:?}"
            );
        };
        close(2, &[75.306_1, 91.530_6, 86.020_4, 116.224_5]);
        close(
            3,
            &[25.65, 120.0, 76.8, 80.75, 103.75, 74.25, 91.05, 77.0, 178.8],
        );
        let first_rows = [
            0.0, 5.0, 41.666_7, 168.333_3, 115.0, 30.0, 2.5, 66.25, 130.0, 130.0, 90.0, 50.0,
        ];
        close(6, &first_rows);
        assert_eq!(resize(&plane, [4, 4], 4), plane);
    }

    #[test]
    fn sides_may_differ_by_any_factor() {
        assert_eq!(resize(&[3.0; 7], [1, 7], 2), [3.0; 4]);
        let one = resize(&[0.0, 1.0], [2, 1], 1);
        assert_eq!(one, [0.5]);
        let many = resize(&vec![2.0; 10_000], [10_000, 1], 1);
        assert_eq!(many, [2.0]);
    }
}
