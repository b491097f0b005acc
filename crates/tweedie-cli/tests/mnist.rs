//! Training on MNIST, which `scripts/fetch-data.sh mnist` fetches.

mod common;

use std::path::Path;

use common::{succeed, text};

#[test]
#[ignore = "needs data/mnist: scripts/fetch-data.sh mnist, then --include-ignored"]
fn mnist_trains() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let images = root.join("data/mnist/train-images-idx3-ubyte");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("mnist");
    let source = format!("data.source={}", text(&images));
    let config = root.join("examples/mnist.toml");
    succeed(&[
        "train",
        text(&config),
        "--out",
        text(&out),
        "--set",
        &source,
        "--set",
        "train.steps=100",
        "--set",
        "train.batch=16",
        "--set",
        "train.log_every=10",
        "--set",
        "train.samples_every=0",
        "--set",
        "network.unet.block_out_channels=[16,16,16]",
        "--set",
        "train.schedule=constant",
        "--set",
        "train.warmup=0",
    ]);
    let statistics = std::fs::read_to_string(out.join("stats.jsonl")).unwrap();
    let losses: Vec<f64> = statistics
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["loss"].as_f64().unwrap()
        })
        .collect();
    assert_eq!(losses.len(), 10);
    // A network that outputs nothing has a loss of D/2 = 392; after 100 steps seeds 0 to 3 are at
    // 126 to 149.
    assert!(losses[9] < 196.0, "{losses:?}");
    succeed(&["sample", text(&out), "--steps=4", "--seeds=0-3"]);
}
