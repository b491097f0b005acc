//! npy, NumPy's format: magic, version, a header in Python's syntax, values.
//!
//! See <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Real numbers of
//! every size are read, in both orders of bytes and of axes.

use std::path::Path;

use super::array::{self, Array, Element, Number};
use super::bounded::Source;
use crate::error::{Error, Result};

/// The first bytes of every npy file.
pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The array in the npy file that `source` gives; `path` is for messages.
pub(crate) fn parse(path: &Path, source: Source) -> Result<Array> {
    let stored = Stored::read(path, source)?;
    let mut values = stored.element.decode(stored.bytes);
    if stored.fortran_order && stored.dims.len() > 1 {
        values = values.fortran_to_row_major(&stored.dims);
    }
    Ok(Array {
        dims: stored.dims,
        values,
    })
}

/// The dimensions and the values of the npy file that `source` gives, in full precision; `path` is
/// for messages.
pub(crate) fn parse_f64(path: &Path, source: Source) -> Result<(Vec<usize>, Vec<f64>)> {
    let stored = Stored::read(path, source)?;
    let mut values = stored.element.decode_f64(&stored.bytes);
    if stored.fortran_order && stored.dims.len() > 1 {
        values = array::fortran_to_row_major(&values, &stored.dims);
    }
    Ok((stored.dims, values))
}

/// An array as the file has it.
struct Stored {
    dims: Vec<usize>,
    fortran_order: bool,
    element: Element,
    bytes: Vec<u8>,
}

impl Stored {
    fn read(path: &Path, mut source: Source) -> Result<Self> {
        let magic: [u8; 6] = source.take()?;
        if &magic != MAGIC {
            return Err(Error::content(
                path,
                "this is not a npy array; write it with numpy.save",
            ));
        }
        let [major, _minor] = source.take()?;
        let length = match major {
            1 => u32::from(u16::from_le_bytes(source.take()?)),
            2 | 3 => u32::from_le_bytes(source.take()?),
            _ => {
                let reason = format!("npy version {major} is not read; write it with numpy.save");
                return Err(Error::content(path, reason));
            }
        };
        // Headers of plain arrays take 128 bytes; only tables of many named columns need megabytes.
        let Ok(length) = u16::try_from(length) else {
            let reason =
                format!("its header of {length} bytes is no plain array's; save one array");
            return Err(Error::content(path, reason));
        };
        let text = source.take_vec(length)?;
        let header = Parser { rest: &text }.header().ok_or_else(|| {
            Error::content(
                path,
                "its npy header is not that of a plain array; use numpy.save on one",
            )
        })?;
        let element = element(header.descr).ok_or_else(|| {
            let descr = header.descr.escape_debug();
            let reason = format!(
                "elements of type '{descr}' are not read; save real numbers, such as \
             array.astype('float32')"
            );
            Error::content(path, reason)
        })?;
        Ok(Self {
            bytes: source.rest(element.bytes(&header.shape))?,
            dims: header.shape,
            fortran_order: header.fortran_order,
            element,
        })
    }
}

/// The elements that NumPy calls `descr`: an order of bytes, a kind, and a size in bytes.
fn element(descr: &str) -> Option<Element> {
    let (big_endian, kind) = match descr.split_at_checked(1)? {
        ("<" | "|" | "=", kind) => (false, kind),
        (">", kind) => (true, kind),
        _ => (false, descr),
    };
    let number = match kind {
        "b1" | "?" => Number::Bool,
        "u1" => Number::U8,
        "i1" => Number::I8,
        "u2" => Number::U16,
        "i2" => Number::I16,
        "u4" => Number::U32,
        "i4" => Number::I32,
        "u8" => Number::U64,
        "i8" => Number::I64,
        "f2" => Number::F16,
        "f4" => Number::F32,
        "f8" => Number::F64,
        _ => return None,
    };
    Some(Element { number, big_endian })
}

struct Header<'a> {
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// Reads the subset of Python that headers of plain arrays use.
struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn header(mut self) -> Option<Header<'a>> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.accept(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            match key {
                "descr" => descr = Some(self.string()?),
                "fortran_order" => fortran_order = Some(self.boolean()?),
                "shape" => shape = Some(self.tuple()?),
                _ => return None,
            }
            if !self.accept(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        self.skip_space();
        if !self.rest.is_empty() {
            return None;
        }
        Some(Header {
            descr: descr?,
            fortran_order: fortran_order?,
            shape: shape?,
        })
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn accept(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.accept(byte).then_some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let quote = if self.accept(b'\'') {
            b'\''
        } else {
            self.expect(b'"')?;
            b'"'
        };
        let end = self.rest.iter().position(|&b| b == quote)?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        std::str::from_utf8(text).ok()
    }

    fn boolean(&mut self) -> Option<bool> {
        self.skip_space();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word.as_bytes()) {
                self.rest = rest;
                return Some(value);
            }
        }
        None
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        let mut sides = Vec::new();
        self.expect(b'(')?;
        while !self.accept(b')') {
            sides.push(self.integer()?);
            if !self.accept(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Some(sides)
    }

    fn integer(&mut self) -> Option<usize> {
        self.skip_space();
        let end = self.rest.iter().position(|b| !b.is_ascii_digit())?;
        let (digits, rest) = self.rest.split_at(end);
        // Python 2 wrote long integers as 12L.
        self.rest = rest.strip_prefix(b"L").unwrap_or(rest);
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// A version 1 npy file, for tests.
#[cfg(test)]
pub(crate) fn file(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = [&MAGIC[..], &[1, 0]].concat();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(values);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::array::Values;
    use super::*;

    fn read(bytes: &[u8]) -> Result<Array> {
        let path = Path::new("some.npy");
        parse(path, Source::plain(path, bytes))
    }

    fn refused(bytes: &[u8], words: &str) {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn arrays_are_read() {
        let array = read(&file("|u1", "(2, 3)", &[1, 2, 3, 4, 5, 6])).unwrap();
        assert_eq!(
            array,
            Array {
                dims: vec![2, 3],
                values: Values::U8(vec![1, 2, 3, 4, 5, 6])
            }
        );
        let array = read(&file(">f8", "(1,)", &2.5_f64.to_be_bytes())).unwrap();
        assert_eq!(
            array,
            Array {
                dims: vec![1],
                values: Values::F32(vec![2.5])
            }
        );
        // Written by numpy.save(numpy.array([[1, 2]], "<f4")), version 2, padded with spaces.
        let text = "{\"descr\": '<f4', 'fortran_order': False, 'shape': (1L, 2L)}     \n";
        let mut bytes = [&MAGIC[..], &[2, 0]].concat();
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend([1.0_f32.to_le_bytes(), 2.0_f32.to_le_bytes()].concat());
        assert_eq!(read(&bytes).unwrap().values, Values::F32(vec![1.0, 2.0]));
    }

    #[test]
    fn every_kind_of_number_is_read() {
        for (descr, bytes, expected) in [
            (
                "<i4",
                (-7_i32).to_le_bytes().to_vec(),
                Values::F32(vec![-7.0]),
            ),
            (">i8", 250_i64.to_be_bytes().to_vec(), Values::U8(vec![250])),
            (
                "<u2",
                999_u16.to_le_bytes().to_vec(),
                Values::F32(vec![999.0]),
            ),
            ("<f2", vec![0x00, 0x3e], Values::F32(vec![1.5])),
            ("|b1", vec![1], Values::F32(vec![1.0])),
            ("|i1", vec![0xff], Values::F32(vec![-1.0])),
        ] {
            let array = read(&file(descr, "(1,)", &bytes)).unwrap();
            assert_eq!(array.values, expected, "{descr}");
        }
    }

    #[test]
    fn fortran_order_is_read() {
        // numpy.asfortranarray([[1, 2, 3], [4, 5, 6]]) stores its columns.
        let bytes = file("|u1", "(2, 3)", &[1, 4, 2, 5, 3, 6]);
        let text = String::from_utf8_lossy(&bytes[10..]).replace("False", "True ");
        let array = read(&[&bytes[..10], text.as_bytes()].concat()).unwrap();
        assert_eq!(array.dims, [2, 3]);
        assert_eq!(array.values, Values::U8(vec![1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn what_is_not_a_plain_array_is_refused_with_the_way_out() {
        for descr in ["<c8", "<U2", "|S4", "|O", "<M8[ns]", "<f16", "u", "", "σ4"] {
            refused(&file(descr, "(1,)", &[0; 8]), "astype('float32')");
        }
        refused(
            &file("|u1", "(3,)", &[0; 2]),
            "shorter than its header claims",
        );
        refused(&file("|u1", "(1,)", &[0; 2]), "more bytes follow");
        refused(
            &file("<f8", "(1152921504606846976, 4)", &[0; 64]),
            "shorter than",
        );
        refused(
            &file("<f8", "(99999999999999999999999,)", &[0; 64]),
            "header is not that",
        );
        let mut huge = [&MAGIC[..], &[2, 0]].concat();
        huge.extend(u32::MAX.to_le_bytes());
        refused(&huge, "4294967295 bytes");
        let whole = file("|u1", "(4,)", &[0; 4]);
        for n in 0..whole.len() {
            assert!(read(&whole[..n]).is_err(), "{n}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&[&MAGIC[..], &[1, 0, 100, 0], &bytes].concat());
        }

        #[test]
        fn arbitrary_headers_never_panic(text in "[{}(),:' a-z0-9]{0,80}") {
            let _ = Parser { rest: text.as_bytes() }.header();
            let _ = read(&file("|u1", &text, &[0; 8]));
        }

        #[test]
        fn arbitrary_kinds_orders_and_shapes_never_panic(
            descr in "[<>|=]?[a-zA-Z?][0-9]{0,3}", fortran in any::<bool>(),
            shape in proptest::collection::vec(any::<u64>().prop_map(|n| n >> (n % 64)), 0..5),
            values in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let sides: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
            let bytes = file(&descr, &format!("({})", sides.join(" ")), &values);
            let order = if fortran { "True " } else { "False" };
            let header = String::from_utf8_lossy(&bytes[10..bytes.len() - values.len()]);
            let header = header.replace("False", order);
            let _ = read(&[&bytes[..10], header.as_bytes(), &values].concat());
        }

        #[test]
        fn damaged_files_never_panic(
            at in any::<prop::sample::Index>(), with in any::<u8>(), keep in any::<prop::sample::Index>(),
        ) {
            let mut bytes = file("<f4", "(2, 2)", &[7; 16]);
            let i = at.index(bytes.len());
            bytes[i] = with;
            let _ = read(&bytes);
            let _ = read(&bytes[..keep.index(bytes.len())]);
        }
    }
}
