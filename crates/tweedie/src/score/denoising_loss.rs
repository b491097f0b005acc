//! The denoising loss of a model as a function of the noise level.
//!
//! m(sigma) = E ||x0 - H(x0 + sigma z, sigma)||^2, summed over the values of an item.
//!
//! Each item has one z, which is the same at every level, so that differences of m between levels
//! are known far better than m itself. It is used with both signs, +z and -z: the part of an
//! item's loss that is odd in z is noise alone, and at high noise it is most of it (of a Gaussian
//! its standard deviation falls as 1/sigma, where what is left to learn of m falls as 1/sigma^2).

use super::denoiser::Denoiser;
use super::posterior::Posterior;
use super::query::{Batch, Condition, Query};
use super::rows::squared_distance;
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::noise::{Levels, LossPoint};
use crate::random::NoiseSource;

/// m at `levels` by `denoiser`, from the first of them on, with its standard errors over items.
///
/// `items` are rows `[n, dim]`, n >= 1. The numbers of `batch` say which noise of `source` each
/// row has, its place where there are none, and its conditions what it is conditioned on. `rows`
/// rows are noised at a time, which bounds the memory and changes nothing else. There are 2 n
/// calls a level.
///
/// # Errors
/// As for [`Denoiser::denoise`]; [`Error::Shape`] without items; [`Error::Setting`] for `rows` = 0;
/// [`Error::NotFinite`] with the noise level where H is not finite; [`Error::Stopped`] where
/// `monitor` says so.
pub fn denoising_loss(
    denoiser: &dyn Denoiser,
    items: &[f64],
    batch: Batch<'_>,
    levels: &Levels,
    source: &NoiseSource,
    rows: usize,
    monitor: &mut Monitor<'_>,
) -> Result<Vec<LossPoint>> {
    let dim = denoiser.dim();
    super::check::check_rows(dim, items)?;
    let count = items.len() / dim;
    if count == 0 {
        return Err(Error::Shape {
            what: "the items".into(),
            expected: vec![1, dim],
            found: vec![0, dim],
        });
    }
    if rows == 0 {
        return Err(Error::setting("batch", 0, "must be 1 or more"));
    }
    let numbers: Vec<u64> = match batch.numbers() {
        [] => (0..count as u64).collect(),
        numbers => numbers.to_vec(),
    };
    // Checks numbers and conditions as of a query.
    let ones = vec![1.0; count];
    Query::new(items, &ones).of(batch).check_shape(dim)?;

    let mut sums = vec![[Sum::default(); 2]; levels.len()];
    let total = (count * levels.len()) as u64;
    for start in (0..count).step_by(rows) {
        let end = count.min(start + rows);
        let pairs = Pairs::new(
            &items[start * dim..end * dim],
            &numbers[start..end],
            batch.slice(start..end),
            source,
        );
        let mut before: Option<Vec<f64>> = None;
        for (step, &sigma) in levels.as_slice().iter().enumerate() {
            let done = start * levels.len() + step * (end - start);
            monitor.step("denoising loss", done as u64, total, "noised items")?;
            let losses = pairs.losses(denoiser, sigma).map_err(|error| match error {
                NotFinite::Item(place) => Error::NotFinite {
                    step,
                    sigma,
                    hint: format!(
                        "the denoiser's output for item {} noised by that is not; it may not be \
                         trained there, so measure between noise levels where it is",
                        numbers[start + place]
                    ),
                },
                NotFinite::Other(error) => error,
            })?;
            let [sum, steps] = &mut sums[step];
            losses.iter().for_each(|&loss| sum.add(loss));
            if let Some(before) = before {
                let differences = before.iter().zip(&losses);
                differences.for_each(|(before, loss)| steps.add(before - loss));
            }
            before = Some(losses);
        }
    }
    monitor.at("denoising loss", total, total, "noised items");
    let points = levels.as_slice().iter().zip(&sums);
    Ok(points
        .map(|(&sigma, [sum, steps])| LossPoint {
            sigma,
            loss: sum.mean,
            standard_error: sum.standard_error(),
            step_error: steps.standard_error(),
        })
        .collect())
}

/// Items with their noise, each twice: with +z in the first half of the rows, -z in the second.
struct Pairs<'a> {
    items: &'a [f64],
    z: Vec<f64>,
    numbers: Vec<u64>,
    conditions: Vec<Condition>,
}

/// Why there is no loss.
enum NotFinite {
    /// H of the item at this place is not finite, or too far from it.
    Item(usize),
    /// Anything else.
    Other(Error),
}

impl<'a> Pairs<'a> {
    fn new(items: &'a [f64], numbers: &[u64], batch: Batch<'_>, source: &NoiseSource) -> Self {
        let mut z = vec![0.0; items.len()];
        source.fill_batch(numbers, 0, &mut z);
        let conditions = (0..numbers.len()).map(|row| Condition {
            class: batch.class(row),
            measurement: batch.measurement(row).map(Into::into),
        });
        let conditions: Vec<Condition> = conditions.collect();
        Self {
            items,
            z,
            numbers: [numbers, numbers].concat(),
            conditions: [conditions.clone(), conditions].concat(),
        }
    }

    /// The loss of each item, the mean of both signs.
    fn losses(&self, denoiser: &dyn Denoiser, sigma: f64) -> Result<Vec<f64>, NotFinite> {
        let (dim, length) = (denoiser.dim(), self.items.len());
        let noised = |sign: f64| {
            let values = self.items.iter().zip(&self.z);
            values.map(move |(x, z)| x + sign * sigma * z)
        };
        let x: Vec<f64> = noised(1.0).chain(noised(-1.0)).collect();
        let mut mean = vec![0.0; x.len()];
        let sigmas = vec![sigma; self.numbers.len()];
        let batch = Batch::new(&self.numbers)
            .conditioned_on(&self.conditions)
            .map_err(NotFinite::Other)?;
        let query = Query::new(&x, &sigmas).of(batch);
        denoiser
            .denoise(&query, &mut Posterior::new(&mut mean))
            .map_err(NotFinite::Other)?;
        let (plus, minus) = mean.split_at(length);
        let rows = plus.chunks_exact(dim).zip(minus.chunks_exact(dim));
        let losses = rows.zip(self.items.chunks_exact(dim)).enumerate();
        losses
            .map(|(place, ((plus, minus), item))| {
                let loss = (squared_distance(plus, item) + squared_distance(minus, item)) / 2.0;
                match loss.is_finite() {
                    true => Ok(loss),
                    false => Err(NotFinite::Item(place)),
                }
            })
            .collect()
    }
}

/// A running mean and sum of squares about it (Welford 1962).
#[derive(Clone, Copy, Default)]
struct Sum {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let away = value - self.mean;
        self.mean += away / self.count;
        self.squares += away * (value - self.mean);
    }

    /// The standard error of the mean; none of fewer than two values.
    fn standard_error(&self) -> Option<f64> {
        let error = (self.squares / (self.count - 1.0) / self.count).sqrt();
        (self.count > 1.5)
            .then_some(error)
            .filter(|e| e.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{LossCurve, LossSchedule, Measured};
    use crate::random::Stream;
    use crate::score::{Distribution, Empirical, GaussianMixture, by_level};

    fn source(seed: u64) -> NoiseSource {
        NoiseSource::new(seed, Stream::Evaluation)
    }

    fn measure(
        denoiser: &dyn Denoiser,
        items: &[f64],
        levels: &Levels,
        seed: u64,
    ) -> Result<Vec<LossPoint>> {
        let monitor = &mut Monitor::silent();
        denoising_loss(
            denoiser,
            items,
            Batch::default(),
            levels,
            &source(seed),
            64,
            monitor,
        )
    }

    /// The same answer to everything.
    struct Constant(f64);

    impl Denoiser for Constant {
        fn dim(&self) -> usize {
            2
        }

        fn denoise(&self, query: &Query<'_>, posterior: &mut Posterior<'_>) -> Result<()> {
            by_level(2, query, posterior, |_, sigma, out| {
                // NaN below the level that it holds.
                out.fill(if sigma < self.0 { f64::NAN } else { 0.5 });
                Ok(())
            })
        }
    }

    #[test]
    fn a_gaussian_has_its_closed_form() {
        // m = D v sigma^2/(v + sigma^2).
        let (dim, v, count) = (3, 0.7, 4000);
        let target = GaussianMixture::new(&[1.0], vec![0.0; dim], &[v]).unwrap();
        let numbers: Vec<u64> = (0..count).collect();
        let mut items = vec![0.0; count as usize * dim];
        let draws = NoiseSource::new(1, Stream::Data);
        target
            .draw(&draws, (&numbers).into(), 0.0, &mut items)
            .unwrap();
        let levels = Levels::geometric(20.0, 0.01, 40).unwrap();
        let points = measure(&target, &items, &levels, 5).unwrap();
        let exact = |sigma: f64| dim as f64 * v * sigma * sigma / (v + sigma * sigma);
        assert_eq!(points[0].step_error, None);
        let mut before: Option<LossPoint> = None;
        for point in points {
            let error = point.standard_error.unwrap();
            let expected = exact(point.sigma);
            assert!(
                (point.loss - expected).abs() < 4.0 * error,
                "{point:?} {expected}"
            );
            assert!(error < 0.03 * expected, "{point:?}");
            if let Some(before) = before {
                let found = before.loss - point.loss;
                let expected = exact(before.sigma) - expected;
                let error = point.step_error.unwrap();
                assert!((found - expected).abs() < 4.0 * error, "{point:?}");
                // What the common noise is for: the errors of two means would be added.
                assert!(error < 0.6 * before.standard_error.unwrap(), "{point:?}");
            }
            before = Some(point);
        }
    }

    #[test]
    fn batches_change_nothing_and_numbers_say_which_noise() {
        let target =
            GaussianMixture::new(&[0.5, 0.5], vec![1.0, 0.0, -1.0, 2.0], &[0.1, 0.5]).unwrap();
        let items: Vec<f64> = (0..20).map(|i| f64::from(i).sin()).collect();
        let levels = Levels::geometric(5.0, 0.1, 7).unwrap();
        let numbers: Vec<u64> = (100..110).collect();
        let by = |batch: Batch<'_>, rows| {
            let monitor = &mut Monitor::silent();
            denoising_loss(&target, &items, batch, &levels, &source(0), rows, monitor).unwrap()
        };
        let whole = by((&numbers).into(), 64);
        for rows in [1, 3, 10] {
            assert_eq!(by((&numbers).into(), rows), whole);
        }
        assert_ne!(by(Batch::default(), 64), whole);
    }

    /// m of two points at -1 and 1 by quadrature: H = tanh(x/sigma^2), and x0 = 1 for half of
    /// the items.
    #[test]
    fn an_empirical_denoiser_agrees_with_quadrature() {
        let points = Empirical::new(vec![-1.0, 1.0], 1).unwrap();
        let items: Vec<f64> = (0..8000)
            .map(|i| if i % 2 == 0 { 1.0 } else { -1.0 })
            .collect();
        // With less noise, all that is left of m is an event too rare for so many items.
        let levels = Levels::geometric(5.0, 0.4, 12).unwrap();
        for point in measure(&points, &items, &levels, 3).unwrap() {
            let sigma = point.sigma;
            let step = 1e-3;
            let exact: f64 = (-8000..=8000)
                .map(|i| {
                    let z = f64::from(i) * step;
                    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
                    let h = ((1.0 + sigma * z) / (sigma * sigma)).tanh();
                    step * density * (1.0 - h).powi(2)
                })
                .sum();
            let error = point.standard_error.unwrap() + 1e-12;
            assert!(
                (point.loss - exact).abs() < 4.0 * error,
                "{point:?} {exact}"
            );
        }
    }

    #[test]
    fn a_level_without_a_finite_answer_is_named() {
        let levels = Levels::new(vec![4.0, 2.0, 1.0, 0.5, 0.25]).unwrap();
        let error = measure(&Constant(0.7), &[0.0; 20], &levels, 0).unwrap_err();
        let Error::NotFinite { step, sigma, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((step, sigma), (3, 0.5));
        assert!(error.to_string().contains("sigma = 0.5"), "{error}");
    }

    #[test]
    fn a_constant_says_nothing_about_levels_and_the_error_says_so() {
        let items: Vec<f64> = (0..40).map(|i| f64::from(i).cos()).collect();
        let levels = Levels::geometric(5.0, 0.1, 9).unwrap();
        let points = measure(&Constant(0.0), &items, &levels, 0).unwrap();
        assert!(points.iter().all(|point| point.loss == points[0].loss));
        assert!(
            points[1..]
                .iter()
                .all(|point| point.step_error == Some(0.0))
        );
        let curve = LossCurve::new(points, Measured::default()).unwrap();
        for &schedule in LossSchedule::ALL {
            let message = schedule
                .levels(&curve, 5.0, 0.1, 8, 1.0)
                .unwrap_err()
                .to_string();
            assert!(
                message.contains("geometric") && message.contains("loss"),
                "{message}"
            );
        }
    }

    #[test]
    fn one_item_has_a_curve_without_errors() {
        let target = GaussianMixture::new(&[1.0], vec![0.0; 2], &[1.0]).unwrap();
        let levels = Levels::geometric(10.0, 0.01, 20).unwrap();
        let points = measure(&target, &[0.3, -0.2], &levels, 0).unwrap();
        assert!(points.iter().all(|point| point.standard_error.is_none()));
        let curve = LossCurve::new(points, Measured::default()).unwrap();
        for &schedule in LossSchedule::ALL {
            assert_eq!(
                schedule.levels(&curve, 10.0, 0.01, 8, 1.0).unwrap().len(),
                8
            );
        }
        // A data set of one point leaves nothing to learn: H is that point at every level.
        let point = Empirical::new(vec![0.3, -0.2], 2).unwrap();
        let points = measure(&point, &[0.3, -0.2], &levels, 0).unwrap();
        assert!(points.iter().all(|point| point.loss == 0.0));
        let curve = LossCurve::new(points, Measured::default()).unwrap();
        assert!(
            LossSchedule::LossCurve
                .levels(&curve, 10.0, 0.01, 8, 1.0)
                .is_err()
        );
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let levels = Levels::geometric(5.0, 0.1, 3).unwrap();
        let message = measure(&Constant(0.0), &[], &levels, 0)
            .unwrap_err()
            .to_string();
        assert!(message.contains("items"), "{message}");
        assert!(measure(&Constant(0.0), &[1.0; 3], &levels, 0).is_err());
        let by = |batch: Batch<'_>, rows, monitor: &mut Monitor<'_>| {
            denoising_loss(
                &Constant(0.0),
                &[1.0; 4],
                batch,
                &levels,
                &source(0),
                rows,
                monitor,
            )
        };
        assert!(by(Batch::new(&[1, 2, 3]), 4, &mut Monitor::silent()).is_err());
        assert!(by(Batch::default(), 0, &mut Monitor::silent()).is_err());
        let mut stop = |_: &crate::job::Progress<'_>| std::ops::ControlFlow::Break(());
        let stopped = by(Batch::default(), 4, &mut Monitor::new(&mut stop));
        assert!(matches!(stopped, Err(Error::Stopped)));
    }
}
