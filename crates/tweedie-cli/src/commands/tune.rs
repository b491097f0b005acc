//! `tweedie tune`.

use std::time::Duration;

use tweedie::job::Monitor;
use tweedie::noise::LossCurve;
use tweedie::run::{LossCurveJob, Model, RunDir, measure_loss_curve};
use tweedie::{Error, Result};
use tweedie_tune::{Found, Outcome, Stop, TuneJob, Tuning, tune};

use super::evaluate::{open, open_own};
use super::{evaluation_config, open_for};
use crate::args::Tune;
use crate::output;
use crate::progress::{tell_if_stopped, watched};

pub fn run(args: &Tune) -> Result<()> {
    let run = RunDir::open(&args.run)?;
    let config = run.config()?;
    let data = match &args.against {
        Some(source) => open(source, &args.set)?,
        None => open_own(&config, &args.set)?,
    };
    let model = Model::load(&run, args.checkpoint, &config.sample)?;
    let _lock = run.lock()?;
    let found = watched(|monitor| {
        let job = TuneJob {
            calls: args.calls.clone(),
            time: Duration::from_secs(args.time),
            space: args.features.clone(),
            solvers: Vec::new(),
            epsilon: args.epsilon,
            per_step: args.per_step,
            curve: curve(&run, &model, args, monitor)?,
            seed: args.seed,
        };
        tune(&run, &model, &data, &job, monitor)
    });
    let found = tell_if_stopped(found, "what was measured is kept: the same command resumes")?;
    output::result(&found, tell);
    Ok(())
}

/// Items that the loss curve is measured on.
const ITEMS: usize = 400;

/// The run's loss curve; measured and kept where there is none of these weights, and none where the
/// network gives no finite samples at some level.
fn curve(
    run: &RunDir,
    model: &Model,
    args: &Tune,
    monitor: &mut Monitor<'_>,
) -> Result<Option<LossCurve>> {
    if let Ok(kept) = model.loss_curve() {
        return Ok(Some(kept.curve.clone()));
    }
    let config = evaluation_config(run.config()?, args.against.as_deref(), &args.set)?;
    let job = LossCurveJob {
        count: ITEMS,
        ..LossCurveJob::default()
    };
    match measure_loss_curve(model, &open_for(model, &config)?, &job, monitor) {
        Ok(curve) => Ok(Some(run.keep_loss_curve(&curve)?.curve)),
        Err(error @ Error::NotFinite { .. }) => {
            note!("grids by the denoising loss are not searched: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn tell(found: &Tuning) {
    say!(
        "step {}, in {}: searched by {} items of {}, measured by {} others",
        found.step,
        found.features,
        found.searched,
        found.reference,
        found.reported
    );
    for found in &found.found {
        say!();
        tell_one(found);
    }
    if let Some(page) = &found.page {
        say!();
        say!("{}", page.page.display());
    }
}

fn tell_one(found: &Found) {
    let Found {
        tuned,
        per_step,
        guards,
        recipe,
    } = found;
    let distance = tuned.distance.corrected;
    let [low, high] = distance.interval();
    say!("{} calls: {}", tuned.calls, tuned.best);
    say!(
        "  squared Frechet distance {:.4}, 95 % within {low:.4} to {high:.4}",
        distance.value
    );
    match tuned.outcome {
        Outcome::Winner => say!("  better than every other setting measured, beyond doubt"),
        Outcome::Tie => {
            say!("  not to be told from {} other settings:", tuned.ties.len());
            for tie in &tuned.ties {
                let behind = tie.behind;
                say!(
                    "    {} ({:+.4} ± {:.4})",
                    tie.candidate,
                    behind.value,
                    behind.standard_error
                );
            }
        }
    }
    if let Some(usual) = tuned.baselines.first() {
        say!(
            "  the nearest usual setting, {}: {:.4} ± {:.4}",
            usual.candidate,
            usual.distance.corrected.value,
            usual.distance.corrected.standard_error
        );
    }
    if let Some(refined) = per_step {
        let [low, high] = refined.gain.interval();
        say!(
            "  each step by itself: {:.4} in place of {:.4}, nearer by {:.4}, 95 % within {low:.4} to \
             {high:.4}: {}",
            refined.after.corrected.value,
            refined.before.corrected.value,
            refined.gain.value,
            match refined.kept {
                true => "kept",
                false => "not kept, for that may be chance",
            }
        );
    }
    if !guards.worse.is_empty() {
        say!(
            "  CAUTION: by {} the usual setting is better beyond doubt; the network may be wrong in a \
             way that this setting compensates",
            guards.worse.join(" and ")
        );
    }
    let ended = match tuned.stop {
        Stop::Resolved => "no rival can be better by more than epsilon",
        Stop::Samples => "the most samples were drawn, rivals remain",
        Stop::Budget => "the time was used up, rivals remain",
    };
    say!("  {} settings measured; {ended}", tuned.settings);
    say!("  {}", recipe.display());
}
