//! Training that is killed, stopped, or not alone.

use super::*;

/// Killed anywhere, a run is resumed to the same checkpoints, statistics and grids, and leaves
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
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(out.join("checkpoints/000000008").exists());
    if out.join("samples").is_file() {
        assert!(stderr.contains("training continues"), "{stderr}");
        fs::remove_file(out.join("samples")).unwrap();
    }
    // Drawn when the run is looked at again.
    succeed(&[&args[..], &["--resume"]].concat());
    assert!(out.join("samples/step-000000008.png").is_file());
}
