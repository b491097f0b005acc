//! `tweedie report`.

use tweedie::Result;
use tweedie::run::{ReportOptions, RunDir, write_report};

use crate::args::Report;
use crate::output;
use crate::progress::{tell_if_stopped, watched};

pub fn run(args: &Report) -> Result<()> {
    let run = RunDir::open(&args.run)?;
    let options = ReportOptions {
        steps: [args.steps[0], args.steps[1]],
        checkpoint: args.checkpoint,
        ..ReportOptions::default()
    };
    let reported = watched(|monitor| write_report(&run, &options, monitor));
    let reported = tell_if_stopped(reported, "the page was not written")?;
    output::result(&reported, |reported| {
        say!("report: {}", reported.saved.page.display());
    });
    Ok(())
}
