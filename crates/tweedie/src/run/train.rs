//! The job `train`: a session from a configuration to checkpoints.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::continued::Continued;
use super::directory::DataCard;
use super::training_loop::{Event, Loop, Trained, Training};
use super::{Config, Draw, Lock, Model, RunDir};
use crate::data::{Dataset, Shape};
use crate::error::{Error, Result};
use crate::job::Monitor;
use crate::nn::Network;
use crate::report::Grid;
use crate::train::{About, Checkpoint, Losses, ScoreMatching, StepReport, Trainer};

/// Noise levels that a session's losses are reported at.
const LOSS_BINS: usize = 12;

/// Samples in the grids drawn while training.
const GRID: u64 = 64;

/// A training run: its folder, configuration and data.
pub struct Session {
    run: RunDir,
    config: Config,
    data: Dataset,
    /// The checkpoint it resumes from; `None` for a start from the beginning.
    start: Option<(Checkpoint, About)>,
    /// Notes for the user about the resumed run.
    notes: Vec<String>,
    /// The lock that keeps other processes from training in this folder.
    _lock: Lock,
}

impl Session {
    /// A new run in `folder`.
    ///
    /// # Errors
    /// When the configuration is inconsistent, or the folder already holds a run or other files.
    pub fn start(config: Config, folder: &Path) -> Result<Self> {
        let data = config.open_data()?;
        let config = config.resolve(&data)?;
        // Checks that the network can be built before anything is written.
        trainer(&config, &data)?;
        let (run, lock) = RunDir::create(folder, &config, &DataCard::new(&data))?;
        Ok(Self {
            run,
            config,
            data,
            start: None,
            notes: Vec::new(),
            _lock: lock,
        })
    }

    /// Resumes the run in `folder` from its latest checkpoint, or from the start when there is none
    /// yet; or from the checkpoint `from`, in which case later ones are renamed and kept.
    ///
    /// A damaged checkpoint is never skipped silently: the error names the one before it, which can
    /// be given as `from`.
    ///
    /// # Errors
    /// When there is no run, another process trains it, a checkpoint is damaged or missing, or the
    /// settings differ in something that cannot change midway.
    pub fn resume(config: Config, folder: &Path, from: Option<u64>) -> Result<Self> {
        let mut continued = Continued::open::<Config>(folder, from)?;
        let data = config.open_data()?;
        continued.check_data(&data)?;
        let config = config.resolve(&data)?;
        continued.check_config(&config)?;
        // Whatever cannot go on is found before the run is touched.
        let like = trainer(&config, &data)?.checkpoint();
        let start = continued.checkpoint(&like, &config.train)?;
        continued.prepare(&config)?;
        let Continued {
            run, lock, notes, ..
        } = continued;
        Ok(Self {
            run,
            config,
            data,
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
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The data.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// Notes for the user about the resumed run.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Trains to the last step, reporting to `monitor` after each. `stop_after` and `monitor` can
    /// end the session early, after a complete step and with a checkpoint. A session trains once.
    ///
    /// # Errors
    /// [`Error::Diverged`] names the last good checkpoint; otherwise when the disk refuses.
    pub fn train(
        &mut self,
        stop_after: Option<Duration>,
        monitor: &mut Monitor<'_>,
        on: &mut dyn FnMut(Event<'_>),
    ) -> Result<Trained> {
        let start = self.start.take();
        let (max, min) = self.config.sigma_range()?;
        let mut training = ScoreTraining {
            trainer: trainer(&self.config, &self.data)?,
            session: self,
        };
        let around = Loop {
            run: &self.run,
            train: &self.config.train,
            losses: Losses::new(min, max, LOSS_BINS),
            start,
            stop_after,
        };
        around.run(&mut training, monitor, on)
    }

    fn is_grid_due(&self, step: u64, last: bool) -> bool {
        let every = self.config.train.samples_every;
        every > 0 && (step.is_multiple_of(every) || last) && self.data.is_image()
    }

    fn grid_path(&self, step: u64) -> PathBuf {
        let name = format!("samples/step-{step:09}.png");
        self.run.path().join(name)
    }

    /// Draws a grid; training continues where that fails.
    fn draw_grid(&self, trainer: &Trainer<'_>, on: &mut dyn FnMut(Event<'_>)) {
        let step = trainer.step();
        match self.try_to_draw_grid(trainer) {
            Ok(path) => on(Event::Samples(&path)),
            Err(error) => on(Event::NoSamples {
                step,
                error: &error,
            }),
        }
    }

    /// A picture of samples drawn with the averaged weights.
    fn try_to_draw_grid(&self, trainer: &Trainer<'_>) -> Result<PathBuf> {
        let Shape::Image {
            channels,
            height,
            width,
        } = self.data.shape()
        else {
            return Err(Error::Shape {
                what: "the data of a grid".into(),
                expected: vec![1, 32, 32],
                found: self.data.shape().to_vec(),
            });
        };
        let model = Model::of_trainer(trainer, &self.config, &self.data)?;
        let drawn = model.draw(
            &Draw::new(self.config.sample.clone().without_curve(), 0..GRID),
            &mut Monitor::silent(),
        )?;
        let path = self.grid_path(trainer.step());
        Grid::new([channels, height, width])
            .columns(8)
            .render(&drawn.to_u8(&model))?
            .save_png(&path)?;
        Ok(path)
    }
}

/// A score network in training, and grids of its samples on the way.
struct ScoreTraining<'a> {
    session: &'a Session,
    trainer: Trainer<'a>,
}

impl Training for ScoreTraining<'_> {
    fn step(&self) -> u64 {
        self.trainer.step()
    }

    fn parameters(&self) -> usize {
        self.trainer.parameters()
    }

    fn update(&mut self) -> Result<StepReport> {
        self.trainer.update()
    }

    fn checkpoint(&self) -> Checkpoint {
        self.trainer.checkpoint()
    }

    fn restore(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.trainer.restore(checkpoint)
    }

    /// A process killed between a checkpoint and its grid left that out.
    fn resumed(&mut self, on: &mut dyn FnMut(Event<'_>)) {
        let (session, at) = (self.session, self.step());
        let is_last = at == session.config.train.steps;
        if at > 0 && session.is_grid_due(at, is_last) && !session.grid_path(at).is_file() {
            session.draw_grid(&self.trainer, on);
        }
    }

    /// Whoever wants it to stop does not wait for a grid; it is drawn when training goes on.
    fn after(&mut self, last: bool, stopped: bool, on: &mut dyn FnMut(Event<'_>)) {
        if self.session.is_grid_due(self.step(), last) && (last || !stopped) {
            self.session.draw_grid(&self.trainer, on);
        }
    }
}

/// A trainer at step 0 for a resolved configuration.
fn trainer<'a>(config: &Config, data: &'a Dataset) -> Result<Trainer<'a>> {
    let device = config.train.engine.device();
    let device = device.map_err(|error| error.within("train"))?.autodiff();
    let network = Network::new(&config.network, data.shape(), config.seed, &device)
        .map_err(|error| error.within("network"))?;
    let objective = ScoreMatching::new(&config.loss, config.network.parameterisation());
    let objective = objective.map_err(|error| match &error {
        Error::Setting { name, .. } if name == "sigma_data" => error.within("network"),
        _ => error.within("loss"),
    })?;
    let noise = config.training_noise()?;
    let trainer = Trainer::new(&config.train, data, noise, objective, network, config.seed);
    // The table's own values have been checked: what is left is the network's.
    trainer.map_err(|error| error.within("network"))
}

/// The cost of a run, measured on its first few steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The resolved configuration.
    pub config: Config,
    /// Parameters of the network.
    pub parameters: usize,
    /// Items in the data.
    pub items: usize,
    /// Median time of a step.
    pub seconds_per_step: f64,
    /// The process's peak memory after those steps, in bytes, where the system reports it.
    pub peak_memory: Option<u64>,
}

impl Plan {
    /// Makes `steps` updates without writing anything.
    ///
    /// # Errors
    /// When the configuration is inconsistent.
    pub fn measure(config: Config, steps: usize) -> Result<Self> {
        let data = config.open_data()?;
        let config = config.resolve(&data)?;
        let mut trainer = trainer(&config, &data)?;
        let mut times = Vec::new();
        // The first step also warms caches and the allocator.
        for _ in 0..=steps.max(1) {
            let began = Instant::now();
            trainer.update()?;
            times.push(began.elapsed());
        }
        times.remove(0);
        times.sort_unstable();
        Ok(Self {
            parameters: trainer.parameters(),
            items: data.len(),
            seconds_per_step: times[times.len() / 2].as_secs_f64(),
            peak_memory: crate::memory::peak(),
            config,
        })
    }
}
