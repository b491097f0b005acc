//! References to denoisers, and boxes of them, are denoisers: wrappers borrow or own.

use super::denoiser::{Denoiser, Differentiable, Law};
use crate::error::Result;
use crate::random::NoiseSource;

/// Implements the traits for `$pointer`, all methods by those of what it points to: defaults
/// would pass by what a denoiser knows better.
macro_rules! forward {
    ($pointer:ty) => {
        impl<D: Denoiser + ?Sized> Denoiser for $pointer {
            fn dim(&self) -> usize {
                (**self).dim()
            }

            fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
                (**self).denoise(x, sigma, out)
            }

            fn denoise_each(&self, x: &[f64], sigmas: &[f64], out: &mut [f64]) -> Result<()> {
                (**self).denoise_each(x, sigmas, out)
            }

            fn denoise_with_range(
                &self,
                x: &[f64],
                sigma: f64,
                out: &mut [f64],
                range: &mut [f64],
            ) -> Result<()> {
                (**self).denoise_with_range(x, sigma, out, range)
            }

            fn score(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
                (**self).score(x, sigma, out)
            }
        }

        impl<D: Differentiable + ?Sized> Differentiable for $pointer {
            fn denoise_vjp(
                &self,
                x: &[f64],
                sigmas: &[f64],
                v: &[f64],
                out: &mut [f64],
                product: &mut [f64],
            ) -> Result<()> {
                (**self).denoise_vjp(x, sigmas, v, out, product)
            }

            fn denoise_trace(
                &self,
                x: &[f64],
                sigmas: &[f64],
                out: &mut [f64],
                trace: &mut [f64],
            ) -> Result<()> {
                (**self).denoise_trace(x, sigmas, out, trace)
            }
        }

        impl<D: Law + ?Sized> Law for $pointer {
            fn log_density(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
                (**self).log_density(x, sigma, out)
            }

            fn sample(
                &self,
                source: &NoiseSource,
                samples: &[u64],
                sigma: f64,
                out: &mut [f64],
            ) -> Result<()> {
                (**self).sample(source, samples, sigma, out)
            }
        }
    };
}

forward!(&D);
forward!(Box<D>);
