use std::fs;

use super::*;

/// Two arrays a section, different in each.
fn example(step: u64) -> Checkpoint {
    let array = |shape: &[usize], offset: f32| Array {
        shape: shape.to_vec(),
        values: (0..shape.iter().product())
            .map(|i: usize| i as f32 + offset + step as f32)
            .collect(),
    };
    let section = |(name, offset): (&str, f32)| {
        let arrays = [
            ("a.weight".into(), array(&[2, 3], offset)),
            ("a.bias".into(), array(&[2], -offset)),
        ];
        (name.to_owned(), ByName::from(arrays))
    };
    let names = ["model", "ema", "adam.first", "adam.second"];
    let sections = names.into_iter().zip([0.1, 1.0, 2.0, 3.5]).map(section);
    Checkpoint {
        step,
        sections: sections.collect(),
    }
}

#[test]
fn round_trips_and_keeps_the_latest() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path().join("checkpoints"));
    assert!(checkpoints.steps().unwrap().is_empty());
    for step in [10, 20, 30] {
        checkpoints
            .save(&example(step), &About::default(), 2)
            .unwrap();
    }
    assert_eq!(checkpoints.steps().unwrap(), [20, 30]);
    assert_eq!(checkpoints.load(30).unwrap(), example(30));
    assert_eq!(
        &checkpoints.section(20, "ema").unwrap(),
        example(20).section("ema").unwrap()
    );
    let names: Vec<_> = fs::read_dir(checkpoints.path(30))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(fs::read_dir(checkpoints.folder()).unwrap().count(), 2);
}

/// Checkpoints of the steps 10 and 20.
fn two() -> (tempfile::TempDir, Checkpoints) {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path().join("checkpoints"));
    for step in [10, 20] {
        checkpoints
            .save(&example(step), &About::default(), 5)
            .unwrap();
    }
    (dir, checkpoints)
}

/// The files of a folder with their content.
fn content(folder: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap();
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    entries.map(|entry| read(entry.unwrap())).collect()
}

#[test]
fn the_same_checkpoint_gives_the_same_bytes() {
    let (_a, first) = two();
    let (_b, second) = two();
    assert_eq!(content(&first.path(20)), content(&second.path(20)));
}

#[test]
fn no_flipped_bit_and_no_torn_file_passes() {
    let (_dir, checkpoints) = two();
    let original = checkpoints.load(20).unwrap();
    let mut tried = 0;
    for (name, bytes) in content(&checkpoints.path(20)) {
        let path = checkpoints.path(20).join(&name);
        let mut refuse = |damaged: &[u8], what: &str| {
            fs::write(&path, damaged).unwrap();
            tried += 1;
            match checkpoints.load(20) {
                Err(error) => {
                    let error = error.to_string();
                    for part in [&name, "step 20 is damaged", "of step 10, is whole"] {
                        assert!(error.contains(part), "{name} {what}: {error}");
                    }
                }
                // White space between the words of JSON carries nothing.
                Ok(found) => assert!(name == "state.json" && found == original, "{name} {what}"),
            }
        };
        for place in (0..8 * bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[place / 8] ^= 1 << (place % 8);
            refuse(&damaged, &format!("bit {place}"));
        }
        for length in [0, 5, bytes.len() / 2, bytes.len() - 1] {
            refuse(&bytes[..length], &format!("length {length}"));
        }
        fs::remove_file(&path).unwrap();
        assert!(checkpoints.load(20).is_err(), "{name} is gone");
        // Even so, it is not skipped silently.
        assert_eq!(checkpoints.steps().unwrap(), [10, 20]);
        assert_eq!(checkpoints.last_whole(20).unwrap(), Some(10));
        fs::write(&path, &bytes).unwrap();
    }
    assert!(tried > 1000);
    assert_eq!(checkpoints.load(20).unwrap(), original);
    assert_eq!(checkpoints.last_whole(20).unwrap(), Some(20));
}

#[test]
fn what_is_not_finite_is_neither_written_nor_read() {
    let (_dir, checkpoints) = two();
    for (section, value) in [("ema", f32::NAN), ("adam.second", f32::INFINITY)] {
        let mut spoilt = example(30);
        let arrays = spoilt.sections.get_mut(section).unwrap();
        arrays.get_mut("a.bias").unwrap().values[1] = value;
        let error = checkpoints.save(&spoilt, &About::default(), 1);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("a.bias") && error.contains("000000030"),
            "{error}"
        );
        assert_eq!(checkpoints.steps().unwrap(), [10, 20]);
        assert_eq!(fs::read_dir(checkpoints.folder()).unwrap().count(), 2);
    }
    // Format 1 had no hashes; a NaN in one of its files is found all the same.
    let path = checkpoints.path(20);
    fs::write(path.join("state.json"), r#"{"format": 1, "step": 20}"#).unwrap();
    assert_eq!(checkpoints.load(20).unwrap(), example(20));
    let file = path.join("optimizer.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    let error = checkpoints.load(20).unwrap_err().to_string();
    assert!(
        error.contains("NaN") && error.contains("optimizer"),
        "{error}"
    );
    assert!(checkpoints.section(20, "ema").is_ok());
}

#[test]
fn sections_of_several_networks_have_files_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path());
    let mut checkpoint = example(1);
    for (name, offset) in [
        ("critic/model", 7.0),
        ("critic/adam.first", 9.0),
        ("critic/adam.second", 9.5),
    ] {
        let array = Array {
            shape: vec![],
            values: vec![offset],
        };
        let section = ByName::from([("scale".to_owned(), array)]);
        checkpoint.sections.insert(name.into(), section);
    }
    checkpoint.sections.insert("empty".into(), ByName::new());
    checkpoints.save(&checkpoint, &About::default(), 1).unwrap();
    assert_eq!(checkpoints.load(1).unwrap(), checkpoint);
    for name in ["model", "critic.model", "critic.optimizer", "empty"] {
        let file = checkpoints.path(1).join(format!("{name}.safetensors"));
        assert!(file.is_file(), "{name}");
    }
    for name in [
        "",
        "../model",
        "a//b",
        "Model",
        "a b",
        "/model",
        "critic.model",
    ] {
        let mut checkpoint = checkpoint.clone();
        checkpoint.sections.insert(name.into(), ByName::new());
        let error = checkpoints.save(&checkpoint, &About::default(), 1);
        assert!(error.is_err(), "{name:?}");
    }
    assert_eq!(checkpoints.load(1).unwrap(), checkpoint);
    let error = checkpoint.section("other").unwrap_err().to_string();
    assert!(error.contains("other"), "{error}");
}

#[test]
fn a_state_that_names_files_elsewhere_is_refused() {
    let (_dir, checkpoints) = two();
    for file in [
        "../../secret.safetensors",
        "/etc/passwd",
        ".hidden.safetensors",
        "a\\b.safetensors",
    ] {
        let mut sections = BTreeMap::new();
        sections.insert(
            "ema".to_owned(),
            state::Place {
                file: file.into(),
                prefix: String::new(),
            },
        );
        let state = state::State {
            format: 2,
            step: 20,
            files: BTreeMap::new(),
            sections,
            about: About::default(),
            seal: String::new(),
        };
        let path = checkpoints.path(20).join("state.json");
        fs::write(path, state.to_bytes().unwrap()).unwrap();
        let error = checkpoints.section(20, "ema").unwrap_err().to_string();
        assert!(error.contains("no checkpoint has"), "{error}");
    }
    let path = checkpoints.path(20).join("state.json");
    fs::write(path, r#"{"format": 3, "step": 20}"#).unwrap();
    let error = checkpoints.load(20).unwrap_err().to_string();
    assert!(error.contains("later version"), "{error}");
}

#[cfg(unix)]
#[test]
fn only_what_is_not_there_means_no_checkpoints() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("checkpoints");
    let checkpoints = Checkpoints::new(&folder);
    assert!(checkpoints.steps().unwrap().is_empty());
    // A dangling link, a file, a link to itself.
    symlink(dir.path().join("gone"), &folder).unwrap();
    assert!(checkpoints.steps().is_err());
    fs::remove_file(&folder).unwrap();
    fs::write(&folder, "x").unwrap();
    assert!(checkpoints.steps().is_err());
    fs::remove_file(&folder).unwrap();
    symlink(&folder, &folder).unwrap();
    assert!(checkpoints.steps().is_err());
    fs::remove_file(&folder).unwrap();
    // Below a file.
    let below = Checkpoints::new(dir.path().join("file/checkpoints"));
    fs::write(dir.path().join("file"), "x").unwrap();
    assert!(below.steps().is_err());

    // The newest alone: a file or a broken link in its place is damage, not the older one's turn.
    for step in [10, 20] {
        checkpoints
            .save(&example(step), &About::default(), 5)
            .unwrap();
    }
    fs::remove_dir_all(checkpoints.path(20)).unwrap();
    fs::write(checkpoints.path(20), "x").unwrap();
    assert_eq!(checkpoints.steps().unwrap(), [10, 20]);
    assert!(checkpoints.load(20).is_err());
    fs::remove_file(checkpoints.path(20)).unwrap();
    symlink(dir.path().join("gone"), checkpoints.path(20)).unwrap();
    assert_eq!(checkpoints.steps().unwrap(), [10, 20]);
    assert!(checkpoints.newest(|step| checkpoints.load(step)).is_err());
    fs::remove_file(checkpoints.path(20)).unwrap();
    // A state that cannot be looked at, here for a link in a circle.
    fs::create_dir(checkpoints.path(20)).unwrap();
    let state = checkpoints.path(20).join("state.json");
    symlink(&state, &state).unwrap();
    assert!(checkpoints.steps().is_err());
    // Folders of other names are not ours.
    fs::remove_dir_all(checkpoints.path(20)).unwrap();
    for name in ["20", "000000020.aside", "notes", "00000000020"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    assert_eq!(checkpoints.steps().unwrap(), [10]);
}

#[test]
fn what_a_killed_process_left_is_swept_and_nothing_else() {
    let (_dir, checkpoints) = two();
    let make = |name: &str| {
        let folder = checkpoints.folder().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("ema.safetensors"), "x").unwrap();
        folder
    };
    // Half written, half removed by this version, half removed by the one before it.
    let left = ["000000030.partial", "000000005.removed", "000000006"].map(make);
    let kept = ["000000020.aside", "notes.partial"].map(make);
    assert_eq!(checkpoints.steps().unwrap(), [10, 20]);
    checkpoints.sweep().unwrap();
    assert!(left.iter().all(|folder| !folder.exists()));
    assert!(kept.iter().all(|folder| folder.exists()));
    assert_eq!(checkpoints.load(20).unwrap(), example(20));
    Checkpoints::new(checkpoints.folder().join("nowhere"))
        .sweep()
        .unwrap();
}

#[test]
fn later_checkpoints_are_set_aside_and_kept() {
    let (_dir, checkpoints) = two();
    for n in [1, 2] {
        let aside = checkpoints.set_aside_after(10).unwrap();
        assert_eq!(aside.len(), 1);
        assert_eq!(checkpoints.steps().unwrap(), [10]);
        assert!(aside[0].join("state.json").is_file(), "{n}");
        checkpoints
            .save(&example(20), &About::default(), 5)
            .unwrap();
    }
    assert!(checkpoints.path(20).with_extension("aside-2").exists());
    assert!(checkpoints.set_aside_after(20).unwrap().is_empty());
}

#[test]
fn a_configuration_that_takes_over_is_noted_in_all() {
    let (_dir, checkpoints) = two();
    let digests = |of: &[&str]| of.iter().map(|d| (*d).to_owned()).collect::<Vec<_>>();
    let about = About {
        run: BTreeMap::from([("config.toml".to_owned(), digests(&["one"]))]),
        window: vec![1, u64::MAX, 3],
    };
    checkpoints.save(&example(30), &about, 5).unwrap();
    assert_eq!(checkpoints.about(30).unwrap(), about);
    for _ in 0..2 {
        checkpoints.accept("config.toml", "two").unwrap();
        let found = checkpoints.about(30).unwrap();
        assert_eq!(found.run["config.toml"], digests(&["one", "two"]));
        assert_eq!(found.window, about.window);
    }
    assert_eq!(checkpoints.load(30).unwrap(), example(30));
    // Those of which nothing is known stay so.
    assert_eq!(checkpoints.about(20).unwrap(), About::default());
}

#[test]
fn a_reader_beside_a_writer_always_finds_a_whole_one() {
    let (_dir, checkpoints) = two();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for step in 21..150 {
                checkpoints
                    .save(&example(step), &About::default(), 1)
                    .unwrap();
            }
            over.store(true, std::sync::atomic::Ordering::Release);
        });
        let mut last = 0;
        while !over.load(std::sync::atomic::Ordering::Acquire) {
            let (step, found) = checkpoints
                .newest(|step| checkpoints.load(step))
                .unwrap()
                .unwrap();
            assert_eq!(found, example(step));
            assert!(step >= last);
            last = step;
        }
    });
    assert_eq!(checkpoints.steps().unwrap(), [149]);
}
