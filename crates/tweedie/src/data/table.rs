//! csv: one vector per line, numbers separated by commas; one column may hold labels.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Trim};

use super::array::{Array, Values};
use super::label_source::LabelSource;
use super::labels::Labels;
use crate::error::{Error, Result};

/// The columns that hold labels when none is named, the likeliest first.
const USUAL_LABELS: [&str; 5] = ["label", "labels", "class", "target", "y"];

/// The rows of the csv file `bytes`, `[n, d]`, without the column of the labels, and the labels
/// where `source` asks for them; `path` is for messages.
///
/// A first row none of whose fields is a number is taken as a header and skipped. Lines that
/// start with `#` and empty lines are skipped too.
pub(crate) fn parse(
    path: &Path,
    bytes: &[u8],
    source: &LabelSource,
) -> Result<(Array, Option<Labels>)> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true) // Rows are compared here, so that the message can name the line.
        .trim(Trim::All)
        .comment(Some(b'#'))
        .from_reader(bytes);
    let mut values = Vec::new();
    let mut columns = None;
    let mut labels = Column::default();
    let mut first = true;
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| {
        let reason = format!("the csv cannot be read ({error}); save it as plain UTF-8 text");
        Error::content(path, reason)
    })? {
        let line = line_of(bytes, &record);
        let is_header = first && record.iter().all(|field| number(field).is_none());
        if first {
            labels.place = place(path, &record, is_header, source)?;
        }
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
            if labels.place == Some(i) {
                labels.push(path, line, field)?;
                continue;
            }
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
    let columns = columns.unwrap_or(1) - usize::from(labels.place.is_some());
    if values.is_empty() {
        return Err(Error::content(
            path,
            "the csv holds no rows of numbers; give at least one",
        ));
    }
    let array = Array {
        dims: vec![values.len() / columns, columns],
        values: Values::F32(values),
    };
    Ok((array, labels.read(path)?))
}

/// The column of the labels.
#[derive(Default)]
struct Column {
    /// Which it is, from 0; none where no labels are read.
    place: Option<usize>,
    texts: Vec<String>,
    lines: Vec<u64>,
}

impl Column {
    fn push(&mut self, path: &Path, line: u64, field: &[u8]) -> Result<()> {
        let text = std::str::from_utf8(field).map_err(|_| {
            let reason = format!("line {line}: the label is not UTF-8 text; repair the row");
            Error::content(path, reason)
        })?;
        self.texts.push(text.to_owned());
        self.lines.push(line);
        Ok(())
    }

    fn read(self, path: &Path) -> Result<Option<Labels>> {
        if self.place.is_none() {
            return Ok(None);
        }
        let line = |i: usize| format!("line {}", self.lines.get(i).copied().unwrap_or_default());
        Labels::from_text(path, &self.texts, line).map(Some)
    }
}

/// Which column `source` means, from 0; `first` is the first row.
fn place(
    path: &Path,
    first: &ByteRecord,
    is_header: bool,
    source: &LabelSource,
) -> Result<Option<usize>> {
    let called = |name: &str| {
        let mut fields = first.iter().filter(|_| is_header);
        fields.position(|field| field == name.as_bytes())
    };
    let by_number = |name: &str| {
        let number: usize = name.parse().ok()?;
        number.checked_sub(1).filter(|&place| place < first.len())
    };
    let (found, wanted) = match source {
        LabelSource::None => return Ok(None),
        LabelSource::Auto => {
            let found = USUAL_LABELS.iter().find_map(|name| called(name));
            (found, format!("called {}", USUAL_LABELS.join(" or ")))
        }
        LabelSource::Named(name) => {
            let found = called(name).or_else(|| by_number(name));
            (found, format!("called {}", excerpt(name.as_bytes())))
        }
    };
    let reason = match found {
        Some(_) if first.len() > 1 => return Ok(found),
        Some(_) => "it has no column beside that of the labels; give at least one".into(),
        None if is_header => format!(
            "no column is {wanted}; set labels to one of {}, or its number from 1",
            listed(first)
        ),
        None => format!(
            "it has no header, so no column is {wanted}; set labels to a number from 1 to {}",
            first.len()
        ),
    };
    Err(Error::content(path, reason))
}

/// The names of the columns, the first of them where they are many.
fn listed(header: &ByteRecord) -> String {
    const MOST: usize = 20;
    let names: Vec<String> = header.iter().take(MOST).map(excerpt).collect();
    let dots = if header.len() > MOST { ", .." } else { "" };
    names.join(", ") + dots
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
        let read = parse(Path::new("some.csv"), text.as_bytes(), &LabelSource::None);
        read.map(|(array, _)| array)
    }

    fn labelled(text: &str, column: &str) -> Result<(Array, Labels)> {
        let source = match column {
            "" => LabelSource::Auto,
            name => LabelSource::Named(name.into()),
        };
        let read = parse(Path::new("some.csv"), text.as_bytes(), &source);
        read.map(|(array, labels)| (array, labels.unwrap()))
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

    #[test]
    fn a_column_of_labels_is_taken_out_by_name_or_number() {
        let text = "x,species,y\n1,setosa,2\n3,virginica,4\n5,setosa,6\n";
        for column in ["species", "2"] {
            let (array, labels) = labelled(text, column).unwrap();
            assert_eq!(array.dims, [3, 2]);
            let expected = Values::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            assert_eq!(array.values, expected);
            assert_eq!(labels.classes(), ["setosa", "virginica"]);
            assert_eq!(labels.values(), [0, 1, 0]);
        }
        let (array, labels) = labelled("1,7,3\n2,7,0\n", "3").unwrap();
        assert_eq!((array.dims, labels.values()), (vec![2, 2], &[3, 0][..]));
        assert_eq!(labels.classes(), ["0", "1", "2", "3"]);
        // The likeliest of the usual names, wherever it stands.
        let (array, labels) = labelled("y,class\n1,0\n2,1\n", "").unwrap();
        assert_eq!(array.values, Values::F32(vec![1.0, 2.0]));
        assert_eq!(labels.values(), [0, 1]);
    }

    #[test]
    fn wrong_labels_are_named_by_line_and_missing_columns_with_those_there_are() {
        let refused = |text: &str, column: &str, words: &str| {
            let error = labelled(text, column).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        let named = "x,y2\n1,2\n";
        refused(
            named,
            "z",
            "no column is called \"z\"; set labels to one of \"x\", \"y2\"",
        );
        refused(
            named,
            "",
            "no column is called label or labels or class or target or y",
        );
        refused(named, "3", "no column is called \"3\"");
        refused(named, "0", "no column is called \"0\"");
        refused(
            "1,2\n",
            "x",
            "no header, so no column is called \"x\"; set labels to a number from 1 to 2",
        );
        refused("1\n", "1", "no column beside");
        refused(
            "x,c\n1,2\n\n3,2.5\n",
            "c",
            "line 4: the label 2.5 is not a whole",
        );
        refused("x,c\n1,-2\n", "c", "line 2: the label -2 is negative");
        refused("x,c\n1,a\n2,\n", "c", "line 3: the label is empty");
        refused("x,c\n1,70000\n", "c", "beyond 65536 classes");
        refused("x,c\n", "c", "no rows");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for source in [LabelSource::None, LabelSource::Auto, LabelSource::Named("1".into())] {
                let _ = parse(Path::new("some.csv"), &bytes, &source);
            }
        }

        #[test]
        fn arbitrary_tables_never_panic(text in "[0-9.,#\"\n\r x-]{0,80}") {
            if let Ok(array) = read(&text) {
                prop_assert_eq!(array.dims.iter().product::<usize>(), array.values.len());
            }
            for column in ["", "x", "1", "2"] {
                if let Ok((array, labels)) = labelled(&text, column) {
                    prop_assert_eq!(array.dims.iter().product::<usize>(), array.values.len());
                    prop_assert_eq!(array.dims[0], labels.len());
                }
            }
        }
    }
}
