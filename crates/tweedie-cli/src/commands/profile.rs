//! `tweedie profile`.

use tweedie::Result;
use tweedie::run::{Model, RunDir};
use tweedie_tune::{StudyJob, TuningStudy, study};

use super::evaluate::open_target;
use super::loss_curve::curve;
use crate::args::Profile;
use crate::output;
use crate::progress::{tell_if_stopped, watched};

pub fn run(args: &Profile) -> Result<()> {
    let run = RunDir::open(&args.run)?;
    let config = run.config()?;
    let data = open_target(&args.target, &config)?;
    let model = Model::load(&run, args.checkpoint, &config.sample)?;
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| run.tuning_path().join("profile"));
    super::claim(&out, "profile")?;
    let _lock = run.lock()?;
    let found = watched(|monitor| {
        let job = StudyJob {
            calls: args.calls.clone(),
            tuned_at: args.tuned_at,
            eps_c: args.eps_c.clone(),
            grids_at: args.grids.clone(),
            samples: args.samples,
            untuned: args.untuned,
            space: args.target.features.clone(),
            curve: curve(&run, &model, &args.target, monitor)?,
        };
        study(&run, &model, &data, &out, &job, monitor)
    });
    let found = tell_if_stopped(found, "what was measured is kept: the same command resumes")?;
    output::result(&found, tell);
    Ok(())
}

fn tell(found: &TuningStudy) {
    say!(
        "step {}, in {} against {} items of {}",
        found.step,
        found.features,
        found.items,
        found.reference
    );
    say!();
    say!("consistent annealed sampling, the best of the step sizes measured:");
    for moved in &found.step_size.moved {
        let (Some(eps_c), Some(eps_b)) = (moved.eps_c, moved.eps_b) else {
            say!("  {} calls: none is feasible", moved.calls);
            continue;
        };
        let [low, high] = moved.eps_c_within.unwrap_or([eps_c; 2]);
        say!(
            "  {} calls: eps_c {eps_c:.2} within {low:.2} to {high:.2}; eps_b {eps_b:.2e}, feasible \
             from {:.2e}",
            moved.calls,
            moved.least_eps_b
        );
    }
    if let Some(untuned) = &found.untuned {
        say!();
        for row in &untuned.rows {
            let distance = match row.distance {
                Some(distance) => {
                    let corrected = distance.corrected;
                    format!("{:.4} ± {:.4}", corrected.value, corrected.standard_error)
                }
                None => "no finite samples".into(),
            };
            say!("  {} calls: {distance}, {}", row.calls, row.candidate);
        }
    }
    if let Some(page) = &found.page {
        say!();
        say!("{}", page.page.display());
    }
}
