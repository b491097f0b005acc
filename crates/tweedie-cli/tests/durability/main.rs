//! Nothing is lost: kills, stops, signals, damaged files, two writers, runs of earlier versions.

mod classifier;
#[path = "../common/mod.rs"]
mod common;
mod damage;
mod outputs;
mod samples;
mod stops;
mod training;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{fail, succeed, text, tiny, tweedie};

/// All files below `folder` by their path, but for what the clock says in them.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_path_buf();
            let bytes = match name.to_str() {
                Some("stats.jsonl") => stats(folder).concat().into_bytes(),
                _ => fs::read(&path).unwrap(),
            };
            found.insert(name, bytes);
        }
    }
    found
}

/// The statistics without what the clock says.
fn stats(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("stats.jsonl")).unwrap();
    text.lines()
        .map(|line| line.split(",\"seconds\"").next().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    for (name, bytes) in &a {
        assert!(bytes == &b[name], "{} differs", name.display());
    }
}

/// Trains [`common::TINY`] for `steps` into `out`.
fn train<'a>(config: &'a str, out: &'a str, steps: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", config, "--out", out, "--set", steps];
    args.extend(more);
    args
}

fn spawn(args: &[&str]) -> Child {
    tweedie(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for `what`, which comes soon unless something is broken.
#[track_caller]
fn wait_for(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(120), "it never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(sent.unwrap().success());
}

/// The array of a stored samples.npz, behind its header of 128 bytes.
fn array(npz: &Path) -> Vec<u8> {
    let bytes = fs::read(npz).unwrap();
    let magic = b"\x93NUMPY\x01\x00";
    let start = bytes.windows(8).position(|w| w == magic).unwrap();
    let header = u16::from_le_bytes([bytes[start + 8], bytes[start + 9]]);
    let data = start + 10 + usize::from(header);
    // The array ends where the archive's directory begins.
    let end = bytes.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    bytes[data..end].to_vec()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => fs::copy(&path, &target).map(drop).unwrap(),
        }
    }
}
