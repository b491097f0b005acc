//! `tweedie demo`.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use tweedie::run::{Config, Lock, ReportOptions, Reported, Session, Trained, write_report};
use tweedie::{Error, Result};

use crate::args::Demo;
use crate::output;
use crate::progress::{duration, watched};
use crate::signals;

/// The demo's configuration.
const CONFIG: &str = include_str!("../demo.toml");

/// Training stops here on a slow machine, so that the demo stays short everywhere.
const LONGEST: Duration = Duration::from_secs(110);

/// What the demo made.
#[derive(Serialize)]
struct Made {
    train: Trained,
    /// None where it was stopped before.
    report: Option<Reported>,
    seconds: f64,
}

pub fn run(args: &Demo) -> Result<()> {
    let began = Instant::now();
    let config = Config::parse(CONFIG, &args.set)
        .map_err(|reason| Error::setting("--set", args.set.join(" "), reason))?;
    // Invalid settings are refused before an earlier demo is removed.
    config.clone().resolve(&config.open_data()?)?;
    super::claim(&args.out, "demo")?;
    clear(&args.out)?;
    signals::catch()?;
    say!("1. training a score network on the built-in digits (8x8, 1797 images)");
    let mut session = Session::start(config, &args.out)?;
    let train = super::train::train(&mut session, Some(LONGEST))?;
    super::train::tell(&train);
    // The time limit of training may have passed; that is not a request to stop.
    let report = match signals::wish().is_break() {
        true => None,
        false => report(&session)?,
    };
    let made = Made {
        train,
        report,
        seconds: began.elapsed().as_secs_f64(),
    };
    output::result(&made, |made| tell(made, &args.out));
    match made.report {
        None => Err(Error::Stopped),
        Some(_) => Ok(()),
    }
}

/// The report; none where it was stopped.
fn report(session: &Session) -> Result<Option<Reported>> {
    say!("2. sampling with ALS and CAS, few steps and many, with and without the EDS");
    let options = ReportOptions::default();
    match watched(|monitor| write_report(session.run_dir(), &options, monitor)) {
        Ok(reported) => Ok(Some(reported)),
        Err(Error::Stopped) => Ok(None),
        Err(error) => Err(error),
    }
}

fn tell(made: &Made, out: &Path) {
    let out = out.display();
    let Some(reported) = &made.report else {
        let left = match made.train.stopped {
            true => format!("tweedie train {out}/config.toml --resume --out {out}"),
            false => format!("tweedie report {out}"),
        };
        return say!("stopped. Go on with: {left}");
    };
    let took = duration(Duration::from_secs_f64(made.seconds));
    say!("3. done in {took}. Look at the report:");
    let page = &reported.saved.page;
    let page = std::path::absolute(page).unwrap_or_else(|_| page.clone());
    say!("   {}", page.display());
    say!("Next: tweedie sample {out} --steps 32 --seeds 0-15");
}

/// Removes the run of an earlier demo and nothing else, in particular not samples drawn from it.
fn clear(out: &Path) -> Result<()> {
    // No other demo may be running there.
    let _lock = Lock::take(out)?;
    for name in ["checkpoints", "report"] {
        let folder = out.join(name);
        gone(&folder, std::fs::remove_dir_all(&folder))?;
    }
    for name in ["config.toml", "data.json", "stats.jsonl"] {
        let file = out.join(name);
        gone(&file, std::fs::remove_file(&file))?;
    }
    let samples = out.join("samples");
    let entries = match std::fs::read_dir(&samples) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("list", &samples)(e)),
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("list", &samples))?;
        let name = entry.file_name();
        // Grids drawn while training.
        let is_grid = |name: &str| name.starts_with("step-") && name.ends_with(".png");
        if name.to_str().is_some_and(is_grid) {
            gone(&entry.path(), std::fs::remove_file(entry.path()))?;
        }
    }
    Ok(())
}

/// A file to be removed need not exist.
fn gone(path: &Path, removed: std::io::Result<()>) -> Result<()> {
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("replace", path)(e)),
        _ => Ok(()),
    }
}
