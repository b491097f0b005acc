//! Isotonic regression by pooling adjacent violators (Ayer et al., "An empirical distribution
//! function for sampling with incomplete information", 1955).

/// The non-decreasing values nearest to `y`: those that minimise sum_i w_i (fit_i - y_i)^2.
///
/// Neighbours in the wrong order are pooled into their weighted mean until none are left.
pub(super) fn isotonic(y: &[f64], w: &[f64]) -> Vec<f64> {
    // Value, weight and length of each pool.
    let mut pools: Vec<(f64, f64, usize)> = Vec::with_capacity(y.len());
    for (&value, &weight) in y.iter().zip(w) {
        let mut pool = (value, weight, 1);
        while let Some(&(before, its_weight, length)) = pools.last()
            && before > pool.0
        {
            pools.pop();
            let weight = its_weight + pool.1;
            let mean = before + (pool.0 - before) * (pool.1 / weight);
            pool = (mean, weight, length + pool.2);
        }
        pools.push(pool);
    }
    let values = pools
        .iter()
        .flat_map(|&(value, _, length)| std::iter::repeat_n(value, length));
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violators_are_pooled_by_weight() {
        assert_eq!(isotonic(&[1.0, 2.0, 3.0], &[1.0; 3]), [1.0, 2.0, 3.0]);
        assert_eq!(isotonic(&[3.0, 2.0, 1.0], &[1.0; 3]), [2.0; 3]);
        // (3 * 1 + 1 * 3)/4 = 1.5, which then violates nothing.
        assert_eq!(
            isotonic(&[1.0, 3.0, 1.0, 4.0], &[1.0, 1.0, 3.0, 1.0]),
            [1.0, 1.5, 1.5, 4.0]
        );
        // A pool may grow backwards.
        assert_eq!(isotonic(&[2.0, 3.0, -2.0], &[1.0; 3]), [1.0; 3]);
        assert!(isotonic(&[], &[]).is_empty());
    }

    /// The fit is a projection onto a cone: the residual is orthogonal to the fit, and to no
    /// increasing direction does it have a positive product.
    #[test]
    fn the_fit_is_the_nearest() {
        let y: Vec<f64> = (0..50)
            .map(|i| (f64::from(i) * 0.1) + (f64::from(i) * 7.3).sin())
            .collect();
        let w: Vec<f64> = (0..50).map(|i| 1.0 + f64::from(i % 5)).collect();
        let fit = isotonic(&y, &w);
        assert!(fit.is_sorted());
        let residual: Vec<f64> = (0..50).map(|i| w[i] * (y[i] - fit[i])).collect();
        let product: f64 = residual.iter().zip(&fit).map(|(r, f)| r * f).sum();
        assert!(product.abs() < 1e-10);
        // Increasing directions are sums of steps from a place on.
        for start in 0..50 {
            assert!(residual[start..].iter().sum::<f64>() < 1e-10);
        }
    }
}
