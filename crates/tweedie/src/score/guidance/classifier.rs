//! Classifier guidance: the score of a class by Bayes' rule.
//!
//! grad ln p(x | y) = grad ln p(x) + grad ln p(y | x), and with a weight w on the second,
//!
//! H' = H + w sigma^2 grad_x ln p(y | x, sigma).
//!
//! Dhariwal and Nichol 2021, Algorithm 1; Song et al. 2021, appendix I. With w = 1 and the exact
//! gradient this is the denoiser of the class; a larger w sharpens the classifier. Any likelihood
//! of an observation y serves as well as a classifier's.

use super::{check_dim, check_weight};
use crate::error::Result;
use crate::score::denoiser::{Denoiser, Differentiable};
use crate::score::posterior::Posterior;
use crate::score::query::Query;

/// The log likelihood of an observation or class y, seen from noisy x: its gradient.
///
/// As for denoisers, a row's gradient must not depend on the other rows; y may be what the query
/// says of the row.
pub trait LogLikelihood: Send + Sync {
    /// D, the number of values of a sample.
    fn dim(&self) -> usize;

    /// grad_x ln p(y | x, sigma) at the rows of `query`, written to where `gradient` has its
    /// mean, `[n, dim]`, and its evaluations counted there.
    ///
    /// # Errors
    /// As for [`Denoiser::denoise`].
    fn gradient(&self, query: &Query<'_>, gradient: &mut Posterior<'_>) -> Result<()>;
}

/// A log likelihood whose second derivative is known.
pub trait DifferentiableLikelihood: LogLikelihood {
    /// [`LogLikelihood::gradient`], and v^T dg/dx of that gradient g to `product`; `v` and
    /// `product` are `[n, dim]`.
    ///
    /// # Errors
    /// As for [`Differentiable::denoise_vjp`].
    fn gradient_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        gradient: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()>;
}

/// Implements the traits for `$pointer` by what it points to.
macro_rules! forward {
    ($pointer:ty) => {
        impl<L: LogLikelihood + ?Sized> LogLikelihood for $pointer {
            fn dim(&self) -> usize {
                (**self).dim()
            }

            fn gradient(&self, query: &Query<'_>, gradient: &mut Posterior<'_>) -> Result<()> {
                (**self).gradient(query, gradient)
            }
        }

        impl<L: DifferentiableLikelihood + ?Sized> DifferentiableLikelihood for $pointer {
            fn gradient_vjp(
                &self,
                query: &Query<'_>,
                v: &[f64],
                gradient: &mut Posterior<'_>,
                product: &mut [f64],
            ) -> Result<()> {
                (**self).gradient_vjp(query, v, gradient, product)
            }
        }
    };
}

forward!(&L);
forward!(Box<L>);

/// The classifier that two denoisers imply: ln p(y | x) = ln p(x | y) - ln p(x) + constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogRatio<C, A> {
    class: C,
    all: A,
}

impl<C: Denoiser, A: Denoiser> LogRatio<C, A> {
    /// The likelihood of the class whose denoiser is `class`, where `all` is that of all data and
    /// never sees a row's class.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where their dimensions differ.
    pub fn new(class: C, all: A) -> Result<Self> {
        check_dim("a sample of the class", all.dim(), class.dim())?;
        Ok(Self { class, all })
    }
}

impl<C: Denoiser, A: Denoiser> LogLikelihood for LogRatio<C, A> {
    fn dim(&self) -> usize {
        self.all.dim()
    }

    fn gradient(&self, query: &Query<'_>, gradient: &mut Posterior<'_>) -> Result<()> {
        self.class.score(query, gradient)?;
        let mut all = vec![0.0; query.x.len()];
        let mut of_all = Posterior::new(&mut all).counted(gradient.evaluations);
        let without = query.of(query.batch.without_classes());
        self.all.score(&without, &mut of_all)?;
        subtract(gradient.mean, &all);
        Ok(())
    }
}

/// dg/dx = (dH_c/dx - dH/dx)/sigma^2, as s = (H - x)/sigma^2 for both.
impl<C: Differentiable, A: Differentiable> DifferentiableLikelihood for LogRatio<C, A> {
    fn gradient_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        gradient: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()> {
        self.class.denoise_vjp(query, v, gradient, product)?;
        let (mut all, mut other) = (vec![0.0; query.x.len()], vec![0.0; query.x.len()]);
        let mut of_all = Posterior::new(&mut all).counted(gradient.evaluations);
        let without = query.of(query.batch.without_classes());
        self.all.denoise_vjp(&without, v, &mut of_all, &mut other)?;
        subtract(gradient.mean, &all);
        subtract(product, &other);
        let by_square = |square: f64, value: &mut f64| *value /= square;
        each_row(query, self.dim(), gradient.mean, by_square);
        each_row(query, self.dim(), product, by_square);
        Ok(())
    }
}

/// out -= other.
fn subtract(out: &mut [f64], other: &[f64]) {
    let places = out.iter_mut().zip(other);
    places.for_each(|(out, other)| *out -= other);
}

/// Calls `change` with each value of `out` and its row's sigma^2.
fn each_row(query: &Query<'_>, dim: usize, out: &mut [f64], change: impl Fn(f64, &mut f64)) {
    for (out, sigma) in out.chunks_exact_mut(dim).zip(query.sigmas) {
        out.iter_mut().for_each(|out| change(sigma * sigma, out));
    }
}

/// A denoiser guided by a classifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassifierGuided<D, L> {
    denoiser: D,
    likelihood: L,
    weight: f64,
}

impl<D: Denoiser, L: LogLikelihood> ClassifierGuided<D, L> {
    /// `denoiser`, that of all classes, guided by `likelihood` with `weight` w: 0 for no
    /// guidance, 1 for Bayes' rule. What a row's class is, the likelihood sees and the denoiser
    /// does not.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where the dimensions differ, [`crate::Error::Setting`] for a
    /// weight that is not finite.
    pub fn new(denoiser: D, likelihood: L, weight: f64) -> Result<Self> {
        let found = likelihood.dim();
        check_dim("a sample of the likelihood", denoiser.dim(), found)?;
        check_weight(weight)?;
        Ok(Self {
            denoiser,
            likelihood,
            weight,
        })
    }

    /// Adds the gradient to the mean of `posterior`, times w and `factor` of sigma^2.
    fn push(
        &self,
        query: &Query<'_>,
        posterior: &mut Posterior<'_>,
        factor: impl Fn(f64) -> f64,
    ) -> Result<()> {
        let mut values = vec![0.0; query.x.len()];
        let mut gradient = Posterior::new(&mut values).counted(posterior.evaluations);
        self.likelihood.gradient(query, &mut gradient)?;
        self.add(query, &values, posterior.mean, factor);
        Ok(())
    }

    /// Adds `values` to `out`, times w and `factor` of sigma^2.
    fn add(&self, query: &Query<'_>, values: &[f64], out: &mut [f64], factor: impl Fn(f64) -> f64) {
        let dim = self.denoiser.dim();
        let rows = out.chunks_exact_mut(dim).zip(values.chunks_exact(dim));
        for ((out, values), sigma) in rows.zip(query.sigmas) {
            let factor = factor(self.weight * sigma * sigma);
            let places = out.iter_mut().zip(values);
            places.for_each(|(out, value)| *out += factor * value);
        }
    }
}

impl<D: Denoiser, L: LogLikelihood> Denoiser for ClassifierGuided<D, L> {
    fn dim(&self) -> usize {
        self.denoiser.dim()
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        let without = query.of(query.batch.without_classes());
        self.denoiser.denoise(&without, posterior)?;
        self.push(query, posterior, |step| step)
    }

    /// Directly: (H - x)/sigma^2 would cancel for small sigma.
    fn score(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        let without = query.of(query.batch.without_classes());
        self.denoiser.score(&without, posterior)?;
        self.push(query, posterior, |_| self.weight)
    }
}

/// v^T dH'/dx = v^T dH/dx + w sigma^2 v^T dg/dx.
impl<D: Differentiable, L: DifferentiableLikelihood> Differentiable for ClassifierGuided<D, L> {
    fn denoise_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        posterior: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()> {
        let without = query.of(query.batch.without_classes());
        self.denoiser.denoise_vjp(&without, v, posterior, product)?;
        let (mut values, mut other) = (vec![0.0; query.x.len()], vec![0.0; query.x.len()]);
        let mut gradient = Posterior::new(&mut values).counted(posterior.evaluations);
        self.likelihood
            .gradient_vjp(query, v, &mut gradient, &mut other)?;
        self.add(query, &values, posterior.mean, |step| step);
        self.add(query, &other, product, |step| step);
        Ok(())
    }
}
