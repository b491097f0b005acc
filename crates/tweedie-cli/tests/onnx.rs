//! Feature spaces by ONNX networks, in a program built with and without them.

mod common;

use common::tweedie;

fn network(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tweedie/tests/golden/onnx");
    format!("onnx:{folder}/{name}")
}

#[test]
#[cfg(not(feature = "onnx"))]
fn a_program_without_it_says_how_to_build_it_in() {
    use common::fail;

    let space = network("grey.onnx");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let args = [
        "evaluate",
        "digits",
        "--against",
        "digits",
        "--features",
        &space,
    ];
    let out = out.to_str().unwrap();
    fail(
        &[&args[..], &["--out", out]].concat(),
        &["grey.onnx", "built without ONNX", "--features onnx"],
    );
}

#[test]
#[cfg(feature = "onnx")]
fn digits_are_measured_by_a_network_and_the_name_states_how() {
    use common::succeed;

    let space = network("grey.onnx,size=16,filter=pil-bicubic,mean=0.5,std=0.5,batch=64");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let said = succeed(&[
        "evaluate",
        "digits",
        "--against",
        "digits",
        "--features",
        &space,
        "--out",
        out.to_str().unwrap(),
        "--json",
    ]);
    let found: serde_json::Value = serde_json::from_str(&said).unwrap();
    let found = &found["spaces"][0];
    let name = found["features"].as_str().unwrap();
    for part in [
        "grey.onnx",
        "size=16x16",
        "filter=pil-bicubic",
        "range=0:1",
        "mean=0.5",
        "batch=64",
    ] {
        assert!(name.contains(part), "{name}");
    }
    assert_eq!(found["dim"], 6);
    // A set against itself.
    let distance = found["frechet"]["plain"]["value"].as_f64().unwrap();
    assert!(distance.abs() < 1e-9, "{distance}");
    assert!(out.join("index.html").is_file());
}

#[test]
fn wrong_settings_are_refused_with_those_there_are() {
    let space = network("grey.onnx,filter=nearest");
    let args = ["evaluate", "digits", "--against", "digits", "--features"];
    let output = tweedie(&[&args[..], &[&space]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    for part in ["no filter nearest", "pil-bicubic"] {
        assert!(message.contains(part), "{message}");
    }
}
