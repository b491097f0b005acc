//! The loop of a session, whatever it trains: updates, statistics, checkpoints, and the wish to
//! stop.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::window::Window;
use super::{Line, RunDir};
use crate::error::{Error, Result};
use crate::job::{self, Monitor, Progress};
use crate::train::{About, Checkpoint, Losses, StepReport, TrainConfig};

/// What happens during a session, for logs.
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
    /// The grid of samples at a step could not be drawn or written; training continues.
    NoSamples {
        /// Updates made.
        step: u64,
        /// Why there is none.
        error: &'a Error,
    },
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trained {
    /// The run's folder.
    #[serde(serialize_with = "job::text::path")]
    pub run: PathBuf,
    /// Numbers in the network.
    pub parameters: usize,
    /// Updates made in all.
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

/// What a new loss contributes to the running mean: single batches jump.
const FOLLOW: f64 = 0.02;

/// What a session trains.
pub(super) trait Training {
    /// Updates made so far.
    fn step(&self) -> u64;

    /// Numbers in the network.
    fn parameters(&self) -> usize;

    /// Makes one update.
    fn update(&mut self) -> Result<StepReport>;

    /// The state to store.
    fn checkpoint(&self) -> Checkpoint;

    /// Continues from a stored state.
    fn restore(&mut self, checkpoint: Checkpoint) -> Result<()>;

    /// Adds to a line of statistics what it knows beside losses; `regular` where the line stands at
    /// a checkpoint that a session with the same configuration has too.
    fn complete(&mut self, _line: &mut Line, _regular: bool) -> Result<()> {
        Ok(())
    }

    /// After a session has gone on from a checkpoint, before its first update.
    fn resumed(&mut self, _on: &mut dyn FnMut(Event<'_>)) {}

    /// After an update, behind its checkpoint: the `last` of the session, or one behind which
    /// somebody waits for it to stop.
    fn after(&mut self, _last: bool, _stopped: bool, _on: &mut dyn FnMut(Event<'_>)) {}

    /// What to tell beside the loss.
    fn note(&self) -> String {
        String::new()
    }
}

/// A session's surroundings.
pub(super) struct Loop<'a> {
    pub run: &'a RunDir,
    pub train: &'a TrainConfig,
    /// Empty, with the bins that losses are reported by.
    pub losses: Losses,
    /// Where it is resumed from.
    pub start: Option<(Checkpoint, About)>,
    pub stop_after: Option<Duration>,
}

impl Loop<'_> {
    /// Trains to the last step, or until it is to stop.
    pub fn run(
        self,
        training: &mut impl Training,
        monitor: &mut Monitor<'_>,
        on: &mut dyn FnMut(Event<'_>),
    ) -> Result<Trained> {
        let Self {
            run,
            train,
            losses,
            start,
            stop_after,
        } = self;
        let mut window = Window::new(losses);
        let mut about = run.about()?;
        let mut saved = None;
        if let Some((checkpoint, earlier)) = start {
            window.restore(&earlier.window);
            training.restore(checkpoint)?;
            saved = Some(training.step());
        }
        on(Event::Started {
            step: training.step(),
            steps: train.steps,
            parameters: training.parameters(),
        });
        monitor.at("training", training.step(), train.steps, "steps");
        training.resumed(on);

        let (began, mut saved_at) = (Instant::now(), Instant::now());
        let mut mean = None;
        let mut stopped = false;
        while training.step() < train.steps && !stopped {
            let report = training.update().map_err(|e| with_last_good(run, e))?;
            window.add(&report);
            on(Event::Step(&report));
            let step = training.step();
            let loss = mean.map_or(report.loss, |mean| {
                (1.0 - FOLLOW) * mean + FOLLOW * report.loss
            });
            mean = Some(loss);
            monitor.tell(&Progress {
                what: "training",
                done: step,
                total: train.steps,
                unit: "steps",
                note: &Note { loss, training },
            });

            let out_of_time = stop_after.is_some_and(|limit| began.elapsed() >= limit);
            let at_checkpoint = step == train.steps || step.is_multiple_of(train.checkpoint_every);
            let last = step == train.steps || out_of_time;
            stopped = monitor.stopped() || out_of_time;
            let regular = last || at_checkpoint;
            if regular || step.is_multiple_of(train.log_every) {
                let mut line = window.line(&report, train.batch, began.elapsed(), saved);
                training.complete(&mut line, at_checkpoint)?;
                run.append(&line)?;
                on(Event::Logged(&line));
            }
            let minutes = saved_at.elapsed().as_secs_f64() / 60.0;
            let late = train.checkpoint_minutes > 0.0 && minutes >= train.checkpoint_minutes;
            if regular || late || stopped {
                about.window = window.to_words();
                // What the checkpoint is beside, the statistics, is safe before.
                run.sync_stats()?;
                let checkpoints = run.checkpoints();
                checkpoints.save(&training.checkpoint(), &about, train.keep)?;
                (saved, saved_at) = (Some(step), Instant::now());
                on(Event::Saved(&checkpoints.path(step)));
            }
            training.after(last, stopped, on);
        }
        Ok(Trained {
            run: run.path().to_owned(),
            parameters: training.parameters(),
            step: training.step(),
            steps: train.steps,
            loss: mean,
            stopped: training.step() < train.steps,
            seconds: began.elapsed().as_secs_f64(),
            checkpoint: run.checkpoints().path(training.step()),
        })
    }
}

/// The loss and what else there is to tell, written only if someone reads it.
struct Note<'a, T> {
    loss: f64,
    training: &'a T,
}

impl<T: Training> std::fmt::Display for Note<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "loss {:.3}{}", self.loss, self.training.note())
    }
}

/// A divergence with the way back.
fn with_last_good(run: &RunDir, error: Error) -> Error {
    let Error::Diverged { step, found, .. } = error else {
        return error;
    };
    let checkpoints = run.checkpoints();
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
