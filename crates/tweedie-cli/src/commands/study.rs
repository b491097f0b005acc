//! `tweedie study`.

use std::path::PathBuf;
use std::time::Duration;

use tweedie::Result;
use tweedie_study::{Study, StudyOptions};

use crate::args;
use crate::output;
use crate::progress::{duration, tell_if_stopped, watched};

pub fn run(args: &args::Study) -> Result<()> {
    let study = Study::named(&args.name)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("studies").join(study.name));
    super::claim(&out, "study")?;
    let options = StudyOptions {
        seed: args.seed,
        quick: args.quick,
    };
    let studied = watched(|monitor| study.run(&out, &options, monitor));
    let studied = tell_if_stopped(studied, "the page was not written")?;
    output::result(&studied, |studied| {
        let took = duration(Duration::from_secs_f64(studied.seconds));
        say!("study {}: done in {took}. Look at the page:", studied.study);
        say!("{}", studied.saved.page.display());
    });
    Ok(())
}
