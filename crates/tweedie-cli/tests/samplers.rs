//! Every sampler and the likelihood, through the program.

mod common;

use std::fs;
use std::path::Path;

use common::{fail, succeed, text, tiny};
use tweedie::sample::SamplerKind;

/// A network that was trained for a moment.
fn trained(dir: &Path) -> String {
    let run = dir.join("run");
    succeed(&["train", text(&tiny(dir)), "--out", text(&run)]);
    text(&run).to_owned()
}

#[test]
fn every_sampler_draws_the_same_sample_in_any_batch() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    for sampler in SamplerKind::ALL.iter().map(|kind| kind.name()) {
        let draw = |seeds: &str, batch: &str| {
            let out = dir.path().join(format!("{sampler}-{seeds}-{batch}"));
            let args = [
                "sample",
                &run,
                "--sampler",
                sampler,
                "--steps",
                "5",
                "--seeds",
                seeds,
                "--batch",
                batch,
                "--set",
                "clip=range",
                "--out",
                text(&out),
            ];
            let said = succeed(&args);
            assert!(said.contains("network calls each"), "{said}");
            fs::read(out.join("000003.png")).unwrap()
        };
        let all = draw("0-4", "64");
        assert!(all == draw("0-4", "2"), "{sampler}");
        assert!(all == draw("3", "1"), "{sampler}");
    }
    // Two samplers are not one.
    let sample =
        |sampler: &str| fs::read(dir.path().join(format!("{sampler}-3-1/000003.png"))).unwrap();
    assert!(sample("heun") != sample("cas"));
}

#[test]
fn settings_belong_to_their_sampler() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let heun = ["sample", &run, "--sampler", "heun", "--steps", "4"];
    let with = |more: &[&'static str]| [&heun[..], more].concat();
    fail(&with(&["--set", "s_chrun=4"]), &["s_chrun", "s_churn"]);
    fail(&with(&["--set", "s_noise=-1"]), &["s_noise = -1"]);
    fail(&with(&["--eps-c", "2"]), &["eps_c", "heun"]);
    fail(
        &with(&["--set", "schedule=cos"]),
        &["schedule=cos", "`plain-cosine`"],
    );
    fail(&with(&["--set", "sampler=cas"]), &["--sampler"]);
    fail(&with(&["--set", "s_churn=abc"]), &["s_churn", "abc"]);
    // A slip in a key of the table itself is answered with those as well.
    fail(
        &with(&["--set", "schedul=karras"]),
        &["schedul", "schedule"],
    );
    let of = |sampler: &'static str, set: &'static str| {
        vec!["sample", &run, "--sampler", sampler, "--set", set]
    };
    fail(
        &of("reverse-sde", "schedule=karras"),
        &["sample.schedule", "schedule=geometric"],
    );
    let euler = [of("ode", "method=euler"), vec!["--set", "rtol=1"]].concat();
    fail(&euler, &["rtol = 1", "dormand-prince"]);
    let cas = [of("pc", "corrector=cas"), vec!["--set", "snr=0.2"]].concat();
    fail(&cas, &["snr = 0.2", "cas has eta"]);
    // eta is eta in every sampler that has one; what it was called before is read as well.
    for eta in ["eta=1.5", "ddim_eta=1.5"] {
        fail(&of("ddim", eta), &["eta = 1.5", "[0, 1]"]);
    }
    let flag = ["sample", &run, "--sampler", "dpmpp-2m-sde", "--eta=-1"];
    fail(&flag, &["eta = -1", "not negative"]);
    let many = [
        "sample",
        &run,
        "--steps",
        "1000000000000000000",
        "--set",
        "schedule=ddpm",
    ];
    fail(&many, &["sample.steps", "at most"]);
    let bad = of("dpmpp-2m", "clip=dynamic");
    fail(
        &[bad, vec!["--set", "quantile=1.5"]].concat(),
        &["quantile = 1.5"],
    );
    fail(&with(&["--set", "quantile"]), &["key.path=value"]);
    let learned = [
        "sample",
        &run,
        "--sampler",
        "ancestral",
        "--set",
        "variance=learned",
    ];
    fail(&learned, &["variance = learned", "fixed-small"]);
    // In a configuration, before anything is trained.
    let config = fs::read_to_string(tiny(dir.path())).unwrap();
    let wrong = dir.path().join("wrong.toml");
    fs::write(
        &wrong,
        format!("{config}\nsampler = \"dpmpp-2m\"\neps_c = 2\n"),
    )
    .unwrap();
    fail(
        &[
            "train",
            text(&wrong),
            "--out",
            text(&dir.path().join("none")),
        ],
        &["eps_c", "dpmpp-2m"],
    );
    assert!(!dir.path().join("none").exists());
    fs::write(
        &wrong,
        config.replace("log-uniform\"", "cosine\"\nsigma_max = 5"),
    )
    .unwrap();
    fail(
        &[
            "train",
            text(&wrong),
            "--out",
            text(&dir.path().join("none")),
        ],
        &["noise.sigma_max = 5", "leave sigma_max out"],
    );
    // What a run was configured with is what sampling does.
    let fine = dir.path().join("fine.toml");
    let more = "\nsampler = \"heun\"\ns_churn = 2.0\nschedule = \"karras\"\n";
    fs::write(
        &fine,
        config.replace("train]\nsteps = 12", "train]\nsteps = 2") + more,
    )
    .unwrap();
    let run = dir.path().join("fine");
    succeed(&["train", text(&fine), "--out", text(&run)]);
    let said = succeed(&["sample", text(&run), "--seeds", "0-1"]);
    assert!(said.contains("11 network calls each"), "{said}");
    assert!(said.contains("heun-6-karras-s_churn2"), "{said}");
}

#[test]
fn likelihoods_are_written_with_their_errors() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let likelihood = |more: &[&str]| {
        let mut args = vec!["likelihood", &run, "--tolerance", "1e-2"];
        args.extend(more);
        succeed(&args)
    };
    let said = likelihood(&["--count", "3", "--probes", "2"]);
    assert!(
        said.contains("3 items of digits") && said.contains("bits per dimension"),
        "{said}"
    );
    let file = Path::new(&run).join("likelihood.csv");
    let table = fs::read_to_string(&file).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(
        rows[0],
        ["item", "log_density", "standard_error", "bits_per_dim"]
    );
    assert_eq!(rows.len(), 4);
    for row in &rows[1..] {
        let numbers: Vec<f64> = row.iter().map(|cell| cell.parse().unwrap()).collect();
        assert!(numbers.iter().all(|number| number.is_finite()), "{row:?}");
        assert!(numbers[2] > 0.0);
    }
    // An item's numbers are its own, whatever is computed beside it.
    let out = dir.path().join("one.csv");
    likelihood(&["--count", "1", "--probes", "2", "--out", text(&out)]);
    let one = fs::read_to_string(&out).unwrap();
    assert_eq!(one.lines().nth(1), table.lines().nth(1));

    succeed(&[
        "likelihood",
        &run,
        "--count",
        "1",
        "--tolerance",
        "0.1",
        "--data",
        "digits",
    ]);
    assert!(Path::new(&run).join("likelihood-digits.csv").is_file());
    assert_eq!(fs::read_to_string(&file).unwrap(), table);
    let evaluate = |data: &'static str| vec!["likelihood", &run, "--data", data];
    fail(&evaluate("swiss-roll"), &["swiss-roll", "another shape"]);
    fail(&evaluate("/nowhere"), &["/nowhere"]);
    fail(&["likelihood", &run, "--probes", "0"], &["probes = 0"]);
    fail(&["likelihood", &run, "--count", "0"], &["count = 0"]);
    fail(&["likelihood", &run, "--batch", "0"], &["batch = 0"]);
    fail(
        &["likelihood", &run, "--tolerance", "0"],
        &["tolerance = 0"],
    );
}

/// Vectors held out are seen as the run's own were, and images of fractions are not quantised.
#[test]
fn likelihoods_are_in_the_models_units() {
    let dir = tempfile::tempdir().unwrap();
    let csv = |name: &str, rows: std::ops::Range<u32>| {
        let line = |i: u32| format!("{}\n", f64::from(i * 7919 % 1000) * 0.01 + 20.0);
        let path = dir.path().join(name);
        fs::write(&path, rows.map(line).collect::<String>()).unwrap();
        text(&path).to_owned()
    };
    let (own, part) = (csv("own.csv", 0..900), csv("part.csv", 0..30));
    let config = dir.path().join("v.toml");
    let content = format!(
        "[data]\nsource = \"{own}\"\nstandardise = true\nlimit = 800\n\
         [network.mlp]\nhidden = [16]\n[train]\nsteps = 30\nsamples_every = 0\n"
    );
    fs::write(&config, content).unwrap();
    let run = dir.path().join("run");
    succeed(&["train", text(&config), "--out", text(&run)]);
    let rows = |more: &[&str]| {
        let out = dir.path().join("l.csv");
        let mut args = vec!["likelihood", text(&run), "--exact", "--count", "30"];
        args.extend(["--out", text(&out)]);
        args.extend(more);
        succeed(&args);
        fs::read_to_string(out).unwrap()
    };
    // The first 30 items, whose own mean and deviation are others.
    let expected = rows(&[]);
    assert_eq!(rows(&["--data", &part]), expected);
    assert_eq!(rows(&["--set", "limit=30"]), expected);
    assert!(expected.lines().nth(1).unwrap().ends_with(','));
}

#[test]
fn the_bridge_states_that_samplers_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("bridge");
    succeed(&["study", "bridge", "--quick", "--out", text(&out)]);
    for name in [
        "trajectories",
        "ddim-eta",
        "geometric",
        "karras",
        "right-start",
        "eps-c",
    ] {
        assert!(
            image::open(out.join(format!("{name}.png")))
                .unwrap()
                .width()
                > 300
        );
        assert!(out.join(format!("{name}.svg")).is_file());
    }
    let table = fs::read_to_string(out.join("relations.csv")).unwrap();
    for line in table.lines().skip(1) {
        let difference: f64 = line.rsplit(',').next().unwrap().parse().unwrap();
        assert_eq!(difference < 1e-10, !line.contains("contrast"), "{line}");
    }
    // Nine budgets were cut to five; nine samplers and the adaptive one, three settings.
    let numbers = fs::read_to_string(out.join("wasserstein.csv")).unwrap();
    assert_eq!(numbers.lines().count(), 1 + 3 * (10 * 5 + 5));
}
