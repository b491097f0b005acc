//! References to denoisers, and boxes of them, are denoisers: wrappers borrow or own.

use super::denoiser::{Denoiser, Differentiable, Distribution};
use super::posterior::Posterior;
use super::query::{Batch, Query};
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

            fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
                (**self).denoise(query, posterior)
            }

            fn score(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
                (**self).score(query, posterior)
            }
        }

        impl<D: Differentiable + ?Sized> Differentiable for $pointer {
            fn denoise_vjp(
                &self,
                query: &Query<'_>,
                v: &[f64],
                posterior: &mut Posterior<'_>,
                product: &mut [f64],
            ) -> Result<()> {
                (**self).denoise_vjp(query, v, posterior, product)
            }

            fn denoise_trace(
                &self,
                query: &Query<'_>,
                posterior: &mut Posterior<'_>,
                trace: &mut [f64],
            ) -> Result<()> {
                (**self).denoise_trace(query, posterior, trace)
            }
        }

        impl<D: Distribution + ?Sized> Distribution for $pointer {
            fn log_density(&self, query: &Query<'_>, out: &mut [f64]) -> Result<()> {
                (**self).log_density(query, out)
            }

            fn draw(
                &self,
                source: &NoiseSource,
                batch: Batch<'_>,
                sigma: f64,
                out: &mut [f64],
            ) -> Result<()> {
                (**self).draw(source, batch, sigma, out)
            }
        }
    };
}

forward!(&D);
forward!(Box<D>);
forward!(std::sync::Arc<D>);
