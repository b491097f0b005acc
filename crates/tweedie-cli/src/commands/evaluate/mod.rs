//! `tweedie evaluate`.

mod of_statistics;
mod tell;

use std::path::{Path, PathBuf};

use tweedie::data::{DataSpec, Dataset, LabelSource};
use tweedie::job::Monitor;
use tweedie::run::{Config, Draw, EvaluateJob, Model, RunDir, Sets, draw_items, evaluate};
use tweedie::{Error, Result};

use super::{data_config, in_data};
use crate::args::{Evaluate, Target};
use crate::output;
use crate::progress::{tell_if_stopped, watched};

pub fn run(args: &Evaluate) -> Result<()> {
    if let Some(out) = &args.statistics {
        return of_statistics::write(args, out);
    }
    if of_statistics::are_given(args)? {
        return of_statistics::compare(args);
    }
    let samples = one(&args.samples)?;
    let run = open_run(samples)?;
    let page = match (&args.out, &run) {
        (Some(out), _) => Some(out.clone()),
        (None, Some(run)) => Some(run.path().join("evaluation")),
        (None, None) => None,
    };
    let reference = reference(args)?;
    let held_out = args
        .held_out
        .as_deref()
        .map(|source| open(source, &args.set));
    let held_out = held_out.transpose()?;
    let job = EvaluateJob {
        spaces: args.features.clone(),
        seed: args.seed,
        conventions: args.convention.clone(),
        page,
    };
    let found = watched(|monitor| {
        let samples = items(samples, args, monitor)?;
        let versus = args
            .versus
            .as_deref()
            .map(|path| items(path, args, monitor));
        let versus = versus.transpose()?;
        let sets = Sets {
            samples: &samples,
            reference: &reference,
            held_out: held_out.as_ref(),
            versus: versus.as_ref(),
        };
        // What cannot be measured leaves no folder behind.
        sets.check()?;
        let Some(out) = &args.out else {
            return evaluate(sets, &job, monitor);
        };
        let is_new = !out.exists();
        super::claim(out, "evaluate")?;
        let found = evaluate(sets, &job, monitor);
        if found.is_err() && is_new {
            // The first error is the one to report.
            let _ = tweedie::release_folder(out, "evaluate");
        }
        found
    });
    let found = tell_if_stopped(found, "nothing was written")?;
    output::result(&found, tell::tell);
    Ok(())
}

/// The only one of the samples.
fn one(samples: &[PathBuf]) -> Result<&Path> {
    match samples {
        [one] => Ok(one),
        several => {
            let reason = "several are merged only where all are statistics, npz files with mu and \
                          sigma; put images into one folder";
            Err(Error::setting("SAMPLES", several.len(), reason))
        }
    }
}

/// The data to measure against: those named, or those of the run.
fn reference(args: &Evaluate) -> Result<Dataset> {
    let own = open_run(one(&args.samples)?)?;
    let own = own.as_ref().map(RunDir::config).transpose()?;
    match (&args.against, own) {
        (Some(source), _) => open(source, &args.set),
        (None, Some(config)) => open_own(&config, &args.set),
        (None, None) => {
            let reason = "name the data to measure against: these samples belong to no run";
            Err(Error::setting("--against", "nothing", reason))
        }
    }
}

/// The run at `path`, if it is one.
fn open_run(path: &Path) -> Result<Option<RunDir>> {
    match path.join("config.toml").is_file() {
        true => RunDir::open(path).map(Some),
        false => Ok(None),
    }
}

/// Samples: a run's, those of an output of `tweedie sample`, or any data.
fn items(path: &Path, args: &Evaluate, monitor: &mut Monitor<'_>) -> Result<Dataset> {
    if let Some(run) = open_run(path)? {
        let (sample, recipe) = super::own_settings(&run, args.recipe.as_deref())?;
        let model = Model::load(&run, args.checkpoint, &sample)?;
        if let Some(recipe) = &recipe {
            super::note_other_weights(recipe, &model);
        }
        let mut draw = Draw::new(sample, args.seeds.clone());
        draw.batch = args.batch;
        return draw_items(&model, &draw, monitor);
    }
    let path = match path.join("sample.json").is_file() {
        true => path.join("samples.npz"),
        false => path.to_owned(),
    };
    open(&path.to_string_lossy(), &[])
}

/// Data by their name, with `changes` to how they are read.
pub(super) fn open(source: &str, changes: &[String]) -> Result<Dataset> {
    data_config(source, changes)?.open_data()
}

/// The data of `target`: those named, or those of the run of `config`.
pub(super) fn open_target(target: &Target, config: &Config) -> Result<Dataset> {
    match &target.against {
        Some(source) => open(source, &target.set),
        None => open_own(config, &target.set),
    }
}

/// The data of a run as they are: neither standardised nor in the network's range.
fn open_own(config: &Config, changes: &[String]) -> Result<Dataset> {
    let mut own = config.clone();
    let plain = DataSpec::new("");
    (own.data.range, own.data.standardise) = (plain.range, plain.standardise);
    own.data.labels = LabelSource::None;
    let changed = Config::parse(&own.to_toml(), &in_data(changes)).map_err(|reason| {
        let what = format!("{} {}", own.data.source, changes.join(" "));
        Error::setting("data", what.trim_end(), reason)
    })?;
    changed.open_data()
}
