//! In the steady state nothing large is allocated: what one call or step returns to the pool,
//! the next one takes.
//!
//! Burn's graph is made of small nodes, a fresh one every step; they are not counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tweedie::data::{DataSpec, Shape};
use tweedie::engine::Engine;
use tweedie::nn::unet::UNetConfig;
use tweedie::nn::{
    Network, NetworkConfig, NetworkDenoiser, Parameterisation, Precision, Preconditioning,
};
use tweedie::noise::TrainingNoise;
use tweedie::score::Denoiser;
use tweedie::train::{LossConfig, ScoreMatching, TrainConfig, Trainer};

/// Counts allocations of at least [`LARGE`] bytes.
struct Counting;

/// Larger than the test's samples, which come and go as arrays of the caller's; smaller than
/// every image inside its network.
const LARGE: usize = 12 * 1024;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged; counting has no effect
// on memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and the pointer is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller keeps the contract of `realloc`, and the pointer is the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn count(size: usize) {
    if size >= LARGE {
        COUNT.fetch_add(1, Relaxed);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Large allocations of `run`, once it has run a few times.
///
/// On one thread: with several, how many of them hold working memory at once differs from run
/// to run.
fn steady(mut run: impl FnMut() + Send) -> usize {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap().install(|| {
        for _ in 0..10 {
            run();
        }
        let before = COUNT.load(Relaxed);
        run();
        COUNT.load(Relaxed) - before
    })
}

/// One test, since the count is of the whole process.
#[test]
fn calls_and_steps_allocate_nothing_large_in_the_steady_state() {
    let unet = UNetConfig {
        block_out_channels: vec![16, 32],
        layers_per_block: 1,
        norm_num_groups: 8,
        ..UNetConfig::default()
    };
    let config = NetworkConfig {
        unet: Some(unet),
        ..NetworkConfig::default()
    };
    let device = Engine::Flex.device().unwrap().autodiff();
    let shape = Shape::from_sides(&[1, 16, 16]).unwrap();
    let network = Network::new(&config, shape, 0, &device).unwrap();
    let (n, dim) = (8, 256);

    let form = Parameterisation::new(Preconditioning::ScaledScore, 0.5);
    for precision in [Precision::F32, Precision::Bf16] {
        let network = network.clone().in_precision(precision).unwrap();
        let denoiser = NetworkDenoiser::new(&network, form);
        let x = vec![0.3; n * dim];
        let mut out = vec![0.0; n * dim];
        let large = steady(|| denoiser.denoise_at(&x, 1.0, &mut out).unwrap());
        assert_eq!(large, 0, "a call in {precision:?}");
    }

    let data = tweedie::data::open(&DataSpec::new("digits")).unwrap();
    let network = Network::new(&config, data.shape(), 0, &device).unwrap();
    let noise = TrainingNoise::LogUniform {
        sigma_min: 0.01,
        sigma_max: 10.0,
    };
    let objective = ScoreMatching::new(&LossConfig::default(), form).unwrap();
    let train = TrainConfig {
        batch: 64,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(&train, &data, noise, objective, network, 0).unwrap();
    let large = steady(|| drop(trainer.update().unwrap()));
    // A batch is prepared in arrays of its own, and some small gradients are burn's; weights are
    // updated where they are, and images and their gradients, hundreds of them, come from the pool.
    let parameters = trainer.network().unwrap().shapes().len();
    println!("{large} in a training step, {parameters} parameters");
    assert!(
        2 * large < parameters,
        "{large} in a training step, {parameters} parameters"
    );
}
