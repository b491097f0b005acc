//! The energy distance of two samples, unbiased.
//!
//! 2 E|x - y| - E|x - x'| - E|y - y'| (Szekely and Rizzo 2013): 0 exactly for equal distributions,
//! whatever they are, with no width to choose. It is the kernel distance of the kernel -|x - y|.

use super::estimate::Estimate;
use super::{Features, Kernel, kernel_distance};
use crate::error::Result;

/// The energy distance of `samples` and `reference` with its standard error; unbiased, so that it
/// may be negative.
///
/// # Errors
/// [`crate::Error::Shape`] where the dimensions differ.
pub fn energy_distance(samples: Features, reference: Features) -> Result<Estimate> {
    kernel_distance(samples, reference, Kernel::Energy)
}

#[cfg(test)]
mod tests {
    use super::super::pairs::tests::normals;
    use super::*;

    /// On a line: 2 E|x - y| and so on of normals, E|N(m, s^2)| = s sqrt(2/pi) for m = 0.
    #[test]
    fn normals_of_different_widths_within_the_error() {
        let x = normals(4000, 0);
        let y: Vec<f64> = normals(3000, 1).iter().map(|z| 2.0 * z).collect();
        let [x, y] = [&x, &y].map(|rows| Features::new("rows", rows, 1).unwrap());
        let found = energy_distance(x, y).unwrap();
        let mean = |variance: f64| (2.0 * variance / std::f64::consts::PI).sqrt();
        let exact = 2.0 * mean(5.0) - mean(2.0) - mean(8.0);
        assert!(
            (found.value - exact).abs() < 4.0 * found.standard_error,
            "{found:?} {exact}"
        );
        assert!(found.standard_error < 0.1 * exact);
    }
}
