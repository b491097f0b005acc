//! Thresholding: H kept inside the range of the data.
//!
//! Saharia et al. 2022 (Imagen), section 2.3. Strong guidance drives H out of the range that data
//! have; clipping brings it back but saturates, so that dynamic thresholding scales the sample
//! down first:
//!
//! s = max(b, the quantile p of |H - c| over the sample's values),
//! H' = c + clip(H - c, -s, s) b/s,
//!
//! c the centre of the range and b half its width.

use crate::error::{Error, Result};
use crate::score::check::check_vjp;
use crate::score::denoiser::{Denoiser, Differentiable};
use crate::score::posterior::Posterior;
use crate::score::query::Query;

/// How H is kept inside a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// Values outside `[low, high]` become its ends.
    Clip {
        /// The lower end.
        low: f64,
        /// The upper end, above `low`.
        high: f64,
    },
    /// A sample that leaves `[low, high]` is scaled down towards the centre so that the quantile
    /// of its values' distances from there is at the end, and clipped. p = 0.995 is usual.
    Dynamic {
        /// The lower end.
        low: f64,
        /// The upper end, above `low`.
        high: f64,
        /// p, from 0 to 1, interpolated between order statistics.
        quantile: f64,
    },
}

impl Threshold {
    pub(crate) fn check(self) -> Result<()> {
        let (Self::Clip { low, high } | Self::Dynamic { low, high, .. }) = self;
        if !(low < high && (high - low).is_finite()) {
            let (value, reason) = (format!("[{low}, {high}]"), "must be finite and increasing");
            return Err(Error::setting("range", value, reason));
        }
        match self {
            Self::Dynamic { quantile, .. } if !(0.0..=1.0).contains(&quantile) => {
                Err(Error::setting("quantile", quantile, "must be from 0 to 1"))
            }
            _ => Ok(()),
        }
    }

    /// Applies to one sample; `memory` is of its length.
    fn apply(self, h: &mut [f64], memory: &mut [f64]) {
        // A denoiser that broke down must not look as if it had not.
        if h.iter().any(|h| !h.is_finite()) {
            return;
        }
        match self {
            Self::Clip { low, high } => h.iter_mut().for_each(|h| *h = h.clamp(low, high)),
            Self::Dynamic {
                low,
                high,
                quantile,
            } => {
                let (centre, bound) = (0.5 * (low + high), 0.5 * (high - low));
                for (distance, h) in memory.iter_mut().zip(&*h) {
                    *distance = (h - centre).abs();
                }
                let s = quantile_of(memory, quantile);
                if s <= bound {
                    // As they are, not rounded on the way to the centre and back.
                    return Self::Clip { low, high }.apply(h, memory);
                }
                for h in h {
                    let inside = (*h - centre).clamp(-s, s);
                    *h = (centre + inside * (bound / s)).clamp(low, high);
                }
            }
        }
    }

    /// v <- v^T dH'/dH for one sample `h` before the threshold.
    ///
    /// A clipped value does not move. Of a sample that is scaled down by b/s the others move by
    /// b/s, and with s, which is the distance of one value from the centre, or of two in their
    /// proportion.
    fn transpose(self, h: &[f64], v: &mut [f64]) {
        if h.iter().any(|h| !h.is_finite()) {
            return;
        }
        let keep = |v: &mut [f64], low: f64, high: f64| {
            for (v, h) in v.iter_mut().zip(h) {
                if *h < low || *h > high {
                    *v = 0.0;
                }
            }
        };
        let (low, high, quantile) = match self {
            Self::Clip { low, high } => return keep(v, low, high),
            Self::Dynamic {
                low,
                high,
                quantile,
            } => (low, high, quantile),
        };
        let (centre, bound) = (0.5 * (low + high), 0.5 * (high - low));
        let mut order: Vec<usize> = (0..h.len()).collect();
        order.sort_by(|&a, &b| (h[a] - centre).abs().total_cmp(&(h[b] - centre).abs()));
        let place = quantile * (h.len() - 1) as f64;
        let (below, part) = (place as usize, place.fract());
        let distance = |rank: usize| (h[order[rank]] - centre).abs();
        let above = (below + 1).min(h.len() - 1);
        let s = distance(below) + part * (distance(above) - distance(below));
        if s <= bound {
            return keep(v, low, high);
        }
        keep(v, centre - s, centre + s);
        let moved: f64 = v.iter().zip(h).map(|(v, h)| v * (h - centre)).sum();
        v.iter_mut().for_each(|v| *v *= bound / s);
        let along = -moved * bound / (s * s);
        for (rank, share) in [(below, 1.0 - part), (above, part)] {
            let value = order[rank];
            v[value] += share * along * (h[value] - centre).signum();
        }
    }
}

/// The `quantile` of `values`, interpolated between neighbours; reorders them.
fn quantile_of(values: &mut [f64], quantile: f64) -> f64 {
    let place = quantile * (values.len() - 1) as f64;
    let below = place as usize;
    let (_, &mut lower, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let upper = above.iter().copied().fold(f64::INFINITY, f64::min);
    match place - below as f64 {
        0.0 => lower,
        part => lower + part * (upper - lower),
    }
}

/// A denoiser whose H is kept inside a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholded<D> {
    denoiser: D,
    threshold: Threshold,
}

impl<D: Denoiser> Thresholded<D> {
    /// `denoiser`, then `threshold`, sample by sample. A sample with a value that is not finite
    /// is left as it is, so that samplers notice.
    ///
    /// # Errors
    /// [`Error::Setting`] for a range that is not increasing, or a quantile out of [0, 1].
    pub fn new(denoiser: D, threshold: Threshold) -> Result<Self> {
        threshold.check()?;
        Ok(Self {
            denoiser,
            threshold,
        })
    }

    fn apply(&self, out: &mut [f64]) {
        let mut memory = vec![0.0; self.denoiser.dim()];
        for h in out.chunks_exact_mut(memory.len().max(1)) {
            self.threshold.apply(h, &mut memory);
        }
    }
}

impl<D: Denoiser> Denoiser for Thresholded<D> {
    fn dim(&self) -> usize {
        self.denoiser.dim()
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        self.denoiser.denoise(query, posterior)?;
        self.apply(posterior.mean);
        Ok(())
    }
}

/// v^T dH'/dx = (v^T dH'/dH) dH/dx, for which H must be known first: it takes an evaluation more.
impl<D: Differentiable> Differentiable for Thresholded<D> {
    fn denoise_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        posterior: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()> {
        let dim = self.dim();
        check_vjp(dim, query, v, posterior, product)?;
        self.denoiser.denoise(query, posterior)?;
        let mut v = v.to_vec();
        let rows = v
            .chunks_exact_mut(dim)
            .zip(posterior.mean.chunks_exact(dim));
        rows.for_each(|(v, h)| self.threshold.transpose(h, v));
        self.denoiser.denoise_vjp(query, &v, posterior, product)?;
        self.apply(posterior.mean);
        Ok(())
    }
}
