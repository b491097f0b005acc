//! The job `sample`: a run's checkpoint as a denoiser, and batches of samples drawn from it.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use super::directory::DataCard;
use super::loss_curve::{KeptCurve, ModelCurve};
use super::{Config, RunDir, SampleConfig};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::job::{Monitor, Progress};
use crate::nn::{DifferentiableNetwork, Network, NetworkDenoiser, Precision};
use crate::random::{NoiseSource, Stream};
use crate::sample::{Observer, Sampler, Samples, StepView};
use crate::score::guidance::{ClassifierFree, Thresholded};
use crate::score::{Batch, Denoiser};
use crate::train::Trainer;

/// A trained network, ready to sample.
pub struct Model {
    denoiser: NetworkDenoiser,
    config: Config,
    data: DataCard,
    step: u64,
    /// Of the stored weights.
    digest: Option<String>,
    curve: ModelCurve,
}

/// What to draw.
#[derive(Clone, Debug)]
pub struct Draw {
    /// The scheme and its settings.
    pub sample: SampleConfig,
    /// The samples' numbers. Sample k is the same whatever else is drawn beside it.
    pub seeds: Range<u64>,
    /// Samples on their way at a time; bounds the memory, changes nothing else.
    pub batch: usize,
}

impl Draw {
    /// The samples numbered `seeds`, 64 at a time.
    pub fn new(sample: SampleConfig, seeds: Range<u64>) -> Self {
        Self {
            sample,
            seeds,
            batch: 64,
        }
    }

    /// How many samples.
    pub fn count(&self) -> u64 {
        self.seeds.end.saturating_sub(self.seeds.start)
    }

    /// The batches from the sample number `first` on.
    pub(super) fn batches(&self, first: u64) -> Result<impl Iterator<Item = Range<u64>>> {
        let (end, batch) = (self.seeds.end, self.batch as u64);
        if batch == 0 {
            return Err(Error::setting("batch", 0, "must be 1 or more"));
        }
        let next = move |start: &u64| Some(start.saturating_add(batch)).filter(|&next| next < end);
        let starts = std::iter::successors(Some(first).filter(|&first| first < end), next);
        Ok(starts.map(move |start| start..end.min(start.saturating_add(batch))))
    }
}

/// Values that one draw may hold: 16 GiB of them.
const MOST_VALUES: u64 = 1 << 31;

/// Tells how far a batch of a draw is, and stops it where that is wanted.
pub(super) struct Watch<'a, 'b> {
    monitor: &'a mut Monitor<'b>,
    /// Steps of earlier samples.
    before: u64,
    /// Samples in the batch.
    samples: u64,
    /// Samples in all.
    count: u64,
}

impl<'a, 'b> Watch<'a, 'b> {
    /// Of the batch `seeds` of `draw`, whose samples make `steps` each.
    pub fn new(draw: &Draw, seeds: &Range<u64>, steps: u64, monitor: &'a mut Monitor<'b>) -> Self {
        Self {
            monitor,
            before: (seeds.start - draw.seeds.start) * steps,
            samples: seeds.end - seeds.start,
            count: draw.count(),
        }
    }
}

impl Observer for Watch<'_, '_> {
    fn step(&mut self, view: &StepView<'_>) -> ControlFlow<()> {
        self.monitor.tell(&Progress {
            what: "sampling",
            done: self.before + self.samples * (view.step as u64 + 1),
            total: self.count * view.steps as u64,
            unit: "steps of a sample",
            note: &"",
        });
        match self.monitor.stopped() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// Samples as model values.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Row-major `[n, dim]`.
    pub values: Vec<f64>,
    /// Values in one sample.
    pub dim: usize,
    /// Network calls for each sample; of an adaptive solver, the most that any needed.
    pub calls: usize,
    /// How long it took.
    pub time: Duration,
}

impl Drawn {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The samples as bytes 0 to 255, `[n, C, H, W]`.
    pub fn to_u8(&self, model: &Model) -> Vec<u8> {
        self.values
            .iter()
            .map(|&v| model.data.map.to_u8(v as f32))
            .collect()
    }

    /// The samples in the data's own units.
    pub fn to_raw(&self, model: &Model) -> Vec<f32> {
        self.values
            .iter()
            .map(|&v| model.data.map.to_raw(v) as f32)
            .collect()
    }
}

impl Model {
    /// Loads the latest checkpoint of `run`, or that of `step`: the moving average of the
    /// weights, or the raw ones, as `sample` says, in its precision.
    ///
    /// # Errors
    /// When there is no checkpoint, it is damaged or of another network, or the network cannot
    /// be run in that precision.
    pub fn load(run: &RunDir, step: Option<u64>, sample: &SampleConfig) -> Result<Self> {
        let checkpoints = run.checkpoints();
        let mut flags = step
            .map(|step| format!(" --checkpoint {step}"))
            .unwrap_or_default();
        if !sample.ema {
            flags += " --raw";
        }
        if let Some(step) = step {
            let steps = checkpoints.steps()?;
            if steps.is_empty() {
                return Err(run.no_checkpoint());
            }
            if !steps.contains(&step) {
                let reason = format!("has no checkpoint at step {step}; there are {steps:?}");
                return Err(Error::content(run.path(), reason));
            }
        }
        let section = if sample.ema { "ema" } else { "model" };
        let read = |step| {
            let about = checkpoints.about(step)?;
            let (weights, digest) = checkpoints.section_and_digest(step, section)?;
            Ok((about, weights, digest))
        };
        let (step, (about, weights, digest)) = match step {
            Some(step) => (step, read(step)?),
            None => checkpoints
                .newest(read)?
                .ok_or_else(|| run.no_checkpoint())?,
        };
        run.check_files(&about, step)?;
        let (config, data) = (run.config()?, run.data()?);
        let device = config.train.engine.device();
        let device = device.map_err(|error| error.within("train"))?;
        let network = Network::blank(&config.network, data.shape, &device)
            .map_err(|error| error.within("network"))?;
        let network = network
            .with_arrays(weights)
            .map_err(|e| Error::content(checkpoints.path(step), e.to_string()))?;
        let model = Self::new(network, config, data, step, sample.precision)?;
        Ok(Self {
            digest: Some(digest),
            curve: ModelCurve::of(run, flags),
            ..model
        })
    }

    /// The moving average of a network in training, in the precision of `config.sample`.
    ///
    /// # Errors
    /// When the network cannot be run in that precision.
    pub fn of_trainer(trainer: &Trainer<'_>, config: &Config, data: &Dataset) -> Result<Self> {
        let (config, card) = (config.clone(), DataCard::new(data));
        let precision = config.sample.precision;
        Self::new(trainer.average()?, config, card, trainer.step(), precision)
    }

    fn new(
        network: Network,
        config: Config,
        data: DataCard,
        step: u64,
        precision: Precision,
    ) -> Result<Self> {
        let network = network.in_precision(precision);
        let network = network.map_err(|error| error.within("sample"))?;
        Ok(Self {
            denoiser: NetworkDenoiser::new(&network, config.network.parameterisation()),
            config,
            data,
            step,
            digest: None,
            curve: ModelCurve::NoRun,
        })
    }

    /// What tells these weights from others: the SHA-256 of their file; none for weights in
    /// training.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The loss curve of these weights: the one given to the model, or that of the run.
    ///
    /// # Errors
    /// When there is none, it is damaged, or of other weights; with the command that measures it.
    pub fn loss_curve(&self) -> Result<&KeptCurve> {
        self.curve.get(self.step, self.digest())
    }

    /// The same with a loss curve, whatever the run has.
    #[must_use]
    pub fn with_loss_curve(self, kept: KeptCurve) -> Self {
        let curve = ModelCurve::Given(kept);
        Self { curve, ..self }
    }

    /// The run's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is known of the data.
    pub fn data(&self) -> &DataCard {
        &self.data
    }

    /// Updates behind the weights.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The denoiser itself.
    pub fn denoiser(&self) -> &dyn Denoiser {
        &self.denoiser
    }

    /// The denoiser with its derivative.
    ///
    /// # Errors
    /// When the network stores its images in another precision than f32.
    pub fn differentiable(&self) -> Result<DifferentiableNetwork<'_>> {
        let differentiable = self.denoiser.differentiable();
        differentiable.map_err(|error| error.within("sample"))
    }

    /// The sampler that `sample` describes, on this model's range of noise.
    ///
    /// # Errors
    /// Names the setting that is not feasible, and what would be.
    pub fn sampler(&self, sample: &SampleConfig) -> Result<Box<dyn Sampler>> {
        let (max, min) = self.config.sigma_range()?;
        sample.threshold(self.data.map.model_range())?;
        sample.conditions(0..1, self.denoiser.classes())?;
        let kept = sample
            .needs_curve()
            .then(|| self.loss_curve())
            .transpose()?;
        sample.sampler(max, min, kept.map(|kept| &kept.curve))
    }

    /// One batch with an observer of your own: the samples numbered `seeds`, all at once.
    ///
    /// # Errors
    /// See [`Model::sampler`]; and when the network's output is not finite.
    pub fn run(
        &self,
        sample: &SampleConfig,
        seeds: Range<u64>,
        observer: &mut dyn Observer,
    ) -> Result<Samples> {
        let mut sampler = self.sampler(sample)?;
        self.run_by(sampler.as_mut(), sample, seeds, observer)
    }

    /// [`Model::run`] by a sampler of your own, on whatever levels; of `sample`, classes, guidance
    /// and clipping count.
    ///
    /// # Errors
    /// As for [`Model::run`].
    pub fn run_by(
        &self,
        sampler: &mut dyn Sampler,
        sample: &SampleConfig,
        seeds: Range<u64>,
        observer: &mut dyn Observer,
    ) -> Result<Samples> {
        let samples: Vec<u64> = seeds.clone().collect();
        let conditions = sample.conditions(seeds, self.denoiser.classes())?;
        let batch = Batch::new(&samples).conditioned_on(&conditions)?;
        // One seed a sample: the source's own seed says nothing.
        let source = NoiseSource::new(0, Stream::Sampling);
        let mut denoiser: Box<dyn Denoiser + '_> = Box::new(&self.denoiser);
        if let Some(weight) = sample.guidance {
            denoiser = Box::new(ClassifierFree::by_class(&self.denoiser, weight)?);
        }
        if let Some(threshold) = sample.threshold(self.data.map.model_range())? {
            denoiser = Box::new(Thresholded::new(denoiser, threshold)?);
        }
        crate::sample::run(&*denoiser, sampler, &source, batch, observer)
    }

    /// Draws samples batch by batch, and holds them all.
    ///
    /// # Errors
    /// See [`Model::sampler`]; when the network's output is not finite; [`Error::Stopped`] where
    /// `monitor` says so.
    pub fn draw(&self, draw: &Draw, monitor: &mut Monitor<'_>) -> Result<Drawn> {
        let began = Instant::now();
        let count = draw.count();
        let steps = self.sampler(&draw.sample)?.steps() as u64;
        let values = count.checked_mul(self.denoiser.dim() as u64);
        if values.is_none_or(|values| values > MOST_VALUES) || count.checked_mul(steps).is_none() {
            let reason = "too many to hold at once; draw them in parts";
            return Err(Error::setting("seeds", count, reason));
        }
        let mut drawn = Drawn {
            values: Vec::new(),
            dim: self.denoiser.dim(),
            calls: 0,
            time: Duration::ZERO,
        };
        for seeds in draw.batches(draw.seeds.start)? {
            let mut watch = Watch::new(draw, &seeds, steps, monitor);
            let found = self.draw_batch(&draw.sample, seeds, &mut watch);
            monitor.go_on()?;
            let (values, calls) = found?;
            drawn.calls = drawn.calls.max(calls);
            drawn.values.extend(values);
        }
        drawn.time = began.elapsed();
        Ok(drawn)
    }

    /// One batch: the samples' values, denoised where `sample` says so, and the most network
    /// evaluations of a sample.
    pub(super) fn draw_batch(
        &self,
        sample: &SampleConfig,
        seeds: Range<u64>,
        observer: &mut dyn Observer,
    ) -> Result<(Vec<f64>, usize)> {
        let samples = self.run(sample, seeds, observer)?;
        let evaluations = samples.most_evaluations();
        let values = match sample.denoise {
            true => samples.denoised,
            false => samples.x,
        };
        Ok((values, evaluations))
    }
}
