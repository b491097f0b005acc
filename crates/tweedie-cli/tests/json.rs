//! `--json`: one document on standard output and nothing else, with the numbers that are printed
//! without it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{expect_error, fail, succeed, text, tiny, tweedie};
use serde_json::Value;

/// Runs the program with `--json`; returns the document and what is on stderr.
#[track_caller]
fn json_and_notes(args: &[&str]) -> (Value, String) {
    let output = tweedie(args).arg("--json").output().unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?} failed: {notes}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.ends_with("}\n") && printed.lines().count() == 1);
    // Nothing but a document parses whole.
    (serde_json::from_str(&printed).unwrap(), notes)
}

#[track_caller]
fn json(args: &[&str]) -> Value {
    json_and_notes(args).0
}

/// The paths of a list of files, which are all there.
#[track_caller]
fn files(list: &Value) -> Vec<PathBuf> {
    let names = list.as_array().unwrap().iter();
    let files: Vec<PathBuf> = names.map(|file| file.as_str().unwrap().into()).collect();
    assert!(!files.is_empty() && files.iter().all(|file| file.is_file()));
    files
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is not a number"))
}

/// A small run, and what training it said as JSON.
fn trained(dir: &Path) -> (String, Value) {
    let run = dir.join("run");
    let found = json(&["train", text(&tiny(dir)), "--out", text(&run)]);
    (text(&run).to_owned(), found)
}

#[test]
fn training() {
    let dir = tempfile::tempdir().unwrap();
    let (run, found) = trained(dir.path());
    let plain = dir.path().join("plain");
    let config = tiny(dir.path());
    let args = ["train", text(&config), "--out", text(&plain)];
    let said = succeed(&args);
    let loss = format!("trained to step 12, loss {:.3}\n", number(&found["loss"]));
    assert!(said.contains(&loss), "{said}{loss}");
    let parameters = format!("network: {} parameters;", found["parameters"]);
    assert!(said.contains(&parameters), "{said}");
    assert_eq!((&found["step"], &found["steps"]), (&12.into(), &12.into()));
    assert_eq!(found["stopped"], false);
    assert_eq!(found["run"], run);
    assert!(Path::new(found["checkpoint"].as_str().unwrap()).is_dir());
    assert!(number(&found["seconds"]) > 0.0);
    // What is said on the way is not lost, and a run that is done has no loss.
    let again = [&args[..], &["--resume"]].concat();
    let (found, notes) = json_and_notes(&again);
    assert!(notes.contains("run folder: "), "{notes}");
    assert_eq!((&found["loss"], &found["step"]), (&Value::Null, &12.into()));

    let dry = ["train", text(&config), "--dry-run"];
    let (found, said) = (json(&dry), succeed(&dry));
    for (key, unit) in [("parameters", "network: "), ("items", "data: ")] {
        let line = format!("# {unit}{}", found[key]);
        assert!(said.contains(&line), "{line}: {said}");
    }
    assert_eq!(found["config"]["train"]["steps"], 12);
    assert_eq!(found["config"]["noise"]["sigma_max"], 4.9);
    assert!(number(&found["seconds_per_step"]) > 0.0);
}

#[test]
fn sampling() {
    let dir = tempfile::tempdir().unwrap();
    let (run, _) = trained(dir.path());
    let [plain, out] = ["plain", "json"].map(|name| dir.path().join(name));
    let draw = ["sample", &run, "--seeds=3-12", "--out"];
    let said = succeed(&[&draw[..], &[text(&plain)]].concat());
    let args = [&draw[..], &[text(&out)]].concat();
    let found = json(&args);
    let (count, step, calls) = (&found["count"], &found["step"], &found["calls"]);
    assert!(said.starts_with(&format!("{count} samples of step {step} in ")));
    assert!(
        said.contains(&format!(" {calls} network calls each")),
        "{said}"
    );
    assert_eq!((&found["done"], &found["drawn"]), (count, count));
    assert_eq!(found["stopped"], false);
    assert_eq!(found["folder"], text(&out));
    let names = |files: &[PathBuf]| -> Vec<_> {
        let names = files
            .iter()
            .map(|file| file.file_name().unwrap().to_owned());
        names.collect()
    };
    let printed: Vec<PathBuf> = said.lines().skip(1).map(PathBuf::from).collect();
    assert_eq!(names(&files(&found["files"])), names(&printed));
    // Again there is nothing to draw.
    assert_eq!(json(&args)["drawn"], 0);
}

#[test]
fn likelihoods() {
    let dir = tempfile::tempdir().unwrap();
    let (run, _) = trained(dir.path());
    let args = ["likelihood", &run, "--tolerance=1e-2", "--count=3"];
    let args = |probes| [&args[..], &[probes]].concat();
    let said = succeed(&args("--probes=2"));
    let file = Path::new(&run).join("likelihood.csv");
    let table = fs::read_to_string(&file).unwrap();
    let found = json(&args("--probes=2"));
    assert_eq!(fs::read_to_string(&file).unwrap(), table);
    let estimate = |key: &str, places: usize| {
        let (value, error) = (&found[key]["value"], &found[key]["standard_error"]);
        format!("{:.places$} ± {:.places$}", number(value), number(error))
    };
    let lines = [
        format!("{} items of digits under step 12", found["count"]),
        format!("log density: {} nats", estimate("log_density", 4)),
        format!("bits per dimension: {}", estimate("bits_per_dim", 4)),
        found["file"].as_str().unwrap().to_owned(),
    ];
    for line in &lines {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(
        (&found["step"], &found["data"]),
        (&12.into(), &"digits".into())
    );
    let row = |item: &Value| {
        let cells = ["item", "log_density", "standard_error", "bits_per_dim"];
        cells.map(|cell| item[cell].clone())
    };
    let items = found["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    for (item, line) in items.iter().zip(table.lines().skip(1)) {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(row(item).each_ref().map(number), cells[..]);
    }
    // One probe says nothing of its error: NaN in the table, null here.
    let one = json(&args("--probes=1"));
    assert_eq!(one["items"][0]["standard_error"], Value::Null);
    assert!(fs::read_to_string(&file).unwrap().contains(",NaN,"));
    // Two things do not go to one place.
    let out = [&args("--probes=1")[..], &["--out=/dev/stdout"]].concat();
    if cfg!(unix) {
        let output = tweedie(&out).arg("--json").output().unwrap();
        expect_error(&output, &out, &["/dev/stdout", "JSON", "--out"]);
        assert!(output.stdout.is_empty());
    }
}

/// Data of another source have no labels, unless it is said where.
#[test]
fn likelihoods_of_other_data_need_no_labels() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, rows: &str| {
        let path = dir.path().join(name);
        fs::write(&path, rows).unwrap();
        text(&path).to_owned()
    };
    let own = write("own.csv", "a,b,label\n1.0,2.0,x\n0.5,1.0,y\n-1.0,0.0,x\n");
    let other = write("other.csv", "1.0,2.0\n0.0,0.5\n");
    let config = write(
        "c.toml",
        &format!(
            "[data]\nsource = \"{own}\"\nlabels = true\n[network.mlp]\nhidden = [8]\n[train]\n\
             steps = 3\nbatch = 4\n"
        ),
    );
    let run = dir.path().join("run");
    succeed(&["train", &config, "--out", text(&run)]);
    let args = ["likelihood", text(&run), "--exact"];
    assert_eq!(json(&args)["count"], 3);
    let args = [&args[..], &["--data", &other]].concat();
    assert_eq!(json(&args)["count"], 2);
    let labelled = [&args[..], &["--set", "labels=true"]].concat();
    fail(&labelled, &["other.csv", "set labels"]);
}

#[test]
fn levels() {
    let args = ["levels", "digits", "--set", "labels=true"];
    let (said, (found, notes)) = (succeed(&args), json_and_notes(&args));
    let data = &found["data"];
    assert_eq!(data["shape"], serde_json::json!([1, 8, 8]));
    let counts = found["class_counts"].as_array().unwrap();
    assert_eq!(data["classes"].as_array().unwrap().len(), counts.len());
    let sum: u64 = counts.iter().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(Some(sum), data["count"].as_u64());
    let (distance, count) = (&found["distance"], &found["count"]);
    let mut lines = vec![
        format!("digits: {} items", data["count"]),
        format!("classes: {}, ", counts.len()),
        format!(
            "{:.4} (exact, {} pairs examined)",
            number(&distance["sigma_1"]),
            distance["pairs_examined"]
        ),
        format!("median distance {:.4}", number(&distance["median"])),
        format!(
            "{} levels, a factor of {:.5}",
            count["levels"],
            number(&count["ratio"])
        ),
        format!("probability {}", found["overlap"]),
        format!("sigma_max = {}\n", found["sigma_1"]),
        format!("sigma_min = {}\n", found["sigma_l"]),
    ];
    let steps = found["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 3);
    lines.extend(steps.iter().map(|step| {
        let [eps, eta] = ["eps", "eta"].map(|key| number(&step[key]));
        format!(
            "n_sigma = {}: eps = {eps:.3e} (eta = {eta:.5}",
            step["n_sigma"]
        )
    }));
    for line in lines {
        assert!(said.contains(&line), "{line}: {said}");
    }
    assert!(notes.contains("comparing 1797 items"), "{notes}");
    // Technique 2 does not apply to two dimensions.
    let plane = json(&["levels", "swiss-roll", "--set", "count=200"]);
    assert_eq!(plane["count"], Value::Null);
    assert!(plane.get("class_counts").is_none());
}

#[test]
fn reports_also_of_earlier_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let (run, _) = trained(dir.path());
    let args = ["report", &run, "--steps", "3", "5"];
    let said = succeed(&args);
    let found = json(&args);
    let page = found["page"].as_str().unwrap();
    assert_eq!(said, format!("report: {page}\n"));
    assert_eq!(
        (&found["step"], &found["data_shown"]),
        (&12.into(), &true.into())
    );
    let pictures = files(&found["files"]);
    assert!(pictures.contains(&Path::new(&run).join("report/samples.png")));
    let earlier = json(&[&args[..], &["--checkpoint=8"]].concat());
    assert_eq!(earlier["step"], 8);
    let html = fs::read_to_string(page).unwrap();
    assert!(
        html.contains("after 8 training steps"),
        "the page is of another step"
    );
    fail(
        &[&args[..], &["--checkpoint=7"]].concat(),
        &["no checkpoint at step 7", "12"],
    );
}

#[test]
fn studies_and_the_demo() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("noise");
    let args = ["study", "noise", "--quick", "--seed=2", "--out", text(&out)];
    let said = succeed(&args);
    let found = json(&args);
    assert_eq!(said.lines().last(), found["page"].as_str());
    assert_eq!(
        (&found["study"], &found["seed"]),
        (&"noise".into(), &2.into())
    );
    assert_eq!(found["quick"], true);
    assert!(files(&found["files"]).contains(&out.join("along.csv")));

    let out = dir.path().join("demo");
    let args = ["demo", "--out", text(&out), "--set", "train.steps=3"];
    let said = succeed(&args);
    let (found, notes) = json_and_notes(&args);
    let (train, report) = (&found["train"], &found["report"]);
    let loss = format!("trained to step 3, loss {:.3}\n", number(&train["loss"]));
    assert!(said.contains(&loss), "{said}{loss}");
    assert!(said.contains(report["page"].as_str().unwrap()), "{said}");
    assert_eq!((&train["step"], &report["step"]), (&3.into(), &3.into()));
    assert!(notes.contains("1. training"), "{notes}");
}

#[test]
fn errors_leave_standard_output_empty() {
    let dir = tempfile::tempdir().unwrap();
    let (run, _) = trained(dir.path());
    for (args, part) in [
        (vec!["sample", &run, "--steps=0"], "sample.steps"),
        (vec!["likelihood", &run, "--count=0"], "count = 0"),
        (vec!["report", &run, "--steps", "0", "5"], "steps = 0"),
        (vec!["levels", "/nowhere"], "data.source"),
        (vec!["train", "/nowhere.toml"], "nowhere"),
    ] {
        let output = tweedie(&args).arg("--json").output().unwrap();
        expect_error(&output, &args, &[part]);
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

/// A folder whose name is not Unicode loses its odd bytes, not the result.
#[cfg(target_os = "linux")]
#[test]
fn paths_that_are_not_unicode_are_printed_all_the_same() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join(std::ffi::OsStr::from_bytes(b"r\xffn"));
    let mut command = tweedie(&["train", text(&tiny(dir.path())), "--json", "--out"]);
    let output = command.arg(&out).output().unwrap();
    assert!(output.status.success());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found["run"].as_str().unwrap().ends_with("r\u{fffd}n"));
    assert!(out.join("checkpoints").is_dir());
}
