//! Milliseconds to draw 512 samples of 3x32x32 normals, the best of 50 rounds.

use std::time::Instant;

use tweedie::random::{NoiseSource, Stream};

fn time<T: From<f32> + Send + Clone>(threads: usize, zero: T) -> Option<f64> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .ok()?;
    let source = NoiseSource::new(0, Stream::Sampling);
    let samples: Vec<u64> = (0..512).collect();
    let mut out = vec![zero; 512 * 3072];
    (0..50)
        .map(|step| {
            let start = Instant::now();
            pool.install(|| source.fill_batch(&samples, step, &mut out));
            std::hint::black_box(&mut out);
            start.elapsed().as_secs_f64() * 1e3
        })
        .min_by(f64::total_cmp)
}

fn main() {
    for threads in [1, 2] {
        let single = time(threads, 0.0f32).unwrap_or(f64::NAN);
        let double = time(threads, 0.0f64).unwrap_or(f64::NAN);
        println!("{threads} threads, 1.57 M normals: f32 {single:.2} ms, f64 {double:.2} ms");
    }
}
