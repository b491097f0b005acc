//! The noise source: standard normals, uniforms and permutations, each with an address.
//!
//! Philox's key is the seed mixed with the stream and the kind of draw; its counter is (block,
//! step, sample). A group of 16 blocks gives 64 normals laid out word by word, so that a SIMD
//! register is stored without a transposition; the layout is part of the definition, fixed by a
//! test.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::box_muller::box_muller;
use super::philox::{philox, philox_block};

/// Blocks side by side in a group.
const LANES: usize = 16;
/// Normals in a group: four words a block.
pub(super) const GROUP: usize = 4 * LANES;
/// Values a task of the thread pool should hold at least; below, splitting costs more than it
/// gains.
const TASK: usize = 4096;

/// What random numbers are for. Streams of one seed are independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stream {
    /// A sampler's initial state and its noise.
    Sampling,
    /// Noise levels and noise of the training examples.
    Training,
    /// The initial weights of networks.
    Initial,
    /// Dropout and other randomness inside networks.
    Dropout,
    /// Synthetic data.
    Data,
    /// The order of the examples in an epoch.
    Order,
    /// The split into training and validation parts.
    Split,
    /// Randomised measures: random pairs, projections, Hutchinson's probes.
    Evaluation,
}

impl Stream {
    /// The tag mixed into the key. Numbers are never reused: results depend on them.
    const fn tag(self) -> u64 {
        match self {
            Self::Sampling => 1,
            Self::Training => 2,
            Self::Initial => 3,
            Self::Dropout => 4,
            Self::Data => 5,
            Self::Order => 6,
            Self::Split => 7,
            Self::Evaluation => 8,
        }
    }
}

/// A source of random numbers that are a function of their address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoiseSource {
    normal_key: [u32; 2],
    uniform_key: [u32; 2],
    pub(super) permutation_key: [u32; 2],
}

impl NoiseSource {
    /// The `stream` of `seed`.
    pub fn new(seed: u64, stream: Stream) -> Self {
        let key = |kind: u64| {
            let mixed = mix(seed.wrapping_add(GOLDEN.wrapping_mul(4 * stream.tag() + kind)));
            [mixed as u32, (mixed >> 32) as u32]
        };
        Self {
            normal_key: key(0),
            uniform_key: key(1),
            permutation_key: key(2),
        }
    }

    /// Fills `out` with the standard normals of `sample` at `step`, from the first on.
    ///
    /// They have single precision and lie in (-6.67, 6.67). The first values do not depend on the
    /// length asked for. At most 2^34 values of a sample and step differ; beyond they repeat.
    pub fn fill_normal<T: From<f32>>(&self, sample: u64, step: u32, out: &mut [T]) {
        self.with_normals(sample, step, out.len(), |start, z| {
            for (out, &z) in out[start..].iter_mut().zip(z) {
                *out = T::from(z);
            }
        });
    }

    /// Fills the rows of `out`, `[samples.len(), dim]`, each with its sample's normals at `step`.
    ///
    /// Rows are shared among the threads of rayon's current pool. Where `out` is not a whole
    /// number of rows, what is left over is untouched.
    pub fn fill_batch<T: From<f32> + Send>(&self, samples: &[u64], step: u32, out: &mut [T]) {
        let dim = out.len().checked_div(samples.len()).unwrap_or(0);
        if dim == 0 {
            return;
        }
        let rows = rows_a_task(dim);
        out[..samples.len() * dim]
            .par_chunks_mut(rows * dim)
            .zip(samples.par_chunks(rows))
            .for_each(|(out, samples)| self.fill_rows(samples, step, out));
    }

    /// [`NoiseSource::fill_batch`] by the calling thread alone.
    pub(crate) fn fill_rows<T: From<f32>>(&self, samples: &[u64], step: u32, out: &mut [T]) {
        let dim = out.len().checked_div(samples.len()).unwrap_or(0);
        self.with_rows(samples, step, dim, |start, z| {
            for (out, &z) in out[start..].iter_mut().zip(z) {
                *out = T::from(z);
            }
        });
    }

    /// Hands the first `dim` normals of each of `samples` to `take` in pieces, with where each
    /// piece starts in `[samples.len(), dim]`.
    #[inline(always)]
    pub(crate) fn with_rows(
        &self,
        samples: &[u64],
        step: u32,
        dim: usize,
        mut take: impl FnMut(usize, &[f32]),
    ) {
        if dim > LANES {
            for (row, &sample) in samples.iter().enumerate() {
                self.with_normals(sample, step, dim, |start, z| take(row * dim + start, z));
            }
            return;
        }
        // The first values of a sample are the first of a pair of each of its first blocks. A
        // group of one sample would be mostly unused, so the lanes are shared among samples.
        let mut z = [0.0; GROUP];
        let mut counters = [[0; GROUP], [step; GROUP], [0; GROUP], [0; GROUP]];
        let (mut row, mut value) = (0, 0);
        let total = samples.len() * dim;
        for start in (0..total).step_by(GROUP) {
            let count = (total - start).min(GROUP);
            let [blocks, _, lows, highs] = &mut counters;
            let lanes = blocks.iter_mut().zip(lows).zip(highs).take(count);
            for ((block, low), high) in lanes {
                [*block, _, *low, *high] = counter(value as u32, step, samples[row]);
                value += 1;
                if value == dim {
                    (row, value) = (row + 1, 0);
                }
            }
            first_normals(self.normal_key, &counters, &mut z);
            take(start, &z[..count]);
        }
    }

    /// The uniform numbers `draw` of `samples` at `step`, into `out` of the same length.
    pub(crate) fn fill_uniform(&self, samples: &[u64], step: u32, draw: u32, out: &mut [f64]) {
        let mut words = [0; GROUP];
        let mut counters = [[draw; GROUP], [step; GROUP], [0; GROUP], [0; GROUP]];
        for (samples, out) in samples.chunks(GROUP).zip(out.chunks_mut(GROUP)) {
            for (lane, &sample) in samples.iter().enumerate() {
                let [.., low, high] = counter(draw, step, sample);
                (counters[2][lane], counters[3][lane]) = (low, high);
            }
            first_words(self.uniform_key, &counters, &mut words);
            for (out, bits) in out.iter_mut().zip(words) {
                *out = unit(bits);
            }
        }
    }

    /// The uniform number `draw` of `sample` at `step`: a multiple of 2^-53 in (0, 1), ends
    /// excluded.
    pub fn uniform(&self, sample: u64, step: u32, draw: u32) -> f64 {
        let [low, high, ..] = philox_block(self.uniform_key, counter(draw, step, sample));
        unit(u64::from(high) << 32 | u64::from(low))
    }

    /// Hands the first `length` normals to `take` in pieces, with where each piece starts.
    #[inline(always)]
    fn with_normals(
        &self,
        sample: u64,
        step: u32,
        length: usize,
        mut take: impl FnMut(usize, &[f32]),
    ) {
        let mut z = [0.0; GROUP];
        for start in (0..length).step_by(GROUP) {
            let block = (start / 4) as u32;
            let count = (length - start).min(GROUP);
            if count <= 2 {
                // Data in the plane: only the first lanes of the first word are needed.
                few_normals(self.normal_key, counter(block, step, sample), &mut z);
            } else {
                normals(self.normal_key, counter(block, step, sample), &mut z);
            }
            take(start, &z[..count]);
        }
    }
}

/// Fewest rows of `dim` values worth a task of their own.
pub(crate) fn rows_a_task(dim: usize) -> usize {
    TASK.div_ceil(dim.max(1))
}

fn counter(block: u32, step: u32, sample: u64) -> [u32; 4] {
    [block, step, sample as u32, (sample >> 32) as u32]
}

/// The normals of the 16 blocks from `counter` on, by the widest instructions the processor has.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl",
    "x86_64+avx2",
    "aarch64+neon"
))]
fn normals(key: [u32; 2], counter: [u32; 4], z: &mut [f32; GROUP]) {
    group::<LANES>(key, counter, z);
}

/// The first two lanes of each word only.
fn few_normals(key: [u32; 2], counter: [u32; 4], z: &mut [f32; GROUP]) {
    group::<2>(key, counter, z);
}

/// The first normal of each block.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl",
    "x86_64+avx2",
    "aarch64+neon"
))]
fn first_normals(key: [u32; 2], counters: &[[u32; GROUP]; 4], z: &mut [f32; GROUP]) {
    for (part, z) in z.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let words = philox(key, lanes(counters, part));
        for lane in 0..LANES {
            z[lane] = box_muller(words[0][lane], words[1][lane]).0;
        }
    }
}

/// The first two words of each block: the second, then the first in the low bits.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl",
    "x86_64+avx2",
    "aarch64+neon"
))]
pub(super) fn first_words(key: [u32; 2], counters: &[[u32; GROUP]; 4], out: &mut [u64; GROUP]) {
    for (part, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let words = philox(key, lanes(counters, part));
        for lane in 0..LANES {
            out[lane] = u64::from(words[1][lane]) << 32 | u64::from(words[0][lane]);
        }
    }
}

/// Blocks `16 part` to `16 part + 16`.
#[inline(always)]
fn lanes(counters: &[[u32; GROUP]; 4], part: usize) -> [[u32; LANES]; 4] {
    std::array::from_fn(|word| counters[word].as_chunks::<LANES>().0[part])
}

/// The upper 52 bits and a half, over 2^52: with 53 the largest would round to 1.
#[inline(always)]
fn unit(bits: u64) -> f64 {
    // 1 plus those bits as the fraction; both sums are exact.
    f64::from_bits(1.0_f64.to_bits() | bits >> 12) - 1.0 + 0.5 / (1u64 << 52) as f64
}

/// Lanes 0 to `N` of a group: words 0 and 1 of a block make a pair of normals, 2 and 3 another.
#[inline(always)]
fn group<const N: usize>(key: [u32; 2], counter: [u32; 4], z: &mut [f32; GROUP]) {
    let mut counters = counter.map(|word| [word; N]);
    for (lane, block) in counters[0].iter_mut().enumerate() {
        *block = block.wrapping_add(lane as u32);
    }
    let words = philox(key, counters);
    for lane in 0..N {
        let (cos, sin) = box_muller(words[0][lane], words[1][lane]);
        z[lane] = cos;
        z[LANES + lane] = sin;
    }
    for lane in 0..N {
        let (cos, sin) = box_muller(words[2][lane], words[3][lane]);
        z[2 * LANES + lane] = cos;
        z[3 * LANES + lane] = sin;
    }
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a bijection, so different
/// seeds of a stream never share a key.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::normal_cdf;

    fn source() -> NoiseSource {
        NoiseSource::new(1, Stream::Sampling)
    }

    /// Largest distance between the empirical distribution of `values` and `cdf`.
    fn kolmogorov_smirnov(mut values: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        values.iter().enumerate().fold(0.0, |worst: f64, (i, &x)| {
            let p = cdf(x);
            worst
                .max((p - i as f64 / n).abs())
                .max(((i + 1) as f64 / n - p).abs())
        })
    }

    #[test]
    fn normals_have_the_moments_of_their_distribution() {
        let n = 4_000_000;
        let mut z = vec![0.0f64; n];
        source().fill_batch(&[0, 1, 2, 3], 5, &mut z);
        // Mean and variance of z^p are exact; each estimate within 4 standard errors.
        for (power, mean, variance) in [
            (1, 0.0, 1.0),
            (2, 1.0, 2.0),
            (3, 0.0, 15.0),
            (4, 3.0, 96.0),
            (6, 15.0, 10_170.0),
        ] {
            let estimate = z.iter().map(|z| z.powi(power)).sum::<f64>() / n as f64;
            let error = f64::sqrt(variance / n as f64);
            assert!(
                (estimate - mean).abs() < 4.0 * error,
                "E z^{power} = {estimate}"
            );
        }
        // Neighbours, pairs of one transform (16 apart) and pairs of one block are uncorrelated.
        for lag in [1, 2, 15, 16, 17, 32, 48, 64, n / 4] {
            let sum: f64 = z.iter().zip(&z[lag..]).map(|(a, b)| a * b).sum();
            assert!(
                sum.abs() < 4.0 * f64::sqrt((n - lag) as f64),
                "lag {lag}: {sum}"
            );
            let sum: f64 = z
                .iter()
                .zip(&z[lag..])
                .map(|(a, b)| (a * a - 1.) * (b * b - 1.))
                .sum();
            assert!(
                sum.abs() < 8.0 * f64::sqrt((n - lag) as f64),
                "squares, lag {lag}: {sum}"
            );
        }
    }

    #[test]
    fn normals_and_uniforms_follow_their_distributions() {
        let n = 1_000_000;
        // Kolmogorov: P(sqrt(n) D > 1.95) = 0.001.
        let bound = 1.95 / f64::sqrt(n as f64);
        let mut z = vec![0.0; n];
        source().fill_normal(9, 0, &mut z);
        let distance = kolmogorov_smirnov(z, normal_cdf);
        assert!(distance < bound, "{distance}");
        let u: Vec<f64> = (0..n as u64).map(|k| source().uniform(k, 3, 0)).collect();
        assert!(u.iter().all(|&u| u > 0.0 && u < 1.0));
        let distance = kolmogorov_smirnov(u, |u| u);
        assert!(distance < bound, "{distance}");
    }

    #[test]
    fn the_tail_has_its_mass() {
        let n = 1 << 24;
        let mut z = vec![0.0f32; n];
        source().fill_normal(0, 1, &mut z);
        for (bound, sigmas) in [(4.0, 5.0), (5.0, 5.0)] {
            let expected = 2.0 * normal_cdf(-bound) * n as f64;
            let found = z.iter().filter(|z| f64::from(z.abs()) > bound).count() as f64;
            // Poisson: the standard error is sqrt(expected), 32.6 and 3.1 here.
            assert!(
                (found - expected).abs() < sigmas * expected.sqrt(),
                "{found} of {expected}"
            );
            assert!(found > 0.0);
        }
    }

    #[test]
    fn neither_split_nor_order_nor_threads_change_a_bit() {
        let dim = 37;
        let samples: Vec<u64> = (0..300).map(|k| k * k).collect();
        let mut whole = vec![0.0f32; samples.len() * dim];
        source().fill_batch(&samples, 7, &mut whole);
        let mut reversed = vec![0.0f64; whole.len()];
        let backwards: Vec<u64> = samples.iter().rev().copied().collect();
        let one_thread = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        one_thread.install(|| source().fill_batch(&backwards, 7, &mut reversed));
        for (row, &sample) in samples.iter().enumerate() {
            let expected = &whole[row * dim..][..dim];
            let mut alone = vec![0.0f32; dim];
            source().fill_batch(&[sample], 7, &mut alone);
            assert_eq!(alone, expected);
            let start = (samples.len() - 1 - row) * dim;
            assert!(
                reversed[start..][..dim]
                    .iter()
                    .zip(expected)
                    .all(|(&a, &b)| a == b as f64)
            );
        }
    }

    #[test]
    fn small_samples_share_vectors_and_keep_their_bits() {
        for dim in (1..=LANES + 2).chain([63, 64, 65]) {
            for count in [1, 2, 15, 16, 17, 64, 65, 200] {
                let samples: Vec<u64> = (0..count).map(|k| (k * k) << 20).collect();
                let mut all = vec![0.0f32; samples.len() * dim];
                source().fill_rows(&samples, 3, &mut all);
                for (row, &sample) in all.chunks_exact(dim).zip(&samples) {
                    let mut alone = vec![0.0f32; dim];
                    source().fill_normal(sample, 3, &mut alone);
                    assert_eq!(row, alone);
                }
                let mut uniform = vec![0.0; samples.len()];
                source().fill_uniform(&samples, 3, 5, &mut uniform);
                for (&u, &sample) in uniform.iter().zip(&samples) {
                    assert_eq!(u, source().uniform(sample, 3, 5));
                }
            }
        }
    }

    #[test]
    fn uniform_numbers_are_the_upper_bits_and_a_half() {
        let samples = (0..1000).map(|k| k << 50);
        let bits = samples.chain([0, 1, 4095, 4096, u64::MAX, u64::MAX - 4096]);
        for bits in bits {
            let expected = ((bits >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64);
            assert_eq!(unit(bits), expected);
            assert!(unit(bits) > 0.0 && unit(bits) < 1.0);
        }
    }

    #[test]
    fn the_first_values_do_not_depend_on_the_length() {
        let mut long = vec![0.0f32; 1000];
        source().fill_normal(3, 2, &mut long);
        for length in (0..200).chain([511, 512, 513, 999]) {
            let mut short = vec![0.0f32; length];
            source().fill_normal(3, 2, &mut short);
            assert_eq!(short, long[..length]);
        }
    }

    #[test]
    fn every_part_of_the_address_matters() {
        let draw = |seed, stream, sample, step| {
            let mut z = [0.0f32; 8];
            NoiseSource::new(seed, stream).fill_normal(sample, step, &mut z);
            z
        };
        let first = draw(0, Stream::Sampling, 0, 0);
        assert_ne!(first, draw(1, Stream::Sampling, 0, 0));
        assert_ne!(first, draw(0, Stream::Training, 0, 0));
        assert_ne!(first, draw(0, Stream::Sampling, 1, 0));
        assert_ne!(first, draw(0, Stream::Sampling, 1 << 32, 0));
        assert_ne!(first, draw(0, Stream::Sampling, 0, 1));
    }

    /// The wide and the narrow path, and every instruction set, must agree with plain lanes.
    #[test]
    fn the_layout_is_words_of_sixteen_blocks() {
        let mut z = vec![0.0f32; 2 * GROUP];
        source().fill_normal(5, 6, &mut z);
        for (index, &value) in z.iter().enumerate() {
            let (group, word, lane) = (index / GROUP, index % GROUP / LANES, index % LANES);
            let block = (group * LANES + lane) as u32;
            let words = philox_block(source().normal_key, counter(block, 6, 5));
            let pair = box_muller(words[word / 2 * 2], words[word / 2 * 2 + 1]);
            let expected = if word % 2 == 0 { pair.0 } else { pair.1 };
            assert_eq!(value.to_bits(), expected.to_bits(), "{index}");
        }
    }

    #[test]
    fn empty_batches_are_no_trouble() {
        source().fill_batch::<f32>(&[], 0, &mut []);
        source().fill_batch::<f32>(&[1, 2], 0, &mut []);
        source().fill_batch::<f32>(&[], 0, &mut [1.0]);
    }
}
