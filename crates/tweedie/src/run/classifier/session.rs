//! The job `classifier train`: a session from a configuration to a calibrated classifier.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::split::Split;
use super::training::ClassifierTraining;
use super::{Calibration, Classifier, ClassifierConfig, ClassifierTest, test_classifier};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::measure::Logits;
use crate::run::continued::Continued;
use crate::run::training_loop::{Event, Loop, Trained, Training};
use crate::run::{DataCard, Lock, RunDir};
use crate::train::{About, Checkpoint, Losses};

/// What a session came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassifierTrained {
    /// How training ended.
    #[serde(flatten)]
    pub trained: Trained,
    /// What was found on the held-out part; none where training was stopped.
    pub calibration: Option<Calibration>,
    /// What was found on the test data; none where there are none, or training was stopped.
    pub test: Option<ClassifierTest>,
}

/// A training run of a classifier: its folder, configuration and data.
pub struct ClassifierSession {
    run: RunDir,
    config: ClassifierConfig,
    data: Dataset,
    test: Option<Dataset>,
    /// Where it goes on from; none for a start from the beginning.
    start: Option<(Checkpoint, About)>,
    notes: Vec<String>,
    /// No other process trains in this folder.
    _lock: Lock,
}

impl ClassifierSession {
    /// A new run in `folder`.
    ///
    /// # Errors
    /// When the configuration does not hold together or the folder already has a run, or other
    /// things.
    pub fn start(config: ClassifierConfig, folder: &Path) -> Result<Self> {
        let data = config.open_data()?;
        let config = config.resolve(&data)?;
        // Find out before anything is written whether it can be trained, and tested.
        ClassifierTraining::new(&config, &data)?;
        let test = open_test(&config, &data)?;
        let card = DataCard::new(&data);
        let (run, lock) = RunDir::create_with(folder, &config.to_toml(), &card)?;
        Ok(Self {
            run,
            config,
            data,
            test,
            start: None,
            notes: Vec::new(),
            _lock: lock,
        })
    }

    /// Continues the run in `folder` from its latest checkpoint, or from the start when there is
    /// none yet; or from the checkpoint `from`, in which case later ones are set aside.
    ///
    /// # Errors
    /// When there is no such run, another process trains it, a checkpoint is damaged or missing,
    /// or the settings differ in something that cannot change midway.
    pub fn resume(config: ClassifierConfig, folder: &Path, from: Option<u64>) -> Result<Self> {
        let mut continued = Continued::open::<ClassifierConfig>(folder, from)?;
        let data = config.open_data()?;
        continued.check_data(&data)?;
        let config = config.resolve(&data)?;
        continued.check_config(&config)?;
        let like = ClassifierTraining::new(&config, &data)?.checkpoint();
        let start = continued.checkpoint(&like, &config.train)?;
        let test = open_test(&config, &data)?;
        continued.prepare(&config)?;
        let Continued {
            run, lock, notes, ..
        } = continued;
        Ok(Self {
            run,
            config,
            data,
            test,
            start,
            notes,
            _lock: lock,
        })
    }

    /// The run's folder.
    pub fn run_dir(&self) -> &RunDir {
        &self.run
    }

    /// The resolved configuration.
    pub fn config(&self) -> &ClassifierConfig {
        &self.config
    }

    /// The data.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// What a person should know of how the run goes on.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Trains to the last step, telling `monitor` after each; then fits the temperature to what is
    /// held out, and tests. `stop_after` ends training early, and so does `monitor`, each after a
    /// whole step and with a checkpoint. A session trains once.
    ///
    /// # Errors
    /// [`Error::Diverged`] names the last good checkpoint; otherwise when the disk refuses.
    pub fn train(
        &mut self,
        stop_after: Option<Duration>,
        monitor: &mut Monitor<'_>,
        on: &mut dyn FnMut(Event<'_>),
    ) -> Result<ClassifierTrained> {
        let start = self.start.take();
        let mut training = ClassifierTraining::new(&self.config, &self.data)?;
        let around = Loop {
            run: &self.run,
            train: &self.config.train,
            losses: Losses::new(1.0, 1.0, 1),
            start,
            stop_after,
        };
        let trained = around.run(&mut training, monitor, on)?;
        drop(training);
        if trained.stopped {
            return Ok(ClassifierTrained {
                trained,
                calibration: None,
                test: None,
            });
        }
        let calibration = self.calibrate(trained.step)?;
        let classifier = Classifier::load(&self.run, Some(trained.step))?;
        let test = match &self.test {
            Some(data) => Some(test_classifier(&classifier, data, monitor)?),
            None => None,
        };
        Ok(ClassifierTrained {
            trained,
            calibration: Some(calibration),
            test,
        })
    }

    /// Fits the temperature of the checkpoint of `step`, and stores it.
    fn calibrate(&self, step: u64) -> Result<Calibration> {
        let classifier = Classifier::load(&self.run, Some(step))?;
        let split = Split::new(
            &self.data,
            self.config.classifier.held_out,
            self.config.seed,
        )?;
        let labels = self.data.labels().map_or(&[][..], |l| l.values());
        let mut logits = Vec::new();
        for items in split.held_out.chunks(1024) {
            let found = classifier.classify(&self.data.gather(items))?;
            logits.extend(found.logits.into_iter().map(f64::from));
        }
        let labels = split.held_out.iter().map(|&item| labels[item]).collect();
        let logits = Logits::new(logits, classifier.classes().len(), labels)?;
        let calibration = Calibration::fit(step, classifier.digest(), &logits);
        calibration.write(&self.run)?;
        Ok(calibration)
    }
}

/// The test data, which must be like those trained on.
fn open_test(config: &ClassifierConfig, data: &Dataset) -> Result<Option<Dataset>> {
    let test = config.open_test()?;
    if let Some(test) = &test
        && test.shape() != data.shape()
    {
        return Err(Error::Shape {
            what: format!("test = {} (data.source has another shape)", test.name()),
            expected: data.shape().to_vec(),
            found: test.shape().to_vec(),
        });
    }
    Ok(test)
}
