//! Sums over the pixels of one image, `[P, C]`, channel by channel.

use crate::instruction_set::mul_add;

/// Pixels whose sums are kept in `f32` before they are added up in `f64`.
const SPAN: usize = 64;

/// Channels in one vector.
const LANES: usize = 16;

/// Mean and `1 / sqrt(variance + epsilon)` of each channel's group.
pub(crate) struct Statistics {
    pub mean: Vec<f32>,
    /// The same, not rounded.
    pub exact: Vec<f64>,
    pub rstd: Vec<f32>,
}

impl Statistics {
    /// Of groups of `each` of the `c` channels; the variance is the biased one.
    ///
    /// Two passes: the variance is the mean of `(x - m)^2`, which loses no precision where the mean
    /// is large.
    #[inline(always)]
    pub fn of(x: &[f32], c: usize, each: usize, epsilon: f64) -> Self {
        let count = (x.len() / c * each) as f64;
        let mut sums = vec![0.0; c];
        channel_sums(x, x, &vec![0.0; c], &mut sums, |x, _, _| x);
        let exact = by_group(&sums, each, |sum| sum / count);
        let mean: Vec<f32> = exact.iter().map(|&mean| mean as f32).collect();
        channel_sums(x, x, &mean, &mut sums, |x, _, mean| (x - mean) * (x - mean));
        let rstd = by_group(&sums, each, |sum| 1.0 / (sum / count + epsilon).sqrt());
        let rstd = rstd.iter().map(|&r| r as f32).collect();
        Self { mean, exact, rstd }
    }
}

/// `f` of each group's sum, given to each of its channels.
fn by_group(sums: &[f64], each: usize, f: impl Fn(f64) -> f64) -> Vec<f64> {
    sums.chunks_exact(each)
        .flat_map(|group| std::iter::repeat_n(f(group.iter().sum()), each))
        .collect()
}

/// One value for each channel, repeated for a few of `pixels`: short rows make slow loops.
pub(crate) fn several(pixels: usize, values: Vec<f32>) -> Vec<f32> {
    let pixels = (512 / values.len()).clamp(1, pixels);
    values.repeat(pixels)
}

/// `d = d first + x second + third`, the three repeated along `x`.
#[inline(always)]
pub(crate) fn combine<const FMA: bool>(
    x: &[f32],
    [first, second, third]: [&[f32]; 3],
    d: &mut [f32],
) {
    let row = first.len();
    for (d, x) in d.chunks_mut(row).zip(x.chunks(row)) {
        let values = d.iter_mut().zip(x).zip(first).zip(second).zip(third);
        for ((((d, &x), &f), &s), &t) in values {
            *d = mul_add::<FMA>(*d, f, mul_add::<FMA>(x, s, t));
        }
    }
}

/// `sums[k] = sum over pixels of f(a[p, k], b[p, k], parameter[k])`, LANES channels at a time.
#[inline(always)]
pub(crate) fn channel_sums(
    a: &[f32],
    b: &[f32],
    parameter: &[f32],
    sums: &mut [f64],
    f: impl Fn(f32, f32, f32) -> f32,
) {
    sums.fill(0.0);
    let c = sums.len();
    for (a, b) in a.chunks(SPAN * c).zip(b.chunks(SPAN * c)) {
        let pixels = || a.chunks_exact(c).zip(b.chunks_exact(c));
        let (blocks, rest) = sums.as_chunks_mut::<LANES>();
        for (j, sums) in blocks.iter_mut().enumerate() {
            let at = j * LANES;
            let parameter = lanes(parameter, at);
            let mut partial = [0.0; LANES];
            for (a, b) in pixels() {
                let (a, b) = (lanes(a, at), lanes(b, at));
                for k in 0..LANES {
                    partial[k] += f(a[k], b[k], parameter[k]);
                }
            }
            for (sum, part) in sums.iter_mut().zip(partial) {
                *sum += f64::from(part);
            }
        }
        for (k, sum) in (c - rest.len()..c).zip(rest) {
            let part: f32 = pixels().map(|(a, b)| f(a[k], b[k], parameter[k])).sum();
            *sum += f64::from(part);
        }
    }
}

#[inline(always)]
fn lanes(values: &[f32], at: usize) -> [f32; LANES] {
    std::array::from_fn(|k| values[at..at + LANES][k])
}
