//! The job `sample`: samples written batch by batch as they are ready, in memory that does not
//! grow with their number. A job that was stopped, even by force, can be continued.
//!
//! ```text
//! 000017.png         sample 17, as soon as its batch is done
//! samples.partial    rows of samples.npz so far; removed at the end
//! sample.json        the settings and the progress: written after the samples it counts
//! samples.npz        at the end, together with grid.png, or samples.png for vectors
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
    /// Their folder, which is created.
    pub folder: PathBuf,
    /// Whether to write a PNG file for each image.
    pub pictures: bool,
}

/// The result of the job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sampled {
    /// Training step of the weights.
    pub step: u64,
    /// Samples requested.
    pub count: u64,
    /// Of these, those that are done.
    pub done: u64,
    /// Of these, those drawn by this call.
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
    /// The files to show the user.
    #[serde(serialize_with = "job::text::paths")]
    pub files: Vec<PathBuf>,
}

/// Upper bound on the bytes of `samples.npz`: more is taken for a typing error.
const MOST_BYTES: u64 = 1 << 42;

/// The most work that a kill loses: progress is recorded this often, or once per batch.
const KEEP: Duration = Duration::from_millis(200);

/// Draws samples into a folder, or continues one.
///
/// Images: `000017.png` (the seed), `grid.png` with the first 400, and `samples.npz` with `arr_0`
/// `[n, H, W, C]` of bytes. Vectors: `samples.npz` with `arr_0` `[n, D]` of float32 in the data's
/// units, and `samples.png` of the first 20 000. When `monitor` stops the job, the current batch
/// is discarded.
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

    // Obstacles are found before the folder is changed.
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

/// Records the progress, after the samples it counts are synced.
fn keep(manifest: &mut Manifest, rows: &Rows, folder: &Path) -> Result<()> {
    rows.sync()?;
    sync_folder(folder)?;
    manifest.done = rows.len();
    manifest.write(folder)
}
