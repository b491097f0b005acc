//! `tweedie levels RUN`: the loss curve of a run and the noise levels that follow from it.

use std::path::Path;

use tweedie::job::Monitor;
use tweedie::noise::LossCurve;
use tweedie::run::{
    KeptCurve, LossCurveJob, Model, RunDir, RunLevels, SampleConfig, measure_loss_curve,
    show_levels,
};
use tweedie::{Error, Result};

use super::{evaluation_config, open_for};
use crate::args::{Levels, Target};
use crate::output;
use crate::progress::{tell_if_stopped, watched};

/// How many levels are shown where no number is asked for.
const STEPS: usize = 12;

pub fn run(args: &Levels) -> Result<()> {
    for (option, given) in [("--sigma-min", args.sigma_min), ("--overlap", args.overlap)] {
        if let Some(value) = given {
            let reason = "is for data; a run has its noise levels in config.toml";
            return Err(Error::setting(option, value, reason));
        }
    }
    let run = RunDir::open(Path::new(&args.source))?;
    let config = run.config()?;
    let steps = args.run.steps.unwrap_or(STEPS);
    // Refused before anything is measured.
    let (max, min) = config.sigma_range()?;
    tweedie::noise::Levels::geometric(max, min, steps)?;
    let kept = match (args.run.measure, args.set.first()) {
        (true, _) => measure(args, &run)?,
        (false, Some(change)) => {
            let reason = "says which data to measure on; add --measure";
            return Err(Error::setting("--set", change, reason));
        }
        (false, None) => run.loss_curve()?.ok_or_else(|| {
            let reason = format!(
                "is missing; `tweedie levels {} --measure` measures it, once for all numbers of steps",
                run.path().display()
            );
            Error::content(run.loss_curve_path(), reason)
        })?,
    };
    let newest = run.checkpoints().steps()?.into_iter().max();
    if let (Some(newest), Some(step)) = (newest, kept.curve.measured().step)
        && newest != step
    {
        note!("the curve is of step {step}; the latest checkpoint is that of step {newest}");
    }
    let found = show_levels(&run, kept, steps, &config.sample)?;
    output::result(&found, |found| tell(found, &run));
    Ok(())
}

/// Measures the curve, and keeps it.
fn measure(args: &Levels, run: &RunDir) -> Result<KeptCurve> {
    let config = run.config()?;
    // In f32, whatever precision the run samples in.
    let weights = SampleConfig {
        ema: config.sample.ema && !args.run.raw,
        ..SampleConfig::default()
    };
    let model = Model::load(run, args.run.checkpoint, &weights)?;
    let source = args.run.data.as_deref();
    let data = open_for(&model, &evaluation_config(config, source, &args.set)?)?;
    let usual = LossCurveJob::default();
    let job = LossCurveJob {
        count: args.run.count.unwrap_or(usual.count),
        seed: args.run.seed.unwrap_or(usual.seed),
        batch: args.run.batch.unwrap_or(usual.batch),
        ..usual
    };
    let whose = match source {
        None => ", which the run was trained on (--data names other data)",
        Some(_) => "",
    };
    note!(
        "measuring on {} items of {}{whose}: {} network calls",
        job.count,
        data.name(),
        2 * job.count.saturating_mul(job.levels)
    );
    let curve = watched(|monitor| measure_loss_curve(&model, &data, &job, monitor));
    run.keep_loss_curve(&tell_if_stopped(curve, "no curve was written")?)
}

/// Items that a curve is measured on where nothing else is asked for.
const ITEMS: usize = 400;

/// The curve of `model`, the network of `run`; measured on the data of `target` and kept where there is none of
/// these weights, and none where the network gives no finite samples at some level.
///
/// # Errors
/// When the data cannot be read, or the system refuses.
pub fn curve(
    run: &RunDir,
    model: &Model,
    target: &Target,
    monitor: &mut Monitor<'_>,
) -> Result<Option<LossCurve>> {
    if let Ok(kept) = model.loss_curve() {
        return Ok(Some(kept.curve.clone()));
    }
    let config = evaluation_config(run.config()?, target.against.as_deref(), &target.set)?;
    let job = LossCurveJob {
        count: ITEMS,
        ..LossCurveJob::default()
    };
    match measure_loss_curve(model, &open_for(model, &config)?, &job, monitor) {
        Ok(curve) => Ok(Some(run.keep_loss_curve(&curve)?.curve)),
        Err(error @ Error::NotFinite { .. }) => {
            note!("grids by the denoising loss are left out: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn tell(found: &RunLevels, run: &RunDir) {
    let measured = found.curve.measured();
    say!(
        "loss curve of step {} on {} items of {}, seed {}",
        measured.step.unwrap_or_default(),
        measured.count.unwrap_or_default(),
        measured.data.as_deref().unwrap_or("unknown data"),
        measured.seed.unwrap_or_default()
    );
    say!();
    say!("     sigma         loss  standard error");
    for point in found.curve.points() {
        let [sigma, loss] = [point.sigma, point.loss].map(|value| rounded(value, 5));
        let error = point.standard_error.map(|error| rounded(error, 2));
        let error = error.unwrap_or_else(|| "unknown".into());
        say!("{sigma:>10} {loss:>12} {error:>15}");
    }
    say!();
    say!("{} noise levels", found.steps);
    for by in &found.schedules {
        match (&by.sigmas, &by.refused) {
            (Some(sigmas), _) => {
                let sigmas = sigmas.as_slice().iter();
                let sigmas: Vec<String> = sigmas.map(|&sigma| rounded(sigma, 4)).collect();
                say!("  {:10} {}", by.schedule, sigmas.join(" "));
            }
            (None, reason) => say!(
                "  {:10} {}",
                by.schedule,
                reason.as_deref().unwrap_or_default()
            ),
        }
    }
    say!();
    say!(
        "tweedie sample {} --set schedule=loss-curve --steps {}",
        run.path().display(),
        found.steps
    );
    say!("{}", found.file.display());
    say!("{}", found.picture.display());
}

/// To so many significant digits.
fn rounded(value: f64, digits: i32) -> String {
    let below_one = f64::from(digits - 1) - value.max(1e-300).log10().floor();
    let decimals = below_one.clamp(0.0, 12.0) as usize;
    format!("{value:.decimals$}")
}
