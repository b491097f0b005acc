//! Features of FID's Inception, through the program, with weights made from a formula.

mod common;
#[path = "../../tweedie/tests/common/inception.rs"]
mod inception;

use std::fs;
use std::path::Path;

use common::{fail, succeed, text, tweedie};
use serde_json::Value;

/// A folder of `count` pictures from the one of number `first` on.
fn pictures(folder: &Path, first: usize, count: usize, [height, width]: [usize; 2]) {
    fs::create_dir(folder).unwrap();
    for number in first..first + count {
        let bytes = inception::image_bytes(number, [height, width, 3]);
        let path = folder.join(format!("{number:03}.png"));
        let color = image::ExtendedColorType::Rgb8;
        image::save_buffer(path, &bytes, width as u32, height as u32, color).unwrap();
    }
}

#[test]
fn pictures_are_measured_in_inceptions_features() {
    let dir = tempfile::tempdir().unwrap();
    let weights = dir.path().join("weights.safetensors");
    let parameters = inception::parameters();
    fs::write(&weights, inception::safetensors_file(&parameters)).unwrap();
    let space = format!("inception:{}", weights.display());
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    pictures(&a, 0, 6, [16, 12]);
    pictures(&b, 6, 6, [16, 12]);

    let args = [
        "evaluate",
        text(&a),
        "--against",
        text(&b),
        "--features",
        &space,
    ];
    let page = dir.path().join("page");
    let found = succeed(&[&args[..], &["--json", "--out", text(&page)]].concat());
    let found: Value = serde_json::from_str(&found).unwrap();
    let found = &found["spaces"][0];
    assert_eq!(
        (&found["features"], &found["dim"]),
        (&space.as_str().into(), &2048.into())
    );
    let preparation = found["preparation"].as_str().unwrap();
    assert!(preparation.contains("bilinear resize to 299x299 without antialiasing"));
    let distance = found["frechet"]["plain"]["value"].as_f64().unwrap();
    assert!(distance > 0.0 && distance.is_finite(), "{distance}");
    assert!(
        fs::read_to_string(page.join("index.html"))
            .unwrap()
            .contains("pytorch-fid")
    );
    // What cannot be measured so.
    let against = |features: &str, words: &[&str]| {
        let out = dir.path().join("none");
        let args = [
            "evaluate",
            text(&a),
            "--against",
            text(&b),
            "--features",
            features,
        ];
        fail(&[&args[..], &["--out", text(&out)]].concat(), words);
        assert!(!out.exists());
    };
    against("inception:missing.pth", &["missing.pth", "read"]);
    let whole = fs::read(&weights).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        format!("inception:{}", path.display())
    };
    against(
        &file("cut.safetensors", &whole[..whole.len() / 2]),
        &["cut.safetensors", "damaged"],
    );
    against(
        &file("picture.pth", &whole[9..99]),
        &["picture.pth", "neither"],
    );
    let other = vec![("conv.weight".to_owned(), vec![2], vec![0.0; 2])];
    let other = inception::safetensors_file(&other);
    against(
        &file("other.safetensors", &other),
        &[
            "other.safetensors",
            "470 missing",
            "not its own (conv.weight)",
        ],
    );
    fail(
        &[
            "evaluate",
            "gaussians-25",
            "--against",
            "gaussians-25",
            "--features",
            &space,
        ],
        &["images with 1 or 3 channels", "gaussians-25", "[2]"],
    );
    let args = ["evaluate", text(&a), "--features", "inception:"];
    let output = tweedie(&args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("inception:FILE"), "{said}");
}
