//! Against onnxruntime; golden data by `scripts/golden-onnx.py`.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use super::OnnxSpace;
use crate::data::{Dataset, Shape, ValueMap};
use crate::error::Result;
use crate::job::Monitor;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/onnx")
        .join(name)
}

fn golden(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(path("golden.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let values = tensors
        .tensor(name)
        .unwrap()
        .data()
        .as_chunks::<4>()
        .0
        .to_vec();
    values.into_iter().map(f32::from_le_bytes).collect()
}

/// The six images, of three channels or of the first.
fn images(channels: usize) -> Dataset {
    let all = golden("images");
    let planes = all
        .chunks_exact(3 * 64)
        .flat_map(|image| &image[..channels * 64]);
    let shape = Shape::Image {
        channels,
        height: 8,
        width: 8,
    };
    let map = ValueMap::identity();
    Dataset::from_f32("six", shape, planes.copied().collect(), map).unwrap()
}

fn features(text: &str, data: &Dataset) -> Result<(usize, Vec<f64>)> {
    let space: OnnxSpace = path(text).to_string_lossy().parse().unwrap();
    let extractor = space.extractor(data)?;
    let found = extractor.extract(data, &mut Monitor::silent())?;
    Ok((extractor.dim(), found.features))
}

fn close(found: &[f64], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(
            (found - f64::from(*wanted)).abs() < 2e-6,
            "{found} {wanted}"
        );
    }
}

#[test]
fn features_are_onnxruntimes_under_every_setting() {
    let (grey, colour) = (images(1), images(3));
    for (text, data, name) in [
        ("colour.onnx", &colour, "colour"),
        ("colour.onnx,batch=4", &colour, "colour"),
        ("colour.onnx,output=features", &colour, "colour"),
        ("grey.onnx", &grey, "grey"),
        ("colour.onnx,grey=repeat", &grey, "repeated"),
        ("nhwc.onnx,layout=nhwc", &colour, "nhwc"),
        ("fixed.onnx,output=features", &colour, "colour"),
        (
            "colour.onnx,mean=0.485:0.456:0.406,std=0.229:0.224:0.225",
            &colour,
            "scaled",
        ),
        (
            "colour.onnx,size=12x10,filter=torch-bicubic",
            &colour,
            "resized",
        ),
        // The mean of the feature map is what the network's own pooling makes.
        ("colour.onnx,output=map,pool=mean", &colour, "colour"),
        ("colour.onnx,output=pooled", &colour, "colour"),
    ] {
        let (dim, found) = features(text, data).unwrap();
        assert_eq!(dim, 6, "{text}");
        close(&found, &golden(name));
    }
    let (dim, found) = features("fixed.onnx,output=map,pool=mean", &colour).unwrap();
    let map = golden("map");
    let means: Vec<f32> = map
        .chunks(16)
        .map(|m| m.iter().sum::<f32>() / 16.0)
        .collect();
    close(&found[..4 * dim], &means);
}

#[test]
fn what_cannot_be_run_is_refused_with_the_way_out() {
    let (grey, colour) = (images(1), images(3));
    let vectors = Dataset::from_f32(
        "v",
        Shape::Vector { dim: 2 },
        vec![0.0; 4],
        ValueMap::identity(),
    );
    let vectors = vectors.unwrap();
    for (text, data, words) in [
        ("absent.onnx", &grey, ["cannot read", "absent.onnx"]),
        (
            "golden.safetensors",
            &grey,
            ["not an ONNX model", "export it again"],
        ),
        ("grey.onnx", &vectors, ["are of images", "pca:COUNT"]),
        ("grey.onnx", &colour, ["images of 1 channels", "have 3"]),
        (
            "colour.onnx",
            &grey,
            ["images of 3 channels", "grey=repeat"],
        ),
        ("fixed.onnx", &colour, ["features, map", "output=NAME"]),
        (
            "fixed.onnx,output=map",
            &colour,
            ["feature map [4, 6, 4, 4]", "pool=mean"],
        ),
        (
            "fixed.onnx,output=features,batch=3",
            &colour,
            ["4 images", "leave batch out"],
        ),
        (
            "fixed.onnx,output=features,size=9",
            &colour,
            ["8x8", "leave size out"],
        ),
        (
            "colour.onnx,output=last",
            &colour,
            ["no output or tensor last", "features"],
        ),
        (
            "colour.onnx,size=16",
            &colour,
            ["16x16", "filter=pil-bicubic"],
        ),
        (
            "nhwc.onnx",
            &colour,
            ["layout=nchw does not fit", "layout=nhwc"],
        ),
        ("unknown-operator.onnx", &grey, ["Warp", "output=NAME"]),
        ("vectors.onnx", &grey, ["shape [?, 10]", "[N, C, H, W]"]),
        ("two-inputs.onnx", &grey, ["x, z", "export it with one"]),
        ("bytes.onnx", &grey, ["U8", "float32"]),
    ] {
        let error = features(text, data).unwrap_err().to_string();
        assert!(
            words.iter().all(|word| error.contains(word)),
            "{text}: {error}"
        );
        assert!(error.contains(text.split(',').next().unwrap()), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

/// Cut and damaged files are refused, or run; nothing panics.
#[test]
fn damaged_files_give_an_error() {
    let whole = std::fs::read(path("grey.onnx")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("damaged.onnx");
    let grey = images(1);
    let try_it = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let extractor = OnnxSpace::new(&file).extractor(&grey)?;
        extractor.extract(&grey, &mut Monitor::silent()).map(|_| ())
    };
    try_it(&whole).unwrap();
    for length in [0, 1, 10, whole.len() / 3, whole.len() / 2, whole.len() - 40] {
        let error = try_it(&whole[..length]).unwrap_err().to_string();
        assert!(error.contains("damaged.onnx"), "{length}: {error}");
    }
    for place in (0..whole.len()).step_by(23) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x15;
        if let Err(error) = try_it(&bytes) {
            assert!(
                error.to_string().contains("damaged.onnx"),
                "{place}: {error}"
            );
        }
    }
}
