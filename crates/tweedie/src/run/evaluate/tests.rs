//! Known answers, and sets that do not go together.

use super::*;
use crate::data::ValueMap;
use crate::random::{NoiseSource, Stream};

/// `n` points of N(`mean`, I) in `dim` dimensions.
fn normals(n: usize, dim: usize, mean: f32, seed: u64) -> Dataset {
    let mut z = vec![0.0; n * dim];
    let source = NoiseSource::new(seed, Stream::Data);
    for (i, row) in z.chunks_exact_mut(dim).enumerate() {
        source.fill_normal(i as u64, 0, row);
    }
    let values = z.into_iter().map(|z: f64| z as f32 + mean).collect();
    let name = format!("normals {seed}");
    Dataset::from_f32(name, Shape::Vector { dim }, values, ValueMap::identity()).unwrap()
}

fn job(spaces: &[Space]) -> EvaluateJob {
    EvaluateJob {
        spaces: spaces.to_vec(),
        seed: 0,
        conventions: vec![],
        page: None,
    }
}

fn sets<'a>(samples: &'a Dataset, reference: &'a Dataset) -> Sets<'a> {
    Sets {
        samples,
        reference,
        held_out: None,
        versus: None,
    }
}

/// The mean moved by 1 in each of three coordinates: 3, whatever the features' rotation.
#[test]
fn a_shift_is_its_squared_length_in_every_space() {
    let (x, y) = (normals(1500, 3, 1.0, 0), normals(1500, 3, 0.0, 1));
    let spaces = [Space::Pixels, Space::Principal(3, Box::new(Space::Pixels))];
    let found = evaluate(sets(&x, &y), &job(&spaces), &mut Monitor::silent()).unwrap();
    for space in &found.spaces {
        let Estimate {
            value,
            standard_error,
        } = space.frechet.corrected;
        assert!((value - 3.0).abs() < 4.0 * standard_error, "{value}");
        assert!(standard_error < 0.3);
        assert_eq!(space.dim, 3);
    }
    // All components are a rotation.
    let [pixels, principal] = &found.spaces[..] else {
        panic!("two spaces");
    };
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6 * b.abs(), "{a} {b}");
    close(principal.frechet.plain.value, pixels.frechet.plain.value);
    close(principal.kernel_rbf.value, pixels.kernel_rbf.value);
    let vectors = pixels.vectors.as_ref().unwrap();
    assert!(vectors.two_sample.p_value < 0.01 && principal.vectors.is_none());
    assert_eq!((found.samples.count, found.reference.count), (1500, 1500));
}

#[test]
fn equal_distributions_and_copies_are_told() {
    let (x, y) = (normals(400, 2, 0.0, 2), normals(400, 2, 0.0, 3));
    let held_out = normals(400, 2, 0.0, 4);
    let mut all = sets(&x, &y);
    (all.held_out, all.versus) = (Some(&held_out), Some(&y));
    let spaces = [Space::Pixels];
    let found = evaluate(all, &job(&spaces), &mut Monitor::silent()).unwrap();
    let space = &found.spaces[0];
    let rbf = space.kernel_rbf;
    assert!(rbf.value.abs() < 4.0 * rbf.standard_error);
    assert!(space.memorisation.unwrap().p_value > 0.001);
    // The reference itself is nearer to the reference.
    let versus = space.versus.as_ref().unwrap();
    assert!(versus.frechet.difference.value > 0.0);
    // Copies of the reference: all at ratio 0, and nearer than held-out items.
    let mut copies = sets(&y, &y);
    copies.held_out = Some(&held_out);
    let found = evaluate(copies, &job(&spaces), &mut Monitor::silent()).unwrap();
    let space = &found.spaces[0];
    assert_eq!(space.nearest_ratio.median, 0.0);
    assert!(space.memorisation.unwrap().p_value < 1e-6);
    assert!(space.frechet.plain.value.abs() < 1e-9);
}

#[test]
fn sets_that_do_not_go_together_are_refused() {
    let (plane, space) = (normals(20, 2, 0.0, 0), normals(20, 3, 0.0, 0));
    let fewer = normals(19, 2, 0.0, 0);
    let refusal = |sets: Sets<'_>, spaces: &[Space]| {
        let found = evaluate(sets, &job(spaces), &mut Monitor::silent());
        found.unwrap_err().to_string()
    };
    let pixels = [Space::Pixels];
    let message = refusal(sets(&plane, &space), &pixels);
    assert!(
        message.contains("normals 0") && message.contains("[3]"),
        "{message}"
    );
    let mut versus = sets(&plane, &plane);
    versus.versus = Some(&fewer);
    assert!(refusal(versus, &pixels).contains("seed by seed"));
    assert!(refusal(sets(&plane, &plane), &[]).starts_with("features"));
    let message = refusal(
        sets(&plane, &plane),
        &[Space::Principal(3, Box::new(Space::Pixels))],
    );
    assert!(
        message.starts_with("pca = 3: an item has 2 values"),
        "{message}"
    );
    let one = normals(1, 2, 0.0, 0);
    assert!(refusal(sets(&one, &plane), &pixels).contains("at least four"));
}

#[test]
fn spaces_are_read_by_name() {
    for text in ["pixels", "pca:32", "pca:32,classifier:runs/c"] {
        assert_eq!(text.parse::<Space>().unwrap().to_string(), text);
    }
    for wrong in [
        "",
        "pca",
        "pca:0",
        "pca:x",
        "pca:3,pca:2",
        "pca:3,",
        "inception",
    ] {
        assert!(wrong.parse::<Space>().is_err(), "{wrong}");
    }
}
