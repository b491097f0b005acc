//! Running the real program on real files.
#![allow(dead_code)] // Each test file uses its own part.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A configuration that trains in a moment.
pub const TINY: &str = r#"
[data]
source = "digits"

[noise]
distribution = "log-uniform"

[network.unet]
block_out_channels = [8, 16]
layers_per_block = 1
norm_num_groups = 4
attention_head_dim = 0

[train]
steps = 12
batch = 16
lr = 1e-3
checkpoint_every = 4
log_every = 2
samples_every = 0

[sample]
steps = 6
"#;

/// The program.
pub fn tweedie(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tweedie"));
    // Help is wrapped to the terminal's width; there is none here.
    command.args(args).env_remove("COLUMNS");
    command
}

/// Runs the program and expects success; returns what it printed.
#[track_caller]
pub fn succeed(args: &[&str]) -> String {
    let output = tweedie(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?} failed: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the program and expects one line of error with all of `parts`, and exit code 1.
#[track_caller]
pub fn fail(args: &[&str], parts: &[&str]) {
    let output = tweedie(args).output().unwrap();
    expect_error(&output, args, parts);
}

#[track_caller]
pub fn expect_error(output: &Output, args: &[&str], parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
    let message = stderr.lines().last().unwrap_or_default();
    assert!(message.starts_with("error: "), "{args:?}: {stderr}");
    let errors = stderr
        .lines()
        .filter(|line| line.starts_with("error: "))
        .count();
    assert_eq!(errors, 1, "{args:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    for part in parts {
        assert!(
            message.contains(part),
            "{args:?}: no '{part}' in: {message}"
        );
    }
}

/// Writes [`TINY`] to `dir` and returns its path.
pub fn tiny(dir: &Path) -> PathBuf {
    let path = dir.join("tiny.toml");
    std::fs::write(&path, TINY).unwrap();
    path
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
