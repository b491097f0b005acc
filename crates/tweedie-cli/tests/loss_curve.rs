//! The loss curve of a run, and sampling by it.

mod common;

use std::fs;
use std::path::Path;

use common::{fail, succeed, text, tiny, tweedie};
use serde_json::Value;
use tweedie::noise::{LossCurve, LossSchedule};

/// A network that was trained for a moment.
fn trained(dir: &Path) -> String {
    let run = dir.join("run");
    succeed(&["train", text(&tiny(dir)), "--out", text(&run)]);
    text(&run).to_owned()
}

/// What the program prints with `--json`.
#[track_caller]
fn json(args: &[&str]) -> Value {
    let args = [args, &["--json"]].concat();
    serde_json::from_str(&succeed(&args)).unwrap()
}

const QUICK: [&str; 2] = ["--measure", "--count=40"];

#[test]
fn a_curve_is_measured_once_and_sampled_by_with_any_number_of_steps() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let by = |schedule: &str, out: &str| {
        let out = text(&dir.path().join(out)).to_owned();
        let args = [
            "sample",
            &run,
            "--steps=5",
            "--seeds=0-2",
            "--out",
            &out,
            "--set",
            schedule,
        ];
        args.map(str::to_owned)
    };
    fn strs(args: &[String; 8]) -> Vec<&str> {
        args.iter().map(String::as_str).collect()
    }
    // Without a curve, the one command that makes it.
    let missing = by("schedule=loss-curve", "none");
    let command = format!("`tweedie levels {run} --measure`");
    fail(&strs(&missing), &["loss-curve.json", "missing", &command]);
    fail(&["levels", &run], &["loss-curve.json", "missing", &command]);
    assert!(!dir.path().join("none").exists());

    let said = succeed(&[&["levels", &run][..], &QUICK].concat());
    assert!(
        said.contains("loss curve of step 12 on 40 items of digits, seed 0"),
        "{said}"
    );
    let folder = Path::new(&run);
    let written = fs::read(folder.join("loss-curve.json")).unwrap();
    assert!(folder.join("loss-curve.png").is_file());
    // It is shown again without being measured again, and measuring again gives the same.
    let found = json(&["levels", &run, "--steps=7"]);
    assert_eq!(found["schedules"].as_array().unwrap().len(), 5);
    let found = json(&[&["levels", &run, "--steps=7", "--batch=3"][..], &QUICK].concat());
    assert_eq!(fs::read(folder.join("loss-curve.json")).unwrap(), written);
    let curve: LossCurve = serde_json::from_slice(&written).unwrap();
    assert_eq!(curve.points().len(), 40);
    assert_eq!(
        (curve.measured().step, curve.measured().count),
        (Some(12), Some(40))
    );
    let (max, min) = curve.range();
    for schedule in LossSchedule::ALL {
        let expected = schedule.levels(&curve, max, min, 7, 1.0).unwrap();
        let schedules = found["schedules"].as_array().unwrap();
        let found = schedules
            .iter()
            .find(|by| by["schedule"] == schedule.name());
        let sigmas = found.unwrap()["sigmas"].as_array().unwrap();
        assert_eq!(sigmas.len(), 7);
        for (sigma, expected) in sigmas.iter().zip(expected.as_slice()) {
            assert!((sigma.as_f64().unwrap() / expected - 1.0).abs() < 1e-14);
        }
    }
    assert_eq!(found["curve"]["measured"]["data"], "digits");

    // Every schedule samples, and differently; the levels are those that are listed.
    let mut pictures = Vec::new();
    let schedules = ["loss-curve", "mse-dp", "entropic", "geometric"];
    for schedule in schedules {
        succeed(&strs(&by(&format!("schedule={schedule}"), schedule)));
        let samples = fs::read(dir.path().join(schedule).join("samples.npz")).unwrap();
        assert!(!pictures.contains(&samples), "{schedule}");
        pictures.push(samples);
    }
    let levels = LossSchedule::LossCurve
        .levels(&curve, max, min, 5, 1.0)
        .unwrap();
    let listed = format!("sigmas={:?}", levels.as_slice());
    let out = dir.path().join("listed");
    succeed(&[
        "sample",
        &run,
        "--seeds=0-2",
        "--out",
        text(&out),
        "--set",
        &listed,
    ]);
    let samples = fs::read(out.join("samples.npz")).unwrap();
    assert!(samples == pictures[0], "listed levels give other samples");
    let p = by("schedule=mse-dp", "p");
    succeed(&[&strs(&p)[..], &["--set", "p=3"]].concat());
    assert!(fs::read(dir.path().join("p/samples.npz")).unwrap() != pictures[1]);

    // Samples of one curve are not continued by another.
    let mine = by("schedule=loss-curve", "loss-curve");
    assert!(succeed(&strs(&mine)).contains("were done already"));
    succeed(&["levels", &run, "--measure", "--count=41", "--seed=1"]);
    fail(&strs(&mine), &["other settings", "loss curve"]);
    let plain = by("schedule=geometric", "geometric");
    assert!(succeed(&strs(&plain)).contains("were done already"));
}

#[test]
fn a_curve_is_of_one_checkpoint_and_the_error_says_how_to_measure_another() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    succeed(&[&["levels", &run][..], &QUICK].concat());
    let sample = ["sample", &run, "--set", "schedule=entropic", "--seeds=0"];
    succeed(&sample);
    let older = [&sample[..], &["--checkpoint=8"]].concat();
    let command = format!("`tweedie levels {run} --measure --checkpoint 8`");
    fail(&older, &["measured of step 12", "step 8", &command]);
    let raw = [&sample[..], &["--raw"]].concat();
    let command = format!("`tweedie levels {run} --measure --raw`");
    fail(&raw, &["other weights", &command]);
    succeed(&["levels", &run, "--measure", "--count=9", "--checkpoint=8"]);
    succeed(&older);
    fail(&sample, &["measured of step 8", "step 12"]);

    // A damaged file stops what needs it and nothing else.
    let file = Path::new(&run).join("loss-curve.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"sigma\"", "\"sgima\"")).unwrap();
    fail(&sample, &["loss-curve.json", "damaged", "--measure"]);
    fail(
        &["levels", &run],
        &["loss-curve.json", "damaged", "--measure"],
    );
    succeed(&["sample", &run, "--seeds=0"]);
    succeed(&[&["levels", &run][..], &QUICK].concat());
    succeed(&sample);
}

#[test]
fn a_run_may_be_configured_for_a_curve_before_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let run = dir.path().join("run");
    let set = [
        "--set",
        "sample.schedule=loss-curve",
        "--set",
        "train.samples_every=6",
    ];
    succeed(&[&["train", text(&config), "--out", text(&run)], &set[..]].concat());
    assert!(run.join("samples/step-000000012.png").is_file());
    fail(&["sample", text(&run), "--seeds=0"], &["--measure"]);
    let page = |run: &Path| {
        succeed(&["report", text(run), "--steps", "2", "3"]);
        fs::read_to_string(run.join("report/index.html")).unwrap()
    };
    assert!(page(&run).contains("No loss curve of these weights"));
    succeed(&[&["levels", text(&run)], &QUICK[..]].concat());
    assert!(!page(&run).contains("No loss curve of these weights"));
    succeed(&["sample", text(&run), "--seeds=0"]);
    // Held-out data: here other images of the same shape.
    let pixels: Vec<f32> = (0..64 * 5).map(|i| (i % 17) as f32).collect();
    let data = dir.path().join("others.npz");
    fs::write(
        &data,
        tweedie::data::npz_bytes_f32(&[5, 1, 8, 8], &pixels).unwrap(),
    )
    .unwrap();
    let of = [
        "levels",
        text(&run),
        "--measure",
        "--count=7",
        "--data",
        text(&data),
    ];
    let output = tweedie(&of).output().unwrap();
    let notes = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => assert!(!notes.contains("trained on")),
        false => assert!(notes.contains("others.npz"), "{notes}"),
    }
}

#[test]
fn wrong_options_and_levels_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    fail(
        &["levels", "digits", "--measure"],
        &["digits = --measure", "not the folder of one"],
    );
    fail(&["levels", "digits", "--steps=4"], &["--steps", "runs"]);
    fail(
        &["levels", &run, "--sigma-min=1"],
        &["--sigma-min = 1", "config.toml"],
    );
    fail(
        &["levels", &run, "--set", "limit=3"],
        &["--set = limit=3", "--measure"],
    );
    fail(&["levels", &run, "--measure", "--count=0"], &["count = 0"]);
    fail(&["levels", &run, "--measure", "--batch=0"], &["batch = 0"]);
    fail(&["levels", &run, "--measure", "--steps=1"], &["levels = 1"]);
    fail(
        &["levels", &run, "--measure", "--checkpoint=5"],
        &["step 5"],
    );
    fail(
        &["levels", &run, "--measure", "--data=swiss-roll"],
        &["shape"],
    );
    assert!(!Path::new(&run).join("loss-curve.json").exists());
    let bad = |set: &str, words: &[&str]| fail(&["sample", &run, "--set", set], words);
    bad("sigmas=[1.0, 2.0]", &["sigmas", "level 2 is 2 after 1"]);
    bad("sigmas=[]", &["sigmas", "at least one"]);
    bad("sigmas=[2.0, 0]", &["sigmas", "level 2 must be positive"]);
    bad("sigmas=many", &["sigmas"]);
    bad("p=-1", &["sample.p = -1"]);
    let both = ["sample", &run, "--steps=5", "--set", "sigmas=[2, 1]"];
    fail(&both, &["--steps = 5", "2 noise levels"]);
    // In a configuration, before anything is trained.
    let config = fs::read_to_string(tiny(dir.path())).unwrap();
    let wrong = dir.path().join("wrong.toml");
    let none = dir.path().join("none");
    for (more, words) in [
        ("sigmas = [3, 3]", &["sigmas", "level 2 is 3 after 3"][..]),
        ("sigmas = [3, 1]", &["sample.steps = 6", "sigmas"]),
    ] {
        fs::write(&wrong, format!("{config}\n{more}\n")).unwrap();
        fail(&["train", text(&wrong), "--out", text(&none)], words);
    }
    assert!(!none.exists());
    // One image, and one item noised.
    let (one, config) = (dir.path().join("one"), tiny(dir.path()));
    let args = [
        "train",
        text(&config),
        "--out",
        text(&one),
        "--set",
        "data.limit=1",
    ];
    let more = [
        "--set",
        "noise.sigma_max=4",
        "--set",
        "network.sigma_data=0.3",
    ];
    succeed(&[&args[..], &more].concat());
    for count in ["1", "20"] {
        let found = json(&["levels", text(&one), "--measure", "--count", count]);
        let errors = found["curve"]["points"][0].get("standard_error");
        assert_eq!(errors.is_some(), count == "20");
    }
    succeed(&[
        "sample",
        text(&one),
        "--set",
        "schedule=entropic",
        "--seeds=0",
    ]);
}
