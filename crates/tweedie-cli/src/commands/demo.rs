//! `tweedie demo`.

use std::time::{Duration, Instant};

use tweedie::run::{Config, ReportOptions, RunDir, Session, write_report};
use tweedie::{Error, Result};

use crate::args::Demo;
use crate::progress::duration;

/// The demo's configuration.
const CONFIG: &str = include_str!("../demo.toml");

/// Training stops here on a slow machine, so that the demo stays short everywhere.
const LONGEST: Duration = Duration::from_secs(110);

pub fn run(args: &Demo) -> Result<()> {
    let began = Instant::now();
    let config = Config::parse(CONFIG, &args.set)
        .map_err(|reason| Error::setting("--set", args.set.join(" "), reason))?;
    clear(args)?;
    println!("1. training a score network on the built-in digits (8x8, 1797 images)");
    let session = Session::start(config, &args.out)?;
    super::train::train(&session, Some(LONGEST))?;
    println!("2. sampling with ALS and CAS, few steps and many, with and without the EDS");
    let page = write_report(session.run_dir(), &ReportOptions::default(), &mut |what| {
        println!("   {what}");
    })?;
    println!(
        "3. done in {}. Look at the report:",
        duration(began.elapsed())
    );
    let page = std::path::absolute(&page).unwrap_or(page);
    println!("   {}", page.display());
    println!(
        "Next: tweedie sample {} --steps 32 --seeds 0-15",
        args.out.display()
    );
    Ok(())
}

/// Removes what an earlier demo left, and nothing that is not a run.
fn clear(args: &Demo) -> Result<()> {
    let out = &args.out;
    let empty = || std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    if !out.exists() || empty() {
        return Ok(());
    }
    RunDir::open(out).map_err(|_| {
        Error::content(
            out,
            "is not empty and not a run; choose another folder with --out",
        )
    })?;
    std::fs::remove_dir_all(out).map_err(Error::io("replace", out))
}
