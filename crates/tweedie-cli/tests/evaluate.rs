//! Samples measured against data, through the program.

mod common;

use std::fs;
use std::path::Path;

use common::{fail, succeed, text, tiny};
use serde_json::Value;

fn json(args: &[&str]) -> Value {
    let said = succeed(&[args, &["--json"]].concat());
    serde_json::from_str(&said).unwrap()
}

#[test]
fn a_run_its_samples_and_other_runs_are_measured() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(&["train", text(&tiny(dir.path())), "--out", text(&run)]);
    let run = text(&run);
    let args = [
        "evaluate",
        run,
        "--seeds",
        "0-79",
        "--features",
        "pixels",
        "--features",
        "pca:8",
    ];
    let found = json(&args);
    assert_eq!(found["samples"]["count"], 80);
    assert_eq!(found["reference"]["count"], 1797);
    assert_eq!(found["shape"], serde_json::json!([1, 8, 8]));
    let [pixels, principal] = &found["spaces"].as_array().unwrap()[..] else {
        panic!("two spaces");
    };
    assert_eq!((&pixels["dim"], &principal["dim"]), (&64.into(), &8.into()));
    // 40 items in a half, 64 features.
    assert_eq!(
        (&pixels["too_few"], &principal["too_few"]),
        (&true.into(), &false.into())
    );
    let distance = &principal["frechet"]["corrected"];
    assert!(
        distance["value"].as_f64().unwrap() > 4.0 * distance["standard_error"].as_f64().unwrap()
    );
    for file in ["index.html", "nearest.png", "distances.csv", "ratios.csv"] {
        assert!(
            Path::new(run).join("evaluation").join(file).is_file(),
            "{file}"
        );
    }

    // The same samples from a folder give the same figures.
    let out = dir.path().join("samples");
    succeed(&["sample", run, "--seeds", "0-79", "--out", text(&out)]);
    let of_folder = json(&[
        "evaluate",
        text(&out),
        "--against",
        "digits",
        "--features",
        "pixels",
    ]);
    assert_eq!(&of_folder["spaces"][0], pixels);
    assert_eq!(of_folder["page"], Value::Null);

    // Against itself: nothing to tell; said in words too.
    let said = succeed(&["evaluate", run, "--seeds", "0-79", "--versus", text(&out)]);
    assert!(said.contains("cannot tell"), "{said}");
    assert!(
        said.contains("Frechet distance, 1/n bias removed"),
        "{said}"
    );

    // Digits themselves, in two parts: as data of equal distribution, against training data.
    let page = dir.path().join("page");
    let args = [
        "evaluate",
        "gaussians-25",
        "--against",
        "gaussians-25",
        "--set",
        "count=300",
    ];
    let more = ["--held-out", "gaussians-25", "--out", text(&page)];
    let found = json(&[&args[..], &more].concat());
    assert!(found["spaces"][0]["vectors"]["energy"]["value"].is_number());
    assert!(found["spaces"][0]["memorisation"]["p_value"].is_number());
    assert!(page.join("points.svg").is_file());
    // A page is replaced by a page, and by nothing else.
    json(&[&args[..], &more].concat());
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fail(
        &["evaluate", "digits", "--against", "swiss-roll"],
        &["swiss-roll", "[1, 8, 8]"],
    );
    fail(&["evaluate", "digits"], &["--against"]);
    fail(
        &["evaluate", "missing.npz", "--against", "digits"],
        &["missing.npz"],
    );
    fail(
        &[
            "evaluate",
            "digits",
            "--against",
            "digits",
            "--features",
            "pca:65",
        ],
        &["pca = 65", "64 values"],
    );
    fail(
        &[
            "evaluate",
            "swiss-roll",
            "--against",
            "swiss-roll",
            "--set",
            "count=1",
        ],
        &["at least four"],
    );
    let full = dir.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("thesis.tex"), "years").unwrap();
    fail(
        &[
            "evaluate",
            "digits",
            "--against",
            "digits",
            "--out",
            text(&full),
        ],
        &["full", "another folder with --out"],
    );
    assert_eq!(fs::read(full.join("thesis.tex")).unwrap(), b"years");
}

#[test]
fn statistics_are_written_merged_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (digits, twice) = (at("digits.npz"), at("twice.npz"));
    let (digits, twice) = (text(&digits), text(&twice));
    let written = json(&["evaluate", "digits", "--statistics", digits]);
    assert_eq!(
        (&written["count"], &written["dim"]),
        (&1797.into(), &64.into())
    );
    let merged = json(&["evaluate", digits, digits, "--statistics", twice]);
    assert_eq!(merged["count"], 3594);

    // Against themselves, in every way of saying it: nothing but what n - 1 makes of twice as many.
    for args in [[digits, "digits"], ["digits", digits], [digits, digits]] {
        let found = json(&["evaluate", args[0], "--against", args[1]]);
        assert!(found["frechet_plain"].as_f64().unwrap() < 1e-9, "{found}");
        assert_eq!(found["frechet"].is_null(), args[0] != "digits");
    }
    let found = json(&["evaluate", twice, "--against", digits]);
    assert!(found["frechet_plain"].as_f64().unwrap() < 1e-4, "{found}");
    let said = succeed(&["evaluate", "digits", "--against", digits]);
    assert!(said.contains("1/n bias removed"), "{said}");

    fail(
        &["evaluate", "swiss-roll", "--against", digits],
        &["digits.npz", "64 features", "--features"],
    );
    fail(
        &[
            "evaluate",
            "digits",
            "--against",
            digits,
            "--held-out",
            "digits",
        ],
        &["--held-out", "statistics"],
    );
    fail(
        &["evaluate", digits, "digits", "--against", "digits"],
        &["SAMPLES = 2"],
    );
    let pca = [
        "evaluate",
        "digits",
        "--against",
        digits,
        "--features",
        "pca:4",
    ];
    fail(&pca, &["pca:4", "pixels"]);
    let damaged = at("damaged.npz");
    fs::write(&damaged, &fs::read(digits).unwrap()[..2000]).unwrap();
    fail(
        &["evaluate", "digits", "--against", text(&damaged)],
        &["damaged.npz"],
    );
}

#[test]
fn figures_by_the_conventions_of_other_tools() {
    let args = ["evaluate", "gaussians-25", "--against", "gaussians-25"];
    let tools = [
        "--convention",
        "torch-fidelity",
        "--convention",
        "clean-fid",
    ];
    let found = json(&[&args[..], &tools, &["--set", "count=400"]].concat());
    let [fidelity, clean] = &found["spaces"][0]["conventions"].as_array().unwrap()[..] else {
        panic!("two conventions");
    };
    assert_eq!(fidelity["convention"], "torch-fidelity");
    assert_eq!(fidelity["subsets"], serde_json::json!([100, 400]));
    assert!(clean["mean"].is_number() && clean["spread"].is_number());
    let said = succeed(&[&args[..], &tools, &["--set", "count=400"]].concat());
    assert!(said.contains("KID as clean-fid prints it"), "{said}");
}

/// Sets that do not go together, and values that are none: one clear message, nothing written.
#[test]
fn items_that_cannot_be_compared_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str, sizes: &[[u32; 2]], color: bool| {
        let folder = dir.path().join(name);
        fs::create_dir(&folder).unwrap();
        for (i, [width, height]) in sizes.iter().enumerate() {
            let path = folder.join(format!("{i}.png"));
            match color {
                true => image::RgbImage::new(*width, *height).save(path).unwrap(),
                false => image::GrayImage::new(*width, *height).save(path).unwrap(),
            }
        }
        folder
    };
    let grey = folder("grey", &[[8, 8]; 6], false);
    let color = folder("color", &[[8, 8]; 6], true);
    let mixed = folder("mixed", &[[8, 8], [8, 8], [9, 7]], false);
    let one = folder("one", &[[8, 8]], false);
    let page = dir.path().join("page");
    let refused = |samples: &Path, against: &Path, parts: &[&str]| {
        let args = [
            "evaluate",
            text(samples),
            "--against",
            text(against),
            "--out",
            text(&page),
        ];
        fail(&args, parts);
        assert!(!page.exists());
    };
    refused(&mixed, &grey, &["mixed", "2.png"]);
    refused(&grey, &mixed, &["mixed", "2.png"]);
    refused(&color, &grey, &["[3, 8, 8]", "[1, 8, 8]"]);
    refused(&one, &grey, &["at least four"]);
    let nan = dir.path().join("nan.csv");
    fs::write(&nan, "1,2\n3,nan\n5,6\n").unwrap();
    refused(&nan, &nan, &["nan.csv", "line 2"]);
    let missing = dir.path().join("missing");
    refused(&missing, &grey, &["missing"]);
}
