//! Data consistency: H corrected by what is known of the sample.
//!
//! A measurement of the clean sample, y = A x0, is a statement about H, which has no noise. The
//! correction of a linear one without noise is the projection H' = H + A^+ (y - A H) (Wang, Yu
//! and Zhang 2023, DDNM); with A a choice of coordinates it puts in what is known:
//! inpainting, [`Known`].

use super::check_dim;
use crate::error::{Error, Result};
use crate::score::denoiser::Denoiser;
use crate::score::rows::by_level;

/// A correction of H: what is known of the samples.
///
/// Closures `Fn(x, sigma, h) -> Result<()>` are corrections too. As for denoisers, a row's
/// correction must not depend on the other rows.
pub trait Consistency {
    /// Corrects `h`, the expected denoised samples of the rows of `x`, which have noise of
    /// standard deviation `sigma`; both row-major `[n, dim]`.
    ///
    /// # Errors
    /// Those of the correction.
    fn apply(&self, x: &[f64], sigma: f64, h: &mut [f64]) -> Result<()>;

    /// D, where the correction is for one number of values only.
    fn dim(&self) -> Option<usize> {
        None
    }
}

impl<F: Fn(&[f64], f64, &mut [f64]) -> Result<()>> Consistency for F {
    fn apply(&self, x: &[f64], sigma: f64, h: &mut [f64]) -> Result<()> {
        self(x, sigma, h)
    }
}

/// Some values of the samples are known, the same in every sample.
///
/// H has them exactly. So have the samples of a sampler whose last step returns H, as CAS under
/// eps_c does, and the denoised samples of every other.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    mask: Vec<bool>,
    values: Vec<f64>,
}

impl Known {
    /// The `values` `[dim]`, known where `mask` `[dim]` is true; the others do not matter.
    ///
    /// # Errors
    /// [`Error::Shape`] where the lengths differ, [`Error::Setting`] for a known value that is
    /// not finite.
    pub fn new(mask: Vec<bool>, values: Vec<f64>) -> Result<Self> {
        check_dim("the known values", mask.len(), values.len())?;
        let known = mask.iter().zip(&values).filter(|(known, _)| **known);
        if let Some((_, value)) = known.into_iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::setting(
                "values",
                value,
                "a known value must be finite",
            ));
        }
        Ok(Self { mask, values })
    }
}

impl Consistency for Known {
    fn apply(&self, _: &[f64], _: f64, h: &mut [f64]) -> Result<()> {
        for row in h.chunks_exact_mut(self.mask.len().max(1)) {
            for ((h, known), value) in row.iter_mut().zip(&self.mask).zip(&self.values) {
                if *known {
                    *h = *value;
                }
            }
        }
        Ok(())
    }

    fn dim(&self) -> Option<usize> {
        Some(self.mask.len())
    }
}

/// A denoiser whose H is corrected before samplers see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Consistent<D, C> {
    denoiser: D,
    consistency: C,
}

impl<D: Denoiser, C: Consistency> Consistent<D, C> {
    /// `denoiser`, then `consistency`.
    ///
    /// # Errors
    /// [`Error::Shape`] where the correction is for another number of values.
    pub fn new(denoiser: D, consistency: C) -> Result<Self> {
        let dim = denoiser.dim();
        check_dim("a known sample", dim, consistency.dim().unwrap_or(dim))?;
        Ok(Self {
            denoiser,
            consistency,
        })
    }
}

impl<D: Denoiser, C: Consistency> Denoiser for Consistent<D, C> {
    fn dim(&self) -> usize {
        self.denoiser.dim()
    }

    fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        self.denoiser.denoise(x, sigma, out)?;
        self.consistency.apply(x, sigma, out)
    }

    fn denoise_with_range(
        &self,
        x: &[f64],
        sigma: f64,
        out: &mut [f64],
        range: &mut [f64],
    ) -> Result<()> {
        self.denoiser.denoise_with_range(x, sigma, out, range)?;
        self.consistency.apply(x, sigma, out)
    }

    fn denoise_each(&self, x: &[f64], sigmas: &[f64], out: &mut [f64]) -> Result<()> {
        self.denoiser.denoise_each(x, sigmas, out)?;
        by_level(self.dim(), x, sigmas, out, |x, sigma, h| {
            self.consistency.apply(x, sigma, h)
        })
    }
}
