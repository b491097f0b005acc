//! The folder of a run's checkpoints: listed, written, read, pruned.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::state::{FORMAT, Seal, State, place};
use super::{About, Checkpoint, digest, tensors};
use crate::error::{Error, Result};
use crate::files::{is_entry, read_if_there, sync_folder, write_atomic};
use crate::nn::params::{Array, ByName};

const STATE: &str = "state.json";

/// What a checkpoint's folder is called while it is written, and while it is removed.
const PARTIAL: &str = "partial";
const REMOVED: &str = "removed";

/// Tries at the newest checkpoint while another process removes old ones.
const TRIES: usize = 100;

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

    /// Where the checkpoint of `step` lies.
    pub fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("{step:09}"))
    }

    /// The steps at which there are checkpoints, in ascending order: none where the folder does
    /// not exist. What lies in them is not looked at (see [`Checkpoints::check`]).
    ///
    /// # Errors
    /// When the system does not say what there is.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let (mut steps, half) = self.list()?;
        // Older than a whole one, it is what an interrupted removal left. Newer, it was a
        // checkpoint, and whoever reads it is told.
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
            // A link that leads nowhere is not found either, but was there.
            Err(e) if e.kind() == ErrorKind::NotFound && !is_entry(&self.folder)? => {
                return Ok((Vec::new(), Vec::new()));
            }
            Err(e) => return Err(unreadable(e)),
        };
        let (mut whole, mut half) = (Vec::new(), Vec::new());
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            let step: Option<u64> = name.to_str().and_then(|name| name.parse().ok());
            // Nothing else in the folder is ours, however it is called.
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
            // Best effort: the error that matters is the one returned.
            let _ = fs::remove_dir_all(&partial);
            return written;
        }
        for &old in self.steps()?.iter().rev().skip(keep.max(1)) {
            self.remove(old)?;
        }
        Ok(())
    }

    /// Removes the checkpoint of `step`, if there is one: no reader finds half of it.
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

    /// Reads the checkpoint of `step`, every file checked against its hash, every value finite.
    ///
    /// # Errors
    /// When a file is missing or damaged; the message then names the last checkpoint before it
    /// that is whole.
    pub fn load(&self, step: u64) -> Result<Checkpoint> {
        self.read(step).map_err(|e| self.offer(step, e))
    }

    /// Reads one section of the checkpoint of `step`, checked in the same way.
    ///
    /// # Errors
    /// See [`Checkpoints::load`].
    pub fn section(&self, step: u64, name: &str) -> Result<ByName<Array>> {
        Ok(self.section_and_digest(step, name)?.0)
    }

    /// The section, and the [`digest`] of the file that has it: it tells one network from another.
    ///
    /// # Errors
    /// See [`Checkpoints::load`].
    pub fn section_and_digest(&self, step: u64, name: &str) -> Result<(ByName<Array>, String)> {
        self.state(step)
            .and_then(|state| self.read_section(&state, name))
            .map_err(|e| self.offer(step, e))
    }

    /// What the checkpoint of `step` says about itself.
    ///
    /// # Errors
    /// See [`Checkpoints::load`].
    pub fn about(&self, step: u64) -> Result<About> {
        let state = self.state(step).map_err(|e| self.offer(step, e))?;
        Ok(state.about)
    }

    /// Whether the checkpoint of `step` can be read in full.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, step: u64) -> Result<()> {
        self.read(step).map(drop)
    }

    /// The latest checkpoint at or before `step` that can be read in full.
    ///
    /// # Errors
    /// When the system does not say what there is.
    pub fn last_whole(&self, step: u64) -> Result<Option<u64>> {
        let steps = self.steps()?;
        let mut earlier = steps.into_iter().rev().filter(|&earlier| earlier <= step);
        Ok(earlier.find(|&earlier| self.check(earlier).is_ok()))
    }

    /// What `read` makes of the newest checkpoint; none where there is no checkpoint. One that
    /// another process removes meanwhile is passed over for the next.
    ///
    /// # Errors
    /// When the newest cannot be read.
    pub fn newest<T>(&self, read: impl Fn(u64) -> Result<T>) -> Result<Option<(u64, T)>> {
        for tries in 1.. {
            let Some(&step) = self.steps()?.last() else {
                break;
            };
            match read(step) {
                Ok(found) => return Ok(Some((step, found))),
                Err(_) if tries < TRIES && self.is_outdated(step)? => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn is_outdated(&self, step: u64) -> Result<bool> {
        Ok(self.steps()?.last().is_some_and(|&newest| newest > step))
    }

    /// Notes that the content with this `digest` of the run's file `name` goes with every
    /// checkpoint too: before a continued run replaces it.
    ///
    /// # Errors
    /// When a checkpoint's state cannot be read or written.
    pub fn accept(&self, name: &str, digest: &str) -> Result<()> {
        for step in self.steps()? {
            // A damaged one that training does not go on from stays as it is.
            let Ok(mut state) = self.state(step) else {
                continue;
            };
            let known = state.about.run.get_mut(name);
            let Some(known) = known.filter(|known| !known.iter().any(|d| d == digest)) else {
                continue;
            };
            known.push(digest.to_owned());
            let path = self.path(step).join(STATE);
            write_atomic(&path, &to_bytes(&state, &path)?)?;
        }
        Ok(())
    }

    fn read(&self, step: u64) -> Result<Checkpoint> {
        let state = self.state(step)?;
        let names = state.sections.keys();
        let sections = names
            .map(|name| Ok((name.clone(), self.read_section(&state, name)?.0)))
            .collect::<Result<_>>()?;
        Ok(Checkpoint { step, sections })
    }

    fn state(&self, step: u64) -> Result<State> {
        let path = self.path(step).join(STATE);
        let bytes = match read_if_there(&path)? {
            Some(bytes) => bytes,
            None => return Err(Error::content(&path, "is missing")),
        };
        State::parse(&bytes, step).map_err(|reason| Error::content(&path, reason))
    }

    fn read_section(&self, state: &State, name: &str) -> Result<(ByName<Array>, String)> {
        let folder = self.path(state.step);
        let place = state.sections.get(name).ok_or_else(|| {
            let reason = format!("has no section {name}; another kind of training wrote it");
            Error::content(&folder, reason)
        })?;
        let path = folder.join(&place.file);
        let bytes = match read_if_there(&path)? {
            Some(bytes) => bytes,
            None => return Err(Error::content(&path, "is missing")),
        };
        let found = Seal {
            sha256: digest(&bytes),
            bytes: bytes.len() as u64,
        };
        if state.format >= 2 {
            let is_whole = state.files.get(&place.file) == Some(&found);
            if !is_whole {
                let reason = "is not what was written (its length or SHA-256 differs)";
                return Err(Error::content(&path, reason));
            }
        }
        let arrays = tensors::parse(&bytes, &place.prefix);
        let arrays = arrays.map_err(|reason| Error::content(&path, reason))?;
        Ok((arrays, found.sha256))
    }

    /// `error` of reading the checkpoint of `step`, with the way out.
    fn offer(&self, step: u64, error: Error) -> Error {
        let Error::Content { path, reason } = error else {
            return error;
        };
        let before = step.checked_sub(1);
        let whole = before.and_then(|before| self.last_whole(before).ok().flatten());
        let way_out = match whole {
            Some(whole) => format!(
                "the one before it, of step {whole}, is whole: take it with --checkpoint {whole}, \
                 or remove this one's folder"
            ),
            None => "there is no whole checkpoint before it".into(),
        };
        let reason = format!("{reason}; the checkpoint of step {step} is damaged; {way_out}");
        Error::Content { path, reason }
    }
}

/// Writes `checkpoint` to `folder`, which is made anew, and syncs it.
fn write(checkpoint: &Checkpoint, about: &About, folder: &Path) -> Result<()> {
    let mut state = State {
        format: FORMAT,
        step: checkpoint.step,
        files: BTreeMap::new(),
        sections: BTreeMap::new(),
        about: about.clone(),
        seal: String::new(),
    };
    // Sections by file, each with what its names begin with.
    let mut files: BTreeMap<String, Vec<(String, &ByName<Array>)>> = BTreeMap::new();
    for (name, arrays) in &checkpoint.sections {
        let refused = |reason| Error::setting("section", name, reason);
        let place = place(name)
            .ok_or_else(|| refused("must be small letters, digits and - _ . with / between"))?;
        if state.sections.values().any(|other| *other == place) {
            return Err(refused("would share a file with another section"));
        }
        let sections = files.entry(place.file.clone()).or_default();
        sections.push((place.prefix.clone(), arrays));
        state.sections.insert(name.clone(), place);
    }
    discard(folder)?;
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    for (file, sections) in files {
        let path = folder.join(&file);
        // Named as it would be called: the folder being written goes away.
        let bytes = tensors::to_bytes(&sections)
            .map_err(|reason| Error::content(folder.with_extension("").join(&file), reason))?;
        write_atomic(&path, &bytes)?;
        let seal = Seal {
            sha256: digest(&bytes),
            bytes: bytes.len() as u64,
        };
        state.files.insert(file, seal);
    }
    let path = folder.join(STATE);
    write_atomic(&path, &to_bytes(&state, &path)?)?;
    sync_folder(folder)
}

fn to_bytes(state: &State, path: &Path) -> Result<Vec<u8>> {
    state
        .to_bytes()
        .map_err(|e| Error::content(path, e.to_string()))
}

/// Removes a folder with all it holds, or a file or link; nothing there is as well.
fn discard(path: &Path) -> Result<()> {
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
