//! Classifier-free guidance: the classifier is the difference of two denoisers.
//!
//! H' = H_u + w (H_c - H_u),
//!
//! H_c told the class and H_u not: Ho and Salimans 2022, Eq. 6, whose weight is w - 1: they write
//! (1 + w) eps_c - w eps_u. So w = 0 is the denoiser of all data, w = 1 that of the class, and
//! w > 1 guides.

use super::{check_dim, check_weight};
use crate::error::Result;
use crate::score::denoiser::{Denoiser, Differentiable};

/// A denoiser moved from an unconditional to a conditional one, and beyond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassifierFree<U, C> {
    unconditional: U,
    conditional: C,
    weight: f64,
}

impl<U: Denoiser, C: Denoiser> ClassifierFree<U, C> {
    /// `unconditional` + `weight` (`conditional` - `unconditional`). With the weights 0 and 1 only
    /// the one that counts is called.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where the dimensions differ, [`crate::Error::Setting`] for a
    /// weight that is not finite.
    pub fn new(unconditional: U, conditional: C, weight: f64) -> Result<Self> {
        let (dim, found) = (unconditional.dim(), conditional.dim());
        check_dim("a sample of the conditional denoiser", dim, found)?;
        check_weight(weight)?;
        Ok(Self {
            unconditional,
            conditional,
            weight,
        })
    }

    /// The combination of what the two write.
    fn combine<const N: usize>(
        &self,
        mut out: [&mut [f64]; N],
        unconditional: impl FnOnce([&mut [f64]; N]) -> Result<()>,
        conditional: impl FnOnce([&mut [f64]; N]) -> Result<()>,
    ) -> Result<()> {
        if self.weight == 0.0 {
            return unconditional(out);
        }
        if self.weight == 1.0 {
            return conditional(out);
        }
        let mut memory = out.each_ref().map(|out| vec![0.0; out.len()]);
        unconditional(out.each_mut().map(|out| &mut **out))?;
        conditional(memory.each_mut().map(|memory| &mut **memory))?;
        for (out, conditional) in out.iter_mut().zip(&memory) {
            for (out, conditional) in out.iter_mut().zip(conditional) {
                *out += self.weight * (conditional - *out);
            }
        }
        Ok(())
    }
}

impl<U: Denoiser, C: Denoiser> Denoiser for ClassifierFree<U, C> {
    fn dim(&self) -> usize {
        self.unconditional.dim()
    }

    fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        self.combine(
            [out],
            |[out]| self.unconditional.denoise(x, sigma, out),
            |[out]| self.conditional.denoise(x, sigma, out),
        )
    }

    fn denoise_each(&self, x: &[f64], sigmas: &[f64], out: &mut [f64]) -> Result<()> {
        self.combine(
            [out],
            |[out]| self.unconditional.denoise_each(x, sigmas, out),
            |[out]| self.conditional.denoise_each(x, sigmas, out),
        )
    }

    /// Both models' fractions are combined as their H are, and kept in [0, 1].
    fn denoise_with_range(
        &self,
        x: &[f64],
        sigma: f64,
        out: &mut [f64],
        range: &mut [f64],
    ) -> Result<()> {
        self.combine(
            [out, &mut *range],
            |[out, range]| self.unconditional.denoise_with_range(x, sigma, out, range),
            |[out, range]| self.conditional.denoise_with_range(x, sigma, out, range),
        )?;
        range.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        Ok(())
    }

    fn score(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        self.combine(
            [out],
            |[out]| self.unconditional.score(x, sigma, out),
            |[out]| self.conditional.score(x, sigma, out),
        )
    }
}

impl<U: Differentiable, C: Differentiable> Differentiable for ClassifierFree<U, C> {
    fn denoise_vjp(
        &self,
        x: &[f64],
        sigmas: &[f64],
        v: &[f64],
        out: &mut [f64],
        product: &mut [f64],
    ) -> Result<()> {
        self.combine(
            [out, product],
            |[out, product]| self.unconditional.denoise_vjp(x, sigmas, v, out, product),
            |[out, product]| self.conditional.denoise_vjp(x, sigmas, v, out, product),
        )
    }

    fn denoise_trace(
        &self,
        x: &[f64],
        sigmas: &[f64],
        out: &mut [f64],
        trace: &mut [f64],
    ) -> Result<()> {
        self.combine(
            [out, trace],
            |[out, trace]| self.unconditional.denoise_trace(x, sigmas, out, trace),
            |[out, trace]| self.conditional.denoise_trace(x, sigmas, out, trace),
        )
    }
}
