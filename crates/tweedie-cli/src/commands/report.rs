//! `tweedie report`.

use tweedie::Result;
use tweedie::run::{ReportOptions, RunDir, write_report};

use crate::args::Report;

pub fn run(args: &Report) -> Result<()> {
    let run = RunDir::open(&args.run)?;
    let steps = [args.steps[0], args.steps[1]];
    let options = ReportOptions {
        steps,
        ..ReportOptions::default()
    };
    let page = write_report(&run, &options, &mut |what| note!("report: {what}"))?;
    say!("report: {}", page.display());
    Ok(())
}
