//! Times training updates of the tutorial's MLP and of a wider one, everything in: drawing data,
//! noise levels and noise, forward, loss, backward, Adam and the moving average.
//!
//! ```sh
//! cargo run --release -p tweedie --example mlp_speed
//! ```
//!
//! An argument chooses the case whose name contains it.

use std::time::Instant;

use tweedie::Result;
use tweedie::data::{DataSpec, open};
use tweedie::engine::Engine;
use tweedie::nn::layers::Activation;
use tweedie::nn::{
    MlpConfig, Network, NetworkConfig, Parameterisation, Preconditioning, SigmaInput,
};
use tweedie::noise::{Levels, TrainingNoise};
use tweedie::train::{LossConfig, ScoreMatching, TrainConfig, Trainer};

struct Case {
    name: &'static str,
    data: &'static str,
    mlp: MlpConfig,
    batch: usize,
    steps: u64,
}

fn main() -> Result<()> {
    tweedie::memory::keep_freed_memory();
    let only = std::env::args().nth(1);
    let tutorial = MlpConfig {
        hidden: vec![64],
        activation: Activation::Relu,
        sigma_input: SigmaInput::Sigma,
    };
    for case in [
        Case {
            name: "tutorial, 2 -> 64 -> 1",
            data: "tutorial",
            mlp: tutorial,
            batch: 16_384,
            steps: 1000,
        },
        Case {
            name: "swiss roll, 3 -> 3 x 512 -> 2",
            data: "swiss-roll",
            mlp: MlpConfig::default(),
            batch: 256,
            steps: 200,
        },
    ] {
        if only.as_ref().is_some_and(|only| !case.name.contains(only)) {
            continue;
        }
        let seconds = time(&case)?;
        println!(
            "{}, batch {}: {} updates in {seconds:.3} s, {:.0} us each",
            case.name,
            case.batch,
            case.steps,
            seconds / case.steps as f64 * 1e6
        );
    }
    Ok(())
}

/// Seconds for all updates.
fn time(case: &Case) -> Result<f64> {
    let data = open(&DataSpec::new(case.data))?;
    let config = NetworkConfig {
        mlp: Some(case.mlp.clone()),
        ..NetworkConfig::default()
    };
    let device = Engine::Flex.device()?.autodiff();
    let network = Network::new(&config, data.shape(), 0, &device)?;
    let train = TrainConfig {
        steps: case.steps,
        batch: case.batch,
        lr: 0.01,
        ..TrainConfig::default()
    };
    let objective = ScoreMatching::new(
        &LossConfig::default(),
        Parameterisation::new(Preconditioning::ScaledScore, 1.0),
    )?;
    let noise = TrainingNoise::Discrete(Levels::geometric(2.0, 0.5, 16)?);
    let mut trainer = Trainer::new(&train, &data, noise, objective, network, 0)?;
    let began = Instant::now();
    for _ in 0..case.steps {
        trainer.update()?;
    }
    Ok(began.elapsed().as_secs_f64())
}
