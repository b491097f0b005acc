//! Figures of pytorch-fid, torch-fidelity and prdc from the same features, to 1e-6 relative. The
//! files in `golden/` come from `scripts/golden-measures.py`, which says which versions wrote them.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use tweedie::measure::{
    Features, Kernel, Moments, Reference, frechet, frechet_distance, inception_score_of_splits,
    kernel_distance_of_subsets, precision_recall_density_coverage, torch_fidelity_subsets,
};

fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(name)
}

/// The arrays of the script: values, and the number of columns.
struct Golden(Vec<u8>);

impl Golden {
    fn read() -> Self {
        Self(std::fs::read(file("measures.safetensors")).unwrap())
    }

    fn get(&self, name: &str) -> (Vec<f64>, usize) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::F64);
        let words = view.data().chunks_exact(8);
        let values = words.map(|b| f64::from_le_bytes(b.try_into().unwrap()));
        (values.collect(), *view.shape().last().unwrap())
    }
}

#[track_caller]
fn assert_close(found: f64, expected: f64) {
    let error = (found - expected).abs() / expected.abs();
    assert!(error < 1e-6, "{found} {expected}: {error:.1e}");
}

#[test]
fn the_frechet_distance_is_that_of_pytorch_fid() {
    let golden = Golden::read();
    for case in ["full", "shifted", "singular", "below"] {
        let get = |name: &str| golden.get(&format!("frechet.{case}.{name}"));
        let ((a, dim), (b, _), (expected, _)) = (get("a"), get("b"), get("distance"));
        let [a, b] = [&a, &b].map(|rows| Features::new("the rows", rows, dim).unwrap());
        let distance = frechet_distance(&Moments::of(a), &Moments::of(b)).unwrap();
        println!("{case}: {distance} {}", expected[0]);
        assert_close(distance, expected[0]);
        // With its uncertainty it is the same figure, here the two last ones warned about.
        let measured = frechet(a, Reference::Sampled(b), Default::default()).unwrap();
        assert_close(measured.plain.value, expected[0]);
        assert!(measured.plain.standard_error.is_finite());
        assert_eq!(measured.too_few(), case == "below");
    }
}

#[test]
fn statistics_of_pytorch_fid_are_read() {
    let (rows, dim) = Golden::read().get("frechet.full.a");
    let ours = Moments::of_rows(&rows, dim).unwrap();
    let theirs = Moments::read_npz(&file("moments.npz")).unwrap();
    assert_eq!((theirs.dim(), theirs.count()), (8, None));
    let pairs = ours.covariance().iter().zip(theirs.covariance());
    for (ours, theirs) in pairs.chain(ours.mean().iter().zip(theirs.mean())) {
        assert!((ours - theirs).abs() < 1e-13 * 8.0, "{ours} {theirs}");
    }
}

#[test]
fn the_kernel_distance_of_subsets_is_that_of_torch_fidelity() {
    let golden = Golden::read();
    let ((a, dim), (b, _), (expected, _)) = (golden.get("a"), golden.get("b"), golden.get("kid"));
    let [a, b] = [&a, &b].map(|rows| Features::new("the rows", rows, dim).unwrap());
    let subsets = torch_fidelity_subsets(a.len(), b.len(), 10, 100, 2020).unwrap();
    let found = kernel_distance_of_subsets(a, b, Kernel::Polynomial, &subsets).unwrap();
    assert_close(found.mean, expected[0]);
    assert_close(found.spread, expected[1]);
}

#[test]
fn precision_and_so_on_are_those_of_torch_fidelity_and_prdc() {
    let golden = Golden::read();
    let ((a, dim), (b, _)) = (golden.get("a"), golden.get("b"));
    let [a, b] = [&a, &b].map(|rows| Features::new("the rows", rows, dim).unwrap());
    for found in precision_recall_density_coverage(a, b, &[3, 5]).unwrap() {
        let figures = [
            found.precision.estimate().value,
            found.recall.estimate().value,
            found.density.value,
            found.coverage.estimate().value,
        ];
        for name in ["prc", "prdc"] {
            let (expected, _) = golden.get(&format!("{name}.{}", found.k));
            for (figure, expected) in figures.iter().zip(expected) {
                assert_close(*figure, expected);
            }
        }
    }
}

#[test]
fn the_inception_score_of_splits_is_that_of_torch_fidelity() {
    let golden = Golden::read();
    let ((logits, classes), (expected, _)) = (golden.get("logits"), golden.get("isc"));
    let rows = logits.chunks_exact(classes).flat_map(|row| {
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        row.iter().map(move |x| x.exp() / sum)
    });
    let rows: Vec<f64> = rows.collect();
    let probabilities = Features::new("the probabilities", &rows, classes).unwrap();
    let [mean, spread] = inception_score_of_splits(probabilities, 10, Some(2020)).unwrap();
    assert_close(mean, expected[0]);
    assert_close(spread, expected[1]);
}
