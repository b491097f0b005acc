//! Samples that are drawn in several sessions, and never mixed with others.

use super::*;

/// The samples are the same wherever the drawing is killed and restarted.
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
        (&run, "--steps=20", "--seeds=5-260"),
        (&vectors, "--steps=128", "--seeds=5-2004"),
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
        for k in 1..4 {
            let out = dir.path().join(format!("{name}-{k}"));
            let args = args(&out);
            let mut child = spawn(&args.iter().map(String::as_str).collect::<Vec<_>>());
            std::thread::sleep(whole_time * k / 4);
            child.kill().unwrap();
            child.wait().unwrap();
            call(&out);
            assert_same(&whole, &out);
        }
        // Again there is nothing to do.
        let printed = call(&whole);
        assert!(printed.contains("were done already"), "{printed}");
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
    assert!(printed.contains("the same command continues"), "{printed}");
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

    // Pictures of other origin, numbered like ours.
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
