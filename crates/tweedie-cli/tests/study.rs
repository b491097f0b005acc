//! The real program's studies.

mod common;

use common::{fail, succeed, text, tweedie};

/// The rows of a CSV file without quotes.
fn rows(path: &std::path::Path) -> Vec<Vec<String>> {
    let file = std::fs::read_to_string(path).unwrap();
    assert!(!file.contains('"'));
    let row = |line: &str| line.split(',').map(str::to_owned).collect();
    file.lines().map(row).collect()
}

#[test]
fn the_noise_during_als_and_cas() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("deep/noise");
    let said = succeed(&["study", "noise", "--quick", "--out", text(&out)]);
    let page = out.join("index.html");
    assert_eq!(said.lines().last(), Some(text(&page)));
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("Figure 1") && html.contains("data:image/png"));
    for name in [
        "noise.png",
        "noise.svg",
        "excess.png",
        "excess.svg",
        "along.csv",
    ] {
        assert!(out.join(name).is_file(), "{name}");
    }
    let table = rows(&out.join("final.csv"));
    let header =
        "sampler,reference,recursion,simulated,simulated standard error,relative to sigma_L";
    assert_eq!(table[0].join(","), header);
    let known = [0.69408, 0.030254, 0.0123883, 0.0103746, 0.0100573];
    for (row, known) in table[1..].iter().zip(known) {
        let number = |i: usize| row[i].parse::<f64>().unwrap();
        assert_eq!(number(1), known);
        assert!((number(2) / known - 1.0).abs() < 1e-5, "{row:?}");
        assert!((number(3) - number(2)).abs() < 4.5 * number(4), "{row:?}");
    }
    // 232 points of each of six curves.
    assert_eq!(rows(&out.join("along.csv")).len(), 1 + 6 * 232);
}

/// The tutorial in full, since the loss it must reach takes the whole training.
#[test]
fn the_tutorials_network_comes_within_2_percent_of_the_minimum_loss() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("tutorial");
    succeed(&["study", "tutorial", "--out", text(&out)]);
    let file = std::fs::read_to_string(out.join("recipes.csv")).unwrap();
    // Names are quoted; numbers stand behind.
    let number = |line: &str, from_right: usize| -> f64 {
        let cell = line.rsplit(',').nth(from_right).unwrap();
        cell.trim_end_matches(" %").parse().unwrap()
    };
    let recipes: Vec<&str> = file.lines().skip(1).collect();
    let (minimum, trained) = recipes.split_last().unwrap();
    let minimum = number(minimum, 1);
    assert!((minimum - 0.29022).abs() < 0.5e-5, "{minimum}");
    assert!(trained.len() >= 4);
    for recipe in trained {
        let (fresh, error, integral) = (number(recipe, 3), number(recipe, 2), number(recipe, 1));
        // Both estimates of the expected loss agree, and neither is below the minimum.
        assert!((fresh - integral).abs() < 4.5 * error, "{recipe}");
        assert!(integral > minimum && integral < 1.02 * minimum, "{recipe}");
    }
    for name in [
        "training.png",
        "descent.png",
        "score.png",
        "losses.svg",
        "weights.csv",
    ] {
        assert!(out.join(name).is_file(), "{name}");
    }
}

/// A quick run: the parts that are exact however short the training.
#[test]
fn the_exact_denoiser_copies_and_held_out_items_are_no_copies() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("memorisation");
    succeed(&["study", "memorisation", "--quick", "--out", text(&out)]);
    let file = std::fs::read_to_string(out.join("test.csv")).unwrap();
    let mut found = 0;
    for line in file.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |i: usize| cells[i].parse::<f64>().unwrap();
        match cells[0] {
            "exact denoiser" => assert!(number(2) > 0.99 && number(5) < 1e-6, "{line}"),
            // No held-out item is a copy of a training item.
            "held-out items" => assert_eq!(number(6), 0.0, "{line}"),
            _ => continue,
        }
        found += 1;
    }
    assert_eq!(found, 4);
    let losses = rows(&out.join("losses.csv"));
    let place = |name: &str| losses[0].iter().position(|cell| cell == name).unwrap();
    for row in &losses[1..] {
        let number = |name: &str| row[place(name)].parse::<f64>().unwrap();
        let (minimum, training) = (number("minimum"), number("training"));
        assert!(
            (0.0..1.0).contains(&minimum) && minimum <= training,
            "{row:?}"
        );
    }
    for name in ["loss-100.svg", "excess-1500.png", "samples-100.png"] {
        assert!(out.join(name).is_file(), "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str, seed: &str| {
        let out = dir.path().join(name);
        succeed(&[
            "study",
            "noise",
            "--quick",
            "--seed",
            seed,
            "--out",
            text(&out),
        ]);
        std::fs::read(out.join("index.html")).unwrap()
    };
    let first = make("a", "3");
    assert!(first == make("b", "3"));
    // Again in the same folder, and with another seed.
    assert!(first != make("a", "4"));
}

#[test]
fn what_is_no_study_is_refused_with_those_there_are() {
    let output = tweedie(&["study", "nosie"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    for part in [
        "nosie",
        "noise",
        "toy",
        "tutorial",
        "bridge",
        "memorisation",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_file_in_the_place_of_the_folder_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("taken");
    std::fs::write(&file, "mine").unwrap();
    fail(
        &["study", "noise", "--quick", "--out", text(&file)],
        &["taken"],
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}
