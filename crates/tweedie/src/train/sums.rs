//! Sums in double precision, in an order that the length alone decides.

/// Elements of a parameter handled by one task, and the unit of summation, so that no result
/// depends on the number of threads.
pub(super) const CHUNK: usize = 1 << 14;

/// Independent partial sums, so that none waits for the one before.
const LANES: usize = 16;

/// The sum of `f` over all values.
pub(super) fn sum(values: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for values in whole {
        for lane in 0..LANES {
            sums[lane] += f(f64::from(values[lane]));
        }
    }
    for (sum, &value) in sums.iter_mut().zip(rest) {
        *sum += f(f64::from(value));
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn every_value_counts_once() {
        for n in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (1..=n).map(|k| k as f32).collect();
            assert_eq!(sum(&values, |v| v), f64::from(n * (n + 1) / 2));
            assert_eq!(sum(&values, |_| 1.0), f64::from(n));
        }
    }
}
