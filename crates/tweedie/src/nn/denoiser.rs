//! A trained network as the denoiser that samplers see.

use super::{Network, Parameterisation, params};
use crate::error::Result;
use crate::score::{Denoiser, check};

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
        self.network.dim()
    }

    fn denoise(&self, x: &[f64], sigma: f64, out: &mut [f64]) -> Result<()> {
        let dim = self.dim();
        check(dim, x, sigma, out)?;
        let c = self.parameterisation.coefficients(sigma);
        let sigmas = vec![sigma; self.batch.min(x.len() / dim)];
        let values = self.batch * dim;
        for (x, out) in x.chunks(values).zip(out.chunks_mut(values)) {
            let input: Vec<f32> = x.iter().map(|&x| (c.c_in * x) as f32).collect();
            let raw = self.network.forward(input, &sigmas[..x.len() / dim]);
            let raw = params::to_vec(raw);
            for ((out, &x), &raw) in out.iter_mut().zip(x).zip(&raw) {
                *out = c.c_skip * x + c.c_out * f64::from(raw);
            }
        }
        Ok(())
    }
}
