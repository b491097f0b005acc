//! `tweedie classifier`: trained, tested and refused with the real program.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{fail, succeed, text, tweedie};
use serde_json::Value;

const DIGITS: &str = r#"
test = "digits"

[data]
source = "digits"
labels = true

[classifier]
held_out = 0.2
shift = 1

[classifier.conv]
channels = [16, 32]

[train]
steps = 200
batch = 64
lr = 5e-3
warmup = 10
checkpoint_every = 100
"#;

fn written(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("classifier.toml");
    fs::write(&path, text).unwrap();
    path
}

#[track_caller]
fn json(args: &[&str]) -> Value {
    let output = tweedie(args).arg("--json").output().unwrap();
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {notes}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn digits_from_the_first_command_to_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let config = written(dir.path(), DIGITS);
    let run = dir.path().join("run");
    let train = ["classifier", "train", text(&config), "--out", text(&run)];
    let said = succeed(&train);
    for part in [
        "run folder: ",
        "trained to step 200, loss ",
        "held out: 359 items, ",
        "temperature: ",
        "test: 1797 items of digits",
        "expected calibration error: ",
        "confusion (rows: the class",
    ] {
        assert!(said.contains(part), "no '{part}' in: {said}");
    }
    let test = ["classifier", "test", text(&run), "--data", "digits"];
    let found = json(&test);
    let accuracy = &found["accuracy"];
    assert!(accuracy["value"].as_f64().unwrap() > 0.95, "{found}");
    let line = format!(
        "accuracy: {:.2} %, {} right",
        100.0 * accuracy["value"].as_f64().unwrap(),
        accuracy["count"]
    );
    let printed = succeed(&test);
    assert!(printed.contains(&line), "{line}: {printed}");
    // What the configuration names as its test data is the same.
    assert_eq!(json(&test[..3])["accuracy"], *accuracy);
    let some = json(&[&test[..], &["--set", "limit=50"]].concat());
    assert_eq!(some["accuracy"]["of"], 50);

    // A run that is done is calibrated and tested again, and nothing else.
    let again = json(&[&train[..], &["--resume"]].concat());
    assert_eq!(again["loss"], Value::Null);
    assert_eq!(again["step"], 200);
    assert_eq!(again["test"]["confusion"], found["confusion"]);
    let stored = fs::read(run.join("calibration.json")).unwrap();
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(again["calibration"], stored);
    fail(&train, &["already holds a run", "--resume"]);
    let other = [&train[..], &["--resume", "--set", "classifier.shift=0"]].concat();
    fail(&other, &["classifier.shift = 0", "--out"]);

    // Whoever takes score networks does not take this, and the other way round.
    fail(&["sample", text(&run)], &["run of a classifier"]);
    fail(&["report", text(&run)], &["run of a classifier"]);
    let score = dir.path().join("score");
    let tiny = common::tiny(dir.path());
    let steps = ["--set", "train.steps=1"];
    succeed(&[&["train", text(&tiny), "--out", text(&score)], &steps[..]].concat());
    let refused = ["classifier", "test", text(&score), "--data", "digits"];
    fail(&refused, &["is not the run of a classifier"]);
    let resumed = [
        "classifier",
        "train",
        text(&config),
        "--resume",
        "--out",
        text(&score),
    ];
    fail(&resumed, &["score", "is not the run of a classifier"]);
    let resumed = ["train", text(&tiny), "--resume", "--out", text(&run)];
    fail(&resumed, &["run of a classifier"]);
}

#[test]
fn what_cannot_be_trained_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let train = |config: &str, parts: &[&str]| {
        let config = written(dir.path(), config);
        let args = ["classifier", "train", text(&config), "--out", text(&out)];
        fail(&args, parts);
        assert!(!out.exists(), "a refused configuration left a run behind");
    };
    let with = |from: &str, to: &str| {
        assert!(DIGITS.contains(from));
        DIGITS.replace(from, to)
    };
    train("", &["classifier.toml", "data"]);
    train(&with("labels = true", ""), &["data.labels = false"]);
    train(
        &with("[classifier]", "[classify]"),
        &["classify", "`classifier`"],
    );
    train(&with("held_out", "heldout"), &["heldout", "`held_out`"]);
    train(
        &with("held_out = 0.2", "held_out = 1"),
        &["classifier.held_out = 1"],
    );
    train(
        &with("shift = 1", "shift = -1"),
        &["line ", "`classifier.shift`"],
    );
    train(
        &with("shift = 1", "label_smoothing = 2"),
        &["classifier.label_smoothing = 2"],
    );
    train(
        &with("[16, 32]", "[16, 33]"),
        &["classifier.conv.groups = 8", "33"],
    );
    train(&with("steps = 200", "steps = 0"), &["train.steps = 0"]);
    // An earlier key of the first table.
    train(
        &with("test = \"digits\"", "test = \"two-moons\""),
        &["test", "[1, 8, 8]"],
    );
    train(
        &with("test = \"digits\"", "test = \"nowhere\""),
        &["test.source = 'nowhere'"],
    );
    // Vectors for a convolutional network.
    let moons = "[data]\nsource = \"two-moons\"\nlabels = true\n[classifier.conv]\n";
    train(moons, &["a convolutional network takes images", "mlp"]);
    let shifted = "[data]\nsource = \"two-moons\"\nlabels = true\n[classifier]\nshift = 1\n";
    train(shifted, &["classifier.shift = 1", "images"]);
    // Items of one class, and data without classes.
    let csv = dir.path().join("one.csv");
    fs::write(&csv, "x,label\n1,a\n2,a\n3,a\n").unwrap();
    let one = format!("[data]\nsource = {:?}\nlabels = true\n", text(&csv));
    train(&one, &["one.csv", "one class"]);
    let roll = "[data]\nsource = \"swiss-roll\"\nlabels = true\n";
    train(roll, &["data.labels", "swiss-roll"]);
    fs::write(&csv, "x,y\n1,2\n2,3\n").unwrap();
    let none = one.replace("true", "\"species\"");
    train(&none, &["species"]);
}

#[test]
fn what_cannot_be_tested_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let short = DIGITS.replace("steps = 200", "steps = 2");
    let short = short.replace("test = \"digits\"", "");
    let config = written(dir.path(), &short);
    let run = dir.path().join("run");
    succeed(&["classifier", "train", text(&config), "--out", text(&run)]);
    let test = |more: &[&str], parts: &[&str]| {
        fail(&[&["classifier", "test", text(&run)], more].concat(), parts);
    };
    test(&[], &["--data"]);
    test(&["--data", "nowhere"], &["nowhere"]);
    test(&["--data", "two-moons"], &["two-moons", "[1, 8, 8]"]);
    test(&["--data", "digits", "--set", "labels=false"], &["labels"]);
    test(&["--data", "digits", "--set", "lables=true"], &["lables"]);
    test(
        &["--data", "digits", "--checkpoint", "7"],
        &["no checkpoint at step 7"],
    );
    // Images of another size, with the way out.
    let images = dir.path().join("images");
    for class in ["0", "1"] {
        let folder = images.join(class);
        fs::create_dir_all(&folder).unwrap();
        let image = image::GrayImage::from_pixel(9, 9, image::Luma([7]));
        image.save(folder.join("a.png")).unwrap();
    }
    test(
        &["--data", text(&images)],
        &["[1, 9, 9]", "[1, 8, 8]", "fit"],
    );
    let resized = ["--set", "size=8", "--set", "fit=resize"];
    let said = succeed(
        &[
            &["classifier", "test", text(&run), "--data", text(&images)],
            &resized[..],
        ]
        .concat(),
    );
    assert!(said.contains("test: 2 items"), "{said}");
    // A class it has never heard of.
    fs::rename(images.join("1"), images.join("eleven")).unwrap();
    let renamed = [&["--data", text(&images)], &resized[..]].concat();
    test(&renamed, &["class 'eleven'"]);
}
