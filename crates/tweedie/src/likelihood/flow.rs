//! Along the probability flow, either way.

use crate::error::{Error, Result};
use crate::noise::Levels;
use crate::ode::{DormandPrince, Memory};
use crate::score::Denoiser;

/// Takes samples `x`, `[n, dim]`, with noise `sigma_min` to their latents with noise `sigma_max`.
///
/// A latent is about N(0, (sigma_max^2 + the data's variance) I); [`decode`] takes it back, and a
/// sampler started from it ([`crate::sample::run_from`]) as well. The map is one to one. Each
/// sample's is its own, whatever is encoded beside it.
///
/// # Errors
/// [`Error::Shape`] where `x` is not whole rows; [`Error::Setting`] for noise levels that are not
/// positive and ascending, or tolerances that are not met; those of the denoiser.
pub fn encode(
    denoiser: &dyn Denoiser,
    x: &[f64],
    sigma_min: f64,
    sigma_max: f64,
    solver: &DormandPrince,
) -> Result<Vec<f64>> {
    check_range(sigma_min, sigma_max)?;
    transport(denoiser, x, sigma_min, sigma_max, solver)
}

/// Takes latents `x`, `[n, dim]`, with noise `sigma_max` to samples with noise `sigma_min`: the
/// inverse of [`encode`].
///
/// # Errors
/// As for [`encode`].
pub fn decode(
    denoiser: &dyn Denoiser,
    x: &[f64],
    sigma_min: f64,
    sigma_max: f64,
    solver: &DormandPrince,
) -> Result<Vec<f64>> {
    check_range(sigma_min, sigma_max)?;
    transport(denoiser, x, sigma_max, sigma_min, solver)
}

/// Refuses noise levels that are not positive and ascending.
pub(super) fn check_range(sigma_min: f64, sigma_max: f64) -> Result<()> {
    match Levels::new(vec![sigma_max, sigma_min]) {
        Ok(_) => Ok(()),
        Err(_) => {
            let reason = format!("must be positive and below sigma_max = {sigma_max}, finite too");
            Err(Error::setting("sigma_min", sigma_min, reason))
        }
    }
}

/// dx/du = x - H(x, e^u) from u = ln `from` to ln `to`.
fn transport(
    denoiser: &dyn Denoiser,
    x: &[f64],
    from: f64,
    to: f64,
    solver: &DormandPrince,
) -> Result<Vec<f64>> {
    crate::score::check_rows(denoiser.dim(), x)?;
    let mut memory = Memory::new(x.len() / denoiser.dim());
    let mut x = x.to_vec();
    let mut slopes = |_: &[usize], u: &[f64], x: &[f64], out: &mut [f64]| {
        let sigmas: Vec<f64> = u.iter().map(|u| u.exp()).collect();
        denoiser.denoise_each(x, &sigmas, out)?;
        out.iter_mut().zip(x).for_each(|(h, x)| *h = x - *h);
        Ok(())
    };
    solver.solve(&mut slopes, &mut x, 0, &mut memory, from.ln(), to.ln())?;
    Ok(x)
}
