//! Classifiers: what they learn, what they say, and that they say it whatever else is asked.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use tweedie::data::{DataSpec, Dataset, LabelSource, Labels, Shape, open};
use tweedie::job::{Monitor, Progress};
use tweedie::run::{
    Classifier, ClassifierConfig, ClassifierSession, ClassifierTrained, RunDir, test_classifier,
};

const DIGITS: &str = r#"
[data]
source = "digits"
labels = true

[classifier]
held_out = 0.3

[classifier.conv]
channels = [8, 16]
groups = 4

[train]
steps = 12
batch = 32
warmup = 2
log_every = 3
checkpoint_every = 5
keep = 1
flip = true
"#;

fn config(text: &str, changes: &[&str]) -> ClassifierConfig {
    let changes: Vec<String> = changes.iter().map(|&c| c.to_owned()).collect();
    ClassifierConfig::parse(text, &changes).unwrap()
}

fn trained(config: ClassifierConfig, folder: &Path) -> ClassifierTrained {
    let mut session = ClassifierSession::start(config, folder).unwrap();
    let found = session.train(None, &mut Monitor::silent(), &mut |_| ());
    found.unwrap()
}

fn load(folder: &Path) -> Classifier {
    Classifier::load(&RunDir::open(folder).unwrap(), None).unwrap()
}

/// All files of a run, without what the clock says.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let inside = files(&path).into_iter();
            found.extend(inside.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else if name == "stats.jsonl" {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(|line| {
                let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
                for clock in ["seconds", "examples_per_second", "checkpoint"] {
                    line.as_object_mut().unwrap().remove(clock);
                }
                line.to_string()
            });
            found.insert(name, lines.collect::<Vec<_>>().join("\n").into_bytes());
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let found = trained(config(DIGITS, &[]), &whole);
    assert!(found.calibration.is_some() && !found.trained.stopped);
    for stop in [1, 5, 7, 12] {
        let cut = dir.path().join(format!("cut-{stop}"));
        let mut session = ClassifierSession::start(config(DIGITS, &[]), &cut).unwrap();
        let mut watcher = |progress: &Progress<'_>| match progress.done < stop {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        };
        let mut monitor = Monitor::new(&mut watcher);
        let first = session.train(None, &mut monitor, &mut |_| ()).unwrap();
        assert_eq!(
            (first.trained.step, first.trained.stopped),
            (stop, stop < 12)
        );
        drop(session);
        let mut session = ClassifierSession::resume(config(DIGITS, &[]), &cut, None).unwrap();
        let second = session.train(None, &mut Monitor::silent(), &mut |_| ());
        assert_eq!(second.unwrap().calibration, found.calibration);
        drop(session);
        let (a, b) = (files(&whole), files(&cut));
        assert!(a.keys().eq(b.keys()), "{:?} and {:?}", a.keys(), b.keys());
        for (name, bytes) in &a {
            assert!(*bytes == b[name], "{name} differs after a stop at {stop}");
        }
    }
    // Statistics have the accuracy at checkpoints, and nothing of noise.
    let stats = RunDir::open(&whole).unwrap().stats().unwrap();
    let steps: Vec<u64> = stats.lines.iter().map(|line| line.step).collect();
    assert_eq!(steps, [3, 5, 6, 9, 10, 12]);
    for line in &stats.lines {
        assert_eq!(line.accuracy.is_some(), [5, 10, 12].contains(&line.step));
        assert!(line.levels.is_empty() && line.loss > 0.0);
    }
}

#[test]
fn accumulated_parts_are_the_batch() {
    let dir = tempfile::tempdir().unwrap();
    let weights = |changes: &[&str], name: &str| {
        let folder = dir.path().join(name);
        trained(config(DIGITS, changes), &folder);
        let checkpoint = RunDir::open(&folder).unwrap().checkpoints().load(3);
        checkpoint.unwrap().take("model").unwrap()
    };
    let whole = weights(&["train.steps=3"], "whole");
    let parts = weights(&["train.steps=3", "train.accumulate=4"], "parts");
    for (name, a) in &whole {
        for (a, b) in a.values.iter().zip(&parts[name].values) {
            // Adam divides by the gradient's size: rounding shows in the small ones.
            assert!((a - b).abs() < 2e-3, "{name}: {a} and {b}");
        }
    }
}

#[test]
fn digits_are_told_apart_and_the_answers_are_each_items_own() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let changes = [
        "train.steps=250",
        "train.batch=64",
        "train.lr=5e-3",
        "train.warmup=10",
        "train.flip=false",
        "classifier.conv.channels=[16, 32]",
        "classifier.shift=1",
        "train.checkpoint_every=250",
    ];
    let found = trained(config(DIGITS, &changes), &run);
    let calibration = found.calibration.unwrap();
    let accuracy = calibration.correct as f64 / calibration.count as f64;
    // 539 held out: four standard errors are 3 % at 97 %.
    assert!(accuracy > 0.93, "{accuracy}");
    assert!(calibration.after.log_loss <= calibration.before.log_loss);

    let classifier = load(&run);
    assert_eq!((classifier.features_len(), classifier.step()), (32, 250));
    assert_eq!(classifier.temperature(), calibration.temperature);
    let spec = |range| DataSpec {
        labels: LabelSource::Auto,
        range,
        ..DataSpec::new("digits")
    };
    let data = open(&spec([0.0, 1.0])).unwrap();
    let items: Vec<usize> = (100..333).collect();
    let rows = data.gather(&items);
    let all = classifier.classify(&rows).unwrap();
    let probabilities = classifier.probabilities(&rows).unwrap();
    for (k, row) in rows.chunks(64).enumerate().step_by(29) {
        let alone = classifier.classify(row).unwrap();
        assert_eq!(alone.features, all.features[32 * k..32 * (k + 1)]);
        assert_eq!(alone.logits, all.logits[10 * k..10 * (k + 1)]);
        let own = &probabilities[10 * k..10 * (k + 1)];
        assert_eq!(classifier.probabilities(row).unwrap(), own);
        assert!((own.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    let mut monitor = Monitor::silent();
    let features = classifier.features_of(&data, &mut monitor).unwrap();
    assert_eq!(features.len(), 1797 * 32);
    assert_eq!(features[32 * 100..32 * 333], all.features);
    let of_all = classifier.probabilities_of(&data, &mut monitor).unwrap();
    assert_eq!(of_all[1000..3330], probabilities);
    // Read with another range, the items are the same.
    let other = open(&spec([-1.0, 1.0])).unwrap();
    let again = classifier.features_of(&other, &mut monitor).unwrap();
    let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4 * (1.0 + a.abs());
    assert!(features.iter().zip(&again).all(near));

    let test = test_classifier(&classifier, &data, &mut monitor).unwrap();
    assert_eq!((test.accuracy.of, test.step), (1797, 250));
    let diagonal: u64 = (0..10).map(|k| test.confusion[k][k]).sum();
    assert_eq!(diagonal, test.accuracy.count);
    let per_class = data.labels().unwrap().counts();
    for (row, count) in test.confusion.iter().zip(per_class) {
        assert_eq!(row.iter().sum::<u64>(), count as u64);
    }
    // Classes go by their names, however a test set numbers them.
    let classes: Vec<String> = (0..10).rev().map(|k: u32| k.to_string()).collect();
    let turned = data.labels().unwrap().values().iter().map(|k| 9 - k);
    let turned = Labels::new(turned.collect(), classes).unwrap();
    let turned = data.clone().with_labels(turned).unwrap();
    let found = test_classifier(&classifier, &turned, &mut monitor).unwrap();
    assert_eq!(
        (found.accuracy, found.confusion),
        (test.accuracy, test.confusion)
    );

    // What does not fit is refused.
    let refused = |data: &Dataset, words: &str| {
        let error = test_classifier(&classifier, data, &mut Monitor::silent()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(&open(&DataSpec::new("digits")).unwrap(), "without labels");
    let strange = Labels::new(vec![0; 1797], vec!["ten".into()]).unwrap();
    refused(&data.clone().with_labels(strange).unwrap(), "class 'ten'");
    let wide = Shape::from_sides(&[1, 4, 16]).unwrap();
    let wide = Dataset::from_f32("wide", wide, rows, data.map().clone()).unwrap();
    let error = classifier.features_of(&wide, &mut monitor).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("wide") && error.contains("[1, 8, 8]"),
        "{error}"
    );
    assert!(classifier.classify(&[0.0; 65]).is_err());
    assert!(classifier.classify(&[f32::NAN; 64]).is_err());
    assert!(classifier.classify(&[]).unwrap().features.is_empty());
}

#[test]
fn vectors_are_classified_by_an_mlp_in_their_own_units() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let text =
        "[data]\nsource = \"gaussians-8\"\nlabels = true\ncount = 2000\nstandardise = true\n";
    let changes = [
        "train.steps=150",
        "train.lr=5e-3",
        "train.warmup=10",
        "train.ema=0.9",
    ];
    trained(config(text, &changes), &run);
    let classifier = load(&run);
    assert_eq!(classifier.features_len(), 64);
    // Other points, as they are: they are mapped as those trained on were.
    let spec = DataSpec {
        labels: LabelSource::Auto,
        count: Some(1000),
        seed: 7,
        ..DataSpec::new("gaussians-8")
    };
    let data = open(&spec).unwrap();
    let found = test_classifier(&classifier, &data, &mut Monitor::silent()).unwrap();
    assert!(found.accuracy.value > 0.99, "{:?}", found.accuracy);
}

#[test]
fn another_checkpoints_temperature_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let found = trained(config(DIGITS, &["train.keep=9"]), &run);
    let run = RunDir::open(&run).unwrap();
    let at = |step| Classifier::load(&run, step).unwrap();
    assert_eq!(at(None).calibration(), found.calibration.as_ref());
    assert!(at(Some(5)).calibration().is_none() && at(Some(5)).temperature() == 1.0);
    assert!(Classifier::load(&run, Some(6)).is_err());
    let path = run.path().join("calibration.json");
    fs::write(&path, "{}").unwrap();
    let error = Classifier::load(&run, None).err().unwrap().to_string();
    assert!(error.contains("calibration.json"), "{error}");
}
