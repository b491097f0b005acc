//! The folder of a run's checkpoints: listed, added to, pruned, swept.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::write::write;
use super::{About, Checkpoint};
use crate::error::{Error, Result};
use crate::files::{is_entry, sync_folder};

/// The file that makes a folder a checkpoint.
pub(super) const STATE: &str = "state.json";

/// The suffixes of a checkpoint's folder while it is written, and while it is removed.
const PARTIAL: &str = "partial";
const REMOVED: &str = "removed";

/// The folder of a run's checkpoints.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// The checkpoints below `folder`, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The folder of all checkpoints.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the checkpoint of `step`.
    pub fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("{step:09}"))
    }

    /// The steps at which there are checkpoints, in ascending order: none where the folder does
    /// not exist. Their contents are not checked (see [`Checkpoints::check`]).
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let (mut steps, half) = self.list()?;
        // Older than a complete one, it is the remains of an interrupted removal. Newer, it was a
        // checkpoint, and reading it is an error.
        if let Some(&newest) = half.last()
            && steps.last().is_none_or(|&whole| whole < newest)
        {
            steps.push(newest);
        }
        Ok(steps)
    }

    /// The steps of folders with a state, and of those without.
    fn list(&self) -> Result<(Vec<u64>, Vec<u64>)> {
        let unreadable = |e| Error::io("list", &self.folder)(e);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            // A dangling link is not found either, but it is damage.
            Err(e) if e.kind() == ErrorKind::NotFound && !is_entry(&self.folder)? => {
                return Ok((Vec::new(), Vec::new()));
            }
            Err(e) => return Err(unreadable(e)),
        };
        let (mut whole, mut half) = (Vec::new(), Vec::new());
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            let step: Option<u64> = name.to_str().and_then(|name| name.parse().ok());
            // Anything else in the folder is not ours, whatever its name.
            let Some(step) = step.filter(|&step| self.path(step).file_name() == Some(&name)) else {
                continue;
            };
            let state = self.path(step).join(STATE);
            match fs::metadata(&state) {
                Ok(_) => whole.push(step),
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    // Unless it was pruned in the meantime.
                    if is_entry(&self.path(step))? {
                        half.push(step);
                    }
                }
                Err(e) => return Err(Error::io("read", &state)(e)),
            }
        }
        whole.sort_unstable();
        half.sort_unstable();
        Ok((whole, half))
    }

    /// Writes `checkpoint` and removes all but the `keep` latest.
    ///
    /// # Errors
    /// When a value is not finite, a section's name cannot be a file's, or the disk refuses;
    /// earlier checkpoints are then still there.
    pub fn save(&self, checkpoint: &Checkpoint, about: &About, keep: usize) -> Result<()> {
        let place = self.path(checkpoint.step);
        let partial = place.with_extension(PARTIAL);
        let written = write(checkpoint, about, &partial).and_then(|()| {
            self.remove(checkpoint.step)?;
            fs::rename(&partial, &place).map_err(Error::io("write", &place))?;
            sync_folder(&self.folder)
        });
        if written.is_err() {
            // Best effort: the error that matters is the one returned below.
            let _ = fs::remove_dir_all(&partial);
            return written;
        }
        for &old in self.steps()?.iter().rev().skip(keep.max(1)) {
            self.remove(old)?;
        }
        Ok(())
    }

    /// Removes the checkpoint of `step`, if there is one, so that no reader finds half of it.
    fn remove(&self, step: u64) -> Result<()> {
        let place = self.path(step);
        let removed = place.with_extension(REMOVED);
        discard(&removed)?;
        match fs::rename(&place, &removed) {
            Ok(()) => discard(&removed),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::io("remove", &place)(e)),
        }
    }

    /// Removes what a killed process left half written or half removed. Only the run's one
    /// writer may call this.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sweep(&self) -> Result<()> {
        let (whole, half) = self.list()?;
        for step in half {
            if whole.last().is_some_and(|&newest| newest > step) {
                self.remove(step)?;
            }
        }
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Error::io("list", &self.folder)(e)),
        };
        for entry in entries {
            let path = entry.map_err(Error::io("list", &self.folder))?.path();
            let ours = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let left = path
                .extension()
                .is_some_and(|e| e == PARTIAL || e == REMOVED);
            if left && stem.is_some_and(ours) {
                discard(&path)?;
            }
        }
        Ok(())
    }

    /// Sets aside the checkpoints after `step`, so that training can go on from there: each is
    /// renamed to `STEP.aside`, or `STEP.aside-2` and so on, and returned.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn set_aside_after(&self, step: u64) -> Result<Vec<PathBuf>> {
        let mut moved = Vec::new();
        for later in self.steps()?.into_iter().filter(|&later| later > step) {
            let place = self.path(later);
            let names = (1..).map(|n| match n {
                1 => place.with_extension("aside"),
                n => place.with_extension(format!("aside-{n}")),
            });
            for aside in names {
                if !is_entry(&aside)? {
                    fs::rename(&place, &aside).map_err(Error::io("rename", &place))?;
                    moved.push(aside);
                    break;
                }
            }
        }
        sync_folder(&self.folder)?;
        Ok(moved)
    }
}

/// Removes a folder with its contents, a file, or a link; it is no error where there is none.
pub(super) fn discard(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}
