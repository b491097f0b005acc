//! Networks conditioned on classes, from a configuration to a trained network.

use std::path::Path;

use tweedie::data::{Dataset, Shape, mixture, open};
use tweedie::engine::Engine;
use tweedie::job::Monitor;
use tweedie::nn::{
    Conditioning, Network, NetworkConfig, Parameterisation, Preconditioning, params,
};
use tweedie::noise::TrainingNoise;
use tweedie::random::{NoiseSource, Stream};
use tweedie::run::{Config, Plan, Session};
use tweedie::train::{
    LearningRateSchedule, LossConfig, ScoreMatching, TrainConfig, Trainer, Weighting,
};

/// A U-Net of 20 000 parameters.
const UNET: &str = "[unet]
block_out_channels = [8, 16]
layers_per_block = 1
norm_num_groups = 4
attention_head_dim = 0
";

const RESIDUAL_MLP: &str = "[residual_mlp]
width = 64
";

fn network(text: &str, classes: Option<usize>, shape: Shape) -> Network {
    let config = NetworkConfig {
        classes,
        ..toml::from_str(text).unwrap()
    };
    let device = Engine::Flex.device().unwrap().autodiff();
    Network::new(&config, shape, 3, &device).unwrap()
}

/// Numbers N(0, 1).
fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut values = vec![0.0; n];
    NoiseSource::new(seed, Stream::Evaluation).fill_normal(0, 0, &mut values);
    values
}

/// F of each row, under noise of 0.7.
fn raw(network: &Network, x: &[f32], classes: Option<&[Option<u32>]>) -> Vec<f32> {
    let x = network.input(x.to_vec()).unwrap();
    let sigmas = vec![0.7; x.dims()[0]];
    let conditioning = Conditioning {
        sigmas: Some(&sigmas),
        classes,
    };
    params::to_vec(network.forward(x, &conditioning).unwrap())
}

/// What holds of every network that takes classes. Many parameters are zero at first, so they are
/// replaced.
fn check_conditioning(text: &str, shape: Shape) {
    for text in [text, &format!("conditional = false\n{text}")] {
        let plain = network(text, None, shape);
        let classed = network(text, Some(3), shape);
        assert_eq!((plain.classes(), classed.classes()), (None, Some(3)));

        // Initial values are keyed by path: those of the other parameters are the same.
        if !text.starts_with("conditional") {
            let mut parameters = classed.parameters();
            let table = parameters.remove("class_embedding.weight").unwrap();
            assert_eq!(table.shape[0], 4);
            assert_eq!(parameters, plain.parameters());
        }

        let shapes = classed.shapes().into_iter().enumerate();
        let values = shapes.map(|(place, (name, shape))| {
            let mut values = noise(shape.iter().product(), place as u64);
            values.iter_mut().for_each(|v| *v *= 0.3);
            (name, values)
        });
        let classed = classed.with_values(&values.collect()).unwrap();
        let dim = shape.values();
        let x = noise(dim, 100).repeat(5);
        let classes = [Some(2), None, Some(0), Some(2), Some(1)];
        let y = raw(&classed, &x, Some(&classes));
        let rows: Vec<_> = y.chunks_exact(dim).collect();
        // The same x: rows differ by their class and by nothing else.
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows.iter().enumerate() {
                assert_eq!(classes[i] == classes[j], a == b, "{i} {j}");
            }
            let alone = raw(&classed, &x[..dim], Some(&classes[i..=i]));
            assert_eq!(*a, alone);
        }
        assert_eq!(raw(&classed, &x[..dim], None), rows[1]);

        let x = classed.input(x).unwrap();
        let conditioning = Conditioning {
            sigmas: Some(&[0.7; 5]),
            classes: Some(&[Some(3); 5]),
        };
        let error = classed.forward(x, &conditioning).unwrap_err().to_string();
        assert!(error.contains("classes are 0 to 2"), "{error}");
    }
}

#[test]
fn each_image_of_a_unet_sees_its_own_class() {
    check_conditioning(UNET, Shape::from_sides(&[1, 8, 8]).unwrap());
}

#[test]
fn each_point_of_a_residual_mlp_sees_its_own_class() {
    check_conditioning(RESIDUAL_MLP, Shape::Vector { dim: 2 });
}

/// The mean of H over rows x + sigma z for `class`, by the equation H = c_skip x + c_out F.
fn denoised(
    network: &Network,
    form: Parameterisation,
    noisy: &[f64],
    sigma: f64,
    class: Option<u32>,
) -> Vec<f64> {
    let c = form.coefficients(sigma);
    let network = network.without_gradients();
    let x = noisy.iter().map(|x| (c.c_in * x) as f32).collect();
    let x = network.input(x).unwrap();
    let rows = x.dims()[0];
    let conditioning = Conditioning {
        sigmas: Some(&vec![sigma; rows]),
        classes: Some(&vec![class; rows]),
    };
    let raw = params::to_vec(network.forward(x, &conditioning).unwrap());
    let pairs = noisy.iter().zip(raw);
    let each: Vec<f64> = pairs
        .map(|(x, f)| c.c_skip * x + c.c_out * f64::from(f))
        .collect();
    let dim = each.len() / rows;
    let column = |k: usize| each.iter().skip(k).step_by(dim).sum::<f64>() / rows as f64;
    (0..dim).map(column).collect()
}

/// EDM's form and loss, which are scaled for data of this standard deviation.
fn trained(network: Network, data: &Dataset, config: &TrainConfig) -> (Network, Parameterisation) {
    let form = Parameterisation::new(Preconditioning::Edm, data.mean_std().1);
    let loss = LossConfig {
        weighting: Weighting::Edm,
        ..LossConfig::default()
    };
    let objective = ScoreMatching::new(&loss, form).unwrap();
    let noise = TrainingNoise::LogUniform {
        sigma_min: 0.05,
        sigma_max: 20.0,
    };
    let mut trainer = Trainer::new(config, data, noise, objective, network, 1).unwrap();
    for _ in 0..config.steps {
        trainer.update().unwrap();
    }
    (trainer.average().unwrap(), form)
}

/// The mean of the items of a class, or of all.
fn mean(data: &Dataset, class: Option<u32>) -> Vec<f64> {
    let labels = data.labels().unwrap().values();
    let (mut sum, mut count) = (vec![0.0; data.dim()], 0.0);
    let mut item = vec![0.0; data.dim()];
    for (place, &label) in labels.iter().enumerate() {
        if class.is_none_or(|class| class == label) {
            data.read(place, &mut item);
            sum.iter_mut()
                .zip(&item)
                .for_each(|(s, &x)| *s += f64::from(x));
            count += 1.0;
        }
    }
    sum.iter().map(|s| s / count).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

#[test]
fn a_unet_learns_the_mean_of_each_class() {
    let config = Config::parse("data = { source = \"digits\", labels = true }", &[]).unwrap();
    let data = open(&config.data).unwrap();
    let config = TrainConfig {
        steps: 500,
        batch: 64,
        lr: 3e-3,
        schedule: LearningRateSchedule::Cosine,
        ema: 0.95,
        ..TrainConfig::default()
    };
    let (network, form) = trained(network(UNET, Some(10), data.shape()), &data, &config);
    // So much noise that x says little: H is the mean of the class, or of all digits.
    const SIGMA: f64 = 15.0;
    let all = mean(&data, None);
    let z = noise(16 * data.dim(), 7).into_iter().map(f64::from);
    let z: Vec<f64> = z.collect();
    for class in 0..10 {
        let of_class = mean(&data, Some(class));
        let noisy: Vec<f64> = z
            .chunks_exact(data.dim())
            .flat_map(|z| of_class.iter().zip(z).map(|(x, z)| x + SIGMA * z))
            .collect();
        let with = denoised(&network, form, &noisy, SIGMA, Some(class));
        let without = denoised(&network, form, &noisy, SIGMA, None);
        let to = |h: &[f64]| distance(h, &of_class);
        println!(
            "class {class}: {:.3} with, {:.3} without, {:.3} from the mean of all",
            to(&with),
            to(&without),
            to(&all)
        );
        assert!(to(&with) < 0.7 * to(&without), "{class}");
    }
}

/// A run on labelled points, by its configuration.
fn check_run(table: &str, data: &str, classes: usize) {
    let config = format!(
        "data = {data}
         train = {{ steps = 10, batch = 16, lr = 1e-2, checkpoint_every = 5, samples_every = 0 }}
         [network]
         classes = {classes}
         {table}"
    );
    let config = || Config::parse(&config, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let train = |mut session: Session| {
        let trained = session.train(None, &mut Monitor::silent(), &mut |_| {});
        trained.unwrap();
        session.run_dir().checkpoints().load(10).unwrap()
    };
    let whole = train(Session::start(config(), &run).unwrap());
    let table = &whole.sections["model"]["class_embedding.weight"];
    assert_eq!(table.shape[0], classes + 1);
    let resumed = train(Session::resume(config(), &run, Some(5)).unwrap());
    assert_eq!(whole, resumed);

    // Other labels than the network has, or none, are refused before a folder is made.
    let refused = |change: &str| {
        let mut config = config();
        match change {
            "classes" => config.network.classes = Some(4),
            _ => config.data.labels = Default::default(),
        }
        let folder = folder.path().join(change);
        let error = Session::start(config, &folder).err().expect("was taken");
        assert!(!folder.exists());
        error.to_string()
    };
    let error = refused("classes");
    assert!(error.starts_with("network.classes = 4: "), "{error}");
    let reason = format!("labels up to {}; give {classes} or more", classes - 1);
    assert!(error.contains(&reason), "{error}");
    let error = refused("labels");
    assert!(error.contains("no labels to train with"), "{error}");
}

#[test]
fn a_unet_with_classes_is_stored_and_goes_on_bit_for_bit() {
    check_run(
        &UNET.replace("[unet]", "[network.unet]"),
        "{ source = \"digits\", labels = true, limit = 200 }",
        10,
    );
}

#[test]
fn a_residual_mlp_with_classes_is_stored_and_goes_on_bit_for_bit() {
    check_run(
        "[network.residual_mlp]",
        "{ source = \"gaussians-25\", labels = true, count = 200 }",
        25,
    );
}

/// H of a mixture of Gaussians in closed form: under component k it is the Gaussian's posterior
/// mean, and without classes the mean of those, weighted by how likely the components are.
#[test]
fn a_residual_mlp_learns_h_of_each_class_and_of_all() {
    let config = "data = { source = \"gaussians-25\", labels = true }";
    let data = open(&Config::parse(config, &[]).unwrap().data).unwrap();
    let known = mixture("gaussians-25").unwrap();
    let config = TrainConfig {
        steps: 1000,
        batch: 256,
        lr: 5e-3,
        schedule: LearningRateSchedule::Cosine,
        ema: 0.98,
        label_dropout: 0.25,
        ..TrainConfig::default()
    };
    let network = network(RESIDUAL_MLP, Some(25), data.shape());
    let (network, form) = trained(network, &data, &config);

    let of_component = |x: &[f64], sigma: f64, k: usize| {
        let (mean, variance) = (&known.means[k], known.std.powi(2));
        let total = variance + sigma.powi(2);
        let pairs = x.iter().zip(mean);
        let h: Vec<f64> = pairs.map(|(x, m)| m + variance / total * (x - m)).collect();
        let likelihood = (-0.5 * distance(x, mean).powi(2) / total).exp();
        (h, known.weights[k] * likelihood)
    };
    let of_all = |x: &[f64], sigma: f64| {
        let each: Vec<_> = (0..25).map(|k| of_component(x, sigma, k)).collect();
        let total: f64 = each.iter().map(|(_, weight)| weight).sum();
        let mean = |axis: usize| each.iter().map(|(h, weight)| weight * h[axis]).sum::<f64>();
        [0, 1].map(|axis| mean(axis) / total)
    };
    const POINTS: usize = 100;
    let labels = data.labels().unwrap().values();
    let z = noise(2 * POINTS, 8);
    // Below, the components do not overlap.
    for sigma in [0.5, 2.0, 10.0] {
        let mut errors = [0.0; 3];
        for (place, z) in z.chunks_exact(2).enumerate() {
            let mut x = [0.0; 2];
            data.read(place, &mut x);
            let noisy = [0, 1].map(|k| f64::from(x[k]) + sigma * f64::from(z[k]));
            let class = labels[place];
            let with = denoised(&network, form, &noisy, sigma, Some(class));
            let without = denoised(&network, form, &noisy, sigma, None);
            let (of_class, _) = of_component(&noisy, sigma, class as usize);
            let of_all = of_all(&noisy, sigma);
            errors[0] += distance(&with, &of_class).powi(2);
            errors[1] += distance(&without, &of_all).powi(2);
            errors[2] += distance(&of_all, &of_class).powi(2);
        }
        let [with, without, between] = errors.map(|sum| (sum / POINTS as f64).sqrt());
        println!("sigma {sigma}: {with:.3} with, {without:.3} without, {between:.3} between");
        assert!(with < 0.2 * between && without < 0.3 * between);
    }
}

#[test]
fn the_examples_with_classes_train() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for (name, classes) in [("digits-classes.toml", 10), ("gaussians-classes.toml", 25)] {
        let config = Config::load(&examples.join(name), &[]).unwrap();
        assert_eq!(config.network.classes, Some(classes));
        let plan = Plan::measure(config, 1).unwrap();
        println!(
            "{name}: {} parameters, {:?} a step",
            plan.parameters, plan.seconds_per_step
        );
    }
}
