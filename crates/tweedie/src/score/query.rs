//! What a denoiser is asked: noised samples, which samples they are, and what is known of them.

use std::ops::Range;
use std::sync::Arc;

use super::check::check_sigma;
use crate::error::{Error, Result};

/// What a sample is conditioned on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    /// Its class, from 0; none for a sample of any class.
    pub class: Option<u32>,
    /// A measurement of it, as the denoiser understands measurements; for
    /// [`Known`](super::guidance::Known) the values themselves, `[dim]`, NaN where they are
    /// not known.
    pub measurement: Option<Arc<[f64]>>,
}

impl Condition {
    /// On a class.
    pub fn class(class: u32) -> Self {
        Self {
            class: Some(class),
            measurement: None,
        }
    }

    /// On a measurement.
    pub fn measurement(values: impl Into<Arc<[f64]>>) -> Self {
        Self {
            class: None,
            measurement: Some(values.into()),
        }
    }
}

/// Which samples the rows of a query are: their numbers (seeds, or items of a data set), and what
/// each is conditioned on.
///
/// A list of numbers is a batch without conditions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    numbers: &'a [u64],
    conditions: &'a [Condition],
    without_classes: bool,
    without_measurements: bool,
}

impl<'a> Batch<'a> {
    /// The samples with these `numbers`, conditioned on nothing.
    pub fn new(numbers: &'a [u64]) -> Self {
        Self {
            numbers,
            ..Self::default()
        }
    }

    /// The same samples, each conditioned as its place in `conditions` says.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is one condition a sample. Rows that are no one's samples may
    /// be conditioned too.
    pub fn conditioned_on(self, conditions: &'a [Condition]) -> Result<Self> {
        let given = !conditions.is_empty() && !self.numbers.is_empty();
        if given && conditions.len() != self.numbers.len() {
            return Err(Error::Shape {
                what: "the conditions".into(),
                expected: vec![self.numbers.len()],
                found: vec![conditions.len()],
            });
        }
        Ok(Self { conditions, ..self })
    }

    /// The numbers, `[n]`; empty where the rows are no one's samples, such as points of a grid.
    pub fn numbers(&self) -> &'a [u64] {
        self.numbers
    }

    /// The class of row `row`, if it is conditioned on one.
    pub fn class(&self, row: usize) -> Option<u32> {
        match self.without_classes {
            true => None,
            false => self.conditions.get(row)?.class,
        }
    }

    /// The measurement that row `row` is conditioned on, if on any.
    pub fn measurement(&self, row: usize) -> Option<&'a [f64]> {
        match self.without_measurements {
            true => None,
            false => self.conditions.get(row)?.measurement.as_deref(),
        }
    }

    /// Whether any row is conditioned on a class.
    pub fn has_classes(&self) -> bool {
        (0..self.conditions.len()).any(|row| self.class(row).is_some())
    }

    /// The same samples, of any class: what classifier-free guidance compares with.
    #[must_use]
    pub fn without_classes(self) -> Self {
        Self {
            without_classes: true,
            ..self
        }
    }

    /// The same samples without their measurements: for what is inside a denoiser that uses them.
    #[must_use]
    pub fn without_measurements(self) -> Self {
        Self {
            without_measurements: true,
            ..self
        }
    }

    /// The samples `rows` of these.
    #[must_use]
    pub fn slice(self, rows: Range<usize>) -> Self {
        Self {
            numbers: self.numbers.get(rows.clone()).unwrap_or_default(),
            conditions: self.conditions.get(rows).unwrap_or_default(),
            ..self
        }
    }

    /// Chosen rows, to be a batch of their own.
    pub(crate) fn gather(&self, rows: &[usize]) -> Gathered {
        let number = |&row: &usize| self.numbers.get(row).copied();
        let condition = |&row: &usize| Condition {
            class: self.class(row),
            measurement: match self.without_measurements {
                true => None,
                false => self.conditions[row].measurement.clone(),
            },
        };
        let conditions = match self.conditions.is_empty() {
            true => Vec::new(),
            false => rows.iter().map(condition).collect(),
        };
        Gathered {
            numbers: rows.iter().filter_map(number).collect(),
            conditions,
        }
    }

    /// Refuses conditions that a model would ignore.
    ///
    /// # Errors
    /// [`Error::Setting`] where a row is conditioned on a class or a measurement.
    pub fn unconditioned(&self) -> Result<()> {
        let rows = || 0..self.conditions.len();
        if let Some(class) = rows().find_map(|row| self.class(row)) {
            return Err(Error::setting(
                "class",
                class,
                "this model takes no classes",
            ));
        }
        self.unmeasured()
    }

    /// Refuses measurements that a model would ignore.
    ///
    /// # Errors
    /// [`Error::Setting`] where a row is conditioned on a measurement.
    pub fn unmeasured(&self) -> Result<()> {
        let mut rows = 0..self.conditions.len();
        match rows.find(|&row| self.measurement(row).is_some()) {
            None => Ok(()),
            Some(row) => {
                let reason = "this model takes no measurements; put it inside a data consistency";
                Err(Error::setting(
                    "measurement",
                    format!("that of row {row}"),
                    reason,
                ))
            }
        }
    }
}

/// Rows of a batch that hold their own numbers and conditions.
pub(crate) struct Gathered {
    numbers: Vec<u64>,
    conditions: Vec<Condition>,
}

impl Gathered {
    /// As a batch.
    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch {
            numbers: &self.numbers,
            conditions: &self.conditions,
            ..Batch::default()
        }
    }
}

impl<'a> From<&'a [u64]> for Batch<'a> {
    fn from(numbers: &'a [u64]) -> Self {
        Self::new(numbers)
    }
}

impl<'a> From<&'a Vec<u64>> for Batch<'a> {
    fn from(numbers: &'a Vec<u64>) -> Self {
        Self::new(numbers)
    }
}

impl<'a, const N: usize> From<&'a [u64; N]> for Batch<'a> {
    fn from(numbers: &'a [u64; N]) -> Self {
        Self::new(numbers)
    }
}

/// Noised samples x~ = x + sigma z, of which a [`Denoiser`](super::Denoiser) tells the expected x.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The noised samples, row-major `[n, dim]`.
    pub x: &'a [f64],
    /// The noise level sigma of each, `[n]`, positive, in the data's units.
    pub sigmas: &'a [f64],
    /// Which samples they are.
    pub batch: Batch<'a>,
}

impl<'a> Query<'a> {
    /// Rows that are no one's samples, conditioned on nothing.
    pub fn new(x: &'a [f64], sigmas: &'a [f64]) -> Self {
        let batch = Batch::default();
        Self { x, sigmas, batch }
    }

    /// The same about the samples of `batch`.
    #[must_use]
    pub fn of(self, batch: Batch<'a>) -> Self {
        Self { batch, ..self }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.sigmas.len()
    }

    /// The rows `rows` of samples of `dim` values.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>, dim: usize) -> Self {
        Self {
            x: &self.x[rows.start * dim..rows.end * dim],
            sigmas: &self.sigmas[rows.clone()],
            batch: self.batch.slice(rows),
        }
    }

    /// Checks that x is a row a noise level, and the batch a sample a row, if it says anything.
    ///
    /// # Errors
    /// [`Error::Shape`] where one does not fit.
    pub fn check_shape(&self, dim: usize) -> Result<()> {
        super::check::check_rows(dim, self.x)?;
        let rows = self.x.len() / dim;
        let shape = |what: &str, found: usize| Error::Shape {
            what: what.into(),
            expected: vec![rows],
            found: vec![found],
        };
        if self.sigmas.len() != rows {
            return Err(shape("the noise levels", self.sigmas.len()));
        }
        let (numbers, conditions) = (self.batch.numbers, self.batch.conditions);
        if !numbers.is_empty() && numbers.len() != rows {
            return Err(shape("the numbers of the samples", numbers.len()));
        }
        if !conditions.is_empty() && conditions.len() != rows {
            return Err(shape("the conditions", conditions.len()));
        }
        Ok(())
    }

    /// [`Query::check_shape`], and that the noise levels are positive and finite.
    ///
    /// # Errors
    /// As for it, and [`Error::Setting`] for a noise level.
    pub fn check(&self, dim: usize) -> Result<()> {
        self.check_shape(dim)?;
        self.sigmas.iter().try_for_each(|&sigma| check_sigma(sigma))
    }
}
