//! Loops over the rows of a batch, in parallel, and sums over the values of a row.

use rayon::prelude::*;

use super::denoiser::Denoiser;
use super::posterior::{Posterior, add_counts};
use super::query::{Batch, Query};
use crate::error::Result;
use crate::random::rows_a_task;

/// Answers `query` level by level: calls `denoise` with the rows of x and of the mean that share a
/// noise level and stand beside each other. For models that are written for one noise level.
///
/// # Errors
/// As for [`Posterior::check_plain`], and those of `denoise`.
pub fn by_level(
    dim: usize,
    query: &Query<'_>,
    posterior: &mut Posterior<'_>,
    mut denoise: impl FnMut(&[f64], f64, &mut [f64]) -> Result<()>,
) -> Result<()> {
    posterior.check_plain(query, dim)?;
    let mut start = 0;
    for run in query.sigmas.chunk_by(|a, b| a == b) {
        let rows = start * dim..(start + run.len()) * dim;
        denoise(&query.x[rows.clone()], run[0], &mut posterior.mean[rows])?;
        start += run.len();
    }
    posterior.evaluated();
    Ok(())
}

/// H of the rows of `query`, which are the samples `rows` of `batch`, to `out`; their network
/// evaluations are added in `evaluations`, one a sample of the batch.
pub(crate) fn denoise_rows(
    denoiser: &dyn Denoiser,
    batch: &Batch<'_>,
    rows: &[usize],
    query: Query<'_>,
    out: &mut [f64],
    evaluations: &mut [u32],
) -> Result<()> {
    let gathered = batch.gather(rows);
    let mut counts = vec![0; rows.len()];
    let mut posterior = Posterior::new(out).counted(&mut counts);
    denoiser.denoise(&query.of(gathered.batch()), &mut posterior)?;
    add_counts(evaluations, rows, &counts);
    Ok(())
}

/// Applies `to_row` to every row: its number, its values of `x`, its place in `out`, and working
/// memory of `scratch` values a thread; in parallel. `work` is the cost of a row in
/// multiplications.
pub(crate) fn for_rows(
    dim: usize,
    x: &[f64],
    out: &mut [f64],
    scratch: usize,
    work: usize,
    to_row: impl Fn(usize, &[f64], &mut [f64], &mut [f64]) + Sync,
) {
    out.par_chunks_exact_mut(dim)
        .zip(x.par_chunks_exact(dim))
        .enumerate()
        .with_min_len(rows_a_task(work))
        .for_each_init(
            || vec![0.0; scratch],
            |memory, (row, (out, x))| to_row(row, x, out, memory),
        );
}

/// A row's number, its values of x, its places in the two outputs, and working memory.
pub(crate) type RowOfTwo<'a> = (
    usize,
    &'a [f64],
    &'a mut [f64],
    &'a mut [f64],
    &'a mut [f64],
);

/// [`for_rows`] with a second output, `other`, of as many values a row as fit.
pub(crate) fn for_rows_of_two(
    dim: usize,
    x: &[f64],
    out: &mut [f64],
    other: &mut [f64],
    scratch: usize,
    work: usize,
    to_row: impl Fn(RowOfTwo<'_>) + Sync,
) {
    let width = other.len() / (x.len() / dim).max(1);
    out.par_chunks_exact_mut(dim)
        .zip(x.par_chunks_exact(dim))
        .zip(other.par_chunks_exact_mut(width.max(1)))
        .enumerate()
        .with_min_len(rows_a_task(work))
        .for_each_init(
            || vec![0.0; scratch],
            |memory, (row, ((out, x), other))| to_row((row, x, out, other, memory)),
        );
}

/// ||a - b||^2.
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    sum_of(a, b, |a, b| (a - b) * (a - b))
}

/// a . b.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    sum_of(a, b, |a, b| a * b)
}

/// sum_i term(a_i, b_i), in eight sums side by side: one sum alone would wait for each addition.
fn sum_of(a: &[f64], b: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut lanes = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            lanes[lane] += term(a[lane], b[lane]);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| term(*a, *b));
    rest.fold(lanes.iter().sum(), |sum, term| sum + term)
}
