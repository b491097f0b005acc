//! Tuning through the program.

mod common;

use std::fs;
use std::path::Path;

use common::{fail, succeed, text, tiny};
use serde_json::Value;

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
    fail(&["tune", run, "--per-step", "1"], &["per-step", "share"]);
    fail(
        &["tune", run, "--calls", "4000", "--time", "1s"],
        &["give it more time"],
    );
    fail(&["tune", run, "--set", "limit=3"], &["items of data = 3"]);
    fail(&["tune", text(dir.path())], &["config.toml"]);
}
