//! FID's Inception against pytorch-fid's, with weights and images made from a formula on both
//! sides: `scripts/golden-inception.py` wrote the features, and says which versions it used.

#[path = "common/inception.rs"]
mod inception;

use std::path::Path;
use std::time::Instant;

use inception::{Parameters, image, parameters, safetensors_file};
use safetensors::SafeTensors;
use tweedie::data::Shape;
use tweedie::engine::Engine;
use tweedie::nn::inception::{FEATURES, Inception};
use tweedie::weights::WeightFile;

fn file(parameters: &Parameters) -> WeightFile {
    WeightFile::parse("formula.safetensors", safetensors_file(parameters)).unwrap()
}

fn load(parameters: &Parameters) -> tweedie::Result<Inception> {
    Inception::load(&file(parameters), &Engine::Flex.device().unwrap())
}

#[test]
fn features_are_those_of_pytorch_fid() {
    let network = load(&parameters()).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/inception.safetensors");
    let golden = std::fs::read(golden).unwrap();
    let golden = SafeTensors::deserialize(&golden).unwrap();
    for size in [
        [8, 8, 1],
        [32, 32, 3],
        [48, 64, 3],
        [299, 299, 3],
        [350, 310, 3],
    ] {
        let [height, width, channels] = size;
        let images: Vec<f32> = (0..2).flat_map(|number| image(number, size)).collect();
        let shape = Shape::from_sides(&[channels, height, width]).unwrap();
        let found = network.features(&images, shape).unwrap();
        let expected = golden
            .tensor(&format!("features.{height}x{width}x{channels}"))
            .unwrap();
        assert_eq!(expected.shape(), [2, FEATURES]);
        let words = expected.data().chunks_exact(4);
        let expected: Vec<f32> = words
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        let scale = expected.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let errors = found
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs() / scale);
        let worst = errors.fold(0.0_f32, f32::max);
        println!("{size:?}: {worst:.1e}");
        assert!(worst < 2e-5, "{size:?}: {worst:e}");
        // One by one they have the same bits.
        for (image, row) in images
            .chunks_exact(images.len() / 2)
            .zip(found.chunks_exact(FEATURES))
        {
            assert_eq!(network.features(image, shape).unwrap(), row);
        }
    }
}

#[test]
fn weights_of_another_network_are_refused() {
    let refused = |parameters: &Parameters| {
        let error = load(parameters).unwrap_err().to_string();
        assert!(
            error.starts_with("formula.safetensors: these are not the weights"),
            "{error}"
        );
        assert!(error.len() < 600, "{error}");
        error
    };
    let whole = parameters();
    let zero = |name: &str| (name.to_owned(), vec![1], vec![0.0]);
    // What the published file has besides is not needed.
    let mut more = whole.clone();
    more.extend(["fc.weight", "fc.bias", "AuxLogits.fc.bias"].map(zero));
    more.push(zero("Mixed_5b.branch1x1.bn.num_batches_tracked"));
    assert!(load(&more).is_ok());

    let error = refused(&vec![zero("conv1.weight"), zero("fc.weight")]);
    assert!(
        error.contains("470 missing (Conv2d_1a_3x3.conv.weight, "),
        "{error}"
    );
    assert!(error.contains("1 not its own (conv1.weight)"), "{error}");
    let mut other = whole.clone();
    let (_, shape, values) = &mut other[0];
    shape[0] = 16;
    values.truncate(values.len() / 2);
    let error = refused(&other);
    assert!(
        error.contains(
            "1 of another shape (Conv2d_1a_3x3.conv.weight is [16, 3, 3, 3] of f32, not \
                        [32, 3, 3, 3])"
        ),
        "{error}"
    );
    let mut other = whole.clone();
    other[7].2[3] = f32::NAN;
    let error = refused(&other);
    assert!(error.contains("1 not finite (Conv2d_2a_3x3)"), "{error}");
}

/// `cargo test --release --workspace --test inception -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn images_per_second() {
    let network = load(&parameters()).unwrap();
    for batch in [1, 8, 16, 32, 50] {
        let images: Vec<f32> = (0..batch).flat_map(|n| image(n, [32, 32, 3])).collect();
        let shape = Shape::from_sides(&[3, 32, 32]).unwrap();
        let mut best = f64::INFINITY;
        for _ in 0..6 {
            let began = Instant::now();
            network.features(&images, shape).unwrap();
            best = best.min(began.elapsed().as_secs_f64());
        }
        println!("batch {batch}: {:.1} images a second", batch as f64 / best);
    }
}
