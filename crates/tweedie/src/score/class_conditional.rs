//! A denoiser of every class: exact where those of the classes are.

use super::check::{check_count, check_draw, check_trace, check_vjp};
use super::denoiser::{Denoiser, Differentiable, Distribution};
use super::mixture::GaussianMixture;
use super::posterior::{Posterior, add_counts};
use super::query::{Batch, Gathered, Query};
use crate::error::{Error, Result};
use crate::random::NoiseSource;

/// One denoiser for the data of all classes and one for each class: a row goes to that of its
/// class, and without a class to that of all.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassConditional<D> {
    all: D,
    classes: Vec<D>,
}

impl<D: Denoiser> ClassConditional<D> {
    /// The denoiser of `all` data, and those of the `classes` 0, 1, ...
    ///
    /// # Errors
    /// [`Error::Shape`] where their dimensions differ.
    pub fn new(all: D, classes: Vec<D>) -> Result<Self> {
        match classes.iter().find(|class| class.dim() != all.dim()) {
            None => Ok(Self { all, classes }),
            Some(class) => Err(Error::Shape {
                what: "a sample of a class".into(),
                expected: vec![all.dim()],
                found: vec![class.dim()],
            }),
        }
    }

    /// The denoiser of a class, or of all.
    ///
    /// # Errors
    /// [`Error::Setting`] for a class that is not there.
    pub fn of(&self, class: Option<u32>) -> Result<&D> {
        let Some(class) = class else {
            return Ok(&self.all);
        };
        self.classes.get(class as usize).ok_or_else(|| {
            let reason = format!("there are {} classes, from 0", self.classes.len());
            Error::setting("class", class, reason)
        })
    }

    /// The rows of `batch`, apart by class.
    fn parts(&self, batch: &Batch<'_>, rows: usize) -> Result<Vec<Part<'_, D>>> {
        let mut parts: Vec<(Option<u32>, Vec<usize>)> = Vec::new();
        for row in 0..rows {
            let class = batch.class(row);
            match parts.iter_mut().find(|(of, _)| *of == class) {
                Some((_, rows)) => rows.push(row),
                None => parts.push((class, vec![row])),
            }
        }
        let batch = batch.without_classes();
        let part = |(class, rows): (Option<u32>, Vec<usize>)| {
            Ok(Part {
                denoiser: self.of(class)?,
                samples: batch.gather(&rows),
                rows,
            })
        };
        parts.into_iter().map(part).collect()
    }

    /// Asks each class about its rows: `ask` gets its denoiser, its part of the query, a posterior
    /// for the part, and which rows they are.
    fn ask(
        &self,
        query: &Query<'_>,
        posterior: &mut Posterior<'_>,
        mut ask: impl FnMut(&D, &Query<'_>, &mut Posterior<'_>, &[usize]) -> Result<()>,
    ) -> Result<()> {
        let dim = self.dim();
        posterior.check(query, dim)?;
        for part in self.parts(&query.batch, query.rows())? {
            let rows = &part.rows;
            let (x, sigmas) = (gather(query.x, rows, dim), gather(query.sigmas, rows, 1));
            let (mut mean, mut variance) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            let mut evaluations = vec![0; rows.len()];
            let mut answer = Posterior::new(&mut mean).counted(&mut evaluations);
            if posterior.variance.is_some() {
                answer = answer.with_variance(&mut variance);
            }
            let query = Query::new(&x, &sigmas).of(part.samples.batch());
            ask(part.denoiser, &query, &mut answer, rows)?;
            scatter(&mean, rows, dim, posterior.mean);
            if let Some(out) = &mut posterior.variance {
                scatter(&variance, rows, dim, out);
            }
            add_counts(posterior.evaluations, rows, &evaluations);
        }
        Ok(())
    }
}

impl ClassConditional<GaussianMixture> {
    /// A mixture whose components are the classes.
    ///
    /// # Errors
    /// None that a mixture could cause.
    pub fn components(mixture: GaussianMixture) -> Result<Self> {
        let classes = (0..mixture.components()).map(|k| mixture.component(k));
        let classes = classes.collect::<Result<_>>()?;
        Self::new(mixture, classes)
    }
}

/// The rows of a class.
struct Part<'a, D> {
    denoiser: &'a D,
    rows: Vec<usize>,
    samples: Gathered,
}

/// The rows `rows` of `values`, `width` values a row.
fn gather(values: &[f64], rows: &[usize], width: usize) -> Vec<f64> {
    let row = |&row: &usize| &values[row * width..(row + 1) * width];
    rows.iter().flat_map(row).copied().collect()
}

/// The inverse of [`gather`].
fn scatter(values: &[f64], rows: &[usize], width: usize, out: &mut [f64]) {
    for (row, values) in rows.iter().zip(values.chunks_exact(width)) {
        out[row * width..(row + 1) * width].copy_from_slice(values);
    }
}

impl<D: Denoiser> Denoiser for ClassConditional<D> {
    fn dim(&self) -> usize {
        self.all.dim()
    }

    fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        let denoise = |denoiser: &D,
                       query: &Query<'_>,
                       posterior: &mut Posterior<'_>,
                       _: &[usize]| { denoiser.denoise(query, posterior) };
        self.ask(query, posterior, denoise)
    }

    fn score(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
        let score = |denoiser: &D,
                     query: &Query<'_>,
                     posterior: &mut Posterior<'_>,
                     _: &[usize]| { denoiser.score(query, posterior) };
        self.ask(query, posterior, score)
    }
}

impl<D: Differentiable> Differentiable for ClassConditional<D> {
    fn denoise_vjp(
        &self,
        query: &Query<'_>,
        v: &[f64],
        posterior: &mut Posterior<'_>,
        product: &mut [f64],
    ) -> Result<()> {
        let dim = self.dim();
        check_vjp(dim, query, v, posterior, product)?;
        self.ask(query, posterior, |denoiser, query, posterior, rows| {
            let (v, mut part) = (gather(v, rows, dim), vec![0.0; rows.len() * dim]);
            denoiser.denoise_vjp(query, &v, posterior, &mut part)?;
            scatter(&part, rows, dim, product);
            Ok(())
        })
    }

    fn denoise_trace(
        &self,
        query: &Query<'_>,
        posterior: &mut Posterior<'_>,
        trace: &mut [f64],
    ) -> Result<()> {
        check_trace(self.dim(), query, posterior, trace)?;
        self.ask(query, posterior, |denoiser, query, posterior, rows| {
            let mut part = vec![0.0; rows.len()];
            denoiser.denoise_trace(query, posterior, &mut part)?;
            scatter(&part, rows, 1, trace);
            Ok(())
        })
    }
}

impl<D: Distribution> Distribution for ClassConditional<D> {
    fn log_density(&self, query: &Query<'_>, out: &mut [f64]) -> Result<()> {
        let dim = self.dim();
        query.check_shape(dim)?;
        check_count("the log densities", query.rows(), out)?;
        for part in self.parts(&query.batch, query.rows())? {
            let rows = &part.rows;
            let (x, sigmas) = (gather(query.x, rows, dim), gather(query.sigmas, rows, 1));
            let mut logs = vec![0.0; rows.len()];
            let query = Query::new(&x, &sigmas).of(part.samples.batch());
            part.denoiser.log_density(&query, &mut logs)?;
            scatter(&logs, rows, 1, out);
        }
        Ok(())
    }

    fn draw(
        &self,
        source: &NoiseSource,
        batch: Batch<'_>,
        sigma: f64,
        out: &mut [f64],
    ) -> Result<()> {
        let dim = self.dim();
        check_draw(dim, &batch, sigma, out)?;
        for part in self.parts(&batch, batch.numbers().len())? {
            let mut values = vec![0.0; part.rows.len() * dim];
            let batch = part.samples.batch();
            part.denoiser.draw(source, batch, sigma, &mut values)?;
            scatter(&values, &part.rows, dim, out);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::Condition;
    use super::*;
    use crate::random::Stream;
    use crate::score::tests::full;

    const CLASSES: [Option<u32>; 6] = [Some(2), None, Some(0), Some(2), Some(3), None];
    const SIGMAS: [f64; 6] = [0.5, 0.5, 0.2, 3.0, 1.0, 2.0];

    fn conditions() -> Vec<Condition> {
        let condition = |&class| Condition {
            class,
            measurement: None,
        };
        CLASSES.iter().map(condition).collect()
    }

    /// Every row gets what the mixture's component, or the mixture, says of it alone.
    #[test]
    fn rows_see_their_own_class() {
        let mixture = full();
        let oracle = ClassConditional::components(mixture.clone()).unwrap();
        let dim = oracle.dim();
        let mut x: Vec<f64> = vec![0.0; CLASSES.len() * dim];
        let source = NoiseSource::new(3, Stream::Data);
        source.fill_normal(0, 0, &mut x);
        let v: Vec<f64> = x.iter().map(|x| x.cos()).collect();
        let (numbers, conditions) = ([5, 6, 7, 8, 9, 10], conditions());
        let batch = Batch::new(&numbers).conditioned_on(&conditions).unwrap();
        let query = Query::new(&x, &SIGMAS).of(batch);
        let new = || vec![0.0; x.len()];
        let (mut h, mut score, mut product, mut drawn) = (new(), new(), new(), new());
        let (mut trace, mut logs, mut evaluations) = ([0.0; 6], [0.0; 6], [0; 6]);
        let mut posterior = Posterior::new(&mut h).counted(&mut evaluations);
        oracle.denoise(&query, &mut posterior).unwrap();
        assert_eq!(evaluations, [1; 6]);
        oracle
            .score(&query, &mut Posterior::new(&mut score))
            .unwrap();
        let mut posterior = Posterior::new(&mut h);
        oracle
            .denoise_vjp(&query, &v, &mut posterior, &mut product)
            .unwrap();
        oracle
            .denoise_trace(&query, &mut posterior, &mut trace)
            .unwrap();
        oracle.log_density(&query, &mut logs).unwrap();
        oracle.draw(&source, batch, 0.4, &mut drawn).unwrap();
        for (row, class) in CLASSES.iter().enumerate() {
            let alone = match class {
                Some(class) => mixture.component(*class as usize).unwrap(),
                None => mixture.clone(),
            };
            let place = row * dim..(row + 1) * dim;
            let query = Query::new(&x[place.clone()], &SIGMAS[row..row + 1]);
            let (mut a, mut b, mut c) = (vec![0.0; dim], vec![0.0; dim], [0.0]);
            alone.denoise(&query, &mut Posterior::new(&mut a)).unwrap();
            assert_eq!(a, h[place.clone()]);
            alone.score(&query, &mut Posterior::new(&mut a)).unwrap();
            assert_eq!(a, score[place.clone()]);
            let mut posterior = Posterior::new(&mut a);
            let v = &v[place.clone()];
            alone
                .denoise_vjp(&query, v, &mut posterior, &mut b)
                .unwrap();
            assert_eq!(b, product[place.clone()]);
            alone.denoise_trace(&query, &mut posterior, &mut c).unwrap();
            assert_eq!(c[0], trace[row]);
            alone.log_density(&query, &mut c).unwrap();
            assert_eq!(c[0], logs[row]);
            alone
                .sample(&source, &numbers[row..row + 1], 0.4, &mut a)
                .unwrap();
            assert_eq!(a, drawn[place]);
        }
        // Without classes it is the mixture.
        let query = query.of(batch.without_classes());
        oracle.denoise(&query, &mut Posterior::new(&mut h)).unwrap();
        mixture
            .denoise(&query, &mut Posterior::new(&mut score))
            .unwrap();
        assert_eq!(h, score);
    }

    #[test]
    fn classes_that_are_not_there_are_refused() {
        let oracle = ClassConditional::components(full()).unwrap();
        let conditions = [Condition::class(4)];
        let batch = Batch::new(&[0]).conditioned_on(&conditions).unwrap();
        let query = Query::new(&[0.0; 3], &[1.0]).of(batch);
        let mut h = [0.0; 3];
        let error = oracle
            .denoise(&query, &mut Posterior::new(&mut h))
            .unwrap_err();
        assert_eq!(error.to_string(), "class = 4: there are 4 classes, from 0");
        // A model without classes does not ignore one.
        let error = full()
            .denoise(&query, &mut Posterior::new(&mut h))
            .unwrap_err();
        assert_eq!(error.to_string(), "class = 4: this model takes no classes");
        let line = GaussianMixture::gaussian(vec![0.0], 1.0).unwrap();
        assert!(ClassConditional::new(full(), vec![line]).is_err());
        assert!(Batch::new(&[0, 1]).conditioned_on(&conditions).is_err());
    }
}
