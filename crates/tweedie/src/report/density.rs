//! Histograms as densities.

/// The smallest interval that holds all finite `values`; (0, 1) where there are none.
pub fn extent(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

/// The density of `values` over `bins` equal bins of `range`, as (centre, density) pairs.
///
/// Values outside the range count towards the whole but fall into no bin, so the pairs integrate
/// to the share of values inside.
pub fn density(values: &[f64], range: (f64, f64), bins: usize) -> Vec<(f64, f64)> {
    let bins = bins.max(1);
    let width = (range.1 - range.0).max(f64::MIN_POSITIVE) / bins as f64;
    let mut counts = vec![0_u64; bins];
    for &v in values.iter().filter(|&&v| v >= range.0 && v <= range.1) {
        // The right end belongs to the last bin.
        counts[(((v - range.0) / width) as usize).min(bins - 1)] += 1;
    }
    let scale = 1.0 / (values.len().max(1) as f64 * width);
    let centre = |i: usize| range.0 + (i as f64 + 0.5) * width;
    counts
        .iter()
        .enumerate()
        .map(|(i, &n)| (centre(i), n as f64 * scale))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrates_to_the_share_inside() {
        let values = [0.0, 0.1, 0.9, 1.0, 5.0, f64::NAN];
        let pairs = density(&values, (0.0, 1.0), 2);
        assert_eq!(pairs.iter().map(|p| p.0).collect::<Vec<_>>(), [0.25, 0.75]);
        let mass: f64 = pairs.iter().map(|p| p.1 * 0.5).sum();
        assert!((mass - 4.0 / 6.0).abs() < 1e-12);
        assert_eq!(extent(values), (0.0, 5.0));
        assert_eq!(extent([]), (0.0, 1.0));
    }
}
