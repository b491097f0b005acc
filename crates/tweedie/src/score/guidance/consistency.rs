//! Data consistency: H corrected by what is known of the sample.
//!
//! A measurement of the clean sample, y = A x0, is a statement about H, which has no noise. The
//! correction of a linear one without noise is the projection H' = H + A^+ (y - A H) (Wang, Yu
//! and Zhang 2023, DDNM); with A a choice of coordinates it puts in what is known:
//! inpainting, [`Known`].

use super::check_dim;
use crate::error::{Error, Result};
use crate::score::check::check_vjp;
use crate::score::denoiser::{Denoiser, Differentiable};
use crate::score::posterior::Posterior;
use crate::score::query::Query;

/// A correction of H: what is known of the samples.
///
/// Closures `Fn(query, h) -> Result<()>` are corrections too. As for denoisers, a row's correction
/// must not depend on the other rows; the query says which samples they are, and what each is
/// conditioned on.
pub trait Consistency: Send + Sync {
    /// Corrects `h`, the expected denoised samples of the rows of `query`, row-major `[n, dim]`.
    ///
    /// # Errors
    /// Those of the correction.
    fn apply(&self, query: &Query<'_>, h: &mut [f64]) -> Result<()>;

    /// D, where the correction is for one number of values only.
    fn dim(&self) -> Option<usize> {
        None
    }
}

/// A correction P H + c: linear, but for a constant.
pub trait LinearConsistency: Consistency {
    /// v <- P^T v, row by row: `v` is `[n, dim]`.
    ///
    /// # Errors
    /// Those of the correction.
    fn transpose(&self, query: &Query<'_>, v: &mut [f64]) -> Result<()>;
}

impl<F: Fn(&Query<'_>, &mut [f64]) -> Result<()> + Send + Sync> Consistency for F {
    fn apply(&self, query: &Query<'_>, h: &mut [f64]) -> Result<()> {
        self(query, h)
    }
}

/// Some values of a sample are known: those of the row's measurement
/// ([`Condition::measurement`](crate::score::Condition)) that are not NaN. Rows without a
/// measurement are left as they are, so one batch may hold samples with different masks, and
/// without.
///
/// H has the known values exactly. So have the samples of a sampler whose last step returns H, as
/// CAS under eps_c does, and the denoised samples of every other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known;

impl Known {
    /// Calls `put` with each value of a row that is known and its place in `values`.
    fn each(query: &Query<'_>, values: &mut [f64], put: impl Fn(&mut f64, f64)) -> Result<()> {
        let dim = values.len().checked_div(query.rows()).unwrap_or(0);
        for (row, values) in values.chunks_exact_mut(dim.max(1)).enumerate() {
            let Some(known) = query.batch.measurement(row) else {
                continue;
            };
            check_dim("the known values of a sample", dim, known.len())?;
            for (value, &known) in values.iter_mut().zip(known) {
                if known.is_infinite() {
                    let reason = "a known value must be finite; NaN stands for one that is not \
                                  known";
                    return Err(Error::setting("measurement", known, reason));
                }
                if !known.is_nan() {
                    put(value, known);
                }
            }
        }
        Ok(())
    }
}

impl Consistency for Known {
    fn apply(&self, query: &Query<'_>, h: &mut [f64]) -> Result<()> {
        Self::each(query, h, |h, known| *h = known)
    }
}

/// P keeps what is not known.
impl LinearConsistency for Known {
    fn transpose(&self, query: &Query<'_>, v: &mut [f64]) -> Result<()> {
        Self::each(query, v, |v, _| *v = 0.0)
    }
}

/// A denoiser whose H is corrected before samplers see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Consistent<D, C> {
    denoiser: D,
    consistency: C,
}

impl<D: Denoiser, C: Consistency> Consistent<D, C> {
    /// `denoiser`, then `consistency`. Measurements are the correction's: `denoiser` sees none.
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

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        let without = query.of(query.batch.without_measurements());
        self.denoiser.denoise(&without, posterior)?;
        self.consistency.apply(query, posterior.mean)
    }
}

/// v^T d(P H + c)/dx = (P^T v)^T dH/dx.
impl<D: Differentiable, C: LinearConsistency> Differentiable for Consistent<D, C> {
    fn denoise_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        posterior: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()> {
        check_vjp(self.dim(), query, v, posterior, product)?;
        let mut v = v.to_vec();
        self.consistency.transpose(query, &mut v)?;
        let without = query.of(query.batch.without_measurements());
        self.denoiser
            .denoise_vjp(&without, &v, posterior, product)?;
        self.consistency.apply(query, posterior.mean)
    }
}
