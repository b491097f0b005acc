//! Jobs that are stopped before their end.

use super::*;

/// Waits until signals are wishes to the program.
#[cfg(target_os = "linux")]
fn wait_for_handler(child: &Child) {
    const SIGTERM: u32 = 15;
    let status = format!("/proc/{}/status", child.id());
    wait_for(|| {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & (1 << (SIGTERM - 1)) != 0)
    });
}

/// Stops the program by each signal; returns what it printed on stdout and on stderr.
#[cfg(target_os = "linux")]
#[track_caller]
fn stopped(args: &[&str], after: impl Fn(&Child)) -> Vec<(String, String)> {
    let stop = |(name, code)| {
        let child = spawn(args);
        wait_for_handler(&child);
        after(&child);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let [printed, notes] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {notes}");
        (printed, notes)
    };
    [("INT", 130), ("TERM", 143)].map(stop).into()
}

#[cfg(target_os = "linux")]
#[test]
fn stopped_likelihoods_leave_the_table_that_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let run = dir.path().join("run");
    succeed(&train(text(&config), text(&run), "train.steps=4", &[]));
    let args = ["likelihood", text(&run), "--count=1797", "--batch=1"];
    let before = files(&run);
    for (printed, notes) in stopped(&args, |_| ()) {
        assert_eq!(printed, "");
        assert!(
            notes.ends_with("stopped: no likelihoods were written\n"),
            "{notes}"
        );
    }
    assert!(files(&run) == before, "something was written");
    succeed(&["likelihood", text(&run), "--count=2", "--tolerance=0.1"]);
    let before = files(&run);
    assert!(before.contains_key(Path::new("likelihood.csv")));
    for (printed, _) in stopped(&[&args[..], &["--json"]].concat(), |_| ()) {
        assert_eq!(printed, "");
    }
    assert!(files(&run) == before, "the table is not what it was");
}

#[cfg(target_os = "linux")]
#[test]
fn stopped_reports_and_studies_leave_the_page_that_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let run = dir.path().join("run");
    succeed(&train(text(&config), text(&run), "train.steps=4", &[]));
    succeed(&["report", text(&run), "--steps", "2", "3"]);
    let page = run.join("report/index.html");
    let before = fs::read(&page).unwrap();
    let args = ["report", text(&run), "--steps", "2", "1000000"];
    for (printed, notes) in stopped(&args, |_| ()) {
        assert_eq!(printed, "");
        assert!(
            notes.ends_with("stopped: the page was not written\n"),
            "{notes}"
        );
    }
    assert!(fs::read(&page).unwrap() == before);

    let out = dir.path().join("study");
    let args = ["study", "toy", "--out", text(&out)];
    for (printed, _) in stopped(&args, |_| ()) {
        assert_eq!(printed, "");
    }
    assert!(!out.join("index.html").exists());
}

/// What can go on has a result that says so.
#[cfg(target_os = "linux")]
#[test]
fn stopped_training_and_sampling_are_results() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let (run, other) = (dir.path().join("run"), dir.path().join("other"));
    succeed(&train(text(&config), text(&run), "train.steps=4", &[]));
    let parse = |printed: &str| -> serde_json::Value { serde_json::from_str(printed).unwrap() };
    let out = dir.path().join("out");
    let args = [
        "sample",
        text(&run),
        "--seeds=0-99999",
        "--batch=8",
        "--json",
    ];
    let args = [&args[..], &["--grid-only", "--out", text(&out)]].concat();
    for (printed, _) in stopped(&args, |_| ()) {
        let found = parse(&printed);
        assert_eq!(
            (&found["stopped"], &found["count"]),
            (&true.into(), &100_000.into())
        );
    }
    let more = ["--json", "--set", "train.samples_every=0"];
    let args = train(text(&config), text(&other), "train.steps=100000", &more);
    let child = spawn(&args);
    wait_for(|| other.join("stats.jsonl").exists());
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    let found = parse(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(found["stopped"], true);
    let checkpoint = PathBuf::from(found["checkpoint"].as_str().unwrap());
    assert!(checkpoint.join("state.json").is_file());
}
