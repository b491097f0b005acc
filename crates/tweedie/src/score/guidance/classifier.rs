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
use crate::score::check::check;
use crate::score::denoiser::Denoiser;
use crate::score::rows::by_level;

/// The log likelihood of one observation or class y, seen from noisy x: its gradient.
///
/// As for denoisers, a row's gradient must not depend on the other rows.
pub trait LogLikelihood {
    /// D, the number of values of a sample.
    fn dim(&self) -> usize;

    /// grad_x ln p(y | x, sigma) at the rows of `x`, written to `out`; both row-major `[n, dim]`.
    /// x has noise of standard deviation `sigma`.
    ///
    /// # Errors
    /// As for [`Denoiser::denoise`].
    fn gradient(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()>;
}

impl<L: LogLikelihood + ?Sized> LogLikelihood for &L {
    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn gradient(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        (**self).gradient(x, sigma, out)
    }
}

impl<L: LogLikelihood + ?Sized> LogLikelihood for Box<L> {
    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn gradient(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        (**self).gradient(x, sigma, out)
    }
}

/// The classifier that two denoisers imply: ln p(y | x) = ln p(x | y) - ln p(x) + constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogRatio<C, A> {
    class: C,
    all: A,
}

impl<C: Denoiser, A: Denoiser> LogRatio<C, A> {
    /// The likelihood of the class whose denoiser is `class`, where `all` is that of all data.
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

    fn gradient(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        self.class.score(x, sigma, out)?;
        let mut all = vec![0.0; x.len()];
        self.all.score(x, sigma, &mut all)?;
        out.iter_mut().zip(&all).for_each(|(out, all)| *out -= all);
        Ok(())
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
    /// guidance, 1 for Bayes' rule.
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

    /// Adds `factor` times the gradient to `out`.
    fn push(&self, x: &[f64], sigma: f64, factor: f64, out: &mut [f64]) -> Result<()> {
        let mut gradient = vec![0.0; x.len()];
        self.likelihood.gradient(x, sigma, &mut gradient)?;
        let places = out.iter_mut().zip(&gradient);
        places.for_each(|(out, gradient)| *out += factor * gradient);
        Ok(())
    }
}

impl<D: Denoiser, L: LogLikelihood> Denoiser for ClassifierGuided<D, L> {
    fn dim(&self) -> usize {
        self.denoiser.dim()
    }

    fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        self.denoiser.denoise(x, sigma, out)?;
        self.push(x, sigma, self.weight * sigma * sigma, out)
    }

    fn denoise_with_range(
        &self,
        x: &[f64],
        sigma: f64,
        out: &mut [f64],
        range: &mut [f64],
    ) -> Result<()> {
        self.denoiser.denoise_with_range(x, sigma, out, range)?;
        self.push(x, sigma, self.weight * sigma * sigma, out)
    }

    fn denoise_each(&self, x: &[f64], sigmas: &[f64], out: &mut [f64]) -> Result<()> {
        self.denoiser.denoise_each(x, sigmas, out)?;
        by_level(self.dim(), x, sigmas, out, |x, sigma, out| {
            self.push(x, sigma, self.weight * sigma * sigma, out)
        })
    }

    /// Directly: (H - x)/sigma^2 would cancel for small sigma.
    fn score(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        check(self.dim(), x, sigma, out)?;
        self.denoiser.score(x, sigma, out)?;
        self.push(x, sigma, self.weight, out)
    }
}
