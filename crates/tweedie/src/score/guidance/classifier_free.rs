//! Classifier-free guidance: the classifier is the difference of two denoisers.
//!
//! H' = H_u + w (H_c - H_u),
//!
//! H_c conditioned on the class and H_u not: Ho and Salimans 2022, Eq. 6, whose weight is w - 1:
//! they write (1 + w) eps_c - w eps_u. So w = 0 is the denoiser of all data, w = 1 that of the
//! class, and w > 1 guides.

use super::{check_dim, check_weight};
use crate::error::Result;
use crate::score::denoiser::{Denoiser, Differentiable};
use crate::score::posterior::Posterior;
use crate::score::query::Query;

/// A denoiser moved from an unconditional to a conditional one, and beyond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassifierFree<U, C> {
    unconditional: U,
    conditional: C,
    weight: f64,
}

impl<D: Denoiser + Clone> ClassifierFree<D, D> {
    /// One class-conditional denoiser for both, such as a reference to a network trained with
    /// labels of which some were dropped: rows with a class are guided to it with `weight`, and
    /// those without are left as they are.
    ///
    /// # Errors
    /// As for [`ClassifierFree::new`].
    pub fn by_class(denoiser: D, weight: f64) -> Result<Self> {
        Self::new(denoiser.clone(), denoiser, weight)
    }
}

impl<U: Denoiser, C: Denoiser> ClassifierFree<U, C> {
    /// `unconditional` + `weight` (`conditional` - `unconditional`), where `unconditional` never
    /// sees a row's class. With the weights 0 and 1 only the one that counts is called.
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

    /// The combination of what the two write to `posterior` and `other`.
    fn combine(
        &self,
        query: &Query<'_>,
        posterior: &mut Posterior<'_>,
        other: &mut [f64],
        unconditional: impl FnOnce(&Query<'_>, &mut Posterior<'_>, &mut [f64]) -> Result<()>,
        conditional: impl FnOnce(&Query<'_>, &mut Posterior<'_>, &mut [f64]) -> Result<()>,
    ) -> Result<()> {
        let without = query.of(query.batch.without_classes());
        if self.weight == 0.0 {
            return unconditional(&without, posterior, other);
        }
        if self.weight == 1.0 {
            return conditional(query, posterior, other);
        }
        unconditional(&without, posterior, other)?;
        let mut mean = vec![0.0; posterior.mean.len()];
        let mut variance = posterior.variance.as_ref().map(|v| vec![0.0; v.len()]);
        let mut memory = vec![0.0; other.len()];
        let mut of_class = Posterior {
            mean: &mut mean,
            variance: variance.as_deref_mut(),
            evaluations: posterior.evaluations,
        };
        conditional(query, &mut of_class, &mut memory)?;
        self.guide(posterior.mean, &mean);
        self.guide(other, &memory);
        if let (Some(out), Some(variance)) = (&mut posterior.variance, &variance) {
            self.guide(out, variance);
            out.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        }
        Ok(())
    }

    fn guide(&self, out: &mut [f64], conditional: &[f64]) {
        for (out, conditional) in out.iter_mut().zip(conditional) {
            *out += self.weight * (conditional - *out);
        }
    }
}

/// Learned variances are combined as the means are, and kept in [0, 1].
impl<U: Denoiser, C: Denoiser> Denoiser for ClassifierFree<U, C> {
    fn dim(&self) -> usize {
        self.unconditional.dim()
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        self.combine(
            query,
            posterior,
            &mut [],
            |query, posterior, _| self.unconditional.denoise(query, posterior),
            |query, posterior, _| self.conditional.denoise(query, posterior),
        )
    }

    fn score(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        self.combine(
            query,
            posterior,
            &mut [],
            |query, posterior, _| self.unconditional.score(query, posterior),
            |query, posterior, _| self.conditional.score(query, posterior),
        )
    }
}

impl<U: Differentiable, C: Differentiable> Differentiable for ClassifierFree<U, C> {
    fn denoise_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        posterior: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()> {
        self.combine(
            query,
            posterior,
            product,
            |query, posterior, out| self.unconditional.denoise_vjp(query, v, posterior, out),
            |query, posterior, out| self.conditional.denoise_vjp(query, v, posterior, out),
        )
    }

    fn denoise_trace(
        &self,
        query: &Query<'_>,
        posterior: &mut Posterior<'_>,
        trace: &mut [f64],
    ) -> Result<()> {
        self.combine(
            query,
            posterior,
            trace,
            |query, posterior, out| self.unconditional.denoise_trace(query, posterior, out),
            |query, posterior, out| self.conditional.denoise_trace(query, posterior, out),
        )
    }
}
