//! The job `sample`: samples written batch by batch as they are ready, in memory that does not
//! grow with their number. A job that was stopped, even by force, goes on where it was.
//!
//! ```text
//! 000017.png         sample 17, as soon as its batch is done
//! samples.partial    rows of samples.npz so far; goes away at the end
//! sample.json        what is drawn, and how far it is: written after what it speaks of
//! samples.npz        at the end, and with it grid.png, or samples.png for vectors
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::draw::Watch;
use super::export::{Export, Rows};
use super::manifest::Manifest;
use super::{Draw, Lock, Model};
use crate::error::{Error, Result};
use crate::files::{is_entry, sweep, sync_folder};
use crate::job::{self, Monitor};

/// What to draw, and where to.
#[derive(Clone, Debug)]
pub struct SampleJob {
    /// The samples.
    pub draw: Draw,
    /// Their folder, which is made.
    pub folder: PathBuf,
    /// Whether to write a PNG file for each image.
    pub pictures: bool,
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sampled {
    /// Updates behind the weights.
    pub step: u64,
    /// Samples asked for.
    pub count: u64,
    /// Of these, those that are there.
    pub done: u64,
    /// Of these, those drawn now.
    pub drawn: u64,
    /// Seconds they took.
    pub seconds: f64,
    /// Network calls for each sample; of an adaptive solver, the most that any needed.
    pub calls: usize,
    /// Whether the job was stopped before its end.
    pub stopped: bool,
    /// The samples' folder.
    #[serde(serialize_with = "job::text::path")]
    pub folder: PathBuf,
    /// What a person should look at.
    #[serde(serialize_with = "job::text::paths")]
    pub files: Vec<PathBuf>,
}

/// Most bytes of `samples.npz`: a slip of the pen asks for more.
const MOST_BYTES: u64 = 1 << 42;

/// What a kill may cost: samples are noted as done this often, or as often as a batch is.
const KEEP: Duration = Duration::from_millis(200);

/// Draws samples into a folder, or goes on with it.
///
/// Images: `000017.png` (the seed), `grid.png` with the first 400, and `samples.npz` with `arr_0`
/// `[n, H, W, C]` of bytes. Vectors: `samples.npz` with `arr_0` `[n, D]` of float32 in the data's
/// units, and `samples.png` of the first 100 000. When `monitor` wants it to stop, the samples on
/// their way are given up.
///
/// # Errors
/// When a setting is not feasible, the network's output is not finite, the folder holds something
/// else, or the disk refuses.
pub fn sample(model: &Model, job: &SampleJob, monitor: &mut Monitor<'_>) -> Result<Sampled> {
    let (draw, folder) = (&job.draw, job.folder.as_path());
    // An impossible setting is refused before anything is computed or written.
    let steps = model.sampler(&draw.sample)?.steps() as u64;
    let export = Export::new(model, folder, draw.seeds.start);
    let count = draw.count();
    let bytes = count.checked_mul(export.row_bytes() as u64);
    if bytes.is_none_or(|bytes| bytes > MOST_BYTES) || count.checked_mul(steps).is_none() {
        let reason = "too many for one folder; draw them in parts";
        return Err(Error::setting("seeds", count, reason));
    }
    if draw.batch == 0 {
        return Err(Error::setting("batch", 0, "must be 1 or more"));
    }
    let images = export.is_image();
    let mut manifest = Manifest::new(model, draw, job.pictures && images)?;

    // Whatever is in the way is found before the folder is touched.
    Manifest::read(folder)?;
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let _lock = Lock::take(folder)?;
    sweep(folder)?;
    if let Some(found) = Manifest::read(folder)? {
        manifest.go_on_from(found, folder)?;
    }
    let mut sampled = Sampled {
        step: model.step(),
        count,
        done: manifest.done,
        drawn: 0,
        seconds: 0.0,
        calls: manifest.calls,
        stopped: false,
        folder: folder.to_owned(),
        files: export.shown(),
    };
    if manifest.complete {
        let pictures = (draw.seeds.start..draw.seeds.end)
            .filter(|_| manifest.pictures)
            .map(|seed| export.picture(seed));
        let missing = export.shown().into_iter().chain(pictures);
        let mut missing = missing.map(|path| is_entry(&path).map(|is_there| !is_there));
        if !missing.try_fold(false, |any, gone| gone.map(|gone| any || gone))? {
            return Ok(sampled);
        }
        (manifest.done, manifest.complete) = (0, false);
    }
    let mut rows = export.open_rows(manifest.done)?;
    manifest.done = rows.len();
    manifest.write(folder)?;
    let before = manifest.done;

    let (began, mut kept) = (Instant::now(), Instant::now());
    for seeds in draw.batches(draw.seeds.start + before)? {
        let mut watch = Watch::new(draw, &seeds, steps, monitor);
        let drawn = model.draw_batch(&draw.sample, seeds.clone(), &mut watch);
        if monitor.stopped() {
            sampled.stopped = true;
            break;
        }
        let (values, calls) = drawn?;
        if manifest.pictures {
            export.write_pictures(&values, seeds.start)?;
        }
        rows.append(&export.rows(&values))?;
        manifest.calls = manifest.calls.max(calls);
        if kept.elapsed() >= KEEP {
            keep(&mut manifest, &rows, folder)?;
            kept = Instant::now();
        }
    }
    keep(&mut manifest, &rows, folder)?;
    sampled.seconds = began.elapsed().as_secs_f64();
    (sampled.done, sampled.drawn) = (manifest.done, manifest.done - before);
    sampled.calls = manifest.calls;
    if !sampled.stopped {
        export.finish(&mut rows)?;
        manifest.complete = true;
        manifest.write(folder)?;
        rows.remove()?;
    }
    Ok(sampled)
}

/// Notes how far the job is, after what the note speaks of is safe.
fn keep(manifest: &mut Manifest, rows: &Rows, folder: &Path) -> Result<()> {
    rows.sync()?;
    sync_folder(folder)?;
    manifest.done = rows.len();
    manifest.write(folder)
}
