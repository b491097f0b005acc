//! npz: a zip archive of npy arrays, as numpy.savez and numpy.savez_compressed write it.

use std::io::Cursor;
use std::path::Path;

use zip::ZipArchive;

use super::array::Array;
use super::bounded::Source;
use super::npy;
use crate::error::{Error, Result};

/// The first bytes of a zip archive with at least one member.
pub(crate) const MAGIC: &[u8; 4] = b"PK\x03\x04";

/// The arrays under which labels are usually stored: by name, by Keras, and second of two by
/// `numpy.savez` (as OpenAI's guided-diffusion writes samples).
pub(crate) const USUAL_LABELS: [&str; 4] = ["labels", "y", "y_train", "arr_1"];

/// The names of the arrays in the npz file `bytes`; `path` is for messages.
pub(crate) fn names(path: &Path, bytes: &[u8]) -> Result<Vec<String>> {
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(path, &e))?;
    let mut arrays = Vec::new();
    for name in archive.file_names() {
        let name = name.map_err(|e| damaged(path, &e))?;
        arrays.extend(name.strip_suffix(".npy").map(String::from));
    }
    Ok(arrays)
}

fn damaged(path: &Path, error: &zip::result::ZipError) -> Error {
    let reason = format!("the npz archive cannot be read ({error}); save it again");
    Error::content(path, reason)
}

/// The array `arr_0` in the npz file `bytes`, or its first array, and a note where others were
/// passed over; `path` is for messages. Where the array of the `labels` is given, that is left
/// out, and others whose names are usual for labels come last.
pub(crate) fn parse(
    path: &Path,
    bytes: &[u8],
    labels: Option<&str>,
) -> Result<(Array, Option<String>)> {
    let mut arrays = names(path, bytes)?;
    arrays.retain(|name| Some(name.as_str()) != labels);
    if labels.is_some() {
        arrays.sort_by_key(|name| USUAL_LABELS.contains(&name.as_str()));
    }
    let first = arrays
        .iter()
        .find(|&name| name == "arr_0")
        .or(arrays.first());
    let Some(chosen) = first else {
        let reason = match labels {
            Some(labels) => format!(
                "the archive holds nothing but '{}', which are the labels; store the data beside \
                 them",
                labels.escape_debug()
            ),
            None => "the archive holds no .npy member; write it with numpy.savez".into(),
        };
        return Err(Error::content(path, reason));
    };
    let note = (arrays.len() > 1).then(|| {
        format!(
            "took the array '{}' of {}",
            chosen.escape_debug(),
            arrays.len()
        )
    });
    Ok((member(path, bytes, chosen)?, note))
}

/// The array `name` in the npz file `bytes`; `path` is for messages.
pub(crate) fn member(path: &Path, bytes: &[u8], name: &str) -> Result<Array> {
    read_member(path, bytes, name, npy::parse)
}

/// The dimensions and the values of the array `name` in the npz file `bytes`, in full precision;
/// `path` is for messages.
pub(crate) fn member_f64(path: &Path, bytes: &[u8], name: &str) -> Result<(Vec<usize>, Vec<f64>)> {
    read_member(path, bytes, name, npy::parse_f64)
}

fn read_member<T>(
    path: &Path,
    bytes: &[u8],
    name: &str,
    parse: fn(&Path, Source) -> Result<T>,
) -> Result<T> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(path, &e))?;
    let member = archive
        .by_name(&format!("{name}.npy"))
        .map_err(|e| damaged(path, &e))?;
    // The archive's own claim of the packed size is bounded by the archive.
    let packed = usize::try_from(member.compressed_size())
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    parse(path, Source::deflated(path, member, packed))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use zip::CompressionMethod;
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::super::array::Values;
    use super::*;

    fn npz(method: CompressionMethod, members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in members {
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn read(bytes: &[u8]) -> Result<(Array, Option<String>)> {
        parse(Path::new("some.npz"), bytes, None)
    }

    #[test]
    fn arr_0_comes_before_the_first() {
        let (one, two) = (
            npy::file("|u1", "(1,)", &[1]),
            npy::file("|u1", "(1,)", &[2]),
        );
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let bytes = npz(method, &[("x.npy", &one), ("arr_0.npy", &two)]);
            let (array, note) = read(&bytes).unwrap();
            assert_eq!(array.values, Values::U8(vec![2]));
            assert_eq!(note.unwrap(), "took the array 'arr_0' of 2");
            let bytes = npz(method, &[("readme", b"x"), ("x.npy", &one)]);
            let (array, note) = read(&bytes).unwrap();
            assert_eq!((array.values, note), (Values::U8(vec![1]), None));
        }
    }

    #[test]
    fn the_labels_are_not_taken_for_the_data() {
        let (one, two) = (
            npy::file("|u1", "(1,)", &[1]),
            npy::file("|u1", "(1,)", &[2]),
        );
        let path = Path::new("some.npz");
        let bytes = npz(
            CompressionMethod::Stored,
            &[("y.npy", &one), ("x.npy", &two)],
        );
        assert_eq!(names(path, &bytes).unwrap(), ["y", "x"]);
        let (array, note) = parse(path, &bytes, Some("y")).unwrap();
        assert_eq!((array.values, note), (Values::U8(vec![2]), None));
        let labels = member(path, &bytes, "y").unwrap();
        assert_eq!(labels.values, Values::U8(vec![1]));
        assert!(member(path, &bytes, "z").is_err());
        let bytes = npz(CompressionMethod::Stored, &[("y.npy", &one)]);
        let error = parse(path, &bytes, Some("y")).unwrap_err().to_string();
        assert!(error.contains("nothing but 'y'"), "{error}");
    }

    #[test]
    fn what_holds_no_whole_array_is_refused() {
        let whole = npy::file("|u1", "(90,)", &[1; 90]);
        let stored = CompressionMethod::Deflated;
        assert!(read(&npz(stored, &[("readme", b"x")])).is_err());
        assert!(read(&npz(stored, &[("x.npy", &whole[..100])])).is_err());
        let huge = npy::file("|u1", "(1152921504606846976,)", &[1; 90]);
        let error = read(&npz(stored, &[("x.npy", &huge)]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("shorter than its header claims"), "{error}");
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(
            at in any::<prop::sample::Index>(), with in any::<u8>(), keep in any::<prop::sample::Index>(),
        ) {
            let array = npy::file("|u1", "(90,)", &[1; 90]);
            for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
                let mut bytes = npz(method, &[("x.npy", &array)]);
                let i = at.index(bytes.len());
                bytes[i] = with;
                let cut = bytes[..keep.index(bytes.len())].to_vec();
                for bytes in [bytes, cut] {
                    let _ = read(&bytes);
                    let _ = names(Path::new("some.npz"), &bytes);
                    let _ = member(Path::new("some.npz"), &bytes, "x");
                }
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[&MAGIC[..], &bytes].concat());
        }
    }
}
