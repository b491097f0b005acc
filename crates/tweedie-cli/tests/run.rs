//! The main jobs, end to end.

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{fail, succeed, text, tiny, tweedie};

#[test]
fn the_demo_trains_samples_and_reports() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("demo");
    let args = ["demo", "--out", text(&out), "--set", "train.steps=3"];
    // Twice: the second replaces the first, but not what was drawn from it.
    let printed = succeed(&args);
    assert!(printed.contains("report/index.html"), "{printed}");
    let mine = out.join("samples/mine");
    let draw = ["sample", text(&out), "--steps=2", "--seeds=0-1", "--out"];
    succeed(&[&draw[..], &[text(&mine)]].concat());
    let drawn = mine.join("000001.png");
    let picture = fs::read(&drawn).unwrap();
    let printed = succeed(&args);
    assert!(printed.contains("report/index.html"), "{printed}");
    assert_eq!(fs::read(&drawn).unwrap(), picture);
    let page = fs::read_to_string(out.join("report/index.html")).unwrap();
    for heading in [
        "Samples",
        "Training",
        "Noise",
        "Trajectories",
        "Configuration",
    ] {
        assert!(page.contains(heading), "{heading}");
    }
    for picture in ["samples", "loss", "levels", "noise", "trajectories"] {
        let picture = image::open(out.join(format!("report/{picture}.png"))).unwrap();
        assert!(picture.width() > 300);
    }
    // Something that is not a run is never removed.
    let other = dir.path().join("precious");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("file"), "x").unwrap();
    fail(&["demo", "--out", text(&other)], &["precious", "--out"]);
    assert!(other.join("file").exists());
    fs::write(other.join("config.toml"), "[data]\nsource = \"digits\"\n").unwrap();
    fail(&["demo", "--out", text(&other)], &["precious", "--out"]);
    // A refused setting leaves the earlier demo as it is.
    fail(
        &["demo", "--out", text(&out), "--set", "train.batch=0"],
        &["train.batch"],
    );
    assert!(out.join("report/index.html").exists());
}

/// The files of the checkpoint at `step`.
fn checkpoint(run: &Path, step: u64) -> Vec<Vec<u8>> {
    let folder = run.join(format!("checkpoints/{step:09}"));
    let names = [
        "model.safetensors",
        "ema.safetensors",
        "optimizer.safetensors",
    ];
    names
        .map(|name| fs::read(folder.join(name)).unwrap())
        .to_vec()
}

/// The statistics without what the clock says.
fn stats(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("stats.jsonl")).unwrap();
    text.lines()
        .map(|line| line.split(",\"seconds\"").next().unwrap().to_owned())
        .collect()
}

#[test]
fn a_killed_run_resumes_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    let longer = ["--set", "train.steps=60", "--set", "train.ema=0.9"];
    let train = |out: &Path, more: &[&str]| {
        let mut args = vec!["train", text(&config)];
        args.extend(longer);
        args.extend(["--out", out.to_str().unwrap()]);
        args.extend(more);
        args.into_iter().map(String::from).collect::<Vec<_>>()
    };
    let call = |args: Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        tweedie(&args)
    };
    assert!(call(train(&whole, &[])).output().unwrap().status.success());

    let mut child = call(train(&killed, &[]))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let reached = killed.join("checkpoints/000000008");
    let began = Instant::now();
    while !reached.exists() && began.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    assert!(
        !killed.join("checkpoints/000000060").exists(),
        "killed too late to test anything"
    );

    let output = call(train(&killed, &["--resume"])).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        !printed.contains("from step 0"),
        "it started over: {printed}"
    );
    assert_eq!(checkpoint(&whole, 60), checkpoint(&killed, 60));
    assert!(stats(&whole) == stats(&killed), "the statistics differ");
}

#[test]
fn weights_do_not_depend_on_the_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let mut found = Vec::new();
    for threads in ["1", "2", "3"] {
        let out = dir.path().join(threads);
        let args = [
            "train",
            text(&config),
            "--out",
            text(&out),
            "--set",
            "train.steps=4",
        ];
        let output = tweedie(&args)
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        assert!(output.status.success());
        found.push(checkpoint(&out, 4));
    }
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
}

#[test]
fn sample_17_is_the_same_whatever_it_is_drawn_with() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let run = dir.path().join("run");
    succeed(&[
        "train",
        text(&config),
        "--out",
        text(&run),
        "--set",
        "train.steps=8",
    ]);
    for (scheme, step_size, precision) in [
        ("cas", "--eps-c=1.5", "f32"),
        ("cas", "--eps-c=1.5", "bf16"),
        ("als", "--eta=0.1", "f32"),
    ] {
        let draw = |name: &str, seeds: &str, batch: &str| {
            let out = dir.path().join(format!("{scheme}-{precision}-{name}"));
            let seeds = format!("--seeds={seeds}");
            let batch = format!("--batch={batch}");
            let printed = succeed(&[
                "sample",
                text(&run),
                "--sampler",
                scheme,
                step_size,
                "--precision",
                precision,
                "--steps=12",
                "--n-sigma=2",
                &seeds,
                &batch,
                "--out",
                text(&out),
            ]);
            assert!(printed.contains("samples per second"), "{printed}");
            out
        };
        let all = draw("all", "0-63", "64");
        let few = draw("few", "0-19", "3");
        let one = draw("one", "17", "64");
        let picture = |folder: &Path| fs::read(folder.join("000017.png")).unwrap();
        assert_eq!(picture(&all), picture(&few));
        assert_eq!(picture(&all), picture(&one));
        assert_ne!(picture(&all), fs::read(all.join("000018.png")).unwrap());
        let grid = image::open(all.join("grid.png")).unwrap();
        assert!(grid.width() > 8 * 8);
        // 64 images of 8x8 bytes behind an npy header.
        assert!(fs::metadata(all.join("samples.npz")).unwrap().len() > 64 * 64);
    }
    let exact = fs::read(dir.path().join("cas-f32-all/samples.npz")).unwrap();
    let rounded = fs::read(dir.path().join("cas-bf16-all/samples.npz")).unwrap();
    assert_ne!(exact, rounded, "bf16 rounds somewhere");
    succeed(&["report", text(&run), "--steps", "3", "5"]);
}

#[test]
fn vectors_train_sample_and_report_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("toy.toml");
    for (source, levels) in [("swiss-roll", 16), ("tutorial", 16)] {
        let toml = format!(
            "[data]\nsource = \"{source}\"\n[noise]\nsigma_max = 4.0\nlevels = {levels}\n\
             [network]\nconditional = false\n[network.mlp]\nhidden = [16]\n[train]\nsteps = 5\n"
        );
        fs::write(&config, toml).unwrap();
        let run = dir.path().join(source);
        succeed(&["train", text(&config), "--out", text(&run)]);
        succeed(&["sample", text(&run), "--steps=8", "--seeds=0-99"]);
        assert!(
            run.join("samples/cas-8-step5-seeds0-99/samples.png")
                .exists()
        );
        fail(
            &["sample", text(&run), "--steps=8", "--precision=bf16"],
            &["sample.precision", "U-Nets", "f32"],
        );
        let printed = succeed(&["report", text(&run)]);
        assert!(printed.contains("index.html"));
    }
}

#[test]
fn levels_and_dry_run_print_what_they_promise() {
    let printed = succeed(&["levels", "digits"]);
    for part in [
        "Technique 1",
        "Technique 2",
        "Technique 4",
        "[noise]",
        "sigma_max = 4.9",
    ] {
        assert!(printed.contains(part), "no {part} in {printed}");
    }
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let printed = succeed(&["train", text(&config), "--dry-run"]);
    for part in [
        "parameters",
        "memory",
        "per step",
        "sigma_max = 4.9",
        "block_out_channels",
    ] {
        assert!(printed.contains(part), "no {part} in {printed}");
    }
}
