//! Arrays as files hold them: dimensions, and elements in row-major order.

use half::f16;

/// Stored values, of one of the two types kept in memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    U8(Vec<u8>),
    F32(Vec<f32>),
}

/// An array as a file holds it: the product of `dims` is the number of values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    pub dims: Vec<usize>,
    pub values: Values,
}

/// A type of number that files hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
}

/// The elements in a file: their type, and the order of their bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Element {
    pub number: Number,
    pub big_endian: bool,
}

impl Element {
    /// The bytes one element takes.
    pub fn size(self) -> usize {
        match self.number {
            Number::Bool | Number::U8 | Number::I8 => 1,
            Number::U16 | Number::I16 | Number::F16 => 2,
            Number::U32 | Number::I32 | Number::F32 => 4,
            Number::U64 | Number::I64 | Number::F64 => 8,
        }
    }

    /// The bytes an array of `dims` takes; `None` where the number overflows.
    pub fn bytes(self, dims: &[usize]) -> Option<usize> {
        dims.iter()
            .try_fold(self.size(), |bytes, &side| bytes.checked_mul(side))
    }

    /// The elements in `bytes`, whose length is a multiple of the element's size.
    ///
    /// Integers of any size are kept as bytes where all are between 0 and 255: NumPy widens what
    /// it computes with, so pixels often come as int64. Everything else is rounded to f32; what
    /// is too large becomes infinite, which a data set refuses. Booleans are 0 and 1.
    pub fn decode(self, bytes: Vec<u8>) -> Values {
        macro_rules! ordered {
            ($number:ty) => {
                match self.big_endian {
                    true => <$number>::from_be_bytes,
                    false => <$number>::from_le_bytes,
                }
            };
        }
        macro_rules! integers {
            ($number:ty) => {{
                let numbers = || numbers(&bytes, ordered!($number));
                match numbers().map(u8::try_from).collect() {
                    Ok(values) => Values::U8(values),
                    Err(_) => Values::F32(numbers().map(|v| v as f32).collect()),
                }
            }};
        }
        match self.number {
            Number::U8 => Values::U8(bytes),
            Number::Bool => Values::F32(bytes.iter().map(|&b| f32::from(b != 0)).collect()),
            Number::I8 => integers!(i8),
            Number::U16 => integers!(u16),
            Number::I16 => integers!(i16),
            Number::U32 => integers!(u32),
            Number::I32 => integers!(i32),
            Number::U64 => integers!(u64),
            Number::I64 => integers!(i64),
            Number::F16 => Values::F32(numbers(&bytes, ordered!(f16)).map(f16::to_f32).collect()),
            Number::F32 => Values::F32(numbers(&bytes, ordered!(f32)).collect()),
            Number::F64 => Values::F32(numbers(&bytes, ordered!(f64)).map(|v| v as f32).collect()),
        }
    }
}

impl Element {
    /// The elements in `bytes`, whose length is a multiple of the element's size, in full precision
    /// but for integers beyond 2^53.
    pub fn decode_f64(self, bytes: &[u8]) -> Vec<f64> {
        macro_rules! widened {
            ($number:ty, $wide:expr) => {
                match self.big_endian {
                    true => numbers(bytes, <$number>::from_be_bytes)
                        .map($wide)
                        .collect(),
                    false => numbers(bytes, <$number>::from_le_bytes)
                        .map($wide)
                        .collect(),
                }
            };
        }
        match self.number {
            Number::Bool => bytes.iter().map(|&b| f64::from(u8::from(b != 0))).collect(),
            Number::U8 => widened!(u8, f64::from),
            Number::I8 => widened!(i8, f64::from),
            Number::U16 => widened!(u16, f64::from),
            Number::I16 => widened!(i16, f64::from),
            Number::U32 => widened!(u32, f64::from),
            Number::I32 => widened!(i32, f64::from),
            Number::U64 => widened!(u64, |v| v as f64),
            Number::I64 => widened!(i64, |v| v as f64),
            Number::F16 => widened!(f16, f16::to_f64),
            Number::F32 => widened!(f32, f64::from),
            Number::F64 => widened!(f64, |v| v),
        }
    }
}

/// The numbers that stand one after another in `bytes`, each read by `of`.
fn numbers<T, const N: usize>(bytes: &[u8], of: fn([u8; N]) -> T) -> impl Iterator<Item = T> {
    bytes.as_chunks().0.iter().map(move |&b| of(b))
}

/// The values of an array of `dims`, stored with the first index running fastest (Fortran's order),
/// in row-major order.
pub(crate) fn fortran_to_row_major<T: Copy>(values: &[T], dims: &[usize]) -> Vec<T> {
    let mut index = vec![0; dims.len()];
    let mut at = 0;
    let mut next = || {
        let value = values.get(at).copied();
        // The last index runs fastest; each that is full goes back to 0 and carries.
        let mut stride = values.len();
        for (i, &side) in index.iter_mut().zip(dims).rev() {
            stride /= side.max(1);
            *i += 1;
            at += stride;
            if *i < side {
                break;
            }
            at -= stride * side;
            *i = 0;
        }
        value
    };
    (0..values.len()).map_while(|_| next()).collect()
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn truncate(&mut self, n: usize) {
        match self {
            Self::U8(values) => values.truncate(n),
            Self::F32(values) => values.truncate(n),
        }
    }

    /// Takes away and returns what stands from `n` on; nothing where `n` is past the end.
    pub fn split_off(&mut self, n: usize) -> Self {
        let n = n.min(self.len());
        match self {
            Self::U8(values) => Self::U8(values.split_off(n)),
            Self::F32(values) => Self::F32(values.split_off(n)),
        }
    }

    /// [`fortran_to_row_major`] of either kind.
    pub fn fortran_to_row_major(self, dims: &[usize]) -> Self {
        match self {
            Self::U8(values) => Self::U8(fortran_to_row_major(&values, dims)),
            Self::F32(values) => Self::F32(fortran_to_row_major(&values, dims)),
        }
    }

    /// The mean and the standard deviation (dividing by the count), in two passes of f64.
    pub fn mean_std(&self) -> (f64, f64) {
        fn of(values: impl ExactSizeIterator<Item = f64> + Clone) -> (f64, f64) {
            let n = values.len() as f64;
            let mean = values.clone().sum::<f64>() / n;
            let variance = values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
            (mean, variance.sqrt())
        }
        match self {
            Self::U8(values) => of(values.iter().map(|&v| f64::from(v))),
            Self::F32(values) => of(values.iter().map(|&v| f64::from(v))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `number` in both byte orders, from its big-endian bytes.
    fn read(number: Number, big: &[u8]) -> Values {
        let decode = |big_endian, bytes: Vec<u8>| Element { number, big_endian }.decode(bytes);
        let little: Vec<u8> = big.iter().rev().copied().collect();
        let values = decode(true, big.to_vec());
        assert_eq!(values, decode(false, little), "{number:?}");
        values
    }

    #[test]
    fn every_number_is_read_in_both_byte_orders() {
        let cases = [
            (Number::I8, (-5_i8).to_be_bytes().to_vec(), -5.0),
            (Number::U16, 60_000_u16.to_be_bytes().to_vec(), 60_000.0),
            (Number::I16, (-300_i16).to_be_bytes().to_vec(), -300.0),
            (Number::U32, 70_000_u32.to_be_bytes().to_vec(), 70_000.0),
            (Number::I32, (-70_000_i32).to_be_bytes().to_vec(), -70_000.0),
            (
                Number::U64,
                (1_u64 << 40).to_be_bytes().to_vec(),
                2_f32.powi(40),
            ),
            (Number::I64, (-3_i64).to_be_bytes().to_vec(), -3.0),
            (Number::F16, vec![0xbd, 0x00], -1.25),
            (Number::F32, (-1.25_f32).to_be_bytes().to_vec(), -1.25),
            (Number::F64, (-1.25_f64).to_be_bytes().to_vec(), -1.25),
            (Number::Bool, vec![1], 1.0),
        ];
        for (number, bytes, value) in cases {
            assert_eq!(read(number, &bytes), Values::F32(vec![value]), "{number:?}");
        }
        assert_eq!(read(Number::U8, &[200]), Values::U8(vec![200]));
    }

    #[test]
    fn integers_that_fit_into_bytes_are_bytes() {
        assert_eq!(
            read(Number::I64, &200_i64.to_be_bytes()),
            Values::U8(vec![200])
        );
        assert_eq!(read(Number::U16, &[0, 255]), Values::U8(vec![255]));
        assert_eq!(read(Number::U16, &[1, 0]), Values::F32(vec![256.0]));
        let element = Element {
            number: Number::I16,
            big_endian: true,
        };
        let values = element.decode(vec![0, 7, 0xff, 0xff]);
        assert_eq!(values, Values::F32(vec![7.0, -1.0]));
    }

    #[test]
    fn fortran_order_becomes_row_major() {
        let dims = [2, 3, 4];
        let (mut stored, mut expected) = (vec![0; 24], Vec::new());
        for (i, j, k) in
            (0..2).flat_map(|i| (0..3).flat_map(move |j| (0..4).map(move |k| (i, j, k))))
        {
            let value = (100 * i + 10 * j + k) as u8;
            stored[i + 2 * (j + 3 * k)] = value;
            expected.push(value);
        }
        assert_eq!(
            Values::U8(stored).fortran_to_row_major(&dims),
            Values::U8(expected)
        );
        let empty = Values::F32(Vec::new());
        assert_eq!(
            empty
                .clone()
                .fortran_to_row_major(&[usize::MAX, 0, usize::MAX]),
            empty
        );
        let one = Values::F32(vec![1.5]);
        assert_eq!(one.clone().fortran_to_row_major(&[]), one);
    }
}
