//! Statistics in place of items: written, merged and compared.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tweedie::data::Dataset;
use tweedie::measure::{Moments, RunningMoments};
use tweedie::run::{OfStatistics, Side, Space, StatisticsJob, evaluate_statistics, statistics};
use tweedie::{Error, Result};

use super::{items, one, reference, tell::line};
use crate::args::Evaluate;
use crate::output;
use crate::progress::{tell_if_stopped, watched};

/// What `--statistics` gives.
#[derive(Debug, Serialize)]
struct Written {
    file: PathBuf,
    features: String,
    dim: usize,
    count: Option<u64>,
}

/// Writes the statistics of the samples, or of all their files merged, to `out`.
pub fn write(args: &Evaluate, out: &Path) -> Result<()> {
    let space = space(args)?;
    let found = watched(|monitor| match stored(&args.samples)? {
        Some(merged) => Ok(merged),
        None => statistics(&items(one(&args.samples)?, args, monitor)?, space, monitor),
    });
    let found = tell_if_stopped(found, "nothing was written")?;
    found.write_npz(out)?;
    let written = Written {
        file: out.to_owned(),
        features: space.to_string(),
        dim: found.dim(),
        count: found.count(),
    };
    output::result(&written, |written| {
        say!(
            "{} features of {} items: {}",
            written.dim,
            written.count.unwrap_or(0),
            written.file.display()
        );
    });
    Ok(())
}

/// Whether the samples or what they are measured against are statistics.
pub fn are_given(args: &Evaluate) -> Result<bool> {
    let mut files: Vec<&Path> = args.samples.iter().map(PathBuf::as_path).collect();
    files.extend(args.against.as_deref().map(Path::new));
    for file in files {
        if Moments::are_in_npz(file)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Compares where a side is statistics.
pub fn compare(args: &Evaluate) -> Result<()> {
    let extra = [
        ("--held-out", args.held_out.is_some()),
        ("--versus", args.versus.is_some()),
        ("--out", args.out.is_some()),
        ("--convention", !args.convention.is_empty()),
    ];
    if let Some((name, _)) = extra.iter().find(|(_, given)| *given) {
        let reason = "needs items: statistics give the Frechet distance and nothing else";
        return Err(Error::setting(*name, "given", reason));
    }
    let job = StatisticsJob {
        space: space(args)?.clone(),
        seed: args.seed,
    };
    let samples = stored(&args.samples)?;
    let against = match &args.against {
        Some(file) => stored(&[PathBuf::from(file)])?,
        None => None,
    };
    let name = |files: &[PathBuf]| {
        let files: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        files.join(", ")
    };
    let (samples_name, against_name) = (
        name(&args.samples),
        args.against.clone().unwrap_or_default(),
    );
    let found = watched(|monitor| {
        let own: Dataset;
        let data: Dataset;
        let left = match &samples {
            Some(moments) => Side::Statistics(&samples_name, moments),
            None => {
                own = items(one(&args.samples)?, args, monitor)?;
                Side::Items(&own)
            }
        };
        let right = match &against {
            Some(moments) => Side::Statistics(&against_name, moments),
            None => {
                data = reference(args)?;
                Side::Items(&data)
            }
        };
        evaluate_statistics(left, right, &job, monitor)
    });
    output::result(&tell_if_stopped(found, "nothing was written")?, tell);
    Ok(())
}

/// The statistics in `files`, merged; none where a file is something else.
fn stored(files: &[PathBuf]) -> Result<Option<Moments>> {
    for file in files {
        if !Moments::are_in_npz(file)? {
            return Ok(None);
        }
    }
    let [first, rest @ ..] = files else {
        return Ok(None);
    };
    let moments = Moments::read_npz(first)?;
    if rest.is_empty() {
        return Ok(Some(moments));
    }
    let running = |file: &Path, moments: &Moments| {
        RunningMoments::try_from(moments).map_err(|e| Error::content(file, e.to_string()))
    };
    let mut merged = running(first, &moments)?;
    for file in rest {
        let part = running(file, &Moments::read_npz(file)?)?;
        let joined = merged.merge(&part);
        joined.map_err(|e| Error::content(file, e.to_string()))?;
    }
    merged.moments().map(Some)
}

/// The one feature space.
fn space(args: &Evaluate) -> Result<&Space> {
    match &args.features[..] {
        [space] => Ok(space),
        several => {
            let reason = "statistics are of one feature space";
            Err(Error::setting("--features", several.len(), reason))
        }
    }
}

fn tell(found: &OfStatistics) {
    let count = |count: usize| match count {
        0 => "an unknown number of".to_owned(),
        known => known.to_string(),
    };
    say!(
        "{} items of {} against {} items of {}",
        count(found.samples.count),
        found.samples.name,
        count(found.reference.count),
        found.reference.name
    );
    say!();
    say!("in {} ({} features)", found.features, found.dim);
    match &found.frechet {
        Some(frechet) => {
            line("Frechet distance, 1/n bias removed", frechet.corrected);
            line(
                &format!("Frechet distance at n = {}", frechet.samples),
                frechet.plain,
            );
            if frechet.too_few() {
                say!(
                    "  (too few items for {} features: it says little)",
                    found.dim
                );
            }
        }
        None => {
            let value = found.frechet_plain;
            say!("  {:36} {value:.6}", "Frechet distance");
            say!("  (of statistics alone neither bias nor error are known)");
        }
    }
}
