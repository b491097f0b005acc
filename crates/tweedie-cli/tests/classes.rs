//! Samples of a class, through the program: labelled data, a network conditioned on classes,
//! guidance.

mod common;

use std::fs;
use std::path::Path;

use common::{fail, succeed, text, tiny};
use tweedie::data::{self, DataSpec, LabelSource};

/// The points of a file or a built-in set in its own units, `[n, 2]`, and their labels, if it has
/// any.
fn points(source: &str, labels: bool) -> (Vec<[f64; 2]>, Vec<u32>) {
    let spec = DataSpec {
        labels: match labels {
            true => LabelSource::Auto,
            false => LabelSource::None,
        },
        ..DataSpec::new(source)
    };
    let data = data::open(&spec).unwrap();
    let rows: Vec<usize> = (0..data.len()).collect();
    let values = data.gather(&rows);
    let raw = |v: f32| data.map().to_raw(f64::from(v));
    let points = values.chunks_exact(2).map(|p| [raw(p[0]), raw(p[1])]);
    let labels = data.labels().map(|labels| labels.values().to_vec());
    (points.collect(), labels.unwrap_or_default())
}

/// The class of the nearest centre, for each point.
fn nearest(centres: &[[f64; 2]], points: &[[f64; 2]]) -> Vec<usize> {
    let of = |p: &[f64; 2]| {
        let distance = |c: &[f64; 2]| (c[0] - p[0]).powi(2) + (c[1] - p[1]).powi(2);
        let order =
            |a: &usize, b: &usize| distance(&centres[*a]).total_cmp(&distance(&centres[*b]));
        (0..centres.len()).min_by(order).unwrap()
    };
    points.iter().map(of).collect()
}

/// The share of `found` that is `wanted`.
fn share(found: &[usize], wanted: impl Fn(usize) -> usize) -> f64 {
    let right = found
        .iter()
        .enumerate()
        .filter(|(i, class)| **class == wanted(*i));
    right.count() as f64 / found.len() as f64
}

#[test]
fn samples_are_of_the_class_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let config = root.join("examples/gaussians-classes.toml");
    let run = dir.path().join("run");
    succeed(&[
        "train",
        text(&config),
        "--out",
        text(&run),
        "--set",
        "train.steps=600",
    ]);
    let run = text(&run);
    let (data, labels) = points("gaussians-25", true);
    let mut centres = vec![[0.0; 2]; 25];
    let mut counts = vec![0.0; 25];
    for (point, &label) in data.iter().zip(&labels) {
        counts[label as usize] += 1.0;
        for axis in 0..2 {
            centres[label as usize][axis] += point[axis];
        }
    }
    for (centre, count) in centres.iter_mut().zip(&counts) {
        *centre = centre.map(|sum| sum / count);
    }

    let draw = |name: &str, more: &[&str]| {
        let out = dir.path().join(name);
        let mut args = vec!["sample", run, "--steps", "20", "--seeds", "0-199", "--out"];
        args.push(text(&out));
        args.extend(more);
        let said = succeed(&args);
        let (points, _) = points(text(&out.join("samples.npz")), false);
        (nearest(&centres, &points), said)
    };
    let (three, said) = draw("three", &["--class", "3"]);
    assert!(share(&three, |_| 3) > 0.9, "{three:?}");
    assert!(said.contains("20 network calls each"), "{said}");
    // Two evaluations a call, and samples no less of the class.
    let (guided, said) = draw("guided", &["--class", "3", "--guidance", "2"]);
    assert!(share(&guided, |_| 3) >= share(&three, |_| 3));
    assert!(said.contains("40 network calls each"), "{said}");
    // Guidance by 1 is none.
    let (plain, said) = draw("plain", &["--class", "3", "--guidance", "1"]);
    assert_eq!(plain, three);
    assert!(said.contains("20 network calls each"), "{said}");
    // In turn by the sample's number; without a class, of any.
    let (turns, _) = draw("turns", &["--class", "all"]);
    assert!(share(&turns, |i| i % 25) > 0.9, "{turns:?}");
    let (any, _) = draw("any", &[]);
    assert!((0..25).filter(|class| any.contains(class)).count() > 20);

    // A sample is what it is in any batch, also of several classes.
    let bytes = |name: &str, more: &[&str]| {
        let out = dir.path().join(name);
        let mut args = vec!["sample", run, "--steps", "5", "--class", "4,0,9", "--out"];
        args.push(text(&out));
        args.extend(more);
        succeed(&args);
        let (points, _) = points(text(&out.join("samples.npz")), false);
        points
    };
    let whole = bytes("whole", &["--seeds", "0-9"]);
    assert_eq!(bytes("small", &["--seeds", "0-9", "--batch", "3"]), whole);
    assert_eq!(bytes("part", &["--seeds", "7-8"]), whole[7..9]);

    // A folder of one class takes no samples of another.
    let three = dir.path().join("three");
    let args = [
        "sample",
        run,
        "--steps",
        "20",
        "--seeds",
        "0-199",
        "--out",
        text(&three),
    ];
    fail(
        &[&args[..], &["--class", "4"]].concat(),
        &["class", "three"],
    );

    fail(
        &["sample", run, "--class", "25"],
        &["sample.class = 25", "the classes 0 to 24"],
    );
    fail(
        &["sample", run, "--guidance", "2"],
        &["sample.guidance = 2", "--class"],
    );
    fail(
        &["sample", run, "--class", "0", "--guidance", "nan"],
        &["finite"],
    );
    assert!(!Path::new(run).join("samples").exists());
}

#[test]
fn a_network_without_classes_refuses_one() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(&["train", text(&tiny(dir.path())), "--out", text(&run)]);
    fail(
        &["sample", text(&run), "--class", "1"],
        &["sample.class = 1", "not conditioned on classes"],
    );
    assert!(fs::read_dir(run.join("samples")).is_err());
}
