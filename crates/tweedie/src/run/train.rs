//! The job `train`: a session from a configuration to checkpoints.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::directory::{CONFIG, DATA, DataCard};
use super::window::Window;
use super::{Config, Draw, Line, Lock, Model, RunDir};
use crate::data::{Dataset, Shape};
use crate::error::{Error, Result};
use crate::job::{self, Monitor, Progress};
use crate::nn::Network;
use crate::report::Grid;
use crate::train::{About, Checkpoint, Losses, ScoreMatching, StepReport, Trainer, digest};

/// What happens during a session, for logs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Training begins, at a step other than 0 when it is resumed.
    Started {
        /// Updates already completed.
        step: u64,
        /// Updates in all.
        steps: u64,
        /// Parameters of the network.
        parameters: usize,
    },
    /// An update was completed.
    Step(&'a StepReport),
    /// A line of statistics was written.
    Logged(&'a Line),
    /// A checkpoint was written.
    Saved(&'a Path),
    /// A grid of samples was written.
    Samples(&'a Path),
    /// The sample grid of a step could not be drawn or written; training continues.
    NoSamples {
        /// Updates made.
        step: u64,
        /// The reason.
        error: &'a Error,
    },
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trained {
    /// The run's folder.
    #[serde(serialize_with = "job::text::path")]
    pub run: PathBuf,
    /// Parameters of the network.
    pub parameters: usize,
    /// Updates completed.
    pub step: u64,
    /// Updates to reach.
    pub steps: u64,
    /// A running mean of the loss; none where there was nothing to do.
    pub loss: Option<f64>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// Seconds it took.
    pub seconds: f64,
    /// The checkpoint of the last step.
    #[serde(serialize_with = "job::text::path")]
    pub checkpoint: PathBuf,
}

/// Noise levels that a session's losses are reported at.
const LOSS_BINS: usize = 12;

/// Samples in the grids drawn while training.
const GRID: u64 = 64;

/// Weight of a new loss in the running mean, since single batches fluctuate.
const FOLLOW: f64 = 0.02;

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
        let run = RunDir::open(folder)?;
        let lock = run.lock()?;
        let data = config.open_data()?;
        let checkpoints = run.checkpoints();
        let steps = checkpoints.steps()?;
        let step = from.or(steps.last().copied());
        if let Some(step) = from.filter(|step| !steps.contains(step)) {
            let reason = format!("has no checkpoint at step {step}; there are {steps:?}");
            return Err(Error::content(run.path(), reason));
        }
        let about = match step {
            Some(step) => checkpoints.about(step)?,
            None => About::default(),
        };

        // The run's own files are compared with the given ones, unless they are damaged and the
        // given ones match the checkpoint's record.
        let card = DataCard::new(&data);
        let was = |name: &str, bytes: &[u8]| {
            let known = about.run.get(name);
            known.is_some_and(|known| known.contains(&digest(bytes)))
        };
        let same_data = was(DATA, &card.to_bytes(run.path())?);
        if !same_data {
            check_file(&run, &about, DATA, step)?;
            if !card.is_like(&run.data()?) {
                let reason = "is not the data that the run began with (number, shape, range or \
                              classes differ); restore it, or start another run with --out";
                return Err(Error::content(data.name(), reason));
            }
        }
        let config = config.resolve(&data)?;
        if !was(CONFIG, config.to_toml().as_bytes()) {
            check_file(&run, &about, CONFIG, step)?;
            if let Some((key, new, old)) = config.first_difference(&run.config()?) {
                let reason = format!(
                    "differs from the run in {} (where it is {old}); a resumed run cannot \
                     change it: restore it, or start another run with --out",
                    folder.display()
                );
                return Err(Error::setting(key, new, reason));
            }
        }

        // Everything that prevents resuming is found before the run is changed.
        let trainer = trainer(&config, &data)?;
        let start = match step {
            Some(step) => {
                let checkpoint = checkpoints.load(step)?;
                check_like(&checkpoint, &trainer.checkpoint())
                    .map_err(|reason| Error::content(checkpoints.path(step), reason))?;
                Some((checkpoint, about.clone()))
            }
            None => {
                run.check_that_none_was_lost(config.train.checkpoint_every)?;
                None
            }
        };
        drop(trainer);

        let mut notes = Vec::new();
        run.sweep(&lock)?;
        if let Some(from) = from {
            for aside in checkpoints.set_aside_after(from)? {
                notes.push(format!("a later checkpoint is kept as {}", aside.display()));
            }
        }
        if same_data && !run.is_of(&about, DATA)? {
            run.replace_data(&card)?;
        }
        run.replace_config(&config)?;
        let skipped = run.stats()?.skipped;
        if skipped > 0 {
            notes.push(format!(
                "{skipped} lines of stats.jsonl cannot be read; they stay"
            ));
        }
        run.truncate_stats(step.unwrap_or(0))?;
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
        let this = &*self;
        let train = &this.config.train;
        let mut trainer = trainer(&this.config, &this.data)?;
        let (max, min) = this.config.sigma_range()?;
        let mut window = Window::new(Losses::new(min, max, LOSS_BINS));
        let mut about = this.run.about()?;
        let mut saved = None;
        if let Some((checkpoint, earlier)) = start {
            window.restore(&earlier.window);
            trainer.restore(checkpoint)?;
            saved = Some(trainer.step());
        }
        on(Event::Started {
            step: trainer.step(),
            steps: train.steps,
            parameters: trainer.parameters(),
        });
        monitor.at("training", trainer.step(), train.steps, "steps");
        // A process killed between a checkpoint and its grid has not drawn the grid.
        let at = trainer.step();
        if at > 0 && this.is_grid_due(at, at == train.steps) && !this.grid_path(at).is_file() {
            this.draw_grid(&trainer, on);
        }

        let (began, mut saved_at) = (Instant::now(), Instant::now());
        let mut mean = None;
        let mut stopped = false;
        while trainer.step() < train.steps && !stopped {
            let report = trainer.update().map_err(|e| this.with_last_good(e))?;
            window.add(&report);
            on(Event::Step(&report));
            let step = trainer.step();
            let loss = mean.map_or(report.loss, |mean| {
                (1.0 - FOLLOW) * mean + FOLLOW * report.loss
            });
            mean = Some(loss);
            monitor.tell(&Progress {
                what: "training",
                done: step,
                total: train.steps,
                unit: "steps",
                note: &format_args!("loss {loss:.3}"),
            });

            let out_of_time = stop_after.is_some_and(|limit| began.elapsed() >= limit);
            let last = step == train.steps || out_of_time;
            stopped = monitor.stopped() || out_of_time;
            let regular = last || step.is_multiple_of(train.checkpoint_every);
            if regular || step.is_multiple_of(train.log_every) {
                let line = window.line(&report, train.batch, began.elapsed(), saved);
                this.run.append(&line)?;
                on(Event::Logged(&line));
            }
            let minutes = saved_at.elapsed().as_secs_f64() / 60.0;
            let late = train.checkpoint_minutes > 0.0 && minutes >= train.checkpoint_minutes;
            if regular || late || stopped {
                about.window = window.to_words();
                this.save(&trainer, &about)?;
                (saved, saved_at) = (Some(step), Instant::now());
                on(Event::Saved(&this.run.checkpoints().path(step)));
            }
            // A stop does not wait for a grid; it is drawn when training is resumed.
            if this.is_grid_due(step, last) && (last || !stopped) {
                this.draw_grid(&trainer, on);
            }
        }
        Ok(Trained {
            run: this.run.path().to_owned(),
            parameters: trainer.parameters(),
            step: trainer.step(),
            steps: train.steps,
            loss: mean,
            stopped: trainer.step() < train.steps,
            seconds: began.elapsed().as_secs_f64(),
            checkpoint: this.run.checkpoints().path(trainer.step()),
        })
    }

    /// Writes a checkpoint, after the statistics are synced.
    fn save(&self, trainer: &Trainer<'_>, about: &About) -> Result<()> {
        self.run.sync_stats()?;
        let checkpoints = self.run.checkpoints();
        let keep = self.config.train.keep;
        checkpoints.save(&trainer.checkpoint(), about, keep)
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
            &Draw::new(self.config.sample.clone(), 0..GRID),
            &mut Monitor::silent(),
        )?;
        let path = self.grid_path(trainer.step());
        Grid::new([channels, height, width])
            .columns(8)
            .render(&drawn.to_u8(&model))?
            .save_png(&path)?;
        Ok(path)
    }

    fn with_last_good(&self, error: Error) -> Error {
        let Error::Diverged { step, found, .. } = error else {
            return error;
        };
        let checkpoints = self.run.checkpoints();
        let last = match checkpoints.last_whole(u64::MAX) {
            Ok(Some(good)) => format!(
                "the last good checkpoint is {} (step {good})",
                checkpoints.path(good).display()
            ),
            Ok(None) => "there is no earlier checkpoint".into(),
            Err(error) => format!("the checkpoints cannot be listed: {error}"),
        };
        Error::Diverged {
            step,
            found,
            checkpoint: format!("{last}; lower train.lr, or set train.clip = 1"),
        }
    }
}

/// Refuses a damaged file of the run before it is compared with the given one.
fn check_file(run: &RunDir, about: &About, name: &str, step: Option<u64>) -> Result<()> {
    if run.is_of(about, name)? {
        return Ok(());
    }
    let reason = format!(
        "is damaged or was changed (its SHA-256 is not that recorded by the checkpoint of step {}), \
         and the configuration or data given now do not match that record; give those that the run \
         was started with",
        step.unwrap_or(0)
    );
    Err(Error::content(run.path().join(name), reason))
}

/// Whether both have the same sections of arrays of the same names and shapes: the reason why not.
fn check_like(found: &Checkpoint, like: &Checkpoint) -> Result<(), String> {
    let advice = "it belongs to another network; use the configuration it was trained with";
    for (section, like) in &like.sections {
        let Some(found) = found.sections.get(section) else {
            return Err(format!("lacks the section {section}: {advice}"));
        };
        if found.len() != like.len() {
            let (found, like) = (found.len(), like.len());
            return Err(format!(
                "{section} holds {found} arrays where the network has {like}: {advice}"
            ));
        }
        for (name, like) in like {
            let shape = found.get(name).map(|array| &array.shape);
            if shape != Some(&like.shape) {
                let shape = shape.map_or("missing".into(), |shape| format!("{shape:?}"));
                let like = &like.shape;
                return Err(format!(
                    "{name} in {section} is {shape} where the network has {like:?}: {advice}"
                ));
            }
        }
    }
    Ok(())
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
