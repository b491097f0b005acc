//! Feature spaces by ONNX networks, in a program built with and without them.

mod common;

use common::fail;

fn network(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tweedie/tests/golden/onnx");
    format!("onnx:{folder}/{name}")
}

#[test]
#[cfg(not(feature = "onnx"))]
fn a_program_without_it_says_how_to_build_it_in() {
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
        "--set",
        "limit=300",
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
    // Of one set, so no distance: only the figures' own errors.
    let frechet = &found["frechet"]["corrected"];
    let [value, error] = ["value", "standard_error"].map(|key| frechet[key].as_f64().unwrap());
    assert!(value.abs() < 5.0 * error, "{frechet}");
    assert!(out.join("index.html").is_file());
}

#[test]
fn wrong_settings_are_refused_with_those_there_are() {
    let space = network("grey.onnx,filter=nearest");
    fail(
        &[
            "evaluate",
            "digits",
            "--against",
            "digits",
            "--features",
            &space,
        ],
        &["no filter nearest", "pil-bicubic"],
    );
}
