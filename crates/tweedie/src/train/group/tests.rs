use super::*;
use crate::data::Shape;
use crate::engine::Engine;
use crate::nn::unet::UNetConfig;
use crate::nn::{Conditioning, MlpConfig, NetworkConfig};
use crate::train::gradient::{Clip, Hook, Turn};

const TURN: Turn<'_> = Turn {
    network: "score",
    update: 0,
};

fn networks() -> [Network; 2] {
    let device = Engine::Flex.device().unwrap().autodiff();
    let mlp = NetworkConfig {
        mlp: Some(MlpConfig::default()),
        ..NetworkConfig::default()
    };
    let unet = NetworkConfig {
        unet: Some(UNetConfig {
            block_out_channels: vec![8, 16],
            layers_per_block: 1,
            norm_num_groups: 4,
            attention_head_dim: 0,
            ..UNetConfig::default()
        }),
        ..NetworkConfig::default()
    };
    [
        Network::new(&mlp, Shape::Vector { dim: 2 }, 0, &device).unwrap(),
        Network::new(&unet, Shape::from_sides(&[1, 8, 8]).unwrap(), 0, &device).unwrap(),
    ]
}

/// The gradient of the mean of (output - 1)^2 for a batch that depends on `step`: an output
/// convolution starts at zero.
fn gradient(group: &Group, step: u64) -> NetworkGradient {
    let network = group.network();
    let values = (0..4 * network.inputs()).map(|i| (i as f32 + step as f32).sin());
    let x = network.input(values.collect()).unwrap();
    let conditioning = Conditioning::on_sigmas(&[0.1, 0.5, 1.0, 2.0]);
    let out = network.forward(x, &conditioning).unwrap();
    let loss = (out - 1.0).square().mean();
    group.gradient(&mut loss.backward())
}

fn config() -> GroupConfig {
    GroupConfig {
        clip: Some(0.01),
        ema: Some(0.9),
        ..GroupConfig::new(0.01)
    }
}

/// Where each parameter lies.
fn places(group: &mut Group) -> Vec<*const f32> {
    let device = group.network.device().clone();
    let places = group.network.update(|weights| {
        let values = on_host(std::mem::take(weights));
        let places = values.values().map(|v| v.as_ptr()).collect();
        let tensors = values.into_iter();
        *weights = tensors.map(|(n, v)| (n, v.into_tensor(&device))).collect();
        places
    });
    places.unwrap()
}

#[test]
fn weights_are_updated_where_they_are() {
    for network in networks() {
        let mut group = Group::new(network, config()).unwrap();
        let before = places(&mut group);
        for step in 0..3 {
            let gradient = gradient(&group, step);
            assert_eq!(group.update(gradient, step).unwrap(), None);
        }
        assert_eq!(places(&mut group), before);
    }
}

#[test]
fn a_network_that_shares_the_weights_keeps_its_own() {
    let [network, _] = networks();
    let before = network.parameters();
    let mut group = Group::new(network.clone(), config()).unwrap();
    let gradient = gradient(&group, 0);
    assert_eq!(group.update(gradient, 0).unwrap(), None);
    assert_eq!(network.parameters(), before);
    assert_ne!(group.network().parameters(), before);
}

#[test]
fn on_a_device_training_is_the_hosts_to_rounding() {
    for network in networks() {
        let mut host = Group::placed(network.clone(), config(), true).unwrap();
        let mut device = Group::placed(network, config(), false).unwrap();
        for step in 0..20 {
            // The same gradients for both, so that rounding does not grow from step to step.
            let Parts::Host(given) = gradient(&host, step).parts else {
                panic!("the host's gradient is on the host");
            };
            let device_of = |values: Values| values.into_tensor(host.network.device());
            let tensors = given.clone().into_iter();
            let tensors = tensors.map(|(name, values)| (name, device_of(values)));
            let parts = [Parts::Host(given), Parts::Device(tensors.collect())];
            let [norm, other] = [(&mut host, 0), (&mut device, 1)].map(|(group, at)| {
                let mut whole = NetworkGradient::new(parts[at].clone());
                whole.add(NetworkGradient::new(parts[at].clone()));
                let norm = whole.norm();
                Clip(0.01).complete(TURN, &mut whole).unwrap();
                assert!(whole.norm() < 0.01 * (1.0 + 1e-12));
                assert_eq!(group.update(whole, step).unwrap(), None);
                norm
            });
            assert!((norm / other - 1.0).abs() < 1e-6, "{norm} {other}");
        }
        let (host, device) = (host.sections(), device.sections());
        assert!(host.keys().eq(device.keys()));
        for (name, section) in &host {
            for (parameter, array) in section {
                let other = &device[name][parameter];
                assert_eq!(array.shape, other.shape);
                for (a, b) in array.values.iter().zip(&other.values) {
                    // Roundings of weights up to 1 and of steps of 0.01.
                    assert!((a - b).abs() < 2e-6, "{name} {parameter}: {a} {b}");
                }
            }
        }
    }
}

#[test]
fn a_device_group_goes_on_from_its_sections_bit_for_bit() {
    let [network, _] = networks();
    for host in [true, false] {
        let new = || Group::placed(network.clone(), config(), host).unwrap();
        let (mut whole, mut resumed) = (new(), new());
        for step in 0..6 {
            if step == 3 {
                resumed.restore(whole.sections()).unwrap();
            }
            for group in [&mut whole, &mut resumed] {
                let gradient = gradient(group, step);
                assert_eq!(group.update(gradient, step).unwrap(), None);
            }
        }
        assert_eq!(whole.sections(), resumed.sections());
        let average = whole.average().unwrap().parameters();
        assert_eq!(average, whole.sections()["ema"]);
        let mut other = whole.sections();
        other.remove("ema");
        assert!(whole.restore(other).is_err());
    }
}

#[test]
fn hooks_see_and_change_values_on_either_side() {
    let [network, _] = networks();
    for host in [true, false] {
        let group = Group::placed(network.clone(), config(), host).unwrap();
        let mut gradient = gradient(&group, 0);
        let norm = gradient.norm();
        gradient.scale(0.5);
        assert!((gradient.norm() / norm - 0.5).abs() < 1e-12);
        let mut names = Vec::new();
        gradient
            .each(&mut |name, values| {
                names.push(name.to_owned());
                values.iter_mut().for_each(|value| *value *= 6.0);
                Ok(())
            })
            .unwrap();
        assert!(names.iter().eq(network.shapes().keys()));
        assert!((gradient.norm() / norm - 3.0).abs() < 1e-6);
        let mut last = String::new();
        gradient
            .each(&mut |name, values| {
                values[0] = f32::NAN;
                last = name.to_owned();
                let refuse = || Error::setting("machine", 1, "does not answer");
                (name != "layers.0.weight").then_some(()).ok_or_else(refuse)
            })
            .unwrap_err();
        assert_eq!(last, "layers.0.weight");
        assert!(gradient.norm().is_nan());
        assert_eq!(gradient.not_finite().unwrap(), "layers.0.bias");
    }
}

#[test]
fn settings_out_of_range_and_devices_without_gradients_are_refused() {
    let [network, _] = networks();
    for (name, wrong) in [
        ("lr", GroupConfig::new(-1.0)),
        (
            "clip",
            GroupConfig {
                clip: Some(0.0),
                ..config()
            },
        ),
        (
            "ema",
            GroupConfig {
                ema: Some(1.0),
                ..config()
            },
        ),
    ] {
        let error = Group::new(network.clone(), wrong).unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
    let error = Group::new(network.without_gradients(), config()).unwrap_err();
    assert!(error.to_string().contains("gradients"), "{error}");
}
