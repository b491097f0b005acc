//! Training learns the score, compared with the exact one of a known distribution.

use tweedie::data::{DataSpec, Dataset, Shape, mixture, open};
use tweedie::engine::Engine;
use tweedie::nn::{
    MlpConfig, Network, NetworkConfig, NetworkDenoiser, Parameterisation, Preconditioning,
    SigmaInput,
};
use tweedie::noise::{Levels, TrainingNoise};
use tweedie::random::{NoiseSource, Stream};
use tweedie::score::{Denoiser, Distribution, GaussianMixture};
use tweedie::train::{
    LearningRateSchedule, LossConfig, ScoreMatching, TrainConfig, Trainer, Weighting,
};

/// The one-dimensional tutorial: its data, levels and network of 257 parameters.
struct Tutorial {
    data: Dataset,
    levels: Levels,
}

impl Tutorial {
    fn new() -> Self {
        Self {
            data: open(&DataSpec::new("tutorial")).unwrap(),
            levels: Levels::geometric(2.0, 0.5, 16).unwrap(),
        }
    }

    fn trainer(&self, form: Preconditioning, weighting: Weighting) -> Trainer<'_> {
        let network = NetworkConfig {
            mlp: Some(MlpConfig {
                hidden: vec![64],
                activation: tweedie::nn::layers::Activation::Relu,
                sigma_input: SigmaInput::Sigma,
            }),
            ..NetworkConfig::default()
        };
        let device = Engine::Flex.device().unwrap().autodiff();
        let network = Network::new(&network, Shape::Vector { dim: 1 }, 0, &device).unwrap();
        let parameters: usize = network.parameters().values().map(|p| p.values.len()).sum();
        assert_eq!(parameters, 257);
        let config = TrainConfig {
            steps: 3000,
            batch: 1024,
            lr: 0.01,
            schedule: LearningRateSchedule::Cosine,
            ema: 0.99,
            ..TrainConfig::default()
        };
        let loss = LossConfig {
            weighting,
            power: 2.0,
        };
        let objective = ScoreMatching::new(&loss, Parameterisation::new(form, 2.0)).unwrap();
        let noise = TrainingNoise::Discrete(self.levels.clone());
        Trainer::new(&config, &self.data, noise, objective, network, 0).unwrap()
    }
}

/// The mean of sigma^2 (s - s_target)^2 / 2 over fresh draws of x0 and z at every level.
fn loss(denoiser: &dyn Denoiser, target: &GaussianMixture, levels: &Levels) -> f64 {
    const DRAWS: usize = 20_000;
    let samples: Vec<u64> = (0..DRAWS as u64).collect();
    let mut x0 = vec![0.0; DRAWS];
    target
        .sample(
            &NoiseSource::new(1, Stream::Evaluation),
            &samples,
            0.0,
            &mut x0,
        )
        .unwrap();
    let noise = NoiseSource::new(2, Stream::Evaluation);
    let mut total = 0.0;
    for (i, &sigma) in levels.as_slice().iter().enumerate() {
        let mut z = vec![0.0; DRAWS];
        noise.fill_batch(&samples, i as u32, &mut z);
        let x: Vec<f64> = x0.iter().zip(&z).map(|(x, z)| x + sigma * z).collect();
        let mut h = vec![0.0; DRAWS];
        denoiser.denoise_at(&x, sigma, &mut h).unwrap();
        let squares = h.iter().zip(&x0).map(|(h, x)| ((h - x) / sigma).powi(2));
        total += 0.5 * squares.sum::<f64>() / DRAWS as f64;
    }
    total / levels.len() as f64
}

#[test]
fn the_tutorial_reaches_the_bayes_optimal_loss_on_fresh_noise() {
    let tutorial = Tutorial::new();
    let known = mixture("tutorial").unwrap();
    let variance = known.std * known.std;
    let variances = vec![variance; known.weights.len()];
    let target = GaussianMixture::new(&known.weights, known.means.concat(), &variances).unwrap();
    let optimal = loss(&target, &target, &tutorial.levels);
    // Property 4: 0.29022; a standard error of 320 000 draws is about 0.001.
    assert!((optimal - 0.29022).abs() < 0.003, "{optimal}");
    for (form, weighting) in [
        (Preconditioning::Score, Weighting::Sigma),
        (Preconditioning::ScaledScore, Weighting::Sigma),
        (Preconditioning::Edm, Weighting::Edm),
        (Preconditioning::Eps, Weighting::Sigma),
        (Preconditioning::X0, Weighting::Sigma),
        (Preconditioning::V, Weighting::Sigma),
    ] {
        let mut trainer = tutorial.trainer(form, weighting);
        for _ in 0..3000 {
            trainer.update().unwrap();
        }
        let denoiser = NetworkDenoiser::new(
            &trainer.average().unwrap(),
            Parameterisation::new(form, 2.0),
        );
        let reached = loss(&denoiser, &target, &tutorial.levels);
        println!("{form:?}: {reached:.5}, optimal {optimal:.5}");
        assert!(
            reached < 1.02 * optimal,
            "{form:?}: {reached} against {optimal}"
        );
    }
}

#[test]
fn a_restored_trainer_goes_on_bit_for_bit() {
    let tutorial = Tutorial::new();
    let start = || tutorial.trainer(Preconditioning::ScaledScore, Weighting::Sigma);
    let mut whole = start();
    let mut stored = None;
    for step in 0..20 {
        if step == 7 {
            stored = Some(whole.checkpoint());
        }
        whole.update().unwrap();
    }
    let mut resumed = start();
    resumed.restore(stored.unwrap()).unwrap();
    for _ in 7..20 {
        resumed.update().unwrap();
    }
    assert_eq!(whole.checkpoint(), resumed.checkpoint());
}

#[test]
fn a_network_denoises_row_by_row() {
    let tutorial = Tutorial::new();
    let network = tutorial
        .trainer(Preconditioning::ScaledScore, Weighting::Sigma)
        .average()
        .unwrap();
    let denoiser = NetworkDenoiser::new(
        &network,
        Parameterisation::new(Preconditioning::ScaledScore, 1.0),
    );
    // More rows than one internal batch holds.
    let x: Vec<f64> = (0..2500).map(|i| f64::from(i) * 0.004 - 5.0).collect();
    let mut all = vec![0.0; x.len()];
    denoiser.denoise_at(&x, 0.7, &mut all).unwrap();
    for (range, name) in [
        (0..1, "first"),
        (1023..1026, "across"),
        (2499..2500, "last"),
    ] {
        let mut some = vec![0.0; range.len()];
        denoiser
            .denoise_at(&x[range.clone()], 0.7, &mut some)
            .unwrap();
        assert_eq!(some, all[range], "{name}");
    }
    assert!(denoiser.denoise_at(&x, f64::NAN, &mut all).is_err());
    assert!(denoiser.denoise_at(&x, 1.0, &mut [0.0; 3]).is_err());
}
