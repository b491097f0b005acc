//! `tweedie train`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tweedie::data::Dataset;
use tweedie::run::{Config, Event, Plan, Session, Trained};
use tweedie::{Error, Result};

use crate::args::Train;
use crate::output;
use crate::progress::{duration, watched};
use crate::signals;

/// Number of steps that a dry run measures.
const MEASURED: usize = 5;

pub fn run(args: &Train) -> Result<()> {
    let config = Config::load(&args.config, &args.set)?;
    if args.dry_run {
        let plan = Plan::measure(config, MEASURED)?;
        output::result(&plan, tell_plan);
        return Ok(());
    }
    let folder = folder(&args.config, args.out.as_deref());
    signals::catch()?;
    let mut session = match args.resume {
        true => Session::resume(config, &folder, args.checkpoint)?,
        false => Session::start(config, &folder)?,
    };
    tell_opening(&folder, session.data(), session.notes());
    let trained = train(&mut session, None)?;
    output::result(&trained, |trained| {
        tell(trained);
        let folder = folder.display();
        match trained.stopped {
            true => say!(
                "stopped; {} is written. Resume with: tweedie train {} --resume --out {folder}",
                trained.checkpoint.display(),
                args.config.display(),
            ),
            false => say!("next: tweedie sample {folder}, or tweedie report {folder}"),
        }
    });
    match trained.stopped {
        true => Err(Error::Stopped),
        false => Ok(()),
    }
}

/// The folder of a run: the one named, or that of the configuration.
pub fn folder(config: &Path, out: Option<&Path>) -> PathBuf {
    let own = || Path::new("runs").join(config.file_stem().unwrap_or_default());
    out.map_or_else(own, Path::to_owned)
}

/// What is known before training begins.
pub fn tell_opening(folder: &Path, data: &Dataset, notes: &[String]) {
    say!("run folder: {}", folder.display());
    for note in data.notes() {
        say!("data: {note}");
    }
    for note in notes {
        say!("{note}");
    }
}

/// What training says on its way.
pub fn tell_event(event: Event<'_>) {
    match event {
        Event::Started {
            step,
            steps,
            parameters,
        } => say!("network: {parameters} parameters; training from step {step} to {steps}"),
        Event::NoSamples { step, error } => {
            note!("no sample grid at step {step}: {error}; training continues");
        }
        _ => {}
    }
}

/// Trains with progress, until a signal or `stop_after` ends it.
pub fn train(session: &mut Session, stop_after: Option<Duration>) -> Result<Trained> {
    watched(|monitor| session.train(stop_after, monitor, &mut tell_event))
}

/// How training ended.
pub fn tell(trained: &Trained) {
    let step = trained.step;
    match trained.loss {
        None => say!("nothing to do: the run is already at step {step}"),
        Some(loss) => say!("trained to step {step}, loss {loss:.3}"),
    }
}

fn tell_plan(plan: &Plan) {
    say!("{}", plan.config.to_toml());
    say!("# data: {} items", plan.items);
    say!("# network: {} parameters", plan.parameters);
    if let Some(bytes) = plan.peak_memory {
        say!("# peak memory: {:.0} MB", bytes as f64 / 1e6);
    }
    let steps = plan.config.train.steps;
    let time = |steps: f64| {
        let time = Duration::try_from_secs_f64(plan.seconds_per_step * steps);
        duration(time.unwrap_or(Duration::MAX))
    };
    say!(
        "# time: {} per step (median of {MEASURED}), {} for {steps} steps",
        time(1.0),
        time(steps as f64),
    );
}
