//! `tweedie evaluate`.

use std::path::Path;

use tweedie::data::{DataSpec, Dataset, LabelSource};
use tweedie::job::Monitor;
use tweedie::measure::{Estimate, Verdict};
use tweedie::run::{
    Config, Draw, EvaluateJob, Evaluation, InSpace, Model, RunDir, Sets, draw_items, evaluate,
};
use tweedie::{Error, Result};

use super::{data_config, in_data};
use crate::args::Evaluate;
use crate::output;
use crate::progress::{tell_if_stopped, watched};

pub fn run(args: &Evaluate) -> Result<()> {
    let run = open_run(&args.samples)?;
    let page = match (&args.out, &run) {
        (Some(out), _) => Some(out.clone()),
        (None, Some(run)) => Some(run.path().join("evaluation")),
        (None, None) => None,
    };
    let own = run.as_ref().map(RunDir::config).transpose()?;
    let reference = match (&args.against, own) {
        (Some(source), _) => open(source, &args.set)?,
        (None, Some(config)) => open_own(&config, &args.set)?,
        (None, None) => {
            let reason = "name the data to measure against: these samples belong to no run";
            return Err(Error::setting("--against", "nothing", reason));
        }
    };
    let held_out = args
        .held_out
        .as_deref()
        .map(|source| open(source, &args.set));
    let held_out = held_out.transpose()?;
    let job = EvaluateJob {
        spaces: args.features.clone(),
        seed: args.seed,
        page,
    };
    let found = watched(|monitor| {
        let samples = items(&args.samples, args, monitor)?;
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
        if let Some(out) = &args.out {
            super::claim(out, "evaluate")?;
        }
        evaluate(sets, &job, monitor)
    });
    let found = tell_if_stopped(found, "nothing was written")?;
    output::result(&found, tell);
    Ok(())
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
        let sample = run.config()?.sample;
        let model = Model::load(&run, args.checkpoint, &sample)?;
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
fn open(source: &str, changes: &[String]) -> Result<Dataset> {
    data_config(source, changes)?.open_data()
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

fn tell(found: &Evaluation) {
    say!(
        "{} items of {} against {} items of {}",
        found.samples.count,
        found.samples.name,
        found.reference.count,
        found.reference.name
    );
    for space in &found.spaces {
        say!();
        tell_space(space);
    }
    if let Some(page) = &found.page {
        say!();
        say!("{}", page.page.display());
    }
}

fn tell_space(space: &InSpace) {
    say!("in {} ({} features)", space.features, space.dim);
    if let Some(convention) = &space.convention {
        say!("  {convention}");
    }
    let n = space.frechet.samples;
    line(
        "Frechet distance, 1/n bias removed",
        space.frechet.corrected,
    );
    line(&format!("Frechet distance at n = {n}"), space.frechet.plain);
    if space.too_few {
        say!(
            "  (too few items for {} features: it says little)",
            space.dim
        );
    }
    line("kernel distance, cubic", space.kernel_polynomial);
    line("kernel distance, Gaussian", space.kernel_rbf);
    for found in &space.neighbours {
        let k = found.k;
        line(&format!("precision, k = {k}"), found.precision.estimate());
        line(&format!("recall, k = {k}"), found.recall.estimate());
        line(&format!("density, k = {k}"), found.density);
        line(&format!("coverage, k = {k}"), found.coverage.estimate());
    }
    if let Some(classes) = &space.classes {
        say!(
            "  classes with a sample: {} of {}",
            classes.covered,
            classes.names.len()
        );
        for (from, found) in [
            ("equal shares", classes.kl_uniform),
            ("the reference's", classes.kl_reference),
        ] {
            line(&format!("KL of classes from {from}"), found.plain);
            say!("    equal distributions have {:.5} at this n", found.floor);
        }
        line("Inception score", classes.inception_score.corrected);
    }
    if let Some(vectors) = &space.vectors {
        line("energy distance", vectors.energy);
        line("sliced Wasserstein-2 distance", vectors.sliced_wasserstein);
        let test = &vectors.two_sample;
        say!(
            "  two-sample test by nearest neighbours: accuracy {:.3} (chance 0.5), p = {:.3}",
            test.accuracy,
            test.p_value
        );
    }
    let ratio = space.nearest_ratio;
    say!(
        "  nearest item, distance to that of the second nearest: {:.3} least, {:.3} median",
        ratio.least,
        ratio.median
    );
    if let Some(memorised) = &space.memorisation {
        line("P(nearer to training than held-out)", memorised.nearer);
        say!(
            "  p = {:.3} for a model that copies nothing",
            memorised.p_value
        );
    }
    if let Some(versus) = &space.versus {
        let of = [
            ("Frechet", &versus.frechet),
            ("kernel, Gaussian", &versus.kernel_rbf),
        ];
        for (name, compared) in of {
            line(&format!("difference, {name}"), compared.difference);
            match (compared.verdict, compared.deciding_samples) {
                (Verdict::CannotTell, Some(n)) => {
                    say!("    cannot tell; about {n} samples of each would")
                }
                (Verdict::CannotTell, None) => say!(
                    "    cannot tell, and more samples would not: it takes more reference items, or \
                     there is no difference"
                ),
                (verdict, _) => say!("    {verdict}"),
            }
        }
    }
}

/// A figure with its standard error, to two digits of that.
fn line(name: &str, estimate: Estimate) {
    let Estimate {
        value,
        standard_error,
    } = estimate;
    let digits = match standard_error > 0.0 && standard_error.is_finite() {
        true => (1.0 - standard_error.log10().floor()).clamp(0.0, 12.0) as usize,
        false => 6,
    };
    say!("  {name:36} {value:.digits$} ± {standard_error:.digits$}");
}
