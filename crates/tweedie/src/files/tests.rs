use super::*;

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn replaces_whole_files_and_leaves_nothing_beside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b.txt");
    write_atomic(&path, b"one").unwrap();
    write_atomic(&path, b"two").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn an_unwritable_place_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let blocker = dir.path().join("file");
    fs::write(&blocker, b"x").unwrap();
    let error = write_atomic(&blocker.join("out.png"), b"y").unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
    let error = write_atomic(dir.path(), b"y").unwrap_err();
    assert!(error.to_string().contains("is a folder"), "{error}");
    assert_eq!(names(dir.path()), ["file"]);
}

#[test]
fn a_long_name_fits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ä".repeat(127));
    write_atomic(&path, b"x").unwrap();
    assert_eq!(fs::read(path).unwrap(), b"x");
}

#[cfg(unix)]
#[test]
fn links_stay_and_modes_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    fs::write(&target, "old").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("target", &link).unwrap();
    write_atomic(&link, b"new").unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"new");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("target"));
    assert_eq!(mode(&target), 0o640);

    // A new file is like any other the process makes.
    let plain = dir.path().join("plain");
    fs::write(&plain, "").unwrap();
    let made = dir.path().join("made");
    write_atomic(&made, b"x").unwrap();
    assert_eq!(mode(&made), mode(&plain));

    let nowhere = dir.path().join("nowhere");
    symlink(dir.path().join("gone"), &nowhere).unwrap();
    let error = write_atomic(&nowhere, b"x").unwrap_err().to_string();
    assert!(error.contains("leads nowhere"), "{error}");
    assert!(read_if_there(&nowhere).is_err());
    assert!(read_if_there(&dir.path().join("gone")).unwrap().is_none());
}

#[cfg(target_os = "linux")]
#[test]
fn devices_are_written_to_and_stay() {
    use std::os::unix::fs::FileTypeExt;
    let is_device = |path: &str| fs::metadata(path).unwrap().file_type().is_char_device();
    write_atomic(Path::new("/dev/null"), b"x").unwrap();
    let error = write_atomic(Path::new("/dev/full"), b"x").unwrap_err();
    assert!(error.to_string().contains("/dev/full"), "{error}");
    assert!(is_device("/dev/null") && is_device("/dev/full"));
    // A socket takes no file.
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = write_atomic(&socket, b"x").unwrap_err().to_string();
    assert!(error.contains("neither a file nor a pipe"), "{error}");
    assert_eq!(names(dir.path()), ["socket"]);
}

#[test]
fn a_failed_writing_leaves_the_old_file_and_nothing_beside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "old").unwrap();
    let error = write_with(&path, &mut |file| {
        file.write_all(b"half of the n")?;
        Err(std::io::Error::other("no more"))
    });
    assert!(error.unwrap_err().to_string().contains("no more"));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["file"]);
}

#[test]
fn a_sweep_takes_what_the_dead_left_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let living = create_beside(&dir.path().join("stats.jsonl")).unwrap();
    let kept = ["mine.partial", "notes.short.partial", "config.toml"];
    let left = ["config.toml.4711.partial", "grid.png.abcdefABCDEF.partial"];
    for name in kept.iter().chain(&left) {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    fs::create_dir(dir.path().join("folder.123.partial")).unwrap();
    sweep(dir.path()).unwrap();
    for name in kept {
        assert!(dir.path().join(name).exists(), "{name}");
    }
    for name in left {
        assert!(!dir.path().join(name).exists(), "{name}");
    }
    assert!(living.path().exists());
    assert!(dir.path().join("folder.123.partial").exists());
    sweep(&dir.path().join("nowhere")).unwrap();
}

#[test]
fn a_folder_is_claimed_once_and_never_one_that_holds_other_files() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a/out");
    claim_folder(&out, "study").unwrap();
    fs::write(out.join("index.html"), "x").unwrap();
    claim_folder(&out, "study").unwrap();
    let error = claim_folder(&out, "demo").unwrap_err().to_string();
    assert!(
        error.contains("a/out") && error.contains("another folder"),
        "{error}"
    );
    // The output of a study of version 0.1.0 is recognised by its page.
    let old = dir.path().join("old");
    fs::create_dir(&old).unwrap();
    fs::write(old.join("index.html"), "my own page").unwrap();
    assert!(claim_folder(&old, "study").is_err());
    let page = "Content-Security-Policy <p>Beside this page: a.png.</p>";
    fs::write(old.join("index.html"), page).unwrap();
    claim_folder(&old, "study").unwrap();
}

#[test]
fn one_file_under_two_names_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    fs::write(&a, "x").unwrap();
    fs::hard_link(&a, &b).unwrap();
    let c = dir.path().join("c");
    fs::write(&c, "x").unwrap();
    assert!(is_same_file(&a, &b) && is_same_file(&a, &dir.path().join("./a")));
    assert!(!is_same_file(&a, &c) && !is_same_file(&a, &dir.path().join("gone")));
}
