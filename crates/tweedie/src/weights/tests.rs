//! Files written by PyTorch itself (`scripts/weight-fixtures.py`), and files that nobody wrote.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::pickle::Pickle;
use super::{Dtype, WeightFile};

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weights");
    folder.join(name)
}

/// All of one content.
const SAME: [&str; 3] = ["zip.pth", "legacy.pth", "plain.safetensors"];

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn refused(bytes: Vec<u8>) -> String {
    let path = "weights.pth";
    let message = WeightFile::parse(path, bytes).unwrap_err().to_string();
    assert!(message.starts_with("weights.pth: "), "{message}");
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn every_format_gives_the_tensors_that_pytorch_saved() {
    // As the script computes them: value i is i/8 - 1, all exact in every type.
    let numbers = |count: usize| -> Vec<f32> { (0..count).map(|i| i as f32 / 8.0 - 1.0).collect() };
    let whole: Vec<f32> = (0..6).map(|i| i as f32 - 2.0).collect();
    for name in SAME {
        let file = WeightFile::read(fixture(name)).unwrap();
        let names: Vec<&str> = file.names().collect();
        assert_eq!(
            names,
            [
                "conv.bias",
                "conv.weight",
                "count",
                "empty",
                "half",
                "scalar",
                "short",
                "transposed",
                "wide",
                "words"
            ],
            "{name}"
        );
        for (tensor, dtype, shape, values) in [
            ("conv.weight", Dtype::F32, vec![2, 3, 1, 2], numbers(12)),
            ("conv.bias", Dtype::F32, vec![2], numbers(2)),
            ("count", Dtype::I64, vec![], vec![7.0]),
            ("empty", Dtype::F32, vec![0, 3], vec![]),
            ("half", Dtype::F16, vec![2, 3], numbers(6)),
            ("scalar", Dtype::F32, vec![], vec![0.5]),
            ("short", Dtype::Bf16, vec![6], numbers(6)),
            ("wide", Dtype::F64, vec![3, 2], numbers(6)),
            ("words", Dtype::I64, vec![6], whole.clone()),
        ] {
            let about = file.describe(tensor).unwrap();
            assert_eq!(
                (about.dtype, &about.shape),
                (dtype, &shape),
                "{name} {tensor}"
            );
            let array = file.array(tensor).unwrap();
            assert_eq!(
                (&array.shape, &array.values),
                (&shape, &values),
                "{name} {tensor}"
            );
        }
        // A transposed view of numbers(12) as [4, 3].
        let transposed = file.array("transposed").unwrap();
        let expected: Vec<f32> = (0..12)
            .map(|i| (i % 4 * 3 + i / 4) as f32 / 8.0 - 1.0)
            .collect();
        assert_eq!(
            (transposed.shape, transposed.values),
            (vec![3, 4], expected),
            "{name}"
        );
        assert!(file.array("missing").is_none() && file.describe("missing").is_none());
    }
}

#[test]
fn tensors_within_containers_are_named_by_their_path() {
    for name in ["nested-zip.pth", "nested-legacy.pth"] {
        let file = WeightFile::read(fixture(name)).unwrap();
        let names: Vec<&str> = file.names().collect();
        let expected = [
            "ema.0",
            "ema.1",
            "model.module.weight",
            "optimizer.state.0.step",
        ];
        assert_eq!(names, expected, "{name}");
        // A slice that shares its storage, and a parameter.
        assert_eq!(file.array("ema.1").unwrap().values, [3.0, 4.0], "{name}");
        assert_eq!(
            file.array("model.module.weight").unwrap().values,
            [1.0, 2.0, 3.0, 4.0]
        );
    }
}

#[test]
fn what_would_run_code_is_refused_by_name() {
    for name in ["code-zip.pth", "code-legacy.pth"] {
        let message = refused(bytes(name));
        assert!(message.contains("asks for posix.system"), "{message}");
    }
    let message = refused(bytes("object.pth"));
    assert!(message.contains("asks for argparse.Namespace"), "{message}");
}

#[test]
fn what_is_cut_short_is_refused() {
    for name in SAME.iter().chain(&["nested-zip.pth", "nested-legacy.pth"]) {
        let whole = bytes(name);
        for len in 0..whole.len() {
            refused(whole[..len].to_vec());
        }
    }
    let legacy = bytes("legacy.pth");
    let message = refused(legacy[..legacy.len() - 1].to_vec());
    assert!(message.contains("incomplete"), "{message}");
}

#[test]
fn other_files_are_refused() {
    for other in [
        &b""[..],
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"\x80\x02}q\x00.",
    ] {
        let message = refused(other.to_vec());
        assert!(message.contains("neither"), "{message}");
    }
    let missing = WeightFile::read("no/such/file.pth")
        .unwrap_err()
        .to_string();
    assert!(missing.contains("no/such/file.pth"), "{missing}");
    // An archive of something else.
    let message = refused(bytes("../golden/moments.npz"));
    assert!(message.contains("data.pkl"), "{message}");
    let message = refused(bytes("compressed.pth"));
    assert!(message.contains("compressed"), "{message}");
    let message = refused(bytes("big-endian.pth"));
    assert!(message.contains("big-endian"), "{message}");
}

/// A legacy file with `object` for its pickle, and one storage "0" of six values.
fn legacy(object: &[u8]) -> Vec<u8> {
    let mut file =
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    file.extend(object);
    file.extend(b"\x80\x02]X\x01\x00\x00\x000a.");
    file.extend(6_i64.to_le_bytes());
    file.extend([0; 24]);
    file
}

/// A legacy file with `object` for its pickle, and no storages.
fn alone(object: &[u8]) -> Vec<u8> {
    let whole = legacy(object);
    let rest = b"\x80\x02]X\x01\x00\x00\x000a.".len() + 8 + 24;
    [&whole[..whole.len() - rest], b"\x80\x02]."].concat()
}

/// A pickle of one tensor of the storage, which is said to have `count` values.
fn tensor(count: i32, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let int = |value: &i32| [&b"J"[..], &value.to_le_bytes()].concat();
    let ints = |values: &[i32]| values.iter().flat_map(int).collect::<Vec<u8>>();
    [
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((",
        &b"X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"[..],
        &int(&count),
        b"NtQ",
        &int(&offset),
        b"(",
        &ints(shape),
        b"t(",
        &ints(strides),
        b"t\x89NtRs.",
    ]
    .concat()
}

#[test]
fn claims_are_compared_with_what_is_there() {
    let good = WeightFile::parse("f", legacy(&tensor(6, 0, &[2, 3], &[3, 1]))).unwrap();
    assert_eq!(good.array("w").unwrap().values, [0.0; 6]);
    for (count, offset, shape, strides, words) in [
        (6, 0, vec![2, 4], vec![4, 1], "does not fit"),
        (6, 1, vec![2, 3], vec![3, 1], "reaches beyond"),
        (6, 0, vec![2, 2], vec![5, 1], "reaches beyond"),
        (6, 0, vec![1_000_000_000], vec![0], "does not fit"),
        (6, 0, vec![i32::MAX; 8], vec![1; 8], "does not fit"),
        (6, 0, vec![2, 3], vec![1], "strides"),
        (7, 0, vec![2, 3], vec![3, 1], "has 6 values where 7"),
        (i32::MAX, 0, vec![2, 3], vec![3, 1], "has 6 values where"),
        (6, -1, vec![2, 3], vec![3, 1], "natural number"),
        (6, 0, vec![1; 9], vec![1; 9], "at most 8"),
    ] {
        let message = refused(legacy(&tensor(count, offset, &shape, &strides)));
        assert!(message.contains(words), "{message}");
    }
    // A storage of more values than any file, and one that is not there.
    let mut file = legacy(&tensor(6, 0, &[1], &[1]));
    let at = file.len() - 32;
    file[at..at + 8].copy_from_slice(&i64::MAX.to_le_bytes());
    assert!(refused(file).contains("incomplete"));
    let mut file = legacy(&tensor(6, 0, &[1], &[1]));
    let at = file.len() - 36;
    assert_eq!(file[at..at + 3], *b"\x000a");
    file[at + 1] = b'1';
    assert!(refused(file).contains("storage 1"));
}

#[test]
fn containers_without_end_are_refused() {
    // A list that holds itself.
    let message = refused(alone(b"\x80\x02]q\x00h\x00a."));
    assert!(message.contains("without end"), "{message}");
    // Each list holds the one before twice: 2^40 visits.
    let mut doubling = b"\x80\x02]".to_vec();
    for _ in 0..25 {
        doubling.extend(b"q\x00](h\x00h\x00e");
    }
    doubling.push(b'.');
    let message = refused(alone(&doubling));
    assert!(message.contains("without end"), "{message}");
    // A stack, a memo, marks that are not there.
    for wrong in [
        &b"0."[..],
        b"h\x07.",
        b"t.",
        b"(0.",
        b"R.",
        b"q\x00.",
        b"}u.",
        b"Na.",
        b"]Nb.",
    ] {
        let message = refused(alone(&[b"\x80\x02", wrong].concat()));
        assert!(
            message.contains("its pickle cannot be read") || message.contains("sets the state")
        );
    }
}

#[test]
fn names_are_told_in_full_but_not_longer() {
    let long = [b"c".to_vec(), vec![b'x'; 100_000], b"\nf\n.".to_vec()].concat();
    let message = refused(legacy(&long));
    assert!(message.len() < 300, "{message}");
    let odd = refused(legacy(b"c\x1b[2Jos\nsystem\n."));
    assert!(!odd.contains('\x1b'), "{odd}");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(start in 0..4_usize, rest: Vec<u8>) {
        let starts = [&b""[..], b"PK\x03\x04", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", b"\x10\0\0\0\0\0\0\0{"];
        let _ = WeightFile::parse("f", [starts[start], &rest].concat());
        let _ = Pickle::load(&rest, 0);
    }

    #[test]
    fn changed_files_never_panic(
        name in proptest::sample::select(
            ["zip.pth", "legacy.pth", "plain.safetensors", "nested-zip.pth", "nested-legacy.pth"].to_vec()
        ),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        keep: Option<proptest::sample::Index>,
    ) {
        let mut changed = bytes(name);
        for (at, to) in changes {
            let at = at.index(changed.len());
            changed[at] = to;
        }
        if let Some(keep) = keep {
            changed.truncate(keep.index(changed.len()));
        }
        if let Ok(file) = WeightFile::parse("f", changed) {
            let names: Vec<String> = file.names().map(String::from).collect();
            for name in names {
                // Never more values than the file has bytes.
                let array = file.array(&name).unwrap();
                prop_assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
            }
        }
    }

    #[test]
    fn random_programs_never_panic(
        opcodes in proptest::collection::vec(
            proptest::sample::select(
                b"()]}leutasdRQb012Nq\x00h\x00K\x05\x85\x86\x87\x88\x93\x94U\x01w".to_vec()
            ),
            0..60,
        )
    ) {
        let mut program = b"ctorch._utils\n_rebuild_tensor_v2\nctorch\nFloatStorage\n".to_vec();
        program.extend(opcodes);
        program.push(b'.');
        let _ = WeightFile::parse("f", legacy(&program));
    }
}
