//! Kernels, of which a maximum mean discrepancy is made.

use std::ops::Range;

use super::Features;
use super::exponential::radial_means;
use super::pairs::{Points, products, squared_distances};
use crate::error::{Error, Result};
use crate::matrix::Matrix;

/// Rows of a reference whose pairs give the median distance.
const FOR_THE_MEDIAN: usize = 1000;

/// A symmetric kernel k(x, y) of features.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kernel {
    /// (x . y/d + 1)^3 of d features: the kernel inception distance's (Binkowski et al. 2018).
    Polynomial,
    /// The mean of exp(-|x - y|^2/(2 w^2)) over the widths w = `width` times 1/4, 1/2, 1, 2 and 4:
    /// it sees differences of all moments, at several scales.
    Rbf {
        /// The middle width; [`Kernel::rbf`] takes it from the reference.
        width: f64,
    },
    /// -|x - y|, whose discrepancy is the energy distance 2 E|x - y| - E|x - x'| - E|y - y'|
    /// (Szekely and Rizzo 2013; Sejdinovic et al. 2013).
    Energy,
}

impl Kernel {
    /// [`Kernel::Rbf`] of the median distance of the reference's items, the usual choice (Gretton
    /// et al. 2012), by its first 1000.
    ///
    /// # Errors
    /// [`Error::Setting`] where more than half of the pairs are equal.
    pub fn rbf(reference: Features) -> Result<Self> {
        let rows = reference.len().min(FOR_THE_MEDIAN);
        let first = &reference.values()[..rows * reference.dim()];
        let first = Features::new("the reference", first, reference.dim())?;
        let points = Points::new(first, Some(&first.mean()));
        let squares = squared_distances(&points, 0..rows, &points, 0..rows);
        let above = (0..rows).flat_map(|i| (0..i).map(move |j| (i, j)));
        let mut squares: Vec<f64> = above
            .map(|pair| squares.values()[pair.0 * rows + pair.1])
            .collect();
        let middle = squares.len() / 2;
        let width = squares
            .select_nth_unstable_by(middle, f64::total_cmp)
            .1
            .sqrt();
        // Equal rows are apart by rounding.
        let length = points.squares().iter().fold(0.0, |top: f64, x| top.max(*x));
        if width <= 1e-7 * length.sqrt() {
            let reason = "the reference's median distance; most of its items are equal";
            return Err(Error::setting("width", width, reason));
        }
        Ok(Self::Rbf { width })
    }

    /// The rows of `features` as this kernel takes them: distances are about the reference's mean,
    /// `origin`, where least cancels.
    pub(super) fn points(self, features: Features, origin: &[f64]) -> Points {
        let about = match self {
            Self::Polynomial => None,
            Self::Rbf { .. } | Self::Energy => Some(origin),
        };
        Points::new(features, about)
    }

    /// k of all pairs, laid out as [`products`].
    pub(super) fn block(
        self,
        from: &Points,
        rows: Range<usize>,
        to: &Points,
        others: Range<usize>,
    ) -> Matrix {
        match self {
            Self::Polynomial => {
                let scale = 1.0 / from.dim() as f64;
                let mut block = products(from, rows, to, others);
                block
                    .values_mut()
                    .iter_mut()
                    .for_each(|p| *p = (*p * scale + 1.0).powi(3));
                block
            }
            Self::Rbf { width } => {
                // At the widest; each width below is the one above to the fourth power.
                let scale = -1.0 / (2.0 * (4.0 * width).powi(2));
                let mut block = squared_distances(from, rows, to, others);
                radial_means(block.values_mut(), scale);
                block
            }
            Self::Energy => {
                let mut block = squared_distances(from, rows, to, others);
                block.values_mut().iter_mut().for_each(|p| *p = -p.sqrt());
                block
            }
        }
    }
}
