//! `tweedie train`.

use std::path::PathBuf;
use std::time::Duration;

use tweedie::Result;
use tweedie::run::{Config, Event, Plan, Session};

use crate::args::Train;
use crate::progress::{Progress, duration};

/// Steps that a dry run measures.
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
    let session = match args.resume {
        true => Session::resume(config, &folder)?,
        false => Session::start(config, &folder)?,
    };
    let folder = folder.display();
    say!("run folder: {folder}");
    for note in session.data().notes() {
        say!("data: {note}");
    }
    train(&session, None)?;
    say!("next: tweedie sample {folder}, or tweedie report {folder}");
    Ok(())
}

/// Trains with progress; returns the step reached.
pub fn train(session: &Session, stop_after: Option<Duration>) -> Result<u64> {
    let mut progress = None;
    let mut loss = f64::NAN;
    let step = session.train(stop_after, &mut |event| match event {
        Event::Started {
            step,
            steps,
            parameters,
        } => {
            say!("network: {parameters} parameters; training from step {step} to {steps}");
            progress = Some(Progress::new("training", steps, step));
        }
        Event::Step(report) => {
            // A running mean: single batches jump.
            loss = if loss.is_nan() {
                report.loss
            } else {
                0.98 * loss + 0.02 * report.loss
            };
            if let Some(progress) = &mut progress {
                progress.at(report.step + 1, || format!("loss {loss:.3}"));
            }
        }
        _ => {}
    })?;
    if let Some(progress) = progress {
        progress.finish();
    }
    match loss.is_nan() {
        true => say!("nothing to do: the run is already at step {step}"),
        false => say!("trained to step {step}, loss {loss:.3}"),
    }
    Ok(step)
}

fn dry_run(config: Config) -> Result<()> {
    let plan = Plan::measure(config, MEASURED)?;
    say!("{}", plan.config.to_toml());
    say!("# data: {} items", plan.items);
    say!("# network: {} parameters", plan.parameters);
    if let Some(bytes) = plan.peak_memory {
        say!("# memory: {:.0} MB at its peak", bytes as f64 / 1e6);
    }
    let steps = plan.config.train.steps;
    say!(
        "# time: {} a step (median of {MEASURED}), {} for {steps} steps",
        duration(plan.step),
        duration(plan.step.mul_f64(steps as f64)),
    );
    Ok(())
}
