//! `tweedie demo`.

use std::path::Path;
use std::time::{Duration, Instant};

use tweedie::run::{Config, ReportOptions, Session, write_report};
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
    // A setting that cannot be is refused before an earlier demo goes.
    config
        .clone()
        .resolve(&tweedie::data::open(&config.data)?)?;
    clear(&args.out)?;
    tweedie::write_atomic(
        &args.out.join(MARKER),
        b"made by `tweedie demo`, which replaces it\n",
    )?;
    say!("1. training a score network on the built-in digits (8x8, 1797 images)");
    let session = Session::start(config, &args.out)?;
    super::train::train(&session, Some(LONGEST))?;
    say!("2. sampling with ALS and CAS, few steps and many, with and without the EDS");
    let page = write_report(session.run_dir(), &ReportOptions::default(), &mut |what| {
        say!("   {what}");
    })?;
    say!(
        "3. done in {}. Look at the report:",
        duration(began.elapsed())
    );
    let page = std::path::absolute(&page).unwrap_or(page);
    say!("   {}", page.display());
    say!(
        "Next: tweedie sample {} --steps 32 --seeds 0-15",
        args.out.display()
    );
    Ok(())
}

/// Tells an earlier demo from anything else that is in its folder.
const MARKER: &str = ".tweedie-demo";

/// Removes what an earlier demo left, and nothing else.
fn clear(out: &Path) -> Result<()> {
    let empty = || std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    if !out.exists() || empty() {
        return Ok(());
    }
    if !out.join(MARKER).is_file() {
        let reason = "is not an earlier demo; choose another folder with --out";
        return Err(Error::content(out, reason));
    }
    for name in ["checkpoints", "samples", "report"] {
        let folder = out.join(name);
        if folder.is_dir() {
            std::fs::remove_dir_all(&folder).map_err(Error::io("replace", &folder))?;
        }
    }
    for name in ["config.toml", "data.json", "stats.jsonl"] {
        let file = out.join(name);
        if file.is_file() {
            std::fs::remove_file(&file).map_err(Error::io("replace", &file))?;
        }
    }
    Ok(())
}
