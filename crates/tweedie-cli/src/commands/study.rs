//! `tweedie study`.

use std::path::PathBuf;
use std::time::Instant;

use tweedie::Result;
use tweedie::study::{Study, StudyOptions};

use crate::args;
use crate::progress::{Progress, duration};

pub fn run(args: &args::Study) -> Result<()> {
    let began = Instant::now();
    let study = Study::named(&args.name)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("studies").join(study.name));
    let options = StudyOptions {
        seed: args.seed,
        quick: args.quick,
    };
    let mut progress: Option<(&'static str, Progress)> = None;
    let page = study.run(&out, &options, &mut |state| {
        // Each part of the work has a bar of its own.
        if progress
            .as_ref()
            .is_none_or(|(what, _)| *what != state.what)
        {
            if let Some((_, over)) = progress.take() {
                over.finish();
            }
            progress = Some((state.what, Progress::new(state.what, state.total, 0)));
        }
        if let Some((_, progress)) = &mut progress {
            progress.at(state.done, String::new);
        }
    })?;
    if let Some((_, progress)) = progress {
        progress.finish();
    }
    say!(
        "study {}: done in {}. Look at the page:",
        study.name,
        duration(began.elapsed())
    );
    say!("{}", page.display());
    Ok(())
}
