//! Bad input: one clear line, exit code 1, nothing damaged.

mod common;

use std::fs;
use std::path::Path;

use common::{TINY, fail, succeed, text, tiny, tweedie};

/// The header of an IDX file of bytes with these dimensions.
fn idx_header(dims: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    bytes
}

#[test]
fn damaged_idx() {
    let dir = tempfile::tempdir().unwrap();
    let truncated = dir.path().join("truncated-idx3-ubyte");
    let mut bytes = idx_header(&[10, 8, 8]);
    bytes.extend(vec![7; 300]);
    fs::write(&truncated, &bytes).unwrap();
    fail(&["levels", text(&truncated)], &["truncated-idx3-ubyte"]);
    // 2^20 x 2^20 x 2^20 = 2^60 items claimed, none there.
    let huge = dir.path().join("huge-idx3-ubyte");
    fs::write(&huge, idx_header(&[1 << 20, 1 << 20, 1 << 20])).unwrap();
    fail(&["levels", text(&huge)], &["huge-idx3-ubyte"]);
}

#[test]
fn folders_that_are_not_images_of_one_size() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| {
        let path = dir.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let save = |path: &Path, side: u32| {
        image::GrayImage::from_pixel(side, side, image::Luma([9]))
            .save(path)
            .unwrap();
    };
    let empty = folder("empty");
    fail(&["levels", text(&empty)], &["empty"]);

    let lies = folder("lies");
    fs::write(lies.join("text.png"), "not a picture").unwrap();
    fail(&["levels", text(&lies)], &["text.png"]);

    let mixed = folder("mixed");
    save(&mixed.join("a.png"), 8);
    save(&mixed.join("b.png"), 9);
    fail(
        &["levels", text(&mixed)],
        &["a.png", "b.png", "fit", "size"],
    );
    // The way out that the message names works.
    save(&mixed.join("c.png"), 10);
    image::GrayImage::from_pixel(8, 8, image::Luma([200]))
        .save(mixed.join("d.png"))
        .unwrap();
    succeed(&[
        "levels",
        text(&mixed),
        "--set",
        "fit=resize",
        "--set",
        "size=8",
    ]);
}

#[test]
fn nan_and_unknown_sources() {
    let dir = tempfile::tempdir().unwrap();
    let npy = dir.path().join("nan.npy");
    let mut header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }".to_vec();
    header.resize(117, b' ');
    header.push(b'\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header);
    for value in [1.0_f32, 2.0, f32::NAN, 4.0] {
        bytes.extend(value.to_le_bytes());
    }
    fs::write(&npy, bytes).unwrap();
    fail(&["levels", text(&npy)], &["nan.npy", "NaN"]);
    fail(
        &["levels", "no-such-thing"],
        &["no-such-thing", "swiss-roll"],
    );
}

#[test]
fn configurations() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.toml");
    let train = |text: &str, parts: &[&str]| {
        fs::write(&config, text).unwrap();
        let out = dir.path().join("run");
        fail(
            &[
                "train",
                config.to_str().unwrap(),
                "--out",
                out.to_str().unwrap(),
            ],
            parts,
        );
        assert!(!out.exists(), "a refused configuration left a run behind");
    };
    let with = |line: &str| format!("{TINY}\n{line}\n");
    train("", &["c.toml", "data"]);
    train("[data", &["c.toml", "line 1"]);
    train(&with("[lossy]"), &["lossy", "`loss`"]);
    train(
        &TINY.replace("batch = 16", "batchsize = 16"),
        &["batchsize", "`batch`"],
    );
    train(
        &TINY.replace("batch = 16", "batch = 0"),
        &["train.batch", "1 or more"],
    );
    train(
        &TINY.replace("lr = 1e-3", "lr = -1.0"),
        &["train.lr", "positive"],
    );
    train(
        &TINY.replace("lr = 1e-3", "lr = 1e-3\nbetas = [1.0, 0.9]"),
        &["betas", "(-1, 1)"],
    );
    train(
        &TINY.replace("[8, 16]", "[8, 16, 16, 16, 16]"),
        &["divisible by 16", "8x8"],
    );
    train(
        &TINY.replace("norm_num_groups = 4", "norm_num_groups = 3"),
        &["norm_num_groups"],
    );
    train(
        &TINY.replace("log-uniform\"", "log-uniform\"\nsigma_min = -1"),
        &["sigma_min"],
    );
    train(
        &TINY.replace("log-uniform\"", "log-uniform\"\nsigma_max = 0.001"),
        &["sigma_max"],
    );
    train(&with("[network.mlp]"), &["network", "unet and mlp"]);
    train(
        &TINY.replace("steps = 6", "steps = 6\neta = 0.5\neps_c = 2.0"),
        &["give one"],
    );
    train(
        &TINY.replace("lr = 1e-3", "engine = \"vulkan\""),
        &["vulkan", "flex"],
    );
    // What would only show when samples are drawn is refused before training.
    let als = "steps = 6\nsampler = \"als\"\neps_c = 2.0";
    train(&TINY.replace("steps = 6", als), &["eps_c = 2", "eta"]);
    train(
        &TINY.replace("steps = 6", "steps = 0"),
        &["sample.steps = 0"],
    );
    train(
        &TINY.replace("steps = 6", "steps = 6\neta = 0.001"),
        &["eta = 0.001", "must lie in"],
    );
    // Slips of the pen that no memory could hold.
    train(
        &TINY.replace("batch = 16", "batch = 4000000000000000000"),
        &["train.batch"],
    );
    train(
        &TINY.replace("[8, 16]", "[1000000000000, 16]"),
        &["block_out_channels"],
    );
    train(
        &TINY.replace("[8, 16]", &format!("{:?}", vec![8; 70])),
        &["block_out_channels"],
    );
    train(
        "[data]\nsource = \"swiss-roll\"\n[network.mlp]\nhidden = [1000000000000]",
        &["network.mlp.hidden"],
    );
    let shift = "norm_num_groups = 4\nfreq_shift = 4.0";
    train(&TINY.replace("norm_num_groups = 4", shift), &["freq_shift"]);
    train(
        &TINY.replace("lr = 1e-3", "lr = 1e-3\nadam_eps = 1e-50"),
        &["adam_eps"],
    );
    fail(&["train", "nowhere.toml"], &["nowhere.toml"]);
}

#[test]
fn runs_that_cannot_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let run = dir.path().join("run");
    let train = ["train", text(&config), "--out", text(&run)];
    let more = |extra: &[&'static str]| {
        let mut args: Vec<&str> = train.to_vec();
        args.extend(extra);
        args.into_iter().map(String::from).collect::<Vec<_>>()
    };
    let fail_with = |extra: &[&'static str], parts: &[&str]| {
        let args = more(extra);
        fail(&args.iter().map(String::as_str).collect::<Vec<_>>(), parts);
    };
    fail_with(&["--resume"], &["not the folder of a run"]);
    fail(&["sample", text(&run)], &["not the folder of a run"]);
    succeed(&train);
    fail(&train, &["already holds a run", "--resume", "--out"]);
    let another = [
        "--resume",
        "--set",
        "network.unet.block_out_channels=[16,16]",
    ];
    fail_with(&another, &["network.unet.block_out_channels", "[8, 16]"]);
    fail_with(
        &["--resume", "--set", "train.batch=8"],
        &["train.batch", "16"],
    );
    // A refused continuation leaves the run as it was.
    let before = fs::read(run.join("config.toml")).unwrap();
    fail_with(
        &["--resume", "--set", "train.engine=cuda"],
        &["train.engine", "cuda"],
    );
    fail_with(&["--resume", "--set", "sample.steps=0"], &["sample.steps"]);
    fail_with(&["--resume", "--set", "data.limit=100"], &["not the data"]);
    assert_eq!(fs::read(run.join("config.toml")).unwrap(), before);

    let weights = run.join("checkpoints/000000012/ema.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    fail(&["sample", text(&run)], &["ema.safetensors", "safetensors"]);
    fail(&["sample", text(&run), "--checkpoint=5"], &["step 5", "12"]);
    fs::write(&weights, &bytes).unwrap();

    fail(
        &["sample", text(&run), "--eta=0.001"],
        &["eta = 0.001", "must lie in ["],
    );
    fail(
        &["sample", text(&run), "--eps-b=1"],
        &["eps_b = 1", "must lie in ["],
    );
    fail(&["sample", text(&run), "--eps-c=0.5"], &["eps_c = 0.5"]);
    fail(
        &["sample", text(&run), "--sampler=als", "--eps-c=2"],
        &["eps_c = 2"],
    );
    fail(&["sample", text(&run), "--batch=0"], &["batch"]);
    fail(
        &["sample", text(&run), "--steps=0"],
        &["steps = 0", "1 or more"],
    );
    fail(
        &["sample", text(&run), "--seeds=0-1000000000000000000"],
        &["seeds", "in parts"],
    );
    let card = fs::read_to_string(run.join("data.json")).unwrap();
    fs::write(run.join("data.json"), card.replace('8', "8000000000000")).unwrap();
    fail(&["sample", text(&run)], &["data.json", "damaged"]);
    fs::write(run.join("data.json"), card).unwrap();
    succeed(&["sample", text(&run), "--eps-c=inf", "--seeds=0-3"]);
    succeed(&[
        "sample",
        text(&run),
        "--eps-c=1",
        "--steps=1",
        "--seeds=0-3",
    ]);

    // A file where a folder should be: nobody can write there, not even root.
    let blocker = dir.path().join("blocker");
    fs::write(&blocker, "x").unwrap();
    let inside = blocker.join("out");
    fail(
        &["sample", text(&run), "--seeds=0-3", "--out", text(&inside)],
        &["blocker"],
    );
    fail(
        &["train", text(&config), "--out", text(&inside)],
        &["blocker"],
    );
    assert_eq!(fs::read(&blocker).unwrap(), b"x");

    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    fail(&["sample", text(&run)], &["no checkpoint yet"]);
}

#[test]
fn a_loss_that_is_not_finite_names_step_level_and_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let run = dir.path().join("run");
    let args = [
        "train",
        text(&config),
        "--out",
        text(&run),
        "--set",
        "train.lr=1e30",
    ];
    fail(
        &args,
        &[
            "not finite",
            "step",
            "sigma",
            "no earlier checkpoint",
            "train.lr",
        ],
    );
}

#[test]
fn one_item_needs_a_sigma_max() {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("one.csv");
    fs::write(&csv, "1.0,2.0\n").unwrap();
    fail(&["levels", text(&csv)], &["one.csv", "noise.sigma_max"]);
    fail(
        &["levels", "digits", "--sigma-min=0"],
        &["sigma_min", "positive"],
    );
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = tweedie(&["levels", "digits"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn wrong_arguments_exit_with_2() {
    for args in [
        &["train"][..],
        &["sample", "x", "--seeds", "5-3"],
        &["frobnicate"],
    ] {
        assert_eq!(
            tweedie(args).output().unwrap().status.code(),
            Some(2),
            "{args:?}"
        );
    }
}
