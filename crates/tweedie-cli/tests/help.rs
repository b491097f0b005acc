//! The help is checked in, so that a change is visible in review.
//!
//! `TWEEDIE_UPDATE_HELP=1 cargo test --test help` updates the files.

mod common;

use std::path::Path;

#[test]
fn help_is_as_checked_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    for command in [
        "",
        "demo",
        "levels",
        "train",
        "sample",
        "likelihood",
        "report",
        "evaluate",
        "tune",
        "profile",
        "study",
        "classifier",
        "classifier train",
        "classifier test",
    ] {
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let found = common::succeed(&args);
        let name = match command {
            "" => "tweedie".to_owned(),
            command => command.replace(' ', "-"),
        };
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("TWEEDIE_UPDATE_HELP").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, expected, "{} is out of date", path.display());
    }
}
