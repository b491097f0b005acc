//! Writing npz, as `numpy.load` reads it: arrays stored without compression, one as `arr_0`.

use std::io::{self, Cursor, Read, Seek, Write};

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::error::{Error, Result};

/// The bytes of an npz file with the uint8 array `arr_0` of `shape`, row-major.
///
/// # Errors
/// When `values` does not have the shape's size.
pub fn npz_bytes_u8(shape: &[usize], values: &[u8]) -> Result<Vec<u8>> {
    npz_bytes("|u1", shape, values.len(), values)
}

/// The bytes of an npz file with the float32 array `arr_0` of `shape`, row-major.
///
/// # Errors
/// When `values` does not have the shape's size.
pub fn npz_bytes_f32(shape: &[usize], values: &[f32]) -> Result<Vec<u8>> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    npz_bytes("<f4", shape, values.len(), &bytes)
}

fn npz_bytes(descr: &str, shape: &[usize], count: usize, bytes: &[u8]) -> Result<Vec<u8>> {
    if shape.iter().product::<usize>() != count {
        return Err(Error::Shape {
            what: "arr_0".into(),
            expected: shape.to_vec(),
            found: vec![count],
        });
    }
    let mut out = Cursor::new(Vec::new());
    write_npz(&mut out, descr, shape, bytes.len() as u64, &mut &bytes[..])
        .map_err(|e| Error::content("samples.npz", e.to_string()))?;
    Ok(out.into_inner())
}

/// Writes the npz file of the array `arr_0` of `shape`, whose `length` bytes `source` gives: in
/// memory that does not grow with it.
///
/// # Errors
/// When reading or writing fails, or `source` is shorter or longer.
pub(crate) fn write_npz(
    out: impl Write + Seek,
    descr: &str,
    shape: &[usize],
    length: u64,
    source: &mut dyn Read,
) -> io::Result<()> {
    let mut zip = ZipWriter::new(out);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(length >= 1 << 31);
    zip.start_file("arr_0.npy", options)?;
    zip.write_all(&npy_header(descr, shape))?;
    if io::copy(source, &mut zip)? != length {
        return Err(io::Error::other("the rows are not as many as they were"));
    }
    zip.finish()?.flush()
}

/// The bytes of an npz file with float64 arrays, row-major, each with its name and its shape, whose
/// product is the number of its values.
///
/// # Errors
/// When an array does not have its shape's size.
pub(crate) fn npz_bytes_f64(arrays: &[(&str, &[usize], &[f64])]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for &(name, shape, values) in arrays {
        if shape.iter().product::<usize>() != values.len() {
            return Err(Error::Shape {
                what: name.into(),
                expected: shape.to_vec(),
                found: vec![values.len()],
            });
        }
        let mut bytes = npy_header("<f8", shape);
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        zip.start_file(format!("{name}.npy"), options)
            .map_err(io::Error::from)
            .and_then(|()| zip.write_all(&bytes))
            .map_err(|e| Error::content("statistics.npz", e.to_string()))?;
    }
    let out = zip.finish();
    let out = out.map_err(|e| Error::content("statistics.npz", e.to_string()))?;
    Ok(out.into_inner())
}

/// Version 1.0 of the npy header, padded to a multiple of 64 bytes.
fn npy_header(descr: &str, shape: &[usize]) -> Vec<u8> {
    // A Python tuple: one element needs its comma.
    let axes: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let mut text = format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}",
        axes.join(" ")
    );
    const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
    let total = (MAGIC.len() + 2 + text.len() + 1).next_multiple_of(64);
    while MAGIC.len() + 2 + text.len() + 1 < total {
        text.push(' ');
    }
    text.push('\n');
    [MAGIC, &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSpec, open};

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images.npz");
        let pixels: Vec<u8> = (0..2 * 4 * 5 * 3).map(|i| i as u8 * 2).collect();
        std::fs::write(&images, npz_bytes_u8(&[2, 4, 5, 3], &pixels).unwrap()).unwrap();
        let data = open(&DataSpec::new(images.to_str().unwrap())).unwrap();
        assert_eq!((data.len(), data.shape().to_vec()), (2, vec![3, 4, 5]));

        let vectors = dir.path().join("vectors.npz");
        let values = [1.5, -2.0, 0.25, 7.0];
        std::fs::write(&vectors, npz_bytes_f32(&[2, 2], &values).unwrap()).unwrap();
        let data = open(&DataSpec::new(vectors.to_str().unwrap())).unwrap();
        assert_eq!(data.gather(&[0, 1]), values);
        assert!(npz_bytes_f32(&[3], &values).is_err());
    }
}
