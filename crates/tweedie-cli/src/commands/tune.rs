//! `tweedie tune`.

use std::time::Duration;

use tweedie::data::Dataset;
use tweedie::job::Monitor;
use tweedie::run::{Model, RunDir};
use tweedie::{Error, Result};
use tweedie_tune::rival::Points;
use tweedie_tune::{Found, Objective, Outcome, Stop, TuneJob, Tuning, tune};

use super::evaluate::open_target;
use super::loss_curve::curve;
use crate::args::Tune;
use crate::output;
use crate::progress::{tell_if_stopped, watched};

pub fn run(args: &Tune) -> Result<()> {
    let run = RunDir::open(&args.run)?;
    let config = run.config()?;
    let data = open_target(&args.target, &config)?;
    let model = Model::load(&run, args.checkpoint, &config.sample)?;
    if args.points {
        return points(&run, &model, &data, args);
    }
    let _lock = run.lock()?;
    let found = watched(|monitor| {
        let job = job(&run, &model, args, monitor)?;
        tune(&run, &model, &data, &job, monitor)
    });
    let found = tell_if_stopped(found, "what was measured is kept: the same command resumes")?;
    output::result(&found, tell);
    Ok(())
}

fn job(run: &RunDir, model: &Model, args: &Tune, monitor: &mut Monitor<'_>) -> Result<TuneJob> {
    Ok(TuneJob {
        calls: args.calls.clone(),
        time: Duration::from_secs(args.time),
        space: args.target.features.clone(),
        solvers: Vec::new(),
        epsilon: args.epsilon,
        per_step: args.per_step,
        curve: curve(run, model, &args.target, monitor)?,
        seed: args.seed,
    })
}

/// Answers another optimiser's points.
fn points(run: &RunDir, model: &Model, data: &Dataset, args: &Tune) -> Result<()> {
    let [calls] = args.calls[..] else {
        let reason = "--points takes one number of network calls, such as --calls 8";
        return Err(Error::setting("calls", format!("{:?}", args.calls), reason));
    };
    // Silent, and stopped by a signal at once: nothing is half done but the answer awaited.
    let monitor = &mut Monitor::silent();
    let job = {
        // Others may ask for points at the same time, but the curve is measured once.
        let _lock = run.lock()?;
        job(run, model, args, monitor)?
    };
    let objective = Objective::new(run, model, data, &job, monitor)?;
    let reference = objective.reference(objective.searched()?)?;
    let mut stand = objective.stand();
    let mut points = Points::new(&mut stand, objective.space(), &reference, calls);
    points.serve(std::io::stdin().lock(), std::io::stdout().lock(), monitor)
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
