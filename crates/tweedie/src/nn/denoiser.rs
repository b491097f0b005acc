//! A trained network as the denoiser that samplers see.

use super::{Network, Preconditioning, params};
use crate::error::Result;
use crate::score::{Denoiser, check};

/// H(x, sigma) = c_skip x + c_out F(c_in x, sigma).
///
/// The network always sees batches of one fixed size, the last one padded: matrix kernels may
/// choose another order of summation for another number of rows, and sample k must not depend
/// on who else is in its batch.
pub struct NetworkDenoiser {
    network: Network,
    preconditioning: Preconditioning,
    sigma_data: f64,
    batch: usize,
}

impl NetworkDenoiser {
    /// A denoiser for `network`, whose output means what `preconditioning` says.
    pub fn new(network: &Network, preconditioning: Preconditioning, sigma_data: f64) -> Self {
        Self {
            network: network.without_gradients(),
            preconditioning,
            sigma_data,
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
        let c = self.preconditioning.coefficients(sigma, self.sigma_data);
        let sigmas = vec![sigma; self.batch];
        let rows = self.batch * dim;
        for (x, out) in x.chunks(rows).zip(out.chunks_mut(rows)) {
            let mut input: Vec<f32> = x.iter().map(|&x| (c.c_in * x) as f32).collect();
            input.resize(rows, 0.0);
            let raw = params::to_vec(self.network.forward(input, &sigmas));
            for ((out, &x), &raw) in out.iter_mut().zip(x).zip(&raw) {
                *out = c.c_skip * x + c.c_out * f64::from(raw);
            }
        }
        Ok(())
    }
}
