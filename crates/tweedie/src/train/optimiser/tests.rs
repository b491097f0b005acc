use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::nn::{ByName, Values};
use crate::train::ema_decay;
use crate::train::sums::CHUNK;

fn named(arrays: Vec<Vec<f32>>) -> ByName<Vec<f32>> {
    let names = (0..).map(|i| format!("parameter.{i:02}"));
    names.zip(arrays).collect()
}

fn numbers(step: u64, rate: f64, decay: f64) -> UpdateNumbers {
    UpdateNumbers {
        step,
        rate,
        gradient_scale: 1.0,
        decay,
    }
}

/// On f(w) = w^2 from w = 1 with rate 0.1; expected values from the equations in f64.
#[test]
fn follows_its_equations_also_with_a_negative_beta1() {
    let cases: [(f64, f64, [f64; 3]); 2] = [
        (
            0.9,
            0.999,
            [
                0.900_000_000_5,
                0.800_412_228_691_792_7,
                0.701_586_272_946_030_2,
            ],
        ),
        (
            -0.5,
            0.9,
            [
                0.900_000_000_5,
                0.815_672_596_590_069_7,
                0.724_652_832_252_157_8,
            ],
        ),
    ];
    for (beta1, beta2, expected) in cases {
        let config = AdamConfig {
            beta1,
            beta2,
            epsilon: 1e-8,
        };
        for average in [true, false] {
            let mut weights = named(vec![vec![1.0]]);
            let mut adam = Adam::new(config, &weights, average);
            for (step, expected) in (0..).zip(expected) {
                let gradients = named(vec![vec![2.0 * weights["parameter.00"][0]]]);
                let numbers = numbers(step, 0.1, 0.0);
                assert_eq!(adam.update(&mut weights, &gradients, &numbers), None);
                let found = f64::from(weights["parameter.00"][0]);
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{beta1} {step}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn the_average_follows_its_recursion() {
    let mut weights = named(vec![vec![1.0; 3]]);
    let mut adam = Adam::new(AdamConfig::default(), &weights, true);
    let mut average = 1.0_f64;
    for step in 0..20 {
        let gradients = named(vec![vec![1.0; 3]]);
        let decay = ema_decay(0.9, step);
        let numbers = numbers(step, 0.01, decay);
        assert_eq!(adam.update(&mut weights, &gradients, &numbers), None);
        average += (1.0 - decay) * (f64::from(weights["parameter.00"][0]) - average);
        let found = adam.ema.as_ref().unwrap()["parameter.00"][2];
        assert!((f64::from(found) - average).abs() < 1e-6);
    }
}

/// More than a chunk, so that the work is shared.
const SIZES: [usize; 6] = [3, 2 * CHUNK + 5, 1, 1000, 7, 40];

fn start() -> ByName<Vec<f32>> {
    named(SIZES.iter().map(|&n| vec![0.1; n]).collect())
}

fn gradients(step: u64) -> ByName<Vec<f32>> {
    let value = |i: usize| (i as f32 * 0.7 + step as f32).sin();
    named(SIZES.iter().map(|&n| (0..n).map(value).collect()).collect())
}

#[test]
fn weights_that_are_not_finite_are_named_and_threads_change_nothing() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let mut weights = start();
            let mut adam = Adam::new(AdamConfig::default(), &weights, true);
            let mut numbers = numbers(0, 0.01, 0.9);
            numbers.gradient_scale = 0.3;
            assert_eq!(adam.update(&mut weights, &gradients(0), &numbers), None);
            (weights, adam)
        })
    };
    assert_eq!(run(1), run(3));
    for value in [f32::NAN, f32::INFINITY] {
        let mut gradients = gradients(0);
        gradients.get_mut("parameter.01").unwrap()[CHUNK + 1] = value;
        gradients.get_mut("parameter.04").unwrap()[0] = value;
        let wrong = Some("parameter.01".to_owned());
        for average in [true, false] {
            let mut weights = start();
            let mut adam = Adam::new(AdamConfig::default(), &weights, average);
            let found = adam.update(&mut weights, &gradients, &numbers(0, 0.01, 0.9));
            assert_eq!(found, wrong);
        }
        let mut weights = on_device(&start());
        let mut adam = DeviceAdam::new(AdamConfig::default(), &weights, true);
        let gradients = on_device(&gradients);
        let found = adam.update(&mut weights, &gradients, &numbers(0, 0.01, 0.9));
        assert_eq!(found, wrong);
    }
}

fn on_device(arrays: &ByName<Vec<f32>>) -> ByName<Tensor<1>> {
    let tensor = |values: &Vec<f32>| {
        let data = TensorData::new(values.clone(), [values.len()]);
        Tensor::from_data(data, &Device::flex())
    };
    let tensors = arrays.iter().map(|(name, v)| (name.clone(), tensor(v)));
    tensors.collect()
}

#[track_caller]
fn assert_close(host: &ByName<Vec<f32>>, device: &ByName<Tensor<1>>) {
    assert!(host.keys().eq(device.keys()));
    for (name, host) in host {
        let device = Values::of(device[name].clone());
        assert_eq!(host.len(), device.len());
        for (h, d) in host.iter().zip(&*device) {
            // Some roundings of values up to 1.
            assert!((h - d).abs() < 2e-6 * h.abs().max(1.0), "{name}: {h} {d}");
        }
    }
}

#[test]
fn on_a_device_it_is_the_hosts_to_rounding() {
    for (beta1, beta2) in [(0.9, 0.999), (0.0, 0.9), (-0.5, 0.9)] {
        let config = AdamConfig {
            beta1,
            beta2,
            epsilon: 1e-8,
        };
        for average in [true, false] {
            let mut weights = start();
            let mut adam = Adam::new(config, &weights, average);
            let mut tensors = on_device(&weights);
            let mut device = DeviceAdam::new(config, &tensors, average);
            for step in 0..20 {
                let gradients = gradients(step);
                let numbers = UpdateNumbers {
                    step,
                    rate: 0.02,
                    gradient_scale: 0.3,
                    decay: ema_decay(0.9, step),
                };
                assert_eq!(adam.update(&mut weights, &gradients, &numbers), None);
                let gradients = on_device(&gradients);
                assert_eq!(device.update(&mut tensors, &gradients, &numbers), None);
            }
            assert_close(&weights, &tensors);
            assert_close(&adam.first, &device.first);
            assert_close(&adam.second, &device.second);
            match (&adam.ema, &device.ema) {
                (Some(host), Some(device)) => assert_close(host, device),
                (None, None) => assert!(!average),
                _ => panic!("one keeps an average, the other none"),
            }
        }
    }
}

#[test]
fn constants_out_of_range_are_refused() {
    for (beta1, beta2) in [(1.0, 0.9), (-1.0, 0.9), (0.0, 1.0), (f64::NAN, 0.9)] {
        let config = AdamConfig {
            beta1,
            beta2,
            epsilon: 1e-8,
        };
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with("betas["), "{error}");
    }
}
