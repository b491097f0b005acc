//! Monotone cubic interpolation: Fritsch and Butland, "A method for constructing local monotone
//! piecewise cubic interpolants", 1984.

/// A piecewise cubic through points, with a continuous derivative, and monotone where they are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pchip {
    x: Vec<f64>,
    y: Vec<f64>,
    /// dy/dx at the points.
    slopes: Vec<f64>,
}

impl Pchip {
    /// Through the points (`x`, `y`): at least two, x ascending.
    pub fn new(x: Vec<f64>, y: Vec<f64>) -> Self {
        let widths: Vec<f64> = x.windows(2).map(|x| x[1] - x[0]).collect();
        let secants: Vec<f64> = y
            .windows(2)
            .zip(&widths)
            .map(|(y, h)| (y[1] - y[0]) / h)
            .collect();
        let last = x.len() - 1;
        let slope = |i: usize| match i {
            0 => end(&widths, &secants, 0, 1),
            i if i == last => end(&widths, &secants, last - 1, last.saturating_sub(2)),
            i => {
                let (before, after) = (secants[i - 1], secants[i]);
                if before * after <= 0.0 {
                    return 0.0;
                }
                let (h, k) = (widths[i - 1], widths[i]);
                3.0 * (h + k) / ((h + 2.0 * k) / before + (2.0 * h + k) / after)
            }
        };
        let slopes = (0..=last).map(slope).collect();
        Self { x, y, slopes }
    }

    /// The first x and the last.
    pub fn range(&self) -> (f64, f64) {
        (self.x[0], self.x[self.x.len() - 1])
    }

    /// y and dy/dx at `x`, which lies within the range.
    pub fn at(&self, x: f64) -> (f64, f64) {
        let after = self.x.partition_point(|&point| point <= x);
        let i = after.clamp(1, self.x.len() - 1) - 1;
        let (h, a, b) = (
            self.x[i + 1] - self.x[i],
            self.slopes[i],
            self.slopes[i + 1],
        );
        let (y0, rise) = (self.y[i], self.y[i + 1] - self.y[i]);
        // Hermite's cubic: y0 + t (h a + t (c + t d)).
        let t = (x - self.x[i]) / h;
        let c = 3.0 * rise - h * (2.0 * a + b);
        let d = h * (a + b) - 2.0 * rise;
        let y = y0 + t * (h * a + t * (c + t * d));
        (y, a + t * (2.0 * c + t * 3.0 * d) / h)
    }
}

/// The slope at an end, between the points of secant `i`, whose neighbour is `next`: that of the
/// parabola through three points, limited so that the cubic stays monotone.
fn end(widths: &[f64], secants: &[f64], i: usize, next: usize) -> f64 {
    let (Some(&k), Some(&after)) = (widths.get(next), secants.get(next)) else {
        return secants[i];
    };
    let (h, secant) = (widths[i], secants[i]);
    let slope = ((2.0 * h + k) * secant - h * after) / (h + k);
    if slope * secant <= 0.0 {
        0.0
    } else if secant * after <= 0.0 && slope.abs() > 3.0 * secant.abs() {
        3.0 * secant
    } else {
        slope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_exact_and_points_are_met() {
        let line = Pchip::new(vec![0.0, 1.0, 3.0, 3.5], vec![1.0, 3.0, 7.0, 8.0]);
        for x in [0.0, 0.3, 1.0, 2.2, 3.2, 3.5] {
            let (y, slope) = line.at(x);
            assert!((y - 1.0 - 2.0 * x).abs() < 1e-14 && (slope - 2.0).abs() < 1e-13);
        }
        let two = Pchip::new(vec![0.0, 2.0], vec![1.0, 0.0]);
        assert_eq!(two.at(1.0), (0.5, -0.5));
    }

    #[test]
    fn it_rises_where_the_points_do_and_its_slope_is_its_derivative() {
        let x: Vec<f64> = (0..12)
            .map(|i| f64::from(i) + 0.3 * f64::from(i).sin())
            .collect();
        let y = vec![
            0.0, 0.0, 0.1, 5.0, 5.0, 5.0, 5.1, 9.0, 9.5, 40.0, 41.0, 41.0,
        ];
        let curve = Pchip::new(x.clone(), y.clone());
        for (&x, &y) in x.iter().zip(&y) {
            assert!((curve.at(x).0 - y).abs() < 1e-12);
        }
        let (low, high) = curve.range();
        let at = |i: u32| curve.at(low + (high - low) * f64::from(i) / 2000.0);
        for i in 0..2000 {
            assert!(at(i + 1).0 >= at(i).0 - 1e-12 && at(i).1 >= -1e-12, "{i}");
        }
        for i in 1..200 {
            let (x, h) = (low + (high - low) * f64::from(i) / 200.5, 1e-6);
            let difference = (curve.at(x + h).0 - curve.at(x - h).0) / (2.0 * h);
            assert!((difference - curve.at(x).1).abs() < 1e-3, "{i}");
        }
    }
}
