//! Outputs that are written, or say that they are not.

use super::*;

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_an_error() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let full = || {
        Stdio::from(
            fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap(),
        )
    };
    for args in [&["levels", "digits"][..], &["--help"], &["--version"]] {
        let output = tweedie(args).stdout(full()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(stderr.contains("standard output"), "{args:?}: {stderr}");
    }

    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("data.csv");
    fs::write(&csv, "1.0,2.0\n0.5,1.0\n-1.0,0.0\n").unwrap();
    let config = dir.path().join("c.toml");
    let toml = format!(
        "[data]\nsource = \"{}\"\n[network.mlp]\nhidden = [8]\n[train]\nsteps = 3\nbatch = 4\n",
        text(&csv)
    );
    fs::write(&config, toml).unwrap();
    let run = dir.path().join("run");
    succeed(&["train", text(&config), "--out", text(&run)]);
    let likelihood = |out: &Path, data: &[&str]| {
        let args = ["likelihood", text(&run), "--count=2", "--out", text(out)];
        [&args[..], data]
            .concat()
            .into_iter()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let no = |out: &Path, parts: &[&str]| {
        let args = likelihood(out, &[]);
        fail(&args.iter().map(String::as_str).collect::<Vec<_>>(), parts);
    };
    no(Path::new("/dev/full"), &["/dev/full"]);
    let device = fs::metadata("/dev/full").unwrap().file_type();
    assert!(device.is_char_device());
    // What is read is not written to, by any of its names.
    let link = dir.path().join("link.csv");
    symlink(&csv, &link).unwrap();
    let before = fs::read(&csv).unwrap();
    for out in [&csv, &link, &run.join("config.toml")] {
        no(out, &["is an input"]);
    }
    no(
        &run.join("checkpoints/000000003/note.csv"),
        &["is an input"],
    );
    assert_eq!(fs::read(&csv).unwrap(), before);

    // A pipe takes the numbers, in order with what is printed.
    let args = likelihood(Path::new("/dev/stdout"), &[]);
    let printed = succeed(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(printed.starts_with("item,log_density"), "{printed}");
    assert!(printed.contains("log density:"), "{printed}");
}
