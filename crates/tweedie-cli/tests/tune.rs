//! Tuning through the program.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use common::{expect_error, fail, succeed, text, tiny, tweedie};
use serde_json::{Value, json};
use tweedie_tune::AXES;

#[test]
fn a_run_is_tuned_resumes_and_leaves_recipes_and_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(&["train", text(&tiny(dir.path())), "--out", text(&run)]);
    let run = text(&run);
    let args = [
        "tune",
        run,
        "--calls",
        "4,2",
        "--features",
        "pca:4",
        "--time",
        "25s",
        "--json",
    ];
    let found: Value = serde_json::from_str(&succeed(&args)).unwrap();
    let calls: Vec<&Value> = found["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["calls"])
        .collect();
    assert_eq!(calls, [2, 4]);
    for one in found["found"].as_array().unwrap() {
        let distance = &one["distance"]["corrected"];
        assert!(distance["value"].is_number() && distance["standard_error"].is_number());
        assert!(["winner", "tie"].contains(&one["outcome"].as_str().unwrap()));
        let recipe = fs::read_to_string(one["recipe"].as_str().unwrap()).unwrap();
        for key in ["sampler = ", "sigmas = [", "weights = ", "interval = ["] {
            assert!(recipe.contains(key), "{recipe}");
        }
        // The same for other tools.
        let beside = |extension: &str| {
            let path = Path::new(one["recipe"].as_str().unwrap()).with_extension(extension);
            fs::read_to_string(path).unwrap()
        };
        let line = beside("sigmas.txt");
        let levels = line.strip_suffix(", 0\n").unwrap();
        let written = recipe.split("sigmas = [").nth(1).unwrap();
        let written = written.split(']').next().unwrap();
        let numbers = |list: &str| -> Vec<f64> {
            list.split(',')
                .map(|level| level.trim().parse().unwrap())
                .collect()
        };
        assert_eq!(numbers(levels), numbers(written));
        let scheduler = beside("diffusers.py");
        assert!(
            scheduler.contains(&format!("SIGMAS = [{levels}, 0]")),
            "{scheduler}"
        );
        assert!(scheduler.contains("scheduler = Tuned("), "{scheduler}");
        let refined = &one["per_step"];
        assert!(
            refined.is_null() || refined["kept"].is_boolean(),
            "{refined}"
        );
    }
    assert!(found["searched"].as_u64().unwrap() + found["reported"].as_u64().unwrap() == 1797);
    let page = Path::new(run).join("tune/page");
    for file in [
        "index.html",
        "quality.png",
        "levels.png",
        "samples.png",
        "found.csv",
    ] {
        assert!(page.join(file).is_file(), "{file}");
    }
    // The same again, from what was kept: but for seconds and the day.
    let again: Value = serde_json::from_str(&succeed(&args)).unwrap();
    assert_eq!(again["found"], found["found"]);
    assert_eq!(again["evaluations"], found["evaluations"]);

    // A recipe is sampled by as many calls as it says, and measured.
    let out = dir.path().join("samples");
    let args = [
        "sample",
        run,
        "--recipe",
        "best@4",
        "--seeds",
        "0-3",
        "--out",
        text(&out),
        "--json",
    ];
    let sampled: Value = serde_json::from_str(&succeed(&args)).unwrap();
    assert!(sampled["calls"].as_u64().unwrap() <= 4);
    let file = Path::new(run).join("tune/recipes/2.toml");
    let args = [
        "evaluate",
        run,
        "--recipe",
        text(&file),
        "--seeds",
        "0-19",
        "--json",
    ];
    let measured: Value = serde_json::from_str(&succeed(&args)).unwrap();
    assert_eq!(measured["samples"]["count"], 20);
    fail(&["sample", run, "--recipe", "7"], &["7.toml", "[2, 4]"]);
    let damaged = dir.path().join("damaged.toml");
    fs::write(&damaged, "[tuned]\ncalls = 2\n").unwrap();
    fail(
        &["sample", run, "--recipe", text(&damaged)],
        &["damaged.toml", "no recipe"],
    );

    fail(&["tune", run, "--calls", "0"], &["calls"]);
    let all = tweedie(&["tune", run, "--per-step", "1"]).output().unwrap();
    assert_eq!(all.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&all.stderr).contains("share"));
    fail(
        &["tune", run, "--calls", "4000", "--time", "1s"],
        &["give it more time"],
    );
    fail(&["tune", run, "--set", "limit=3"], &["items of data = 3"]);
    fail(&["tune", text(dir.path())], &["config.toml"]);
}

#[test]
fn a_runs_figures_are_drawn_and_resume() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(&["train", text(&tiny(dir.path())), "--out", text(&run)]);
    let run = text(&run);
    let args = [
        "profile",
        run,
        "--calls",
        "2,4,8",
        "--tuned-at",
        "4",
        "--grids",
        "4",
        "--samples",
        "32",
        "--eps-c",
        "1,2,inf",
        "--untuned",
        "12",
        "--features",
        "pca:3",
        "--json",
    ];
    let found: Value = serde_json::from_str(&succeed(&args)).unwrap();
    let profiles = found["step_size"]["profiles"].as_array().unwrap();
    assert_eq!(profiles.len(), 3);
    for (moved, transfer) in found["step_size"]["moved"]
        .as_array()
        .unwrap()
        .iter()
        .zip(found["step_size"]["transfer"].as_array().unwrap())
    {
        assert!(moved["least_eps_b"].as_f64().unwrap() > 0.0);
        if transfer["calls"] == 4 {
            assert_eq!(transfer["eps_c"]["value"], 0.0);
            assert_eq!(transfer["eps_b"]["value"], 0.0);
        }
    }
    // What is feasible at 4 calls need not be at 2: an eps_b below its least there is left out.
    let least = |i: usize| {
        found["step_size"]["moved"][i]["least_eps_b"]
            .as_f64()
            .unwrap()
    };
    assert!(least(0) > least(1) && least(1) > least(2));
    assert_eq!(
        found["last_step"]["points"].as_array().unwrap().len(),
        2 * (7 + 3)
    );
    assert_eq!(found["grids"]["rows"].as_array().unwrap().len(), 4 * 7);
    assert_eq!(found["untuned"]["rows"][0]["calls"], 12);
    let page = Path::new(run).join("tune/profile");
    for file in [
        "index.html",
        "step-size-eps-b.png",
        "step-size-eps-c.png",
        "transfer.png",
        "last-step.png",
        "grids.csv",
        "untuned.csv",
        "samples.png",
    ] {
        assert!(page.join(file).is_file(), "{file}");
    }
    let again: Value = serde_json::from_str(&succeed(&args)).unwrap();
    assert_eq!(again["step_size"], found["step_size"]);
    assert_eq!(again["evaluations"], found["evaluations"]);

    fail(&["profile", run, "--tuned-at", "5"], &["tuned-at", "5"]);
    fail(
        &["profile", run, "--eps-c", "2,1,3"],
        &["eps-c", "ascending"],
    );
    fail(
        &["profile", run, "--calls", "1,32"],
        &["calls", "2 or more"],
    );
}

/// What the program makes of `lines` on its standard input.
fn ask(args: &[&str], lines: &[String]) -> Output {
    let mut command = tweedie(args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Dropped at the end, which ends the program. It may end before, of a line that is no request.
    let mut requests = child.stdin.take().unwrap();
    for line in lines {
        let _ = writeln!(requests, "{line}");
    }
    drop(requests);
    child.wait_with_output().unwrap()
}

#[test]
fn another_optimiser_asks_for_points() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(&["train", text(&tiny(dir.path())), "--out", text(&run)]);
    let args = [
        "tune",
        text(&run),
        "--calls",
        "3",
        "--features",
        "pca:4",
        "--points",
    ];

    // The first sampler without noise on the full range.
    let point = [0.0; AXES];
    let request = |samples: u64, seed: u32| {
        json!({"point": point, "samples": samples, "seed": seed}).to_string()
    };
    let lines = [
        request(32, 0),
        String::new(),
        request(32, 0),
        request(32, 1),
        json!({"point": vec![2.0; AXES]}).to_string(),
        json!({"point": []}).to_string(),
        request(2, 0),
        json!({"point": vec![1.0; AXES], "samples": 40}).to_string(),
    ];
    let output = ask(&args, &lines);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answers: Vec<Value> = BufReader::new(&output.stdout[..])
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert_eq!(answers.len(), 7);
    let [first, again, other, outside, short, few, last] = &answers[..] else {
        unreachable!()
    };
    assert!(first["distance"]["value"].is_number());
    assert!(first["distance"]["standard_error"].as_f64().unwrap() > 0.0);
    assert!(
        first["candidate"].as_str().unwrap().contains("sigma"),
        "{first}"
    );
    assert!((1..=3).contains(&first["levels"].as_array().unwrap().len()));
    // The same point on the same samples, and on others; every call is counted.
    assert_eq!(again["distance"], first["distance"]);
    assert_ne!(other["distance"], first["distance"]);
    let each = first["evaluations"].as_u64().unwrap();
    assert!((32..=96).contains(&each));
    assert_eq!(again["evaluations"].as_u64(), Some(2 * each));
    // What is not feasible is an answer, without calls.
    for (answer, word) in [(outside, "[0, 1]"), (short, "axes"), (few, "samples = 2")] {
        assert!(answer["error"].as_str().unwrap().contains(word), "{answer}");
        assert_eq!(answer["evaluations"].as_u64(), Some(3 * each));
        assert_eq!(answer["axes"].as_u64(), Some(AXES as u64));
    }
    assert!(last["evaluations"].as_u64().unwrap() > 3 * each);

    let broken = ask(&args, &[request(32, 0), "{\"point\": [0.5".into()]);
    expect_error(
        &broken,
        &args,
        &["line 2", "no request", "\"samples\": 256"],
    );
    assert_eq!(
        broken.stdout.iter().filter(|byte| **byte == b'\n').count(),
        1
    );
    let unknown = ask(&args, &[json!({"point": point, "sample": 3}).to_string()]);
    expect_error(&unknown, &args, &["line 1", "sample"]);
    let args = ["tune", text(&run), "--calls", "3,4", "--points"];
    fail(&args, &["one number of network calls"]);
}
