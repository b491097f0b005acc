//! The job `train`: a session from a configuration to checkpoints.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::directory::DataCard;
use super::{Config, Draw, Line, Model, RunDir};
use crate::data::{Dataset, Shape};
use crate::error::{Error, Result};
use crate::nn::Network;
use crate::report::Grid;
use crate::train::{Checkpoint, Losses, Objective, StepReport, Trainer};

/// What happens during a session, for progress and logs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Training begins, at a step that is not 0 when it continues.
    Started {
        /// Updates already made.
        step: u64,
        /// Updates to reach.
        steps: u64,
        /// Numbers in the network.
        parameters: usize,
    },
    /// An update was made.
    Step(&'a StepReport),
    /// A line of statistics was written.
    Logged(&'a Line),
    /// A checkpoint was written.
    Saved(&'a Path),
    /// A grid of samples was written.
    Samples(&'a Path),
}

/// Noise levels that a session's losses are reported at.
const LOSS_BINS: usize = 12;

/// Samples in the grids drawn while training.
const GRID: u64 = 64;

/// A training run: its folder, configuration and data.
pub struct Session {
    run: RunDir,
    config: Config,
    data: Dataset,
    /// Where it goes on from; none for a start from the beginning.
    start: Option<Checkpoint>,
}

impl Session {
    /// A new run in `folder`.
    ///
    /// # Errors
    /// When the configuration does not hold together or the folder already has a run.
    pub fn start(config: Config, folder: &Path) -> Result<Self> {
        let data = crate::data::open(&config.data)?;
        let config = config.resolve(&data)?;
        // Find out before anything is written whether the network can be built.
        trainer(&config, &data)?;
        let run = RunDir::create(folder, &config, &DataCard::new(&data))?;
        Ok(Self {
            run,
            config,
            data,
            start: None,
        })
    }

    /// Continues the run in `folder` from its latest checkpoint, or from the start when there
    /// is none yet.
    ///
    /// # Errors
    /// When there is no run, or its settings differ in something that cannot change midway.
    pub fn resume(config: Config, folder: &Path) -> Result<Self> {
        let run = RunDir::open(folder)?;
        let stored = run.config()?;
        let data = crate::data::open(&config.data)?;
        if !DataCard::new(&data).is_like(&run.data()?) {
            let reason = "is not the data that the run began with (number, shape, range or \
                          classes differ); restore it, or start another run with --out";
            return Err(Error::content(data.name(), reason));
        }
        let config = config.resolve(&data)?;
        if let Some((key, new, old)) = config.first_difference(&stored) {
            let reason = format!(
                "differs from the run in {} (where it is {old}); a continued run cannot change \
                 it: restore it, or start another run with --out",
                folder.display()
            );
            return Err(Error::setting(key, new, reason));
        }
        // Whatever cannot go on is found before the run is touched.
        let trainer = trainer(&config, &data)?;
        let start = match run.checkpoints().steps().last() {
            Some(&step) => Some(run.checkpoints().load(step, trainer.parameters())?),
            None => None,
        };
        drop(trainer);
        run.replace_config(&config)?;
        run.truncate_stats(start.as_ref().map_or(0, |checkpoint| checkpoint.step))?;
        Ok(Self {
            run,
            config,
            data,
            start,
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

    /// Trains to the last step. `stop_after` ends the session early, with a checkpoint.
    ///
    /// # Errors
    /// [`Error::Diverged`] names the last good checkpoint; otherwise when the disk refuses.
    pub fn train(
        &self,
        stop_after: Option<Duration>,
        on: &mut dyn FnMut(Event<'_>),
    ) -> Result<u64> {
        let train = &self.config.train;
        let mut trainer = trainer(&self.config, &self.data)?;
        if let Some(checkpoint) = &self.start {
            trainer.restore(checkpoint.clone())?;
        }
        on(Event::Started {
            step: trainer.step(),
            steps: train.steps,
            parameters: trainer.parameters().iter().map(|p| p.values.len()).sum(),
        });
        let (max, min) = self.config.sigma_range()?;
        let mut window = Window::new(Losses::new(min, max, LOSS_BINS));
        let began = Instant::now();
        while trainer.step() < train.steps {
            let report = trainer.update().map_err(|e| self.with_last_good(e))?;
            window.add(&report);
            on(Event::Step(&report));
            let step = trainer.step();
            let out_of_time = stop_after.is_some_and(|limit| began.elapsed() >= limit);
            let last = step == train.steps || out_of_time;
            let save = last || step.is_multiple_of(train.checkpoint_every);
            if save || step.is_multiple_of(train.log_every) {
                let line = window.line(step, &report, train.batch, began.elapsed());
                self.run.append(&line)?;
                on(Event::Logged(&line));
            }
            if save {
                self.run
                    .checkpoints()
                    .save(&trainer.checkpoint(), train.keep)?;
                on(Event::Saved(&self.run.checkpoints().path(step)));
            }
            let every = train.samples_every;
            let draw = every > 0 && (step.is_multiple_of(every) || last);
            if draw && let Some(path) = self.draw_grid(&trainer)? {
                on(Event::Samples(&path));
            }
            if last {
                break;
            }
        }
        Ok(trainer.step())
    }

    /// A picture of samples from the moving average; none for vectors.
    fn draw_grid(&self, trainer: &Trainer<'_>) -> Result<Option<PathBuf>> {
        let Shape::Image {
            channels,
            height,
            width,
        } = self.data.shape()
        else {
            return Ok(None);
        };
        let model = Model::of_trainer(trainer, &self.config, &self.data)?;
        let drawn = model.draw(&Draw::new(self.config.sample.clone(), 0..GRID), &mut |_| ())?;
        let path = self
            .run
            .path()
            .join(format!("samples/step-{:09}.png", trainer.step()));
        Grid::new([channels, height, width])
            .columns(8)
            .render(&drawn.to_u8(&model))?
            .save_png(&path)?;
        Ok(Some(path))
    }

    fn with_last_good(&self, error: Error) -> Error {
        let Error::Diverged {
            step,
            sigma,
            checkpoint,
        } = error
        else {
            return error;
        };
        let last = match self.run.checkpoints().steps().last() {
            Some(&good) => format!(
                "the last good checkpoint is {} (step {good})",
                self.run.checkpoints().path(good).display()
            ),
            None => "there is no earlier checkpoint".into(),
        };
        Error::Diverged {
            step,
            sigma,
            checkpoint: format!("{last}; {checkpoint}"),
        }
    }
}

/// A trainer at step 0 for a resolved configuration.
fn trainer<'a>(config: &Config, data: &'a Dataset) -> Result<Trainer<'a>> {
    let device = config.train.engine.device()?.autodiff();
    let network = Network::new(&config.network, data.shape(), config.seed, &device)?;
    let objective = Objective::new(&config.loss, config.network.parameterisation())?;
    let noise = config.training_noise()?;
    Trainer::new(&config.train, data, noise, objective, network, config.seed)
}

/// Means since the last line of statistics.
struct Window {
    losses: Losses,
    norms: f64,
    steps: u64,
    since: Instant,
}

impl Window {
    fn new(losses: Losses) -> Self {
        Self {
            losses,
            norms: 0.0,
            steps: 0,
            since: Instant::now(),
        }
    }

    fn add(&mut self, report: &StepReport) {
        for &(sigma, loss) in &report.examples {
            self.losses.add(sigma, loss);
        }
        self.norms += report.gradient_norm;
        self.steps += 1;
    }

    /// The line for `step`; empties the window.
    fn line(&mut self, step: u64, last: &StepReport, batch: usize, total: Duration) -> Line {
        let examples = self.steps as f64 * batch as f64;
        let line = Line {
            step,
            loss: self.losses.mean().unwrap_or(last.loss),
            gradient_norm: self.norms / self.steps.max(1) as f64,
            lr: last.rate,
            levels: self.losses.levels(),
            seconds: total.as_secs_f64(),
            examples_per_second: examples / self.since.elapsed().as_secs_f64().max(1e-9),
        };
        self.losses.clear();
        (self.norms, self.steps, self.since) = (0.0, 0, Instant::now());
        line
    }
}

/// What a run would take, measured on its first few steps.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The resolved configuration.
    pub config: Config,
    /// Numbers in the network.
    pub parameters: usize,
    /// Items in the data.
    pub items: usize,
    /// Median time of a step.
    pub step: Duration,
    /// The process's peak memory after those steps, in bytes, where the system tells.
    pub peak_memory: Option<u64>,
}

impl Plan {
    /// Makes `steps` updates without writing anything.
    ///
    /// # Errors
    /// When the configuration does not hold together.
    pub fn measure(config: Config, steps: usize) -> Result<Self> {
        let data = crate::data::open(&config.data)?;
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
            parameters: trainer.parameters().iter().map(|p| p.values.len()).sum(),
            items: data.len(),
            step: times[times.len() / 2],
            peak_memory: crate::memory::peak(),
            config,
        })
    }
}
