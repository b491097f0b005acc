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
    tweedie::claim_folder(&out, "study")?;
    let options = StudyOptions {
        seed: args.seed,
        quick: args.quick,
    };
    let mut progress: Option<(Progress, &'static str, u64)> = None;
    let page = study.run(&out, &options, &mut |state| {
        // Each part of the work has a bar of its own, and a part may come again.
        let goes_on =
            matches!(&progress, Some((_, what, done)) if *what == state.what && *done <= state.done);
        if !goes_on && let Some((over, ..)) = progress.take() {
            over.finish();
        }
        let (bar, _, done) = progress.get_or_insert_with(|| {
            let bar = Progress::new(state.what, state.total, 0);
            (bar, state.what, 0)
        });
        bar.at(state.done, String::new);
        *done = state.done;
    })?;
    if let Some((over, ..)) = progress {
        over.finish();
    }
    say!(
        "study {}: done in {}. Look at the page:",
        study.name,
        duration(began.elapsed())
    );
    say!("{}", page.display());
    Ok(())
}
