//! Classifiers that are killed or stopped while they train.

use super::*;

const CLASSIFIER: &str = r#"
[data]
source = "digits"
labels = true

[classifier.conv]
channels = [8, 16]
groups = 4

[train]
steps = 16
batch = 16
log_every = 3
checkpoint_every = 4
keep = 1
"#;

/// Killed anywhere, or stopped by a signal, a run goes on to the same checkpoint, statistics and
/// temperature.
#[cfg(unix)]
#[test]
fn a_classifier_killed_anywhere_ends_like_one_that_was_not() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("classifier.toml");
    fs::write(&config, CLASSIFIER).unwrap();
    let args = |out: &Path| -> Vec<String> {
        let args = ["classifier", "train", text(&config), "--out", text(out)];
        args.map(String::from).to_vec()
    };
    let run = |out: &Path, more: &[&str]| {
        let own = args(out);
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        succeed(&[&own[..], more].concat())
    };
    let whole = dir.path().join("whole");
    let began = Instant::now();
    run(&whole, &[]);
    let whole_time = began.elapsed();
    const KILLS: u32 = 6;
    for k in 0..KILLS {
        let out = dir.path().join(format!("killed-{k}"));
        let own = args(&out);
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let mut child = spawn(&own);
        match k {
            // By a signal, which it answers with a checkpoint, once it trains.
            0 => {
                let checkpoint = out.join("checkpoints/000000004");
                wait_for(|| checkpoint.exists());
                signal(&child, "TERM");
            }
            k => {
                std::thread::sleep(whole_time * k / KILLS);
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let resume = out.join("config.toml").exists();
        run(&out, if resume { &["--resume"] } else { &[] });
        assert_same(&whole, &out);
    }
}
