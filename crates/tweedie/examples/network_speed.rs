//! Times a U-Net call and a training step's forward and backward pass.
//!
//! ```sh
//! cargo run --release -p tweedie --example network_speed
//! ```

use std::time::Instant;

use tweedie::Result;
use tweedie::data::Shape;
use tweedie::engine::Engine;
use tweedie::nn::unet::UNetConfig;
use tweedie::nn::{Conditioning, Network, NetworkConfig, params};

/// Runs of each; the median is printed.
const RUNS: usize = 7;

fn main() -> Result<()> {
    tweedie::memory::keep_freed_memory();
    for (name, widths, side, batch) in [
        ("digits", vec![32, 64], 8, 128),
        ("MNIST", vec![32, 64, 64], 28, 64),
        ("the papers' shape at 32 px", vec![64, 128, 128], 32, 16),
    ] {
        let unet = UNetConfig {
            block_out_channels: widths.clone(),
            layers_per_block: 1,
            norm_num_groups: 8,
            attention_head_dim: 0,
            ..UNetConfig::default()
        };
        let config = NetworkConfig {
            unet: Some(unet),
            ..NetworkConfig::default()
        };
        let device = Engine::Flex.device()?.autodiff();
        let shape = Shape::from_sides(&[1, side, side])?;
        let network = Network::new(&config, shape, 0, &device)?;
        let plain = network.without_gradients();
        let x = vec![0.3; batch * side * side];
        let sigma = vec![1.0; batch];
        let forward = |network: &Network| {
            let x = network.input(x.clone())?;
            network.forward(x, &Conditioning::on_sigmas(&sigma))
        };
        let call = median(|| {
            params::to_vec(forward(&plain)?);
            Ok(())
        })?;
        let step = median(|| {
            let loss = forward(&network)?.square().mean();
            network.gradients(&mut loss.backward());
            Ok(())
        })?;
        println!(
            "{name}: {widths:?}, {side}x{side}, batch {batch}: call {call:.1} ms, forward and \
             backward {step:.1} ms"
        );
    }
    Ok(())
}

/// The median time in milliseconds.
fn median(mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let times: Result<Vec<f64>> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            run()?;
            Ok(began.elapsed().as_secs_f64() * 1e3)
        })
        .collect();
    let mut times = times?;
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}
