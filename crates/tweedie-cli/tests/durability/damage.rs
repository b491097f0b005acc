//! Damaged, lost and old checkpoints.

use super::*;

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
    // Settings that a resumed run may change stay compatible with the existing checkpoints.
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
