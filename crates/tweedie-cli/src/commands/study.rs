//! `tweedie study`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use tweedie::Result;
use tweedie::job::{Monitor, Progress};
use tweedie_study::{Study, StudyOptions};

use crate::args;
use crate::progress::{Bars, duration};

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
    let mut bars = Bars::default();
    let mut watcher = |progress: &Progress<'_>| {
        bars.see(progress);
        ControlFlow::Continue(())
    };
    let page = study.run(&out, &options, &mut Monitor::new(&mut watcher))?;
    bars.finish();
    say!(
        "study {}: done in {}. Look at the page:",
        study.name,
        duration(began.elapsed())
    );
    say!("{}", page.display());
    Ok(())
}
