//! Training as a composition: objectives, terms on H, hooks, accumulation, and two networks that
//! alternate.

use std::sync::{Arc, Mutex};

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use tweedie::data::{Dataset, Shape, ValueMap};
use tweedie::engine::Engine;
use tweedie::measure::optimal_discriminator;
use tweedie::nn::init::Init;
use tweedie::nn::layers::{Activation, Linear};
use tweedie::nn::{
    Conditioning, Forward, MlpConfig, Network, NetworkConfig, Parameterisation, Preconditioning,
    ops, params,
};
use tweedie::noise::{Levels, TrainingNoise};
use tweedie::random::{NoiseSource, Stream};
use tweedie::score::{Distribution, GaussianMixture};
use tweedie::train::{
    AdamConfig, Alternation, Denoising, Draw, ExampleLosses, Examples, Group, GroupConfig,
    LossConfig, NetworkGradient, Networks, Objective, Phase, Prediction, ScoreMatching, Term,
    TrainConfig, Trainer, Turn, Weighting,
};
use tweedie::{Divergence, Error, Result};

/// Points to a number: linear layers with SiLU between.
#[derive(Module, Debug)]
struct Discriminator {
    layers: Vec<Linear>,
    #[module(skip)]
    inputs: usize,
}

impl Discriminator {
    fn network(widths: &[usize], seed: u64) -> Network {
        let (device, init) = (device(), Init::new(seed, &device()).at("layers"));
        let pairs = widths.windows(2).enumerate();
        let layers = pairs.map(|(i, w)| Linear::new(w[0], w[1], &init.at(i)));
        let body = Self {
            layers: layers.collect(),
            inputs: widths[0],
        };
        Network::from_body(Box::new(body), &device)
    }
}

impl Forward for Discriminator {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        1
    }

    fn forward(&self, x: Tensor<2>, _: &Conditioning<'_>) -> Tensor<2> {
        let layers = self.layers.iter().map(|l| (l.weight.val(), l.bias.val()));
        ops::mlp(x, layers.collect(), Activation::Silu)
    }
}

fn device() -> Device {
    Engine::Flex.device().unwrap().autodiff()
}

const DIM: usize = 2;

/// Two overlapping distributions in the plane.
fn known() -> [GaussianMixture; 2] {
    let p = GaussianMixture::new(&[0.5, 0.5], vec![-1.5, 0.0, 1.0, 1.0], &[0.5, 0.3]).unwrap();
    let q = GaussianMixture::gaussian(vec![0.3, -0.5], 1.0).unwrap();
    [p, q]
}

/// `n` samples of a distribution, `[n, 2]`.
fn samples(of: &GaussianMixture, n: usize, seed: u64) -> Vec<f32> {
    let places: Vec<u64> = (0..n as u64).collect();
    let mut x = vec![0.0; n * DIM];
    let source = NoiseSource::new(seed, Stream::Evaluation);
    of.sample(&source, &places, 0.0, &mut x).unwrap();
    x.into_iter().map(|x| x as f32).collect()
}

/// `count` of the rows, drawn with replacement by (update, place).
fn pick(rows: &[f32], draw: &Draw, seed: u64) -> Vec<f32> {
    let (source, n) = (NoiseSource::new(seed, Stream::Order), rows.len() / DIM);
    let row = |place: usize| {
        let u = source.uniform(place as u64, draw.update as u32, 0);
        let item = ((u * n as f64) as usize).min(n - 1);
        &rows[item * DIM..(item + 1) * DIM]
    };
    draw.places.clone().flat_map(row).copied().collect()
}

fn score(network: &Network, rows: Tensor<2>) -> Tensor<1> {
    let scores = network.forward(rows, &Conditioning::default()).unwrap();
    let [n, _] = scores.dims();
    scores.reshape([n])
}

/// The least squares of Mao et al. 2017: (D(real) - 1)^2 + (D(fake) + 1)^2.
fn least_squares(real: Tensor<1>, fake: Tensor<1>) -> Tensor<1> {
    (real - 1.0).square() + (fake + 1.0).square()
}

/// A discriminator of two sets of points.
struct OfPoints {
    real: Vec<f32>,
    fake: Vec<f32>,
}

impl Objective for OfPoints {
    fn losses(&mut self, networks: &Networks<'_>, draw: &Draw) -> Result<ExampleLosses> {
        let discriminator = networks.get("discriminator")?;
        let real = discriminator.input(pick(&self.real, draw, 1))?;
        let fake = discriminator.input(pick(&self.fake, draw, 2))?;
        let [real, fake] = [real, fake].map(|rows| score(&discriminator, rows));
        Ok(ExampleLosses {
            each: least_squares(real, fake),
            sigmas: Vec::new(),
        })
    }
}

#[test]
fn a_discriminator_of_fixed_samples_comes_to_the_optimal_one() {
    const N: usize = 40_000;
    let [p, q] = known();
    let objective = OfPoints {
        real: samples(&p, N, 3),
        fake: samples(&q, N, 4),
    };
    let config = GroupConfig {
        rate: tweedie::train::LearningRate {
            schedule: tweedie::train::LearningRateSchedule::Cosine,
            steps: 2500,
            ..tweedie::train::LearningRate::constant(0.01)
        },
        ema: Some(0.99),
        ..GroupConfig::new(0.01)
    };
    let network = Discriminator::network(&[DIM, 32, 32, 1], 0);
    let group = Group::new(network, config).unwrap();
    let phase = Phase::new("discriminator", 512, objective);
    let mut training = Alternation::new(vec![("discriminator".into(), group)], vec![phase]);
    let training = training.as_mut().unwrap();

    // The mean of (D - D*)^2 over points of both, which is the loss in excess of its minimum:
    // E_p (D - 1)^2 + E_q (D + 1)^2 = minimum + integral of (p + q)(D - D*)^2.
    let fresh = [samples(&p, 5000, 5), samples(&q, 5000, 6)].concat();
    let mut optimal = vec![0.0; fresh.len() / DIM];
    let x: Vec<f64> = fresh.iter().map(|&x| f64::from(x)).collect();
    optimal_discriminator(&p, &q, &x, 0.0, &mut optimal).unwrap();
    let distance = |network: &Network| {
        let network = network.without_gradients();
        let found = score(&network, network.input(fresh.clone()).unwrap());
        let found = params::to_vec(found).into_iter().map(f64::from);
        let squares = found.zip(&optimal).map(|(d, best)| (d - best).powi(2));
        (squares.sum::<f64>() / optimal.len() as f64).sqrt()
    };
    let before = distance(training.network("discriminator").unwrap());
    for _ in 0..2500 {
        training.update().unwrap();
    }
    let after = distance(&training.group("discriminator").unwrap().average().unwrap());
    println!("distance to the optimal discriminator: {before:.3}, trained {after:.3}");
    // D* lies in [-1, 1]; 0.05 is what 40 000 samples and 1 200 parameters leave.
    assert!(before > 0.4 && after < 0.05, "{before} {after}");
}

/// The score network's samples H against data at the same places: what its discriminator is
/// trained for. Those samples are given.
struct OfDenoised {
    data: Vec<f32>,
}

const SIGMA: f64 = 0.5;

impl Objective for OfDenoised {
    fn losses(&mut self, networks: &Networks<'_>, draw: &Draw) -> Result<ExampleLosses> {
        let n = draw.places.len();
        let noise = NoiseSource::new(5, Stream::Training);
        let mut noisy = pick(&self.data, draw, 6);
        for (row, place) in noisy.chunks_exact_mut(DIM).zip(draw.places.clone()) {
            let mut z = [0.0_f32; DIM];
            noise.fill_normal(place as u64, draw.update as u32, &mut z);
            row.iter_mut()
                .zip(z)
                .for_each(|(x, z)| *x += SIGMA as f32 * z);
        }
        let network = networks.without_gradients("score")?;
        let (x, sigmas) = (network.input(noisy)?, vec![SIGMA; n]);
        // H = x + sigma F, the scaled-score parameterisation of Song and Ermon 2020.
        let raw = network.forward(x.clone(), &Conditioning::on_sigmas(&sigmas))?;
        let h = x + raw * SIGMA;
        let discriminator = networks.get("discriminator")?;
        let real = discriminator.input(pick(&self.data, draw, 7))?;
        let [real, fake] = [real, Tensor::from_inner(h)].map(|rows| score(&discriminator, rows));
        Ok(ExampleLosses {
            each: least_squares(real, fake),
            sigmas,
        })
    }
}

/// (D(H) - 1)^2: the score network's term against the discriminator.
struct Adversarial;

impl Term for Adversarial {
    fn losses(&self, prediction: &Prediction, networks: &Networks<'_>) -> Result<Tensor<1>> {
        let discriminator = networks.get("discriminator")?;
        Ok((score(&discriminator, prediction.denoised()) - 1.0).square())
    }
}

fn points() -> Dataset {
    let values = samples(&known()[0], 500, 3);
    Dataset::from_f32(
        "points",
        Shape::Vector { dim: DIM },
        values,
        ValueMap::identity(),
    )
    .unwrap()
}

fn score_network(seed: u64) -> Network {
    let config = NetworkConfig {
        mlp: Some(MlpConfig {
            hidden: vec![16, 16],
            ..MlpConfig::default()
        }),
        ..NetworkConfig::default()
    };
    Network::new(&config, Shape::Vector { dim: DIM }, seed, &device()).unwrap()
}

fn examples(data: &Dataset, form: Preconditioning) -> Examples<'_> {
    let loss = LossConfig::default();
    let objective = ScoreMatching::new(&loss, Parameterisation::new(form, 1.0)).unwrap();
    let noise = TrainingNoise::Discrete(Levels::geometric(2.0, 0.1, 8).unwrap());
    Examples::new(data, noise, objective, 9)
}

/// Two steps of a discriminator, with a negative beta1 (Gidel et al. 2019), for one of a score
/// network.
fn adversarial(data: &Dataset) -> Alternation<'_> {
    let score = GroupConfig {
        ema: Some(0.9),
        clip: Some(1.0),
        ..GroupConfig::new(0.01)
    };
    let discriminator = GroupConfig {
        adam: AdamConfig {
            beta1: -0.5,
            beta2: 0.9,
            epsilon: 1e-8,
        },
        ..GroupConfig::new(0.005)
    };
    let groups = vec![
        ("score".into(), Group::new(score_network(1), score).unwrap()),
        (
            "discriminator".into(),
            Group::new(Discriminator::network(&[DIM, 16, 1], 2), discriminator).unwrap(),
        ),
    ];
    let of_denoised = OfDenoised {
        data: samples(&known()[0], 500, 3),
    };
    let denoise = Denoising::score_matching("score", examples(data, Preconditioning::ScaledScore));
    let phases = vec![
        Phase::new("discriminator", 24, of_denoised)
            .times(2)
            .accumulate(3),
        Phase::new("score", 16, denoise.plus(0.3, Adversarial)),
    ];
    Alternation::new(groups, phases).unwrap()
}

#[test]
fn two_networks_in_turns_go_on_bit_for_bit() {
    let data = points();
    let (mut whole, mut first) = (adversarial(&data), adversarial(&data));
    for _ in 0..40 {
        whole.update().unwrap();
    }
    for _ in 0..20 {
        first.update().unwrap();
    }
    let stored = first.checkpoint();
    let names: Vec<&str> = stored.sections.keys().map(String::as_str).collect();
    assert_eq!(
        names.join(" "),
        "adam.first adam.second discriminator/adam.first discriminator/adam.second \
         discriminator/model ema model"
    );
    let mut resumed = adversarial(&data);
    resumed.restore(stored).unwrap();
    for _ in 20..40 {
        resumed.update().unwrap();
    }
    assert_eq!(resumed.checkpoint(), whole.checkpoint());
}

#[test]
fn each_phase_updates_its_own_network_and_no_other() {
    let data = points();
    let turns = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&turns);
    let mut training =
        adversarial(&data).with_hook(move |turn: Turn<'_>, _: &mut NetworkGradient| {
            seen.lock()
                .unwrap()
                .push((turn.network.to_owned(), turn.update));
            Ok(())
        });
    let mut losses = Vec::new();
    for _ in 0..2 {
        let reports = training.update().unwrap();
        losses.extend(reports.iter().map(|report| report.losses.len()));
    }
    let turns = turns.lock().unwrap();
    let found: Vec<(&str, u64)> = turns.iter().map(|(name, n)| (&name[..], *n)).collect();
    let (d, s) = ("discriminator", "score");
    assert_eq!(found, [(d, 0), (d, 1), (s, 0), (d, 2), (d, 3), (s, 1)]);
    assert_eq!(losses, [24, 24, 16, 24, 24, 16]);

    // Where the other has no turn, its weights stay, though the objective goes through it.
    let groups = || {
        vec![
            (
                "score".into(),
                Group::new(score_network(1), GroupConfig::new(0.01)).unwrap(),
            ),
            (
                "discriminator".into(),
                Group::new(
                    Discriminator::network(&[DIM, 16, 1], 2),
                    GroupConfig::new(0.01),
                )
                .unwrap(),
            ),
        ]
    };
    let denoise = Denoising::score_matching("score", examples(&data, Preconditioning::Eps));
    let phase = Phase::new("score", 16, denoise.plus(1.0, Adversarial));
    let mut training = Alternation::new(groups(), vec![phase]).unwrap();
    let parameters =
        |training: &Alternation<'_>, name| training.network(name).unwrap().parameters();
    let before = [s, d].map(|name| parameters(&training, name));
    training.update().unwrap();
    assert_ne!(parameters(&training, s), before[0]);
    assert_eq!(parameters(&training, d), before[1]);
}

/// 1/2 w(sigma) ||H - x||^2 of H itself.
struct OnDenoised(ScoreMatching);

impl Term for OnDenoised {
    fn losses(&self, prediction: &Prediction, _: &Networks<'_>) -> Result<Tensor<1>> {
        let sigmas = prediction.conditioning().sigmas.unwrap();
        let weights = sigmas.iter().map(|&s| 0.5 * self.0.weight(s) as f32);
        let squares = (prediction.denoised() - prediction.clean()).square();
        let squares = squares.sum_dim(1);
        let data = TensorData::new(weights.collect::<Vec<f32>>(), [sigmas.len(), 1]);
        let weights = Tensor::<2>::from_data(data, &squares.device());
        Ok((squares * weights).reshape([sigmas.len()]))
    }
}

/// The losses and the gradient of the first update, by a hook that sees it.
fn first_update(batch: usize, parts: usize, of: Denoising<'_>) -> [Vec<f32>; 2] {
    let found = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&found);
    let group = Group::new(score_network(1), GroupConfig::new(0.01)).unwrap();
    let phase = Phase::new("score", batch, of).accumulate(parts);
    let training = Alternation::new(vec![("score".into(), group)], vec![phase]).unwrap();
    let mut training = training.with_hook(move |_: Turn<'_>, gradient: &mut NetworkGradient| {
        gradient.each(&mut |_, values| {
            seen.lock().unwrap().extend_from_slice(values);
            Ok(())
        })
    });
    let losses = training.update().unwrap().remove(0).losses;
    let gradient = found.lock().unwrap().clone();
    [losses, gradient]
}

/// The largest difference, relative to the largest value.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = a.iter().fold(0.0_f32, |m, a| m.max(a.abs()));
    let pairs = a.iter().zip(b);
    pairs.fold(0.0_f32, |m, (a, b)| m.max((a - b).abs())) / largest
}

#[test]
fn a_term_on_h_is_denoising_score_matching_in_every_parameterisation() {
    let data = points();
    for form in [
        Preconditioning::Score,
        Preconditioning::ScaledScore,
        Preconditioning::Edm,
        Preconditioning::Eps,
        Preconditioning::X0,
        Preconditioning::V,
    ] {
        let new = || Denoising::score_matching("score", examples(&data, form));
        let parameterisation = Parameterisation::new(form, 1.0);
        let weighting = ScoreMatching::new(&LossConfig::default(), parameterisation).unwrap();
        let fast = first_update(32, 1, new());
        // The loss once more, by H: twice of everything.
        let both = first_update(32, 1, new().plus(1.0, OnDenoised(weighting)));
        for (fast, both) in fast.iter().zip(&both) {
            let twice: Vec<f32> = fast.iter().map(|v| 2.0 * v).collect();
            let found = difference(&twice, both);
            assert!(found < 2e-4, "{form:?}: {found}");
        }
    }
}

#[test]
fn parts_of_a_batch_add_up_to_the_gradient_of_the_whole() {
    let data = points();
    let new = || Denoising::score_matching("score", examples(&data, Preconditioning::Edm));
    let [losses, gradient] = first_update(48, 1, new());
    for parts in [2, 3, 48] {
        let [of_parts, sum] = first_update(48, parts, new());
        assert_eq!(of_parts, losses, "{parts}");
        assert!(difference(&gradient, &sum) < 2e-6, "{parts}");
    }
}

#[test]
fn a_trainer_accumulates_to_the_same_weights() {
    let data = points();
    let train = |accumulate| {
        let config = TrainConfig {
            steps: 10,
            batch: 24,
            accumulate,
            lr: 1e-3,
            clip: 0.5,
            ..TrainConfig::default()
        };
        let examples = examples(&data, Preconditioning::ScaledScore);
        let mut trainer = Trainer::on(&config, examples, score_network(1)).unwrap();
        let report = (0..10).map(|_| trainer.update().unwrap()).last().unwrap();
        assert_eq!(report.examples.len(), 24);
        let model = trainer.checkpoint().take("model").unwrap();
        let values: Vec<f32> = model.into_values().flat_map(|a| a.values).collect();
        (values, report.loss)
    };
    let (whole, loss) = train(1);
    for parts in [2, 8] {
        let (sum, other) = train(parts);
        assert!(difference(&whole, &sum) < 1e-4, "{parts}");
        assert!((loss / other - 1.0).abs() < 1e-4, "{loss} {other}");
    }
}

#[test]
fn two_machines_with_half_the_batch_make_the_step_of_one() {
    let data = points();
    let new = || Denoising::score_matching("score", examples(&data, Preconditioning::Edm));
    // Machine k has places k n/2.. of the batch.
    struct Half<'a>(Denoising<'a>, usize);
    impl Objective for Half<'_> {
        fn losses(&mut self, networks: &Networks<'_>, draw: &Draw) -> Result<ExampleLosses> {
            let from = self.1 * draw.batch;
            let whole = Draw {
                update: draw.update,
                batch: 2 * draw.batch,
                places: draw.places.start + from..draw.places.end + from,
            };
            self.0.losses(networks, &whole)
        }
    }
    let group = || {
        let config = GroupConfig {
            clip: Some(0.1),
            ..GroupConfig::new(0.01)
        };
        vec![(
            "score".to_owned(),
            Group::new(score_network(1), config).unwrap(),
        )]
    };
    // The other machine's gradient, as it would come by wire.
    let other = Arc::new(Mutex::new(Vec::<Vec<f32>>::new()));
    let sent = Arc::clone(&other);
    let phase = Phase::new("score", 16, Half(new(), 1));
    let second = Alternation::new(group(), vec![phase]).unwrap();
    let mut second = second.with_hook(move |_: Turn<'_>, gradient: &mut NetworkGradient| {
        gradient.each(&mut |_, values| {
            sent.lock().unwrap().push(values.to_vec());
            Ok(())
        })
    });
    second.update().unwrap();
    let phase = Phase::new("score", 16, Half(new(), 0));
    let first = Alternation::new(group(), vec![phase]).unwrap();
    let mut first = first.with_hook(move |_: Turn<'_>, gradient: &mut NetworkGradient| {
        let received = std::mem::take(&mut *other.lock().unwrap());
        let mut received = received.into_iter();
        gradient.each(&mut |_, values| {
            for (own, other) in values.iter_mut().zip(received.next().unwrap()) {
                *own += other;
            }
            Ok(())
        })?;
        gradient.scale(0.5);
        Ok(())
    });
    let summed = first.update().unwrap().remove(0);
    let mut whole = Alternation::new(group(), vec![Phase::new("score", 32, new())]).unwrap();
    let expected = whole.update().unwrap().remove(0);
    assert!((summed.gradient_norm / expected.gradient_norm - 1.0).abs() < 1e-5);
    // Clipped after the sum: Adam's first moments are (1 - beta1) of a gradient of norm 0.1.
    let mut first = first.checkpoint();
    let moments = first.take("adam.first").unwrap();
    let squares = moments.values().flat_map(|array| &array.values);
    let norm = squares.map(|m| f64::from(*m).powi(2)).sum::<f64>().sqrt();
    assert!((norm / 0.01 - 1.0).abs() < 1e-5, "{norm}");
    assert!(expected.gradient_norm > 0.1);
}

/// H of each class, and of none: a row of a table, whatever x is.
#[derive(Module, Debug)]
struct Table {
    rows: Param<Tensor<2>>,
}

impl Forward for Table {
    fn inputs(&self) -> usize {
        DIM
    }

    fn outputs(&self) -> usize {
        DIM
    }

    fn classes(&self) -> Option<usize> {
        Some(3)
    }

    fn forward(&self, x: Tensor<2>, conditioning: &Conditioning<'_>) -> Tensor<2> {
        let classes = conditioning.classes.unwrap().iter();
        let rows: Vec<i64> = classes.map(|class| class.map_or(3, i64::from)).collect();
        let data = TensorData::new(rows, [conditioning.classes.unwrap().len()]);
        let rows = Tensor::<1, Int>::from_data(data, &x.device());
        self.rows.val().select(0, rows)
    }
}

#[test]
fn labels_reach_a_network_with_classes_and_some_are_withheld() {
    let items = [
        [2.0, 0.0],
        [2.2, 0.0],
        [-1.0, 1.0],
        [-1.0, 1.4],
        [0.0, -3.0],
        [0.2, -2.8],
    ];
    let labels = [0, 0, 1, 1, 2, 2];
    let data = items.concat();
    let data = Dataset::from_f32(
        "items",
        Shape::Vector { dim: DIM },
        data,
        ValueMap::identity(),
    )
    .unwrap();
    // With F = H and sigma^4 on the score's error, the loss is ||H - x||^2: minimal at the mean of
    // the items of a class, and of all items for none.
    let form = Parameterisation::new(Preconditioning::X0, 1.0);
    let loss = LossConfig {
        weighting: Weighting::Sigma,
        power: 4.0,
    };
    let objective = ScoreMatching::new(&loss, form).unwrap();
    let noise = TrainingNoise::Discrete(Levels::geometric(2.0, 0.1, 8).unwrap());
    let examples = || Examples::new(&data, noise.clone(), objective.clone(), 9);
    let network = || {
        let rows = Init::new(0, &device()).uniform("rows", [4, DIM], 1.0);
        Network::from_body(Box::new(Table { rows }), &device())
    };
    let config = TrainConfig {
        steps: 600,
        batch: 60,
        lr: 0.05,
        schedule: tweedie::train::LearningRateSchedule::Cosine,
        label_dropout: 0.2,
        ..TrainConfig::default()
    };
    let labelled = examples().labelled(&labels, config.label_dropout).unwrap();
    let mut trainer = Trainer::on(&config, labelled, network()).unwrap();
    for _ in 0..600 {
        trainer.update().unwrap();
    }
    let found = &trainer.network().unwrap().parameters()["rows"].values;
    let expected = [2.1, 0.0, -1.0, 1.2, 0.1, -2.9, 0.4, -0.566_667];
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        // Items within a class differ by 0.1 from their mean, those of all by up to 2; the last
        // steps are small and average over hundreds of examples.
        let tolerance = if place < 6 { 0.02 } else { 0.15 };
        assert!(
            (found - expected).abs() < tolerance,
            "{place}: {found} {expected}"
        );
    }

    let refused = |examples, network| {
        let trainer = Trainer::on(&config, examples, network);
        trainer.err().expect("was taken").to_string()
    };
    assert!(refused(examples(), network()).contains("no labels"));
    let four = examples().labelled(&[0, 1, 2, 3, 0, 1], 0.1).unwrap();
    assert!(refused(four, network()).contains("labels up to 3"));
    let labelled = examples().labelled(&labels, 0.1).unwrap();
    assert!(refused(labelled, score_network(0)).contains("no classes"));
}

/// The output of a network, times a number for each example.
struct Scaled {
    factors: Vec<f32>,
    root: bool,
}

impl Objective for Scaled {
    fn losses(&mut self, networks: &Networks<'_>, draw: &Draw) -> Result<ExampleLosses> {
        let network = networks.get("discriminator")?;
        let n = draw.places.len();
        let x = network.input(vec![0.5; n * DIM])?;
        let factors = TensorData::new(self.factors.clone(), [n]);
        let factors = Tensor::<1>::from_data(factors, network.device());
        let mut each = score(&network, x).square() * factors;
        if self.root {
            each = each.sqrt();
        }
        Ok(ExampleLosses {
            each,
            sigmas: (1..=n).map(|i| i as f64).collect(),
        })
    }
}

#[test]
fn what_diverges_is_named() {
    let new = |factors: [f32; 4], root: bool, rate: f64| {
        let network = Discriminator::network(&[DIM, 4, 1], 2);
        let group = Group::new(network, GroupConfig::new(rate)).unwrap();
        let factors = factors.to_vec();
        let phase = Phase::new("discriminator", 4, Scaled { factors, root });
        Alternation::new(vec![("discriminator".into(), group)], vec![phase]).unwrap()
    };
    let diverged = |mut training: Alternation<'_>| match training.update().unwrap_err() {
        error @ Error::Diverged { step: 0, .. } => error.to_string(),
        other => panic!("{other}"),
    };
    // Not that of the first example.
    let error = diverged(new([1.0, 1.0, f32::INFINITY, f32::NAN], false, 0.1));
    assert!(
        error.starts_with("the training loss is not finite at step 0, sigma = 3; lower lr"),
        "{error}"
    );
    // The root of zero has no finite derivative.
    let error = diverged(new([1.0, 0.0, 1.0, 1.0], true, 0.1));
    assert!(
        error.starts_with("the gradient of layers.0.bias is not finite, though every loss is,"),
        "{error}"
    );
    assert!(!error.contains("sigma"), "{error}");
    let error = diverged(new([1.0; 4], false, 3e38));
    assert!(
        error.starts_with("the weights layers.0.bias are not finite after the update"),
        "{error}"
    );
    let found = Divergence::Loss { sigma: None };
    assert_eq!(found.to_string(), "the training loss is not finite");
}

#[test]
fn plans_that_cannot_be_are_refused() {
    let group = || Group::new(score_network(1), GroupConfig::new(0.1)).unwrap();
    let data = points();
    let phase = |of: &str| {
        let examples = examples(&data, Preconditioning::Eps);
        Phase::new(of, 16, Denoising::score_matching("score", examples))
    };
    let refused = |names: &[&str], phase| {
        let groups = names.iter().map(|name| ((*name).to_owned(), group()));
        match Alternation::new(groups.collect(), vec![phase]) {
            Ok(_) => panic!("{names:?} was taken"),
            Err(error) => error.to_string(),
        }
    };
    assert!(refused(&["score", "score"], phase("score")).contains("two networks"));
    assert!(refused(&["a/b"], phase("a/b")).contains("slash"));
    assert!(refused(&["score"], phase("other")).starts_with("network = other"));
    assert!(refused(&["score"], phase("score").times(0)).starts_with("times = 0"));
    assert!(refused(&["score"], phase("score").accumulate(5)).starts_with("accumulate = 5"));
    assert!(refused(&["score"], phase("score").accumulate(0)).starts_with("accumulate = 0"));
    // An objective that asks for a network that is not there.
    let groups = vec![("other".to_owned(), group())];
    let mut training = Alternation::new(groups, vec![phase("other")]).unwrap();
    let error = training.update().unwrap_err().to_string();
    assert!(
        error.contains("score") && error.contains("there are other"),
        "{error}"
    );
    // A state of other networks.
    let mut training = Alternation::new(vec![("score".to_owned(), group())], vec![]).unwrap();
    let mut stored = adversarial(&data).checkpoint();
    stored.sections.remove("adam.first");
    let error = training.restore(stored).unwrap_err().to_string();
    assert!(error.contains("adam.first"), "{error}");
    let weighting = Weighting::Sigma;
    let power = f64::NAN;
    let form = Parameterisation::new(Preconditioning::Eps, 1.0);
    let error = ScoreMatching::new(&LossConfig { weighting, power }, form).unwrap_err();
    assert!(error.to_string().starts_with("power = NaN"), "{error}");
}
