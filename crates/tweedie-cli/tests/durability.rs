//! Nothing is lost: kills, signals, damaged files, two writers, runs of old.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{fail, succeed, text, tiny, tweedie};

/// All files below `folder` by their path, but for what the clock says in them.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_path_buf();
            let bytes = match name.to_str() {
                Some("stats.jsonl") => stats(folder).concat().into_bytes(),
                // It names this run's configuration as well, which is compared itself.
                _ => fs::read(&path).unwrap(),
            };
            found.insert(name, bytes);
        }
    }
    found
}

/// The statistics without what the clock says.
fn stats(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("stats.jsonl")).unwrap();
    text.lines()
        .map(|line| line.split(",\"seconds\"").next().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    for (name, bytes) in &a {
        assert!(bytes == &b[name], "{} differs", name.display());
    }
}

/// Trains [`common::TINY`] for `steps` into `out`.
fn train<'a>(config: &'a str, out: &'a str, steps: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", config, "--out", out, "--set", steps];
    args.extend(more);
    args
}

fn spawn(args: &[&str]) -> Child {
    tweedie(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for `what`, which comes soon unless something is broken.
#[track_caller]
fn wait_for(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(120), "it never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(sent.unwrap().success());
}

/// The array of a stored samples.npz, behind its header of 128 bytes.
fn array(npz: &Path) -> Vec<u8> {
    let bytes = fs::read(npz).unwrap();
    let magic = b"\x93NUMPY\x01\x00";
    let start = bytes.windows(8).position(|w| w == magic).unwrap();
    let header = u16::from_le_bytes([bytes[start + 8], bytes[start + 9]]);
    let data = start + 10 + usize::from(header);
    // The array ends where the archive's directory begins.
    let end = bytes.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    bytes[data..end].to_vec()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => fs::copy(&path, &target).map(drop).unwrap(),
        }
    }
}

/// Runs of version 0.1.0, whose checkpoints have no hashes: they sample as they did, and a resumed
/// one ends as it did. (Other processors round differently: 1 grey level, 1e-4 of a coordinate.)
#[test]
fn runs_of_the_old_layout_sample_and_resume() {
    let dir = tempfile::tempdir().unwrap();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/old-run");
    for name in ["mlp", "unet"] {
        let run = dir.path().join(name);
        copy(&old.join(name), &run);
        let check = |step: u32| {
            let out = dir.path().join(format!("{name}-{step}"));
            let args = ["sample", text(&run), "--steps=8", "--seeds=0-15", "--out"];
            succeed(&[&args[..], &[text(&out)]].concat());
            let found = array(&out.join("samples.npz"));
            let expected = array(&old.join(format!("{name}-step{step}.npz")));
            assert_eq!(found.len(), expected.len());
            if name == "unet" {
                for (a, b) in found.iter().zip(&expected) {
                    assert!(a.abs_diff(*b) <= 1, "{name} {step}: {a} {b}");
                }
                return;
            }
            let numbers = |bytes: &[u8]| -> Vec<f32> {
                let words = bytes.chunks_exact(4);
                words
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect()
            };
            for (a, b) in numbers(&found).iter().zip(numbers(&expected)) {
                assert!((a - b).abs() < 1e-4, "{name} {step}: {a} {b}");
            }
        };
        check(60);
        let config = run.join("config.toml");
        let args = ["train", text(&config), "--resume", "--out", text(&run)];
        succeed(&[&args[..], &["--set", "train.steps=70"]].concat());
        check(70);
        let lines = fs::read_to_string(run.join("stats.jsonl")).unwrap();
        assert_eq!(lines.lines().count(), 4, "{lines}");
    }
}

/// Killed anywhere, a run goes on to the same checkpoints, statistics and grids, and leaves
/// nothing beside them.
#[test]
fn a_run_killed_anywhere_ends_like_one_that_was_not() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let grids = ["--set", "train.samples_every=4", "--set", "train.keep=1"];
    let whole = dir.path().join("whole");
    let began = Instant::now();
    succeed(&train(
        text(&config),
        text(&whole),
        "train.steps=16",
        &grids,
    ));
    let whole_time = began.elapsed();
    assert_eq!(fs::read_dir(whole.join("samples")).unwrap().count(), 4);
    const KILLS: u32 = 8;
    for k in 0..KILLS {
        let out = dir.path().join(format!("killed-{k}"));
        let args = train(text(&config), text(&out), "train.steps=16", &grids);
        let mut child = spawn(&args);
        match k {
            // Between a checkpoint and its grid, as near as can be.
            0 | 1 => {
                let checkpoint = out.join("checkpoints/000000008");
                wait_for(|| checkpoint.exists());
            }
            k => std::thread::sleep(whole_time * k / KILLS),
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let resume = out.join("config.toml").exists();
        let again = [&args[..], if resume { &["--resume"] } else { &[] }].concat();
        succeed(&again);
        assert_same(&whole, &out);
    }
}

/// A checkpoint may lie between two lines of statistics: what they will be made of lies with it.
#[test]
fn checkpoints_by_time_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let (plain, often) = (dir.path().join("plain"), dir.path().join("often"));
    let log = ["--set", "train.log_every=5", "--set", "train.keep=20"];
    let at_each = [&log[..], &["--set", "train.checkpoint_minutes=1e-9"]].concat();
    succeed(&train(text(&config), text(&plain), "train.steps=13", &log));
    succeed(&train(
        text(&config),
        text(&often),
        "train.steps=13",
        &at_each,
    ));
    let checkpoint = |run: &Path, step: u32| files(&run.join(format!("checkpoints/{step:09}")));
    let count = |run: &Path| fs::read_dir(run.join("checkpoints")).unwrap().count();
    assert_eq!((count(&plain), count(&often)), (4, 13));
    assert_eq!(stats(&plain), stats(&often));
    // From a step that is neither a checkpoint's nor a line's.
    let args = train(text(&config), text(&often), "train.steps=13", &log);
    let printed = succeed(&[&args[..], &["--resume", "--checkpoint=7"]].concat());
    assert!(printed.contains("from step 7"), "{printed}");
    assert!(printed.contains("000000013.aside"), "{printed}");
    assert_eq!(stats(&plain), stats(&often));
    let mut pair = [checkpoint(&plain, 13), checkpoint(&often, 13)];
    for files in &mut pair {
        // It names the configuration, in which checkpoint_minutes differs.
        files.remove(Path::new("state.json")).unwrap();
    }
    assert!(pair[0] == pair[1]);
    fail(
        &[&args[..], &["--resume", "--checkpoint=3000"]].concat(),
        &["no checkpoint at step 3000", "13"],
    );
}

#[cfg(unix)]
#[test]
fn signals_end_training_after_a_step_with_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let whole = dir.path().join("whole");
    let more = [
        "--set",
        "train.log_every=7",
        "--set",
        "train.checkpoint_every=50",
    ];
    succeed(&train(
        text(&config),
        text(&whole),
        "train.steps=150",
        &more,
    ));
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let out = dir.path().join(name);
        let args = train(text(&config), text(&out), "train.steps=150", &more);
        let child = spawn(&args);
        wait_for(|| out.join("stats.jsonl").exists());
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let printed = String::from_utf8(output.stdout).unwrap();
        let last = printed.lines().last().unwrap();
        assert!(
            last.starts_with("stopped; ") && last.contains("--resume"),
            "{printed}"
        );
        let written = last["stopped; ".len()..]
            .split(" is written")
            .next()
            .unwrap();
        assert!(Path::new(written).join("state.json").is_file(), "{written}");
        assert!(!out.join("checkpoints/000000150").exists(), "too late");
        succeed(&[&args[..], &["--resume"]].concat());
        assert_eq!(stats(&whole), stats(&out));
        let end = "checkpoints/000000150/ema.safetensors";
        assert!(fs::read(whole.join(end)).unwrap() == fs::read(out.join(end)).unwrap());
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_leaves_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let out = dir.path().join("run");
    // One step takes long.
    let long = ["--set", "train.batch=200000"];
    let mut child = spawn(&train(text(&config), text(&out), "train.steps=9", &long));
    let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(printed.any(|line| line.unwrap().starts_with("network:")));
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(100));
    assert!(
        child.try_wait().unwrap().is_none(),
        "it left in the middle of a step"
    );
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(printed.count(), 0);
    assert_eq!(fs::read_dir(out.join("checkpoints")).unwrap().count(), 0);
}

#[test]
fn a_second_writer_is_refused_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let (whole, out) = (dir.path().join("whole"), dir.path().join("run"));
    succeed(&train(text(&config), text(&whole), "train.steps=120", &[]));
    let args = train(text(&config), text(&out), "train.steps=120", &[]);
    let child = spawn(&args);
    wait_for(|| out.join("checkpoints/000000008").exists());
    let holder = format!("process {} on ", child.id());
    fail(&[&args[..], &["--resume"]].concat(), &[&holder, "run"]);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_same(&whole, &out);
}

#[test]
fn damage_is_named_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let (whole, out) = (dir.path().join("whole"), dir.path().join("run"));
    let args = train(text(&config), text(&out), "train.steps=12", &[]);
    for run in [&whole, &out] {
        succeed(&train(text(&config), text(run), "train.steps=12", &[]));
    }
    let newest = out.join("checkpoints/000000012");
    let weights = newest.join("ema.safetensors");
    let bytes = fs::read(&weights).unwrap();
    let mut damaged = bytes.clone();
    let end = damaged.len();
    damaged[end - 2] ^= 1;
    fs::write(&weights, &damaged).unwrap();
    let parts = ["ema.safetensors", "step 12 is damaged", "--checkpoint 8"];
    let resume = [&args[..], &["--resume"]].concat();
    fail(&["sample", text(&out), "--seeds=0-1"], &parts);
    fail(&["likelihood", text(&out), "--count=1"], &parts);
    fail(&["report", text(&out)], &parts);
    fail(&resume, &parts);
    // Nothing was touched, and what the message offers works.
    assert_eq!(fs::read(&weights).unwrap(), damaged);
    succeed(&["sample", text(&out), "--seeds=0-1", "--checkpoint=8"]);
    fs::remove_dir_all(out.join("samples")).unwrap();
    succeed(&[&resume[..], &["--checkpoint=8"]].concat());
    let aside = out.join("checkpoints/000000012.aside");
    assert_eq!(fs::read(aside.join("ema.safetensors")).unwrap(), damaged);
    fs::remove_dir_all(aside).unwrap();
    assert_same(&whole, &out);

    // A configuration cut short is no other configuration.
    let own = out.join("config.toml");
    let written = fs::read_to_string(&own).unwrap();
    let cut = written.find("[sample]").unwrap();
    fs::write(&own, &written[..cut]).unwrap();
    fail(
        &["sample", text(&out), "--seeds=0-1"],
        &["config.toml", "SHA-256", "--resume"],
    );
    succeed(&resume);
    assert_eq!(fs::read_to_string(&own).unwrap(), written);
    // The same of what is known of the data.
    let card = out.join("data.json");
    let written = fs::read_to_string(&card).unwrap();
    fs::write(&card, written.replace("1797", "1796")).unwrap();
    fail(
        &["sample", text(&out), "--seeds=0-1"],
        &["data.json", "SHA-256"],
    );
    succeed(&resume);
    assert_eq!(fs::read_to_string(&card).unwrap(), written);
    // What a continued run may change goes with the checkpoints there are.
    succeed(&[&resume[..], &["--set", "sample.steps=3"]].concat());
    let printed = succeed(&["sample", text(&out), "--seeds=0-1"]);
    assert!(printed.contains("3 network calls"), "{printed}");
}

#[test]
fn lost_checkpoints_are_not_a_new_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let out = dir.path().join("run");
    let args = train(text(&config), text(&out), "train.steps=12", &[]);
    succeed(&args);
    let resume = [&args[..], &["--resume"]].concat();
    let before = fs::read(out.join("stats.jsonl")).unwrap();
    let (folder, hidden) = (out.join("checkpoints"), out.join("elsewhere"));
    fs::rename(&folder, &hidden).unwrap();
    fail(&resume, &["checkpoints", "step 12", "--out"]);
    fs::create_dir(&folder).unwrap();
    fail(&resume, &["checkpoints", "step 12", "--out"]);
    fs::remove_dir(&folder).unwrap();
    fs::write(&folder, "a file").unwrap();
    fail(&resume, &["checkpoints"]);
    fs::remove_file(&folder).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(dir.path().join("gone"), &folder).unwrap();
        fail(&resume, &["checkpoints"]);
        fail(&["sample", text(&out)], &["checkpoints"]);
        fs::remove_file(&folder).unwrap();
    }
    assert_eq!(fs::read(out.join("stats.jsonl")).unwrap(), before);
    fs::rename(&hidden, &folder).unwrap();
    // Lines that nobody can read stop nothing, and none behind them is lost.
    let foreign = [&b"\xff\xfe\n\n{\"torn\n"[..], &before].concat();
    fs::write(out.join("stats.jsonl"), &foreign).unwrap();
    let printed = succeed(&resume);
    assert!(printed.contains("3 lines of stats.jsonl"), "{printed}");
    assert_eq!(fs::read(out.join("stats.jsonl")).unwrap(), foreign);
}

#[test]
fn a_grid_that_cannot_be_written_ends_no_training() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let out = dir.path().join("run");
    let more = ["--set", "train.samples_every=4"];
    let args = train(text(&config), text(&out), "train.steps=8", &more);
    let child = spawn(&args);
    wait_for(|| out.join("config.toml").exists());
    // In the place of the folder, before or behind the first grid.
    let _ = fs::remove_dir_all(out.join("samples"));
    let _ = fs::write(out.join("samples"), "x");
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(out.join("checkpoints/000000008").exists());
    if out.join("samples").is_file() {
        assert!(told.contains("training goes on"), "{told}");
        fs::remove_file(out.join("samples")).unwrap();
    }
    // Drawn when the run is looked at again.
    succeed(&[&args[..], &["--resume"]].concat());
    assert!(out.join("samples/step-000000008.png").is_file());
}

/// What is drawn is the same whenever the drawing is killed and begun again.
#[test]
fn a_killed_sample_goes_on_to_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let run = dir.path().join("run");
    succeed(&train(text(&config), text(&run), "train.steps=4", &[]));
    let vectors = dir.path().join("vectors");
    let toy = dir.path().join("toy.toml");
    fs::write(
        &toy,
        "[data]\nsource = \"swiss-roll\"\n[network.mlp]\nhidden = [16]\n[train]\nsteps = 5\n",
    )
    .unwrap();
    succeed(&["train", text(&toy), "--out", text(&vectors)]);
    for (run, steps, count) in [
        (&run, "--steps=40", "--seeds=5-300"),
        (&vectors, "--steps=256", "--seeds=5-2004"),
    ] {
        let args = |out: &Path| {
            let args = [
                "sample",
                text(run),
                steps,
                count,
                "--batch=16",
                "--out",
                text(out),
            ];
            args.map(String::from).to_vec()
        };
        let call = |out: &Path| {
            let args = args(out);
            succeed(&args.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let name = run.file_name().unwrap().to_str().unwrap().to_owned();
        let whole = dir.path().join(format!("{name}-whole"));
        let began = Instant::now();
        call(&whole);
        let whole_time = began.elapsed();
        for k in 1..5 {
            let out = dir.path().join(format!("{name}-{k}"));
            let args = args(&out);
            let mut child = spawn(&args.iter().map(String::as_str).collect::<Vec<_>>());
            std::thread::sleep(whole_time * k / 5);
            child.kill().unwrap();
            child.wait().unwrap();
            call(&out);
            assert_same(&whole, &out);
        }
        // Again there is nothing to do.
        let printed = call(&whole);
        assert!(printed.contains("were there already"), "{printed}");
    }
}

#[cfg(unix)]
#[test]
fn a_stopped_sample_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let (run, out) = (dir.path().join("run"), dir.path().join("out"));
    succeed(&train(text(&config), text(&run), "train.steps=4", &[]));
    let args = [
        "sample",
        text(&run),
        "--seeds=0-99999",
        "--batch=8",
        "--grid-only",
    ];
    let args = [&args[..], &["--out", text(&out)]].concat();
    let child = spawn(&args);
    wait_for(|| {
        out.join("samples.partial")
            .metadata()
            .is_ok_and(|m| m.len() > 0)
    });
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("the same command goes on"), "{printed}");
    assert!(!out.join("samples.npz").exists());
    assert!(!out.join("tweedie.lock").exists());
}

#[test]
fn samples_are_not_mixed_with_others() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let (run, out) = (dir.path().join("run"), dir.path().join("out"));
    succeed(&train(text(&config), text(&run), "train.steps=8", &[]));
    let sample = |out: &Path, more: &[&str]| {
        let args = ["sample", text(&run), "--out", text(out)];
        [&args[..], more]
            .concat()
            .into_iter()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let ok = |out: &Path, more: &[&str]| {
        let args = sample(out, more);
        succeed(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let no = |out: &Path, more: &[&str], parts: &[&str]| {
        let args = sample(out, more);
        fail(&args.iter().map(String::as_str).collect::<Vec<_>>(), parts);
    };
    ok(&out, &["--seeds=0-3", "--grid-only"]);
    let before = files(&out);
    no(
        &out,
        &["--seeds=0-4"],
        &["seeds: 0-3 there, 0-4 now", "--out"],
    );
    no(
        &out,
        &["--seeds=0-3", "--steps=5"],
        &["steps: 6 there, 5 now"],
    );
    no(&out, &["--seeds=0-3", "--raw"], &["--out"]);
    no(&out, &["--seeds=0-3", "--checkpoint=4"], &["--out"]);
    assert!(files(&out) == before);
    // Pictures that were not drawn then are drawn now; one that was lost comes back.
    ok(&out, &["--seeds=0-3"]);
    let whole = files(&out);
    assert!(whole.contains_key(Path::new("000003.png")));
    fs::remove_file(out.join("000003.png")).unwrap();
    let printed = ok(&out, &["--seeds=0-3"]);
    assert!(printed.contains("4 samples of step 8 in"), "{printed}");
    assert!(files(&out) == whole);
    // What a version without sample.json left is replaced.
    fs::remove_file(out.join("sample.json")).unwrap();
    ok(&out, &["--seeds=0-3", "--steps=5"]);
    fs::write(out.join("sample.json"), "{").unwrap();
    no(&out, &["--seeds=0-3"], &["sample.json", "damaged"]);

    // Pictures of somebody else, numbered like ours.
    let other = dir.path().join("photos");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("000000.png"), "mine").unwrap();
    no(&other, &["--seeds=0-3"], &["photos", "000000.png", "--out"]);
    no(&run, &["--seeds=0-3"], &["other things than samples"]);
    assert_eq!(fs::read(other.join("000000.png")).unwrap(), b"mine");
    // Nor is a run put among other things.
    fail(
        &train(text(&config), text(&other), "train.steps=8", &[]),
        &["photos", "000000.png", "--out"],
    );
    fail(
        &["study", "noise", "--quick", "--out", text(&other)],
        &["photos", "--out"],
    );
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_an_error() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let full = || {
        Stdio::from(
            fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap(),
        )
    };
    for args in [&["levels", "digits"][..], &["--help"], &["--version"]] {
        let output = tweedie(args).stdout(full()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        assert!(told.contains("standard output"), "{args:?}: {told}");
    }

    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("data.csv");
    fs::write(&csv, "1.0,2.0\n0.5,1.0\n-1.0,0.0\n").unwrap();
    let config = dir.path().join("c.toml");
    let toml = format!(
        "[data]\nsource = \"{}\"\n[network.mlp]\nhidden = [8]\n[train]\nsteps = 3\nbatch = 4\n",
        text(&csv)
    );
    fs::write(&config, toml).unwrap();
    let run = dir.path().join("run");
    succeed(&["train", text(&config), "--out", text(&run)]);
    let likelihood = |out: &Path, data: &[&str]| {
        let args = ["likelihood", text(&run), "--count=2", "--out", text(out)];
        [&args[..], data]
            .concat()
            .into_iter()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let no = |out: &Path, parts: &[&str]| {
        let args = likelihood(out, &[]);
        fail(&args.iter().map(String::as_str).collect::<Vec<_>>(), parts);
    };
    no(Path::new("/dev/full"), &["/dev/full"]);
    let device = fs::metadata("/dev/full").unwrap().file_type();
    assert!(device.is_char_device());
    // What is read is not written to, by any of its names.
    let link = dir.path().join("link.csv");
    symlink(&csv, &link).unwrap();
    let before = fs::read(&csv).unwrap();
    for out in [&csv, &link, &run.join("config.toml")] {
        no(out, &["is read"]);
    }
    no(&run.join("checkpoints/000000003/note.csv"), &["is read"]);
    assert_eq!(fs::read(&csv).unwrap(), before);

    // A pipe takes the numbers, in order with what is printed.
    let args = likelihood(Path::new("/dev/stdout"), &[]);
    let printed = succeed(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(printed.starts_with("item,log_density"), "{printed}");
    assert!(printed.contains("log density:"), "{printed}");
}
