//! The U-Net is diffusers' UNet2DModel: the same parameters, outputs and gradients. Adam is
//! torch.optim.Adam. The files in `golden/` come from `scripts/golden-unet.py`, which says which
//! versions of PyTorch and diffusers wrote them.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use tweedie::data::Shape;
use tweedie::engine::Engine;
use tweedie::nn::init::Init;
use tweedie::nn::models::Inputs;
use tweedie::nn::params::{ByName, assign, collect, gradients, to_vec};
use tweedie::nn::unet::{UNet2d, UNetConfig};
use tweedie::nn::{Network, NetworkConfig, NetworkDenoiser, Preconditioning};
use tweedie::noise::{Coordinates, Schedule, TimestepTable};
use tweedie::random::{NoiseSource, Stream};
use tweedie::score::Denoiser;
use tweedie::train::{Adam, AdamConfig, UpdateNumbers};

/// Of an output, relative to the largest.
const OUTPUT: f64 = 1e-5;
/// Of a gradient, relative to the parameter's largest.
const GRADIENT: f64 = 1e-4;
/// A gradient below this part of the network's largest counts as zero: that of `to_k.bias` is
/// zero, since the softmax does not see what is added to all its inputs.
const NEGLIGIBLE: f64 = 1e-4;

fn read(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::fs::read(folder.join(name)).unwrap()
}

fn floats(view: &TensorView) -> Vec<f32> {
    assert_eq!(view.dtype(), Dtype::F32);
    let words = view.data().chunks_exact(4);
    words
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn doubles(view: &TensorView) -> Vec<f64> {
    assert_eq!(view.dtype(), Dtype::F64);
    let words = view.data().chunks_exact(8);
    words
        .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn largest(values: &[f32]) -> f64 {
    values
        .iter()
        .fold(0.0, |max, &value| f64::max(max, value.abs().into()))
}

/// The largest difference.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    pairs.fold(0.0, |max, (&found, &expected)| {
        // `max` would pass over a NaN.
        assert!(found.is_finite());
        f64::max(max, (f64::from(found) - f64::from(expected)).abs())
    })
}

/// One file of the script: a network of diffusers and what it computed.
struct Golden {
    config: UNetConfig,
    shape: [usize; 3],
    /// Names to shapes and values.
    weights: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    gradients: BTreeMap<String, Vec<f32>>,
    x: Vec<f32>,
    time: Vec<f64>,
    y: Vec<f32>,
}

impl Golden {
    fn read(name: &str) -> Self {
        let bytes = read(name);
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let config = &header.metadata().as_ref().unwrap()["config"];
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let get = |name: &str| floats(&file.tensor(name).unwrap());
        let mut weights = BTreeMap::new();
        let mut gradients = BTreeMap::new();
        for (name, view) in file.iter() {
            if let Some(name) = name.strip_prefix("golden.grad.") {
                gradients.insert(name.to_owned(), floats(&view));
            } else if !name.starts_with("golden.") {
                weights.insert(name.to_owned(), (view.shape().to_vec(), floats(&view)));
            }
        }
        Self {
            config: serde_json::from_str(config).unwrap(),
            shape: file.tensor("golden.x").unwrap().shape()[1..]
                .try_into()
                .unwrap(),
            weights,
            gradients,
            x: get("golden.x"),
            time: get("golden.t").into_iter().map(f64::from).collect(),
            y: get("golden.y"),
        }
    }

    /// Our network with the file's weights.
    fn network(&self, device: &Device) -> UNet2d {
        let init = Init::new(1, device);
        let network = UNet2d::new(&self.config, &self.inputs(), &init).unwrap();
        let parameters = collect(&network);
        let ours: BTreeMap<_, _> = parameters.iter().map(|(n, p)| (n, &p.shape)).collect();
        let theirs: BTreeMap<_, _> = self.weights.iter().map(|(n, (s, _))| (n, s)).collect();
        assert_eq!(ours, theirs);
        assign(network, &self.values()).unwrap()
    }

    /// What it is built for.
    fn inputs(&self) -> Inputs {
        Inputs {
            shape: Shape::from_sides(&self.shape).unwrap(),
            conditional: true,
            timesteps: None,
            classes: None,
        }
    }

    /// The same with classes, whose embedding is the rows of `table`.
    fn with_classes(&self, table: &[Vec<f32>], device: &Device) -> UNet2d {
        let inputs = Inputs {
            classes: Some(table.len() - 1),
            ..self.inputs()
        };
        let network = UNet2d::new(&self.config, &inputs, &Init::new(1, device)).unwrap();
        let mut values = self.values();
        values.insert("class_embedding.weight".into(), table.concat());
        assign(network, &values).unwrap()
    }

    /// The same without classes, `row` being added to every noise embedding.
    fn with_shifted_embedding(&self, row: &[f32], device: &Device) -> UNet2d {
        let mut values = self.values();
        let bias = values.get_mut("time_embedding.linear_2.bias").unwrap();
        assert_eq!(bias.len(), row.len());
        bias.iter_mut().zip(row).for_each(|(b, row)| *b += row);
        assign(self.network(device), &values).unwrap()
    }

    /// Embeddings of three classes and of none.
    fn table(&self) -> Vec<Vec<f32>> {
        let width = 4 * self.config.block_out_channels[0];
        let source = NoiseSource::new(5, Stream::Evaluation);
        let row = |row| {
            let mut values = vec![0.0; width];
            source.fill_normal(row, 0, &mut values);
            values
        };
        (0..4).map(row).collect()
    }

    fn values(&self) -> ByName<Vec<f32>> {
        let weights = self.weights.iter();
        weights.map(|(n, (_, v))| (n.clone(), v.clone())).collect()
    }

    /// The images of the given numbers, and their times.
    fn input(&self, images: &[usize], device: &Device) -> (Tensor<4>, Vec<f64>) {
        let [c, h, w] = self.shape;
        let rows: Vec<_> = self.x.chunks_exact(c * h * w).collect();
        let x = images.iter().flat_map(|&i| rows[i]).copied().collect();
        let time = images.iter().map(|&i| self.time[i]).collect();
        let data = TensorData::new::<f32, _>(x, [images.len(), c, h, w]);
        (Tensor::from_data(data, device), time)
    }
}

/// A network of diffusers that predicts noise at timesteps of DDPM's table, as a denoiser: from
/// x = alpha x0 + sigma eps it must find x0 = (x - sigma eps)/alpha.
#[test]
fn a_network_trained_on_timesteps_is_a_denoiser() {
    let golden = Golden::read("unet_a.safetensors");
    let device = Engine::Flex.device().unwrap();
    let table = Schedule::Ddpm.table(1000).unwrap();
    let config = NetworkConfig {
        preconditioning: Preconditioning::Eps,
        timesteps: Some(TimestepTable {
            schedule: Schedule::Ddpm,
            count: 1000,
        }),
        unet: Some(golden.config.clone()),
        ..NetworkConfig::default()
    };
    let shape = Shape::from_sides(&golden.shape).unwrap();
    let network = Network::blank(&config, shape, &device).unwrap();
    let network = network.with_values(&golden.values()).unwrap();
    let denoiser = NetworkDenoiser::new(&network, config.parameterisation());
    let dim = denoiser.dim();
    // The other image's time is negative, which is no timestep.
    let timesteps = golden.time.iter().enumerate();
    let timesteps: Vec<_> = timesteps.filter(|(_, time)| **time >= 0.0).collect();
    assert!(!timesteps.is_empty());
    for (image, &time) in timesteps {
        let relative = table.relative(time);
        let level = Coordinates::Vp.level(relative);
        let place = image * dim..(image + 1) * dim;
        let (x, eps) = (&golden.x[place.clone()], &golden.y[place]);
        let scaled: Vec<f64> = x.iter().map(|&x| f64::from(x) / level.alpha).collect();
        let mut h = vec![0.0; dim];
        denoiser.denoise_at(&scaled, relative, &mut h).unwrap();
        let size = largest(eps) * level.relative();
        for ((h, &x), &eps) in h.iter().zip(x).zip(eps) {
            let x0 = (f64::from(x) - level.sigma * f64::from(eps)) / level.alpha;
            assert!((h - x0).abs() < 2.0 * OUTPUT * size, "{time}: {h} {x0}");
        }
    }
}

fn check_outputs_and_gradients(name: &str) {
    let golden = Golden::read(name);
    let plain = Engine::Flex.device().unwrap();
    let tracked = plain.clone().autodiff();
    for device in [&plain, &tracked] {
        let network = golden.network(device);
        let (x, time) = golden.input(&[0, 1], device);
        let y = network.forward_images(x, &time, None);
        let error = distance(&to_vec(y.clone()), &golden.y) / largest(&golden.y);
        println!("{name} {device:?}: output {error:.1e}");
        assert!(error < OUTPUT, "{error}");
        if !y.is_autodiff() {
            continue;
        }

        let mut found = y.powi_scalar(2).mean().backward();
        let found = gradients(&network, &mut found);
        let floor = NEGLIGIBLE
            * golden
                .gradients
                .values()
                .map(|g| largest(g))
                .fold(0.0, f64::max);
        let mut compared = 0;
        let mut worst = (0.0, "");
        for (name, found) in &found {
            let Some(expected) = golden.gradients.get(name) else {
                continue;
            };
            let error = distance(found, expected) / largest(expected).max(floor);
            assert!(error < GRADIENT, "{name}: {error}");
            compared += 1;
            if error > worst.0 {
                worst = (error, name);
            }
        }
        let (error, worst) = worst;
        println!("{name}: {compared} gradients, {error:.1e} at {worst}");
        assert_eq!(compared, golden.gradients.len());
    }
}

/// What a network makes of an image does not depend on the images beside it.
fn check_batch_invariance(name: &str) {
    let golden = Golden::read(name);
    let plain = Engine::Flex.device().unwrap();
    for device in [plain.clone(), plain.autodiff()] {
        let network = golden.network(&device);
        let run = |images: &[usize]| {
            let (x, time) = golden.input(images, &device);
            to_vec(network.forward_images(x, &time, None))
        };
        let alone = run(&[1]);
        assert_eq!(run(&[0, 1])[alone.len()..], alone);

        // To the last bit, wherever it stands.
        let images = [1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1];
        let batch = run(&images);
        for (place, found) in batch.chunks_exact(alone.len()).enumerate() {
            if images[place] == 1 {
                assert_eq!(found, alone, "place {place}");
            }
        }
    }
}

#[test]
fn unet_a_is_that_of_diffusers() {
    check_outputs_and_gradients("unet_a.safetensors");
}

#[test]
fn unet_b_is_that_of_diffusers() {
    check_outputs_and_gradients("unet_b.safetensors");
}

#[test]
fn unet_a_sees_each_image_alone() {
    check_batch_invariance("unet_a.safetensors");
}

#[test]
fn unet_b_sees_each_image_alone() {
    check_batch_invariance("unet_b.safetensors");
}

/// diffusers: `emb = time_embedding(t_emb)`, then `emb = emb + class_embedding(class_labels)`, so
/// an embedding is added to the last bias of the noise embedding.
fn check_classes(name: &str) {
    let golden = Golden::read(name);
    let plain = Engine::Flex.device().unwrap();
    let table = golden.table();
    let classes = [Some(1), None];
    let rows = [&table[1], &table[3]];

    // Rows of zeros change nothing.
    let zeros: Vec<_> = table.iter().map(|row| vec![0.0; row.len()]).collect();
    let (x, time) = golden.input(&[0, 1], &plain);
    let y = golden.with_classes(&zeros, &plain);
    let y = to_vec(y.forward_images(x.clone(), &time, Some(&classes)));
    let network = golden.network(&plain);
    assert_eq!(y, to_vec(network.forward_images(x.clone(), &time, None)));

    // Each image sees its own row; no classes are no class for every image.
    let network = golden.with_classes(&table, &plain);
    let y = to_vec(network.forward_images(x.clone(), &time, Some(&classes)));
    let none = network.forward_images(x.clone(), &time, Some(&[None, None]));
    let missing = to_vec(network.forward_images(x, &time, None));
    assert_eq!(to_vec(none), missing);
    let images = y.chunks_exact(y.len() / 2);
    for (image, (y, row)) in images.zip(rows).enumerate() {
        let (x, time) = golden.input(&[image], &plain);
        let shifted = golden.with_shifted_embedding(row, &plain);
        let expected = to_vec(shifted.forward_images(x.clone(), &time, None));
        let error = distance(y, &expected) / largest(&expected);
        println!("{name}, image {image}: {error:.1e}");
        assert!(error < OUTPUT, "{error}");
        // Beside others, to the last bit.
        let alone = network.forward_images(x, &time, Some(&classes[image..=image]));
        assert_eq!(y, to_vec(alone));
    }

    // So is the gradient: each row's is that of the bias, by the images of its class.
    let tracked = plain.autodiff();
    let gradient_of = |network: UNet2d, images: &[usize], classes: Option<&[Option<u32>]>| {
        let (x, time) = golden.input(images, &tracked);
        let y = network.forward_images(x, &time, classes);
        gradients(&network, &mut y.powi_scalar(2).sum().backward())
    };
    let network = golden.with_classes(&table, &tracked);
    let of_table = gradient_of(network, &[0, 1, 0], Some(&[Some(1), None, Some(1)]));
    let of_table = &of_table["class_embedding.weight"];
    let of_rows: Vec<_> = of_table.chunks_exact(table[0].len()).collect();
    for (class, images) in [(1, vec![0, 0]), (3, vec![1])] {
        let network = golden.with_shifted_embedding(&table[class], &tracked);
        let of_bias = gradient_of(network, &images, None);
        let of_bias = &of_bias["time_embedding.linear_2.bias"];
        let error = distance(of_rows[class], of_bias) / largest(of_bias);
        println!("{name}, class {class}: gradient {error:.1e}");
        assert!(error < GRADIENT, "{error}");
    }
    for unseen in [0, 2] {
        assert!(of_rows[unseen].iter().all(|&g| g == 0.0));
    }
}

#[test]
fn unet_a_takes_classes_as_diffusers_does() {
    check_classes("unet_a.safetensors");
}

#[test]
fn unet_b_takes_classes_as_diffusers_does() {
    check_classes("unet_b.safetensors");
}

#[test]
fn adam_is_that_of_pytorch() {
    let bytes = read("adam.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for case in 0..3 {
        let get = |name: &str| doubles(&file.tensor(&format!("{case}.{name}")).unwrap());
        let (betas, expected) = (get("betas"), get("weights"));
        let config = AdamConfig {
            beta1: betas[0],
            beta2: betas[1],
            epsilon: 1e-8,
        };
        let named = |value: f32| ByName::from([("w".to_owned(), vec![value])]);
        let mut weights = named(expected[0] as f32);
        let mut adam = Adam::new(config, &weights, false);
        let mut worst = 0.0_f64;
        for (step, &expected) in expected[1..].iter().enumerate() {
            // Of f(w) = w^2.
            let gradients = named(2.0 * weights["w"][0]);
            let numbers = UpdateNumbers {
                step: step as u64,
                rate: 0.1,
                gradient_scale: 1.0,
                decay: 0.0,
            };
            assert_eq!(adam.update(&mut weights, &gradients, &numbers), None);
            // Relative to the start: the trajectory crosses zero.
            let error = (f64::from(weights["w"][0]) - expected).abs();
            assert!(error < 1e-6, "{betas:?}, step {step}: {error}");
            worst = worst.max(error);
        }
        println!("{betas:?}: {worst:.1e} in {} steps", expected.len() - 1);
    }
}
