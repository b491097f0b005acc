//! A trained network as the denoiser that samplers see.

use super::{Coefficients, Conditioning, Network, Parameterisation, params};
use crate::error::Result;
use crate::score::{Denoiser, Differentiable, check, check_each, check_vjp};

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
}

impl Denoiser for NetworkDenoiser {
    fn dim(&self) -> usize {
        self.network.inputs()
    }

    fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        let dim = self.dim();
        check(dim, x, sigma, out)?;
        let c = self.parameterisation.coefficients(sigma);
        let sigmas = vec![sigma; self.batch.min(x.len() / dim)];
        let values = self.batch * dim;
        for (x, out) in x.chunks(values).zip(out.chunks_mut(values)) {
            let sigmas = &sigmas[..x.len() / dim];
            let each = || sigmas.iter().map(|_| c);
            let raw = self.raw(scaled(x, each(), dim), sigmas)?;
            recombine(x, &raw, each(), out, dim);
        }
        Ok(())
    }

    fn denoise_each(&self, x: &[f64], sigmas: &[f64], out: &mut [f64]) -> Result<()> {
        let dim = self.dim();
        check_each(dim, x, sigmas, out)?;
        let values = self.batch * dim;
        let batches = x.chunks(values).zip(sigmas.chunks(self.batch));
        for ((x, sigmas), out) in batches.zip(out.chunks_mut(values)) {
            let each = || self.coefficients(sigmas);
            let raw = self.raw(scaled(x, each(), dim), sigmas)?;
            recombine(x, &raw, each(), out, dim);
        }
        Ok(())
    }
}

impl NetworkDenoiser {
    /// The network's output for rows that are already scaled.
    fn raw(&self, rows: Vec<f32>, sigmas: &[f64]) -> Result<Vec<f32>> {
        let x = self.network.input(rows)?;
        let conditioning = Conditioning::on_sigmas(sigmas);
        Ok(params::to_vec(self.network.forward(x, &conditioning)?))
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

    fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        self.denoiser.denoise(x, sigma, out)
    }

    fn denoise_each(&self, x: &[f64], sigmas: &[f64], out: &mut [f64]) -> Result<()> {
        self.denoiser.denoise_each(x, sigmas, out)
    }
}

impl Differentiable for DifferentiableNetwork<'_> {
    /// v^T dH/dx = c_skip v + c_out c_in v^T dF/dx.
    fn denoise_vjp(
        &self,
        x: &[f64],
        sigmas: &[f64],
        v: &[f64],
        out: &mut [f64],
        product: &mut [f64],
    ) -> Result<()> {
        let (dim, batch) = (self.dim(), self.denoiser.batch);
        check_vjp(dim, x, sigmas, [v, out, product])?;
        let values = batch * dim;
        let batches = x.chunks(values).zip(v.chunks(values));
        let results = out.chunks_mut(values).zip(product.chunks_mut(values));
        for (((x, v), sigmas), (out, product)) in batches.zip(sigmas.chunks(batch)).zip(results) {
            let each = || self.denoiser.coefficients(sigmas);
            let to: Vec<f32> = v.iter().map(|&v| v as f32).collect();
            let input = scaled(x, each(), dim);
            let (raw, back) =
                self.network
                    .forward_vjp(input, &Conditioning::on_sigmas(sigmas), to)?;
            recombine(x, &raw, each(), out, dim);
            let through = each().map(|c| Coefficients {
                c_out: c.c_out * c.c_in,
                ..c
            });
            recombine(v, &back, through, product, dim);
        }
        Ok(())
    }
}
