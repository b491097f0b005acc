//! IDX, the format of MNIST: two zero bytes, element type, rank, big-endian sizes, values.
//!
//! Plain or gzipped, told apart by content. See <http://yann.lecun.com/exdb/mnist/>.

use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::array::{Array, Element, Number};
use super::bounded::Source;
use crate::error::{Error, Result};

/// The first bytes of every gzip file.
pub(crate) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Whether `bytes` start as plain or gzipped IDX files do.
pub(crate) fn is_idx(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP) || matches!(bytes, [0, 0, 0x08..=0x0e, 1..=8, ..])
}

/// The array in the IDX file `bytes`; `path` is for messages.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Array> {
    let mut source = if bytes.starts_with(&GZIP) {
        Source::deflated(path, MultiGzDecoder::new(bytes), bytes.len())
    } else {
        Source::plain(path, bytes)
    };
    let [zero, zero_too, kind, rank] = source.take()?;
    if [zero, zero_too] != [0, 0] || !(1..=8).contains(&rank) {
        let reason = "this is not an IDX file; of gzipped files only IDX is read, so unpack others";
        return Err(Error::content(path, reason));
    }
    let number = match kind {
        0x08 => Number::U8,
        0x09 => Number::I8,
        0x0b => Number::I16,
        0x0c => Number::I32,
        0x0d => Number::F32,
        0x0e => Number::F64,
        _ => {
            let reason = format!(
                "IDX element type 0x{kind:02x} is not one of the format's; write unsigned bytes \
                 (0x08) or f32 (0x0d)"
            );
            return Err(Error::content(path, reason));
        }
    };
    let element = Element {
        number,
        big_endian: true,
    };
    let mut dims = Vec::new();
    for _ in 0..rank {
        // A size beyond usize (on 16-bit machines) is certainly beyond the file.
        dims.push(usize::try_from(u32::from_be_bytes(source.take()?)).unwrap_or(usize::MAX));
    }
    let values = element.decode(source.rest(element.bytes(&dims))?);
    Ok(Array { dims, values })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::super::array::Values;
    use super::*;

    fn idx(kind: u8, dims: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, kind, dims.len() as u8];
        bytes.extend(dims.iter().flat_map(|side| side.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Array> {
        parse(Path::new("some.idx"), bytes)
    }

    #[test]
    fn plain_and_gzipped_files_are_read() {
        let plain = idx(8, &[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        let expected = Array {
            dims: vec![2, 1, 3],
            values: Values::U8(vec![1, 2, 3, 4, 5, 6]),
        };
        assert_eq!(read(&plain).unwrap(), expected);
        assert_eq!(read(&gzip(&plain)).unwrap(), expected);
        let floats = idx(
            0x0d,
            &[1, 2],
            &[1.5_f32.to_be_bytes(), 2.0_f32.to_be_bytes()].concat(),
        );
        assert_eq!(read(&floats).unwrap().values, Values::F32(vec![1.5, 2.0]));
        let shorts = idx(0x0b, &[2], &[0x00, 0x03, 0xff, 0xfe]);
        assert_eq!(read(&shorts).unwrap().values, Values::F32(vec![3.0, -2.0]));
    }

    #[test]
    fn files_cut_short_or_with_a_tail_are_refused() {
        let plain = idx(8, &[2, 8, 8], &(0..128).collect::<Vec<u8>>());
        for n in 0..plain.len() {
            assert!(read(&plain[..n]).is_err(), "{n}");
        }
        let packed = gzip(&plain);
        for n in 0..packed.len() {
            assert!(read(&packed[..n]).is_err(), "{n}");
        }
        let tail = [&plain[..], &[0]].concat();
        let error = read(&tail).unwrap_err().to_string();
        assert!(error.contains("more bytes follow"), "{error}");
        let error = read(&gzip(&plain[..100])).unwrap_err().to_string();
        assert!(
            error.contains("claims 128 bytes of values, but only 84 follow"),
            "{error}"
        );
    }

    #[test]
    fn a_claim_of_2_to_the_60_items_is_refused_before_anything_is_allocated() {
        for dims in [&[1 << 20; 3][..], &[u32::MAX; 8]] {
            let plain = idx(8, dims, &[0; 64]);
            for bytes in [gzip(&plain), plain] {
                let error = read(&bytes).unwrap_err().to_string();
                assert!(error.contains("shorter than its header claims"), "{error}");
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&[&GZIP[..], &[8], &bytes].concat());
            let _ = read(&[&[0, 0, 8, 2], &bytes[..]].concat());
        }

        #[test]
        fn damaged_files_never_panic(
            at in any::<prop::sample::Index>(), with in any::<u8>(), keep in any::<prop::sample::Index>(),
        ) {
            let plain = idx(8, &[3, 2, 2], &[7; 12]);
            for mut bytes in [gzip(&plain), plain] {
                let i = at.index(bytes.len());
                bytes[i] = with;
                let _ = read(&bytes);
                let _ = read(&bytes[..keep.index(bytes.len())]);
            }
        }
    }
}
