//! Resizing one plane by the separable triangle filter, which widens when shrinking.
//!
//! The weights are those of Pillow's `BILINEAR`, which averages over all input pixels that an
//! output pixel covers (no aliasing), computed in f64 without rounding in between. They are
//! positive and sum to 1, so results stay within the range of the values.

/// The `plane`, `[height, width]`, at `[size, size]`.
pub(crate) fn resize(plane: &[f32], [height, width]: [usize; 2], size: usize) -> Vec<f32> {
    let across = weights(width, size);
    let down = weights(height, size);
    let mut narrow = Vec::with_capacity(height * size);
    for row in plane.chunks_exact(width) {
        narrow.extend(across.iter().map(|tap| tap.apply(|x| f64::from(row[x]))));
    }
    let mut out = Vec::with_capacity(size * size);
    for tap in &down {
        out.extend((0..size).map(|x| tap.apply(|y| narrow[y * size + x]) as f32));
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

fn weights(from: usize, to: usize) -> Vec<Tap> {
    let scale = from as f64 / to as f64;
    let support = scale.max(1.0);
    let tap = |i: usize| {
        let centre = (i as f64 + 0.5) * scale;
        // Casts of negative numbers give 0; rounding down after adding a half is Pillow's.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let triangle = |x: usize| (1.0 - ((x as f64 + 0.5 - centre) / support).abs()).max(0.0);
        let total: f64 = (first..end).map(triangle).sum();
        let weights = (first..end).map(|x| triangle(x) / total).collect();
        Tap { first, weights }
    };
    (0..to).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
