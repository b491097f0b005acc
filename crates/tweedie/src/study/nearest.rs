//! The distance between two clouds of points, as the papers' toy experiments measure it.

use rayon::prelude::*;

/// Mean distances to nearest neighbours, each with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Nearest {
    /// From each sample to the data: large where samples lie off the data.
    pub to_data: (f64, f64),
    /// From each data point to the samples: large where the samples miss a part of the data.
    pub to_samples: (f64, f64),
    /// The sum of both.
    pub both: (f64, f64),
}

/// Compares points of the plane. Standard errors take one cloud as fixed and the other's points
/// as independent.
pub(super) fn nearest(samples: &[[f64; 2]], data: &[[f64; 2]]) -> Nearest {
    let (to_data, to_samples) = (one_way(samples, data), one_way(data, samples));
    let both = (to_data.0 + to_samples.0, to_data.1.hypot(to_samples.1));
    Nearest {
        to_data,
        to_samples,
        both,
    }
}

/// The mean distance from each of `from` to the nearest of `to`.
fn one_way(from: &[[f64; 2]], to: &[[f64; 2]]) -> (f64, f64) {
    let squared = |a: &[f64; 2], b: &[f64; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
    let distances: Vec<f64> = from
        .par_iter()
        .map(|a| {
            to.iter()
                .map(|b| squared(a, b))
                .fold(f64::INFINITY, f64::min)
                .sqrt()
        })
        .collect();
    mean(&distances)
}

/// The mean of independent values and its standard error.
pub(super) fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        let data = [[0.0, 0.0], [10.0, 0.0]];
        let found = nearest(&[[3.0, 4.0], [1.0, 0.0]], &data);
        // Samples: 5 and 1; data: 1 and sqrt(49 + 16).
        assert!((found.to_data.0 - 3.0).abs() < 1e-14);
        assert!((found.to_data.1 - 2.0).abs() < 1e-14);
        assert!((found.to_samples.0 - (1.0 + 65f64.sqrt()) / 2.0).abs() < 1e-14);
        assert!((found.both.0 - found.to_data.0 - found.to_samples.0).abs() < 1e-14);
        assert_eq!(nearest(&data, &data).both, (0.0, 0.0));
    }
}
