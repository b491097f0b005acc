//! A trained classifier, ready to give features and probabilities.

use std::ops::Range;

use super::super::continued::RunConfig;
use super::super::{DataCard, RunDir};
use super::{Calibration, ClassifierConfig};
use crate::data::{Dataset, Shape, ValueMap};
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::measure::{Logits, softmax};
use crate::nn::classifier::ClassifierOutput;
use crate::nn::init::Init;
use crate::nn::{Conditioning, Network, params};

/// A classifier with the moving average of its weights.
///
/// A row's answer is a function of that row alone: not of the batch, nor of threads.
///
/// ```no_run
/// use tweedie::data::{DataSpec, open};
/// use tweedie::job::Monitor;
/// use tweedie::run::{Classifier, RunDir};
///
/// let run = RunDir::open("runs/digits-classifier".as_ref())?;
/// let classifier = Classifier::load(&run, None)?;
/// let data = open(&DataSpec::new("digits"))?;
/// let features = classifier.features_of(&data, &mut Monitor::silent())?;
/// assert_eq!(features.len(), data.len() * classifier.features_len());
/// # Ok::<(), tweedie::Error>(())
/// ```
pub struct Classifier {
    network: Network,
    config: ClassifierConfig,
    data: DataCard,
    classes: Vec<String>,
    step: u64,
    digest: String,
    calibration: Option<Calibration>,
}

/// What a classifier makes of some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Classified {
    /// The activations of the penultimate layer, row-major `[n, d]`.
    pub features: Vec<f32>,
    /// The logits, before any temperature, row-major `[n, classes]`.
    pub logits: Vec<f32>,
}

impl Classifier {
    /// Loads the latest checkpoint of `run`, or that of `step`.
    ///
    /// # Errors
    /// When the run is not a classifier's, has no checkpoint, or is damaged.
    pub fn load(run: &RunDir, step: Option<u64>) -> Result<Self> {
        let config = ClassifierConfig::of(run)?;
        let checkpoints = run.checkpoints();
        if let Some(step) = step {
            let steps = checkpoints.steps()?;
            if !steps.contains(&step) {
                let reason = format!("has no checkpoint at step {step}; there are {steps:?}");
                return Err(Error::content(run.path(), reason));
            }
        }
        let read = |step| {
            let about = checkpoints.about(step)?;
            let (weights, digest) = checkpoints.section_and_digest(step, "ema")?;
            Ok((about, weights, digest))
        };
        let (step, (about, weights, digest)) = match step {
            Some(step) => (step, read(step)?),
            None => checkpoints
                .newest(read)?
                .ok_or_else(|| run.no_checkpoint())?,
        };
        run.check_files(&about, step)?;
        let data = run.data()?;
        let Some(classes) = data.classes.clone() else {
            let reason = "is damaged (no classes)";
            return Err(Error::content(run.path().join("data.json"), reason));
        };
        let device = config.train.engine.device();
        let device = device.map_err(|error| error.within("train"))?;
        let body = config.classifier.network().body(
            data.shape,
            classes.len(),
            ClassifierOutput::FeaturesAndLogits,
            &Init::blank(&device),
        );
        let body = body.map_err(|error| error.within("classifier"))?;
        let network = Network::from_body(body, &device)
            .with_arrays(weights)
            .map_err(|e| Error::content(checkpoints.path(step), e.to_string()))?;
        // That of other weights says nothing of these.
        let calibration = Calibration::read(run)?.filter(|found| found.weights == digest);
        Ok(Self {
            network,
            config,
            data,
            classes,
            step,
            digest,
            calibration,
        })
    }

    /// The checkpoint's step.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The digest of the weights: it tells one classifier from another.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The resolved configuration.
    pub fn config(&self) -> &ClassifierConfig {
        &self.config
    }

    /// What is remembered of the data it was trained on.
    pub fn data(&self) -> &DataCard {
        &self.data
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The number of features.
    pub fn features_len(&self) -> usize {
        self.network.outputs() - self.classes.len()
    }

    /// What was found on the held-out part when training had ended; none where it has not, or of
    /// another checkpoint.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// The temperature of the probabilities: 1 where there is no calibration.
    pub fn temperature(&self) -> f64 {
        self.calibration.as_ref().map_or(1.0, |c| c.temperature)
    }

    /// Features and logits of rows of model values, `[n, D]`: values as the classifier's own data
    /// are mapped. Computed a batch at a time.
    ///
    /// # Errors
    /// When `rows` are not whole rows, or the network's output is not finite.
    pub fn classify(&self, rows: &[f32]) -> Result<Classified> {
        let dim = self.network.inputs();
        if !rows.len().is_multiple_of(dim) {
            return Err(Error::Shape {
                what: "the rows given to a classifier".into(),
                expected: vec![rows.len() / dim, dim],
                found: vec![rows.len()],
            });
        }
        let n = rows.len() / dim;
        let (d, k) = (self.features_len(), self.classes.len());
        let mut found = Classified {
            features: Vec::with_capacity(n * d),
            logits: Vec::with_capacity(n * k),
        };
        for rows in rows.chunks(self.network.preferred_batch() * dim) {
            let x = self.network.input(rows.to_vec())?;
            let out = self.network.forward(x, &Conditioning::default())?;
            for row in params::to_vec(out).chunks_exact(d + k) {
                found.features.extend_from_slice(&row[..d]);
                found.logits.extend_from_slice(&row[d..]);
            }
        }
        let all = found.features.iter().chain(&found.logits);
        if all.into_iter().any(|value| !value.is_finite()) {
            let reason = "the classifier's output is not finite; are the values in its range?";
            return Err(Error::setting("rows", n, reason));
        }
        Ok(found)
    }

    /// The features of rows of model values, `[n, d]`.
    ///
    /// # Errors
    /// As [`Classifier::classify`].
    pub fn features(&self, rows: &[f32]) -> Result<Vec<f32>> {
        Ok(self.classify(rows)?.features)
    }

    /// The calibrated probabilities of rows of model values, `[n, classes]`.
    ///
    /// # Errors
    /// As [`Classifier::classify`].
    pub fn probabilities(&self, rows: &[f32]) -> Result<Vec<f64>> {
        Ok(self.to_probabilities(&self.classify(rows)?.logits))
    }

    /// The calibrated probabilities that logits `[n, classes]` stand for.
    pub fn to_probabilities(&self, logits: &[f32]) -> Vec<f64> {
        let mut p: Vec<f64> = logits.iter().map(|&z| z.into()).collect();
        softmax(&mut p, self.classes.len(), self.temperature());
        p
    }

    /// Hands features and logits of all items of `data` to `take`, some items at a time, in order:
    /// memory does not grow with the data.
    ///
    /// # Errors
    /// When the items are of another shape, and those of [`Classifier::classify`] and `take`;
    /// [`Error::Stopped`] where `monitor` says so.
    pub fn classify_all(
        &self,
        data: &Dataset,
        monitor: &mut Monitor<'_>,
        mut take: impl FnMut(Range<usize>, Classified) -> Result<()>,
    ) -> Result<()> {
        self.check(data)?;
        let total = data.len();
        let batch = self.network.preferred_batch();
        for start in (0..total).step_by(batch) {
            monitor.step("classifying", start as u64, total as u64, "items")?;
            let items: Vec<usize> = (start..total.min(start + batch)).collect();
            let mut rows = data.gather(&items);
            self.to_own_values(data, &mut rows);
            take(start..start + items.len(), self.classify(&rows)?)?;
        }
        monitor.at("classifying", total as u64, total as u64, "items");
        Ok(())
    }

    /// The features of all items of `data`, `[n, d]`.
    ///
    /// # Errors
    /// As [`Classifier::classify_all`].
    pub fn features_of(&self, data: &Dataset, monitor: &mut Monitor<'_>) -> Result<Vec<f32>> {
        let mut features = Vec::with_capacity(data.len() * self.features_len());
        self.classify_all(data, monitor, |_, found| {
            features.extend(found.features);
            Ok(())
        })?;
        Ok(features)
    }

    /// The calibrated probabilities of all items of `data`, `[n, classes]`.
    ///
    /// # Errors
    /// As [`Classifier::classify_all`].
    pub fn probabilities_of(&self, data: &Dataset, monitor: &mut Monitor<'_>) -> Result<Vec<f64>> {
        let mut all = Vec::with_capacity(data.len() * self.classes.len());
        self.classify_all(data, monitor, |_, found| {
            all.extend(self.to_probabilities(&found.logits));
            Ok(())
        })?;
        Ok(all)
    }

    /// The logits of all items of `data` with `labels`, classes of this classifier.
    pub(super) fn logits_of(
        &self,
        data: &Dataset,
        labels: Vec<u32>,
        monitor: &mut Monitor<'_>,
    ) -> Result<Logits> {
        let mut all = Vec::with_capacity(data.len() * self.classes.len());
        self.classify_all(data, monitor, |_, found| {
            all.extend(found.logits.into_iter().map(f64::from));
            Ok(())
        })?;
        Logits::new(all, self.classes.len(), labels)
    }

    /// Refuses data whose items are of another shape than those it was trained on.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn check(&self, data: &Dataset) -> Result<()> {
        match data.shape() == self.data.shape {
            true => Ok(()),
            false => {
                let way_out = match (data.shape(), self.data.shape) {
                    (Shape::Image { .. }, Shape::Image { .. }) => {
                        "; read it with size, fit and channels that agree"
                    }
                    _ => "",
                };
                let trained = &self.data.name;
                let name = data.name();
                Err(Error::Shape {
                    what: format!("{name} (the classifier was trained on {trained}{way_out})"),
                    expected: self.data.shape.to_vec(),
                    found: data.shape().to_vec(),
                })
            }
        }
    }

    /// Turns model values of `data` into those of the classifier's own data: images from interval
    /// to interval, all else by its own units.
    fn to_own_values(&self, data: &Dataset, rows: &mut [f32]) {
        let (theirs, own): (&ValueMap, &ValueMap) = (data.map(), &self.data.map);
        match (theirs.model_range(), own.model_range()) {
            (Some(from), Some(to)) if from == to => {}
            (Some([a, b]), Some([c, d])) if data.is_image() => {
                let scale = (d - c) / (b - a);
                rows.iter_mut()
                    .for_each(|x| *x = (c + (f64::from(*x) - a) * scale) as f32);
            }
            _ if theirs == own => {}
            _ => rows
                .iter_mut()
                .for_each(|x| *x = own.to_model(theirs.to_raw(f64::from(*x))) as f32),
        }
    }
}
