//! Tables: rounded on a page, in full in a CSV file.

use crate::measure::Estimate;

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Text.
    Text(String),
    /// An exact number.
    Number(f64),
    /// A number and its standard error: two columns of the CSV file.
    Measured(Estimate),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Number(number as f64)
    }
}

impl From<Estimate> for Cell {
    fn from(estimate: Estimate) -> Self {
        Self::Measured(estimate)
    }
}

impl Cell {
    /// As shown on the page: five digits, or a measured number up to two digits of its error.
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => shown(*number, 5),
            Self::Measured(Estimate {
                value,
                standard_error,
            }) => {
                let places = decimals(*standard_error, 2);
                format!("{value:.places$} ± {standard_error:.places$}")
            }
        }
    }
}

/// `number` with about so many digits.
fn shown(number: f64, digits: i32) -> String {
    if !number.is_finite() {
        return number.to_string();
    }
    if number.fract() == 0.0 && number.abs() < 1e9 {
        return format!("{number}");
    }
    match number.abs() {
        size if !(1e-4..1e9).contains(&size) => format!("{number:.3e}"),
        _ => format!("{number:.*}", decimals(number, digits)),
    }
}

/// Places behind the point that show `digits` digits of `number`.
fn decimals(number: f64, digits: i32) -> usize {
    if number == 0.0 || !number.is_finite() {
        return digits as usize;
    }
    (digits - 1 - number.abs().log10().floor() as i32).clamp(0, 12) as usize
}

/// A table with a header.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self {
            header: header.map(str::to_owned).to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, one cell per column.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.header.len(), "{:?}", self.header);
        self.rows.push(cells.to_vec());
    }

    /// The column names.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The rows as the page shows them.
    pub fn shown(&self) -> Vec<Vec<String>> {
        let row = |row: &Vec<Cell>| row.iter().map(Cell::shown).collect();
        self.rows.iter().map(row).collect()
    }

    /// The table as CSV, with a column "NAME standard error" after each measured one.
    pub fn csv(&self) -> Vec<u8> {
        let measured: Vec<bool> = (0..self.header.len())
            .map(|i| {
                let cells = self.rows.iter().filter_map(|row| row.get(i));
                cells.into_iter().any(|c| matches!(c, Cell::Measured(..)))
            })
            .collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut record = Vec::new();
        for (name, &measured) in self.header.iter().zip(&measured) {
            record.push(name.clone());
            if measured {
                record.push(format!("{name} standard error"));
            }
        }
        // Writing to memory cannot fail, and all records have one length.
        let _ = writer.write_record(&record);
        for row in &self.rows {
            record.clear();
            for (i, &measured) in measured.iter().enumerate() {
                let (value, error) = match row.get(i) {
                    Some(Cell::Text(text)) => (text.clone(), String::new()),
                    Some(Cell::Number(number)) => (in_full(*number), String::new()),
                    Some(Cell::Measured(found)) => {
                        (in_full(found.value), in_full(found.standard_error))
                    }
                    None => Default::default(),
                };
                record.push(value);
                if measured {
                    record.push(error);
                }
            }
            let _ = writer.write_record(&record);
        }
        writer.into_inner().unwrap_or_default()
    }
}

/// All digits, with an exponent where there would be many zeros.
fn in_full(number: f64) -> String {
    match number.abs() {
        0.0 | 1e-5..1e15 => number.to_string(),
        _ => format!("{number:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_round_and_files_do_not() {
        let mut table = Table::new(["what", "value"]);
        table.row(["a, b".into(), 0.012_345_678.into()]);
        table.row([
            "c".into(),
            Cell::Measured(Estimate {
                value: 1.234_567,
                standard_error: 0.012,
            }),
        ]);
        table.row(["d".into(), 232_usize.into()]);
        table.row(["e".into(), 1.25e-12.into()]);
        let shown = table.shown();
        assert_eq!(shown[0], ["a, b", "0.012346"]);
        assert_eq!(shown[1], ["c", "1.235 ± 0.012"]);
        assert_eq!(shown[2], ["d", "232"]);
        let csv = String::from_utf8(table.csv()).unwrap();
        let expected = "what,value,value standard error\n\"a, b\",0.012345678,\n\
                        c,1.234567,0.012\nd,232,\ne,1.25e-12,\n";
        assert_eq!(csv, expected);
    }

    #[test]
    fn numbers_of_any_size_are_readable() {
        let cases = [
            (0.0, "0"),
            (1e-9, "1.000e-9"),
            (123_456.7, "123457"),
            (f64::NAN, "NaN"),
            (-0.5, "-0.50000"),
        ];
        for (number, expected) in cases {
            assert_eq!(shown(number, 5), expected);
        }
        assert_eq!(
            Cell::Measured(Estimate {
                value: 1.0,
                standard_error: 0.0
            })
            .shown(),
            "1.00 ± 0.00"
        );
    }
}
