//! A trained network as the denoiser that samplers see.

use std::ops::Range;

use super::{Coefficients, Conditioning, Network, Parameterisation, params};
use crate::error::Result;
use crate::score::{Denoiser, Differentiable, Posterior, Query, check_vjp};

/// H(x, sigma) = c_skip x + c_out F(c_in x, sigma).
///
/// Large batches are split. Sample k does not depend on who else is in its batch: the CPU's
/// kernels sum in an order that has nothing to do with the number of rows.
pub struct NetworkDenoiser {
    network: Network,
    parameterisation: Parameterisation,
    batch: usize,
}

impl NetworkDenoiser {
    /// A denoiser for `network`, whose output means what `parameterisation` says.
    pub fn new(network: &Network, parameterisation: Parameterisation) -> Self {
        Self {
            network: network.without_gradients(),
            parameterisation,
            batch: network.preferred_batch(),
        }
    }

    /// How many classes the network is conditioned on, if on any.
    pub fn classes(&self) -> Option<usize> {
        self.network.classes()
    }
}

impl Denoiser for NetworkDenoiser {
    fn dim(&self) -> usize {
        self.network.inputs()
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        let dim = self.dim();
        self.check(query, posterior)?;
        for rows in self.batches(query.rows()) {
            let query = query.slice(rows.clone(), dim);
            let each = || self.coefficients(query.sigmas);
            let x = self.network.input(scaled(query.x, each(), dim))?;
            let raw = self.conditioned(&query, |on| self.network.forward(x, on))?;
            let out = posterior.slice(rows, dim).mean;
            recombine(query.x, &params::to_vec(raw), each(), out, dim);
        }
        posterior.evaluated();
        Ok(())
    }
}

impl NetworkDenoiser {
    /// Refuses what the network does not know.
    fn check(&self, query: &Query<'_>, posterior: &Posterior<'_>) -> Result<()> {
        posterior.check(query, self.dim())?;
        posterior.without_variance()?;
        match self.network.classes() {
            Some(_) => query.batch.unmeasured(),
            None => query.batch.unconditioned(),
        }
    }

    /// The rows of each call of the network.
    fn batches(&self, rows: usize) -> impl Iterator<Item = Range<usize>> {
        let batch = self.batch;
        let starts = (0..rows).step_by(batch);
        starts.map(move |start| start..rows.min(start + batch))
    }

    /// Calls `forward` with what the rows of `query` are conditioned on.
    fn conditioned<T>(
        &self,
        query: &Query<'_>,
        forward: impl FnOnce(&Conditioning<'_>) -> Result<T>,
    ) -> Result<T> {
        let on = Conditioning::on_sigmas(query.sigmas);
        if !query.batch.has_classes() {
            return forward(&on);
        }
        let classes: Vec<_> = (0..query.rows())
            .map(|row| query.batch.class(row))
            .collect();
        forward(&Conditioning {
            classes: Some(&classes),
            ..on
        })
    }

    /// The factors of each row.
    fn coefficients(&self, sigmas: &[f64]) -> impl Iterator<Item = Coefficients> {
        let factors = |&sigma: &f64| self.parameterisation.coefficients(sigma);
        sigmas.iter().map(factors)
    }

    /// The same denoiser with its derivative, v^T dH/dx, by going back through the network.
    ///
    /// # Errors
    /// When the network stores its images in another precision than f32.
    pub fn differentiable(&self) -> Result<DifferentiableNetwork<'_>> {
        Ok(DifferentiableNetwork {
            network: self.network.with_input_gradients()?,
            denoiser: self,
        })
    }
}

/// c_in x, row by row.
fn scaled(x: &[f64], each: impl Iterator<Item = Coefficients>, dim: usize) -> Vec<f32> {
    let mut scaled = Vec::with_capacity(x.len());
    for (x, c) in x.chunks_exact(dim).zip(each) {
        scaled.extend(x.iter().map(|x| (c.c_in * x) as f32));
    }
    scaled
}

/// c_skip x + c_out F, row by row.
fn recombine(
    x: &[f64],
    raw: &[f32],
    each: impl Iterator<Item = Coefficients>,
    out: &mut [f64],
    dim: usize,
) {
    let rows = out.chunks_exact_mut(dim).zip(x.chunks_exact(dim));
    for (((out, x), raw), c) in rows.zip(raw.chunks_exact(dim)).zip(each) {
        for ((out, &x), &raw) in out.iter_mut().zip(x).zip(raw) {
            *out = c.c_skip * x + c.c_out * f64::from(raw);
        }
    }
}

/// A [`NetworkDenoiser`] that can be differentiated by its input, in single precision.
pub struct DifferentiableNetwork<'a> {
    network: Network,
    denoiser: &'a NetworkDenoiser,
}

impl Denoiser for DifferentiableNetwork<'_> {
    fn dim(&self) -> usize {
        self.denoiser.dim()
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        self.denoiser.denoise(query, posterior)
    }
}

impl Differentiable for DifferentiableNetwork<'_> {
    /// v^T dH/dx = c_skip v + c_out c_in v^T dF/dx.
    fn denoise_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        posterior: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()> {
        let (dim, denoiser) = (self.dim(), self.denoiser);
        check_vjp(dim, query, v, posterior, product)?;
        denoiser.check(query, posterior)?;
        for rows in denoiser.batches(query.rows()) {
            let query = query.slice(rows.clone(), dim);
            let values = rows.start * dim..rows.end * dim;
            let each = || denoiser.coefficients(query.sigmas);
            let v = &v[values.clone()];
            let to: Vec<f32> = v.iter().map(|&v| v as f32).collect();
            let x = scaled(query.x, each(), dim);
            let vjp = |on: &Conditioning<'_>| self.network.forward_vjp(x, on, to);
            let (raw, back) = denoiser.conditioned(&query, vjp)?;
            recombine(query.x, &raw, each(), posterior.slice(rows, dim).mean, dim);
            let through = each().map(|c| Coefficients {
                c_out: c.c_out * c.c_in,
                ..c
            });
            recombine(v, &back, through, &mut product[values], dim);
        }
        posterior.evaluated();
        Ok(())
    }
}
