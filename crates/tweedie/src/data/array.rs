//! Arrays as files hold them: dimensions, and elements in row-major order.

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

/// The type of the elements in a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Element {
    U8,
    F32 { big_endian: bool },
    F64 { big_endian: bool },
}

impl Element {
    /// The bytes one element takes.
    pub fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F32 { .. } => 4,
            Self::F64 { .. } => 8,
        }
    }

    /// The bytes an array of `dims` takes; `None` where the number overflows.
    pub fn bytes(self, dims: &[usize]) -> Option<usize> {
        dims.iter()
            .try_fold(self.size(), |bytes, &side| bytes.checked_mul(side))
    }

    /// The elements in `bytes`, whose length is a multiple of the element's size. f64 is
    /// rounded to f32; what is too large becomes infinite, which a data set refuses.
    pub fn decode(self, bytes: Vec<u8>) -> Values {
        let be = |big_endian: bool, le: f32, be: f32| if big_endian { be } else { le };
        match self {
            Self::U8 => Values::U8(bytes),
            Self::F32 { big_endian } => Values::F32(
                (bytes.as_chunks().0.iter())
                    .map(|&b| be(big_endian, f32::from_le_bytes(b), f32::from_be_bytes(b)))
                    .collect(),
            ),
            Self::F64 { big_endian } => Values::F32(
                (bytes.as_chunks().0.iter())
                    .map(|&b| {
                        let (le, be_) = (f64::from_le_bytes(b), f64::from_be_bytes(b));
                        be(big_endian, le as f32, be_ as f32)
                    })
                    .collect(),
            ),
        }
    }
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

    #[test]
    fn elements_are_read_in_both_byte_orders() {
        let value = -1.25_f64;
        let read = |element: Element, bytes: &[u8]| element.decode(bytes.to_vec());
        let expected = Values::F32(vec![-1.25]);
        let four = (value as f32).to_le_bytes();
        assert_eq!(read(Element::F32 { big_endian: false }, &four), expected);
        let four = (value as f32).to_be_bytes();
        assert_eq!(read(Element::F32 { big_endian: true }, &four), expected);
        assert_eq!(
            read(Element::F64 { big_endian: false }, &value.to_le_bytes()),
            expected
        );
        assert_eq!(
            read(Element::F64 { big_endian: true }, &value.to_be_bytes()),
            expected
        );
    }
}
