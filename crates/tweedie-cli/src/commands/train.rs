//! `tweedie train`.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use tweedie::job::{self, Monitor};
use tweedie::run::{Config, Event, Plan, Session, Trained};
use tweedie::{Error, Result};

use crate::args::Train;
use crate::progress::{Progress, duration};
use crate::signals;

/// Number of steps that a dry run measures.
const MEASURED: usize = 5;

pub fn run(args: &Train) -> Result<()> {
    let config = Config::load(&args.config, &args.set)?;
    if args.dry_run {
        return dry_run(config);
    }
    let folder = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("runs").join(args.config.file_stem().unwrap_or_default()));
    signals::catch()?;
    let mut session = match args.resume {
        true => Session::resume(config, &folder, args.checkpoint)?,
        false => Session::start(config, &folder)?,
    };
    say!("run folder: {}", folder.display());
    for note in session.data().notes() {
        say!("data: {note}");
    }
    for note in session.notes() {
        say!("{note}");
    }
    let trained = train(&mut session, None)?;
    let folder = folder.display();
    if trained.stopped {
        say!(
            "stopped; {} is written. Resume with: tweedie train {} --resume --out {folder}",
            trained.checkpoint.display(),
            args.config.display(),
        );
        return Err(Error::Stopped);
    }
    say!("next: tweedie sample {folder}, or tweedie report {folder}");
    Ok(())
}

/// Trains with progress, until a signal or `stop_after` ends it.
pub fn train(session: &mut Session, stop_after: Option<Duration>) -> Result<Trained> {
    // The bar knows where it starts once training has; its line is above it.
    let bar: RefCell<Option<Progress>> = RefCell::new(None);
    let mut watcher = |progress: &job::Progress<'_>| {
        if let Some(bar) = &mut *bar.borrow_mut() {
            bar.at(progress.done, || progress.note.to_string());
        }
        signals::wish()
    };
    let mut monitor = Monitor::new(&mut watcher);
    let trained = session.train(stop_after, &mut monitor, &mut |event| match event {
        Event::Started {
            step,
            steps,
            parameters,
        } => {
            say!("network: {parameters} parameters; training from step {step} to {steps}");
            *bar.borrow_mut() = Some(Progress::new("training", steps, step));
        }
        Event::NoSamples { step, error } => {
            note!("no sample grid at step {step}: {error}; training continues");
        }
        _ => {}
    })?;
    if let Some(bar) = bar.take() {
        bar.finish();
    }
    let step = trained.step;
    match trained.loss {
        None => say!("nothing to do: the run is already at step {step}"),
        Some(loss) => say!("trained to step {step}, loss {loss:.3}"),
    }
    Ok(trained)
}

fn dry_run(config: Config) -> Result<()> {
    let plan = Plan::measure(config, MEASURED)?;
    say!("{}", plan.config.to_toml());
    say!("# data: {} items", plan.items);
    say!("# network: {} parameters", plan.parameters);
    if let Some(bytes) = plan.peak_memory {
        say!("# peak memory: {:.0} MB", bytes as f64 / 1e6);
    }
    let steps = plan.config.train.steps;
    say!(
        "# time: {} per step (median of {MEASURED}), {} for {steps} steps",
        duration(plan.step),
        duration(plan.step.mul_f64(steps as f64)),
    );
    Ok(())
}
