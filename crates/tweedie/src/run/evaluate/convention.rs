//! Figures as other tools print them, for comparison with figures that are published so.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::Result;
use crate::measure::{Features, Kernel, kernel_distance_of_subsets, torch_fidelity_subsets};

/// A tool whose figures are wanted besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Convention {
    /// torch-fidelity's KID: 100 subsets of 1000, chosen by NumPy's generator of seed 2020, which
    /// gives its figure to rounding. Fewer items make smaller subsets, which it refuses.
    TorchFidelity,
    /// clean-fid's KID: 100 subsets of 1000, or of all items where there are fewer. It chooses them
    /// without a seed, so its figure differs from run to run as this one does by its seed, 0.
    CleanFid,
}

/// A figure by a [`Convention`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfConvention {
    /// Whose.
    pub convention: Convention,
    /// Subsets, and items in each.
    pub subsets: [usize; 2],
    /// The mean of the subsets' kernel distances under (x . y/d + 1)^3.
    pub mean: f64,
    /// Their standard deviation, often printed after the mean: not its error.
    pub spread: f64,
}

impl Convention {
    /// Subsets.
    const SUBSETS: usize = 100;
    /// Items in each.
    const SIZE: usize = 1000;

    pub(super) fn measure(self, samples: Features, reference: Features) -> Result<OfConvention> {
        let size = Self::SIZE.min(samples.len()).min(reference.len());
        let seed = match self {
            Self::TorchFidelity => 2020,
            Self::CleanFid => 0,
        };
        let (n, m) = (samples.len(), reference.len());
        let subsets = torch_fidelity_subsets(n, m, Self::SUBSETS, size, seed)?;
        let found = kernel_distance_of_subsets(samples, reference, Kernel::Polynomial, &subsets)?;
        Ok(OfConvention {
            convention: self,
            subsets: [Self::SUBSETS, size],
            mean: found.mean,
            spread: found.spread,
        })
    }
}

impl fmt::Display for Convention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TorchFidelity => "torch-fidelity",
            Self::CleanFid => "clean-fid",
        })
    }
}

impl FromStr for Convention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::TorchFidelity, Self::CleanFid];
        let found = all.into_iter().find(|known| known.to_string() == text);
        found.ok_or_else(|| "write torch-fidelity or clean-fid".into())
    }
}
