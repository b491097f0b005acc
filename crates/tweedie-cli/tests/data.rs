//! Data of other kinds than images and vectors, and data with labels, end to end.

mod common;

use std::f32::consts::TAU;
use std::fs;
use std::path::Path;

use common::{fail, succeed, text};
use tweedie::data::{DataSpec, Kind, Shape, ValueMap, npz_bytes_f32, open};
use tweedie::run::RunDir;

/// 40 signals of two channels and 16 values: sines around 5, and their cosines.
fn signals(path: &Path) {
    let mut values = Vec::new();
    for item in 0..40 {
        let angle = |t: i32| TAU * (t as f32 / 16.0 + item as f32 / 40.0);
        values.extend((0..16).map(|t| 5.0 + 2.0 * angle(t).sin()));
        values.extend((0..16).map(|t| 5.0 + 2.0 * angle(t).cos()));
    }
    fs::write(path, npz_bytes_f32(&[40, 2, 16], &values).unwrap()).unwrap();
}

#[test]
fn signals_train_sample_and_report() {
    let dir = tempfile::tempdir().unwrap();
    let (data, config) = (dir.path().join("waves.npz"), dir.path().join("waves.toml"));
    let run = dir.path().join("run");
    signals(&data);
    let toml = format!(
        "[data]\nsource = \"{}\"\nkind = \"signal\"\nstandardise = true\n[noise]\nlevels = 16\n\
         [network.mlp]\nhidden = [32]\n[train]\nsteps = 300\nlr = 1e-2\nbatch = 8\n",
        text(&data)
    );
    fs::write(&config, toml).unwrap();
    fail(
        &[
            "train",
            text(&config),
            "--out",
            text(&run),
            "--set",
            "train.flip=true",
        ],
        &["train.flip", "signal"],
    );
    fail(
        &[
            "train",
            text(&config),
            "--out",
            text(&run),
            "--set",
            "network.unet.layers_per_block=1",
        ],
        &["network"],
    );
    succeed(&["train", text(&config), "--out", text(&run)]);
    // To an MLP a signal is the vector of its values.
    let (flat, twin) = (dir.path().join("flat.npz"), dir.path().join("twin"));
    let values = open(&DataSpec {
        kind: Kind::Signal,
        ..DataSpec::new(text(&data))
    });
    let values = values.unwrap().gather(&(0..40).collect::<Vec<_>>());
    fs::write(&flat, npz_bytes_f32(&[40, 32], &values).unwrap()).unwrap();
    let source = format!("data.source={}", text(&flat));
    succeed(&[
        "train",
        text(&config),
        "--out",
        text(&twin),
        "--set",
        &source,
        "--set",
        "data.kind=auto",
    ]);
    let weights = |run: &Path| fs::read(run.join("checkpoints/000000300/model.safetensors"));
    assert_eq!(weights(&run).unwrap(), weights(&twin).unwrap());
    // Without blanks and line ends.
    let card = fs::read_to_string(run.join("data.json")).unwrap();
    let card: String = card.split_whitespace().collect();
    assert!(card.contains("\"shape\":[2,16]"), "{card}");
    assert!(!card.contains("classes"), "{card}");

    succeed(&["sample", text(&run), "--steps=6", "--seeds=3-7"]);
    let folder = run.join("samples/cas-6-step300-seeds3-7");
    let spec = DataSpec {
        kind: Kind::Signal,
        ..DataSpec::new(text(&folder.join("samples.npz")))
    };
    let samples = open(&spec).unwrap();
    let shape = Shape::Signal {
        channels: 2,
        length: 16,
    };
    assert_eq!((samples.len(), samples.shape()), (5, shape));
    // In the data's units: a network that has learned anything samples around their mean, 5.
    assert_eq!(samples.map(), &ValueMap::identity());
    let mean = samples.mean_std().0;
    assert!((mean - 5.0).abs() < 2.0, "{mean}");
    let picture = image::open(folder.join("samples.png")).unwrap();
    assert!(picture.width() > 3 * 320 && picture.height() > 2 * 240);

    // Sample 5 is the same alone.
    succeed(&["sample", text(&run), "--steps=6", "--seeds=5-5"]);
    let alone = DataSpec {
        source: text(&run.join("samples/cas-6-step300-seeds5-5/samples.npz")).into(),
        ..spec
    };
    assert_eq!(open(&alone).unwrap().gather(&[0]), samples.gather(&[2]));

    succeed(&["report", text(&run)]);
    for name in ["samples", "trajectories"] {
        let picture = image::open(run.join(format!("report/{name}.png"))).unwrap();
        assert!(picture.width() > 3 * 320, "{name}");
    }
    let printed = succeed(&["levels", text(&data), "--set", "kind=signal"]);
    assert!(printed.contains("40 items of shape [2, 16]"), "{printed}");
    let likelihoods = succeed(&["likelihood", text(&run), "--count=2", "--tolerance=1e-2"]);
    assert!(!likelihoods.contains("bits"), "{likelihoods}");
}

#[test]
fn labels_are_counted_and_kept_in_the_card() {
    let printed = succeed(&["levels", "digits", "--set", "labels=auto"]);
    let line = "classes: 10, the smallest '8' (174 items), the largest '3' (183 items)";
    assert!(printed.contains(line), "{printed}");
    assert!(!succeed(&["levels", "digits"]).contains("classes"));

    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("iris.csv");
    fs::write(&csv, "length,species\n1,setosa\n2,setosa\n4,virginica\n").unwrap();
    let printed = succeed(&["levels", text(&csv), "--set", "labels=species"]);
    let line = "classes: 2, the smallest 'virginica' (1 items), the largest 'setosa' (2 items)";
    assert!(printed.contains(line), "{printed}");
    // The number of a column, too.
    assert!(succeed(&["levels", text(&csv), "--set", "labels=2"]).contains(line));
    fail(
        &["levels", text(&csv), "--set", "labels=kind"],
        &["iris.csv", "\"kind\"", "\"length\", \"species\""],
    );

    let (config, run) = (dir.path().join("iris.toml"), dir.path().join("run"));
    let toml = format!(
        "[data]\nsource = \"{}\"\nlabels = \"species\"\n[noise]\nlevels = 4\n[network.mlp]\n\
         hidden = [8]\n[train]\nsteps = 2\nbatch = 4\n",
        text(&csv)
    );
    fs::write(&config, toml).unwrap();
    succeed(&["train", text(&config), "--out", text(&run)]);
    let card = RunDir::open(&run).unwrap().data().unwrap();
    let classes = ["setosa", "virginica"].map(String::from).to_vec();
    assert_eq!(card.classes, Some(classes));
    assert_eq!(card.shape, Shape::Vector { dim: 1 });
    let resume = [
        "train",
        text(&config),
        "--out",
        text(&run),
        "--resume",
        "--set",
        "train.steps=3",
    ];
    // With other classes, or without any, it is other data.
    let rows = fs::read_to_string(&csv).unwrap();
    fs::write(&csv, rows.replace("virginica", "versicolor")).unwrap();
    fail(&resume, &["iris.csv", "classes differ"]);
    fs::write(&csv, "length\n1\n2\n4\n").unwrap();
    let unlabelled = [&resume[..], &["--set", "data.labels=false"]].concat();
    fail(&unlabelled, &["iris.csv", "classes differ"]);
    fs::write(&csv, rows).unwrap();
    succeed(&resume);
}

#[test]
fn cards_of_earlier_runs_are_read_and_impossible_ones_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (config, run) = (dir.path().join("toy.toml"), dir.path().join("run"));
    fs::write(
        &config,
        "[data]\nsource = \"two-moons\"\ncount = 50\n[noise]\nlevels = 4\n[network.mlp]\n\
         hidden = [8]\n[train]\nsteps = 2\nbatch = 4\n",
    )
    .unwrap();
    succeed(&["train", text(&config), "--out", text(&run)]);
    // As they were written before there were signals and classes, and before checkpoints kept the
    // hash of the card.
    let unsealed = |step: u64| {
        let state = run.join(format!("checkpoints/{step:09}/state.json"));
        fs::write(state, format!("{{\"format\": 1, \"step\": {step}}}")).unwrap();
    };
    unsealed(2);
    let path = run.join("data.json");
    let card = |shape: &str| {
        format!(
            "{{\"name\": \"two-moons\", \"count\": 50, \"shape\": {shape}, \"map\": {{\"scale\": \
             1.0, \"offset\": 0.0}}}}"
        )
    };
    fs::write(&path, card("[2]")).unwrap();
    succeed(&["sample", text(&run), "--steps=2", "--seeds=0-1"]);
    succeed(&[
        "train",
        text(&config),
        "--out",
        text(&run),
        "--resume",
        "--set",
        "train.steps=3",
    ]);
    unsealed(3);
    for shape in [
        "[]",
        "[0]",
        "[1, 1, 1, 2]",
        "[536870912]",
        "[4294967296, 4294967296]",
        "\"2\"",
    ] {
        fs::write(&path, card(shape)).unwrap();
        fail(
            &["sample", text(&run), "--steps=2"],
            &["data.json", "damaged"],
        );
    }
    let classes = card("[2]").replace("\"count\"", "\"classes\": [], \"count\"");
    fs::write(&path, classes).unwrap();
    fail(
        &["sample", text(&run), "--steps=2"],
        &["data.json", "0 classes"],
    );
}
