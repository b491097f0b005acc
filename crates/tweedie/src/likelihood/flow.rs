//! Along the probability flow, either way.

use crate::error::{Error, Result};
use crate::noise::Levels;
use crate::ode::{DormandPrince, Memory};
use crate::score::{Batch, Denoiser, Query, check_rows, denoise_rows};

/// Takes `samples` `x`, `[n, dim]`, with noise `sigma_min` to their latents with noise `sigma_max`:
/// conditioned on what the [`Batch`] says of each.
///
/// A latent is about N(0, (sigma_max^2 + the data's variance) I); [`decode`] takes it back, and a
/// sampler started from it ([`crate::sample::run_from`]) as well. The map is one to one. Each
/// sample's is its own, whatever is encoded beside it.
///
/// # Errors
/// [`Error::Shape`] where `x` is not a row a sample; [`Error::Setting`] for noise levels that are not
/// positive and ascending, or tolerances that are not met; those of the denoiser.
pub fn encode<'a>(
    denoiser: &dyn Denoiser,
    x: &[f64],
    samples: impl Into<Batch<'a>>,
    sigma_min: f64,
    sigma_max: f64,
    solver: &DormandPrince,
) -> Result<Vec<f64>> {
    check_range(sigma_min, sigma_max)?;
    transport(denoiser, x, samples.into(), sigma_min, sigma_max, solver)
}

/// Takes latents `x`, `[n, dim]`, with noise `sigma_max` to samples with noise `sigma_min`: the
/// inverse of [`encode`].
///
/// # Errors
/// As for [`encode`].
pub fn decode<'a>(
    denoiser: &dyn Denoiser,
    x: &[f64],
    samples: impl Into<Batch<'a>>,
    sigma_min: f64,
    sigma_max: f64,
    solver: &DormandPrince,
) -> Result<Vec<f64>> {
    check_range(sigma_min, sigma_max)?;
    transport(denoiser, x, samples.into(), sigma_max, sigma_min, solver)
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

/// The number of rows of `x`, which are the samples of `batch`.
pub(super) fn check_samples(dim: usize, x: &[f64], batch: &Batch<'_>) -> Result<usize> {
    let rows = batch.numbers().len();
    check_rows(dim, x)?;
    match x.len() == rows * dim {
        true => Ok(rows),
        false => Err(Error::Shape {
            what: "x".into(),
            expected: vec![rows, dim],
            found: vec![x.len()],
        }),
    }
}

/// dx/du = x - H(x, e^u) from u = ln `from` to ln `to`.
fn transport(
    denoiser: &dyn Denoiser,
    x: &[f64],
    batch: Batch<'_>,
    from: f64,
    to: f64,
    solver: &DormandPrince,
) -> Result<Vec<f64>> {
    let rows = check_samples(denoiser.dim(), x, &batch)?;
    let (mut memory, mut evaluations) = (Memory::new(rows), vec![0; rows]);
    let mut x = x.to_vec();
    let mut slopes = |rows: &[usize], u: &[f64], x: &[f64], out: &mut [f64]| {
        let sigmas: Vec<f64> = u.iter().map(|u| u.exp()).collect();
        let query = Query::new(x, &sigmas);
        denoise_rows(denoiser, &batch, rows, query, out, &mut evaluations)?;
        out.iter_mut().zip(x).for_each(|(h, x)| *h = x - *h);
        Ok(())
    };
    solver.solve(&mut slopes, &mut x, 0, &mut memory, from.ln(), to.ln())?;
    Ok(x)
}
