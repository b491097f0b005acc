//! Shared by the tests: pseudo-random numbers, comparisons, and thread pools.

#![allow(dead_code)]

use tweedie_kernels::Activation;

/// Numbers in [-1, 1) that depend on `seed` and position alone.
pub fn values(seed: u64, len: usize) -> Vec<f32> {
    (0..len as u64)
        .map(|i| {
            // SplitMix64.
            let mut z = (i + 1 + (seed << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// Asserts that two arrays differ by at most `tolerance` times the largest reference value.
#[track_caller]
pub fn assert_close(what: &str, found: &[f32], reference: &[f64], tolerance: f64) {
    assert_eq!(found.len(), reference.len(), "{what}: length");
    let scale = reference.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
    for (i, (&a, &b)) in found.iter().zip(reference).enumerate() {
        let error = (f64::from(a) - b).abs() / scale;
        assert!(error <= tolerance, "{what}[{i}]: {a} instead of {b}");
    }
}

/// Asserts equal bits.
#[track_caller]
pub fn assert_same(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}: length");
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        assert_eq!(x.to_bits(), y.to_bits(), "{what}[{i}]: {x} and {y}");
    }
}

/// Runs `f` with that many threads.
pub fn with_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(f)
}

/// An activation in double precision.
pub fn activate(f: Activation, t: f64) -> f64 {
    match f {
        Activation::None => t,
        Activation::Relu => t.max(0.0),
        Activation::LeakyRelu => t.max(0.01 * t),
        Activation::Silu => t / (1.0 + (-t).exp()),
        Activation::Elu => {
            if t > 0.0 {
                t
            } else {
                t.exp_m1()
            }
        }
    }
}

/// Its derivative.
pub fn slope(f: Activation, t: f64) -> f64 {
    let s = 1.0 / (1.0 + (-t).exp());
    match f {
        Activation::None => 1.0,
        Activation::Relu => f64::from(t > 0.0),
        Activation::LeakyRelu => {
            if t > 0.0 {
                1.0
            } else {
                0.01
            }
        }
        Activation::Silu => s + t * s * (1.0 - s),
        Activation::Elu => t.min(0.0).exp(),
    }
}
