//! What a denoiser answers.

use std::ops::Range;

use super::query::Query;
use crate::error::{Error, Result};

/// What is known of x given x~: where a [`Denoiser`](super::Denoiser) writes its answer to a
/// [`Query`] of n rows.
#[derive(Debug)]
pub struct Posterior<'a> {
    /// H(x~, sigma) = E\[x | x~\], row-major `[n, dim]`.
    pub mean: &'a mut [f64],
    /// Where asked for, `[n, dim]`: v in \[0, 1\], where between the smallest and the largest
    /// variance of an ancestral step (in the logarithm) a model with learned variances puts that
    /// of each value (Nichol and Dhariwal 2021, Eq. 15).
    pub variance: Option<&'a mut [f64]>,
    /// To which each row's network evaluations are added, `[n]`; empty where no one counts.
    pub evaluations: &'a mut [u32],
}

impl<'a> Posterior<'a> {
    /// The mean alone.
    pub fn new(mean: &'a mut [f64]) -> Self {
        Self {
            mean,
            variance: None,
            evaluations: &mut [],
        }
    }

    /// The learned variance as well.
    #[must_use]
    pub fn with_variance(self, variance: &'a mut [f64]) -> Self {
        Self {
            variance: Some(variance),
            ..self
        }
    }

    /// Counts each row's evaluations.
    #[must_use]
    pub fn counted(self, evaluations: &'a mut [u32]) -> Self {
        Self {
            evaluations,
            ..self
        }
    }

    /// The same, for a part of the work.
    pub fn reborrow(&mut self) -> Posterior<'_> {
        Posterior {
            mean: self.mean,
            variance: self.variance.as_deref_mut(),
            evaluations: self.evaluations,
        }
    }

    /// The same for the rows `rows` of samples of `dim` values.
    pub fn slice(&mut self, rows: Range<usize>, dim: usize) -> Posterior<'_> {
        let values = rows.start * dim..rows.end * dim;
        let variance = self.variance.as_deref_mut();
        Posterior {
            mean: &mut self.mean[values.clone()],
            variance: variance.map(|variance| &mut variance[values]),
            evaluations: match self.evaluations.is_empty() {
                true => &mut [],
                false => &mut self.evaluations[rows],
            },
        }
    }

    /// Adds an evaluation of every row.
    pub fn evaluated(&mut self) {
        for evaluations in &mut *self.evaluations {
            *evaluations = evaluations.saturating_add(1);
        }
    }

    /// Checks that there is room for the answer to `query` about samples of `dim` values, and the
    /// query itself. For implementations of [`Denoiser`](super::Denoiser).
    ///
    /// # Errors
    /// As for [`Query::check`]; [`Error::Shape`] where something here does not fit.
    pub fn check(&self, query: &Query<'_>, dim: usize) -> Result<()> {
        query.check(dim)?;
        let shape = |what: &str, expected: Vec<usize>, found: usize| Error::Shape {
            what: what.into(),
            expected,
            found: vec![found],
        };
        let (rows, values) = (query.rows(), query.x.len());
        if self.mean.len() != values {
            let found = self.mean.len();
            return Err(shape("the denoiser's output", vec![rows, dim], found));
        }
        if let Some(variance) = &self.variance
            && variance.len() != values
        {
            return Err(shape("the variance", vec![rows, dim], variance.len()));
        }
        if !self.evaluations.is_empty() && self.evaluations.len() != rows {
            let found = self.evaluations.len();
            return Err(shape("the evaluations", vec![rows], found));
        }
        Ok(())
    }

    /// [`Posterior::check`] for a model that has learned no variances and takes no conditions.
    ///
    /// # Errors
    /// As for it, and [`Error::Setting`] where variances are asked for or a row is conditioned.
    pub fn check_plain(&self, query: &Query<'_>, dim: usize) -> Result<()> {
        self.check(query, dim)?;
        self.plain(query)
    }

    /// The part of [`Posterior::check_plain`] beyond [`Posterior::check`].
    pub(super) fn plain(&self, query: &Query<'_>) -> Result<()> {
        self.without_variance()?;
        query.batch.unconditioned()
    }

    /// Refuses to answer with variances.
    ///
    /// # Errors
    /// [`Error::Setting`] where they are asked for.
    pub fn without_variance(&self) -> Result<()> {
        match self.variance {
            None => Ok(()),
            Some(_) => {
                let reason = "this model has learned no variances; take fixed-small or fixed-large";
                Err(Error::setting("variance", "learned", reason))
            }
        }
    }
}

/// Adds `counts`, of the rows `rows` of a batch, to its `evaluations`, if anyone counts.
pub(crate) fn add_counts(evaluations: &mut [u32], rows: &[usize], counts: &[u32]) {
    for (&row, &count) in rows.iter().zip(counts) {
        if let Some(evaluations) = evaluations.get_mut(row) {
            *evaluations = evaluations.saturating_add(count);
        }
    }
}
