//! Reading checkpoints: everything is checked, and errors name the damage and the way out.

use super::state::{Seal, State};
use super::store::STATE;
use super::write::to_bytes;
use super::{About, Checkpoint, Checkpoints, digest, tensors};
use crate::error::{Error, Result};
use crate::files::{is_entry, read_if_there, write_atomic};
use crate::nn::params::{Array, ByName};

/// Attempts to read the newest checkpoint while another process removes old ones.
const TRIES: usize = 100;

impl Checkpoints {
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

    /// The section, and the [`digest`] of its file, which identifies the network.
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
    /// When the folder cannot be listed.
    pub fn last_whole(&self, step: u64) -> Result<Option<u64>> {
        let steps = self.steps()?;
        let mut earlier = steps.into_iter().rev().filter(|&earlier| earlier <= step);
        Ok(earlier.find(|&earlier| self.check(earlier).is_ok()))
    }

    /// The result of `read` on the newest checkpoint; `None` where there is none. A checkpoint that
    /// another process removes meanwhile is skipped for the next.
    ///
    /// # Errors
    /// When the newest cannot be read.
    pub fn newest<T>(&self, read: impl Fn(u64) -> Result<T>) -> Result<Option<(u64, T)>> {
        for tries in 1.. {
            let Some(&step) = self.steps()?.last() else {
                // A listing made while a writer renames may miss both the new checkpoint and the
                // one it replaces: only repeated listings say that there is none.
                if tries < TRIES {
                    continue;
                }
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

    /// Whether the checkpoint of `step` is gone, or no longer the newest. A listing alone does not
    /// say: it may miss the newest one (see [`Checkpoints::newest`]).
    fn is_outdated(&self, step: u64) -> Result<bool> {
        let is_gone = !is_entry(&self.path(step))?;
        Ok(is_gone || self.steps()?.last().is_some_and(|&newest| newest > step))
    }

    /// Records in every checkpoint that it also belongs to the content with this `digest` of the
    /// run's file `name`; called before a resumed run replaces that file.
    ///
    /// # Errors
    /// When a checkpoint's state cannot be read or written.
    pub fn accept(&self, name: &str, digest: &str) -> Result<()> {
        for step in self.steps()? {
            // A damaged checkpoint that training does not resume from stays as it is.
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
                let reason = "has changed since it was written (its length or SHA-256 differs)";
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
        Error::Damaged {
            path,
            reason,
            step,
            whole: before.and_then(|before| self.last_whole(before).ok().flatten()),
        }
    }
}
