//! csv: one vector a line, numbers separated by commas.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Trim};

use super::array::{Array, Values};
use crate::error::{Error, Result};

/// The rows of the csv file `bytes`, `[n, d]`; `path` is for messages.
///
/// A first row none of whose fields is a number is taken as a header and skipped. Lines that
/// start with `#` and empty lines are skipped too.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Array> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true) // Rows are compared here, so that the message can name the line.
        .trim(Trim::All)
        .comment(Some(b'#'))
        .from_reader(bytes);
    let mut values = Vec::new();
    let mut columns = None;
    let mut first = true;
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| {
        let reason = format!("the csv cannot be read ({error}); save it as plain UTF-8 text");
        Error::content(path, reason)
    })? {
        let line = line_of(bytes, &record);
        let is_header = first && record.iter().all(|field| number(field).is_none());
        first = false;
        let expected = *columns.get_or_insert(record.len());
        if record.len() != expected {
            let reason = format!(
                "line {line} has {} fields, but the first row has {expected}; give every row as \
                 many",
                record.len()
            );
            return Err(Error::content(path, reason));
        }
        if is_header {
            continue;
        }
        for (i, field) in record.iter().enumerate() {
            let value = number(field).filter(|value| value.is_finite()).ok_or_else(|| {
                let reason = format!(
                    "line {line}, field {}: {} is not a finite f32 number; repair or remove the \
                     row (fields are separated by commas)",
                    i + 1,
                    excerpt(field)
                );
                Error::content(path, reason)
            })?;
            values.push(value);
        }
    }
    let columns = columns.unwrap_or(1);
    if values.is_empty() {
        return Err(Error::content(
            path,
            "the csv holds no rows of numbers; give at least one",
        ));
    }
    Ok(Array {
        dims: vec![values.len() / columns, columns],
        values: Values::F32(values),
    })
}

fn number(field: &[u8]) -> Option<f32> {
    std::str::from_utf8(field)
        .ok()?
        .parse::<f64>()
        .ok()
        .map(|value| value as f32)
}

/// The line a record starts on, from 1. Its position is where the one before ended, so lines
/// skipped in between are counted here.
fn line_of(bytes: &[u8], record: &ByteRecord) -> u64 {
    let Some(position) = record.position() else {
        return 0;
    };
    let start = usize::try_from(position.byte())
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    let skipped = bytes[start..]
        .split_inclusive(|&b| b == b'\n')
        .take_while(|line| line.starts_with(b"#") || line.trim_ascii().is_empty())
        .count();
    position.line() + skipped as u64
}

/// The field in quotes, on one line and not long.
fn excerpt(field: &[u8]) -> String {
    const MOST: usize = 40;
    let text = String::from_utf8_lossy(field);
    let short: String = text.chars().take(MOST).collect();
    let dots = if short.len() < text.len() { ".." } else { "" };
    format!("{short:?}{dots}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Array> {
        parse(Path::new("some.csv"), text.as_bytes())
    }

    fn refused(text: &str, words: &str) {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn rows_are_read_with_or_without_a_header() {
        let expected = Array {
            dims: vec![2, 2],
            values: Values::F32(vec![1.0, -2.5, 3.0, 4e-3]),
        };
        for text in [
            "1,-2.5\n3,4e-3\n",
            "x,y\n1,-2.5\n3,4e-3",
            "\u{feff}x,y\r\n1, -2.5\r\n3, 4e-3\r\n",
            "# numpy.savetxt\n\n\"1\",-2.5\n\n3,4e-3\n",
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn rows_that_are_wrong_are_named_by_line() {
        refused("1,2\n3\n", "line 2 has 1 fields, but the first row has 2");
        refused("x,y\n1,2,3\n", "line 2 has 3 fields");
        refused(
            "1,2\n\n# note\n3,x\n",
            "line 4, field 2: \"x\" is not a finite",
        );
        refused("1,x\n", "line 1, field 2");
        refused("1,2\n3,nan\n", "line 2, field 2");
        refused("1,2\n3,1e99\n", "line 2, field 2");
        refused("1,2\n3,\n", "line 2, field 2: \"\"");
        refused("1;2\n3;4\n", "separated by commas");
        refused("", "no rows");
        refused("x,y\n", "no rows");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(Path::new("some.csv"), &bytes);
        }

        #[test]
        fn arbitrary_tables_never_panic(text in "[0-9.,#\"\n\r x-]{0,80}") {
            if let Ok(array) = read(&text) {
                prop_assert_eq!(array.dims.iter().product::<usize>(), array.values.len());
            }
        }
    }
}
