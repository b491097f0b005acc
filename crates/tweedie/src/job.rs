//! Jobs: what the program runs, and other programs may run. All report progress in the same way, all
//! are cancelled in the same way, and the result of each is a type that serialises.
//!
//! ```
//! use std::ops::ControlFlow;
//! use tweedie::job::{Monitor, Progress};
//!
//! // A watcher is a closure: it sees how far a job is, and says whether to continue.
//! let mut watcher = |progress: &Progress| {
//!     println!("{} {}/{} {}", progress.what, progress.done, progress.total, progress.note);
//!     match progress.done < 2 {
//!         true => ControlFlow::Continue(()),
//!         false => ControlFlow::Break(()),
//!     }
//! };
//! let mut monitor = Monitor::new(&mut watcher);
//! let counted = (1..=10).try_for_each(|item| monitor.step("counting", item, 10, "items"));
//! assert!(matches!(counted, Err(tweedie::Error::Stopped)));
//! ```

use std::fmt;
use std::ops::ControlFlow;

use crate::error::{Error, Result};

/// How far a job is.
#[derive(Clone, Copy)]
pub struct Progress<'a> {
    /// What is being done: "training", "sampling". A job may have several parts, one after
    /// another.
    pub what: &'a str,
    /// Units of this part that are done.
    pub done: u64,
    /// Units in all; 0 where that is unknown.
    pub total: u64,
    /// What is counted: "steps", "items".
    pub unit: &'a str,
    /// Additional information, such as the loss; formatted only if it is displayed.
    pub note: &'a dyn fmt::Display,
}

impl fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            done,
            total,
            unit,
            note,
        } = self;
        write!(f, "{what}: {done} of {total} {unit} {note}")
    }
}

/// A watcher's type: it sees how far a job is, and says whether to continue.
pub type Watcher<'a> = dyn FnMut(&Progress<'_>) -> ControlFlow<()> + 'a;

/// A job's connection to its watcher.
///
/// A request to stop is remembered, so that a job can check for it where it is able to stop.
#[derive(Default)]
pub struct Monitor<'a> {
    watcher: Option<&'a mut Watcher<'a>>,
    last: Last,
    stopped: bool,
}

/// What was reported last.
#[derive(Clone, Default)]
struct Last {
    what: String,
    done: u64,
    total: u64,
    unit: String,
    note: String,
}

impl<'a> Monitor<'a> {
    /// Reports to `watcher`.
    pub fn new(watcher: &'a mut Watcher<'a>) -> Self {
        Self {
            watcher: Some(watcher),
            last: Last::default(),
            stopped: false,
        }
    }

    /// Without a watcher: nothing is displayed, and nothing stops the job.
    pub fn silent() -> Self {
        Self::default()
    }

    /// Reports how far the job is.
    pub fn tell(&mut self, progress: &Progress<'_>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        self.stopped |= watcher(progress).is_break();
        self.last = Last {
            what: progress.what.into(),
            done: progress.done,
            total: progress.total,
            unit: progress.unit.into(),
            note: progress.note.to_string(),
        };
    }

    /// Does `work` that is a part of what was reported last. What it reports is a note on that, so
    /// that there is one bar; and as soon as it reports, a request to stop is heard.
    pub fn inside<T>(&mut self, work: impl FnOnce(&mut Monitor<'_>) -> T) -> T {
        let Some(watcher) = &mut self.watcher else {
            return work(self);
        };
        let last = self.last.clone();
        let mut show = |part: &Progress<'_>| {
            let Progress {
                what, done, total, ..
            } = part;
            let note = match last.note.is_empty() {
                true => format!("{what} {done}/{total}"),
                false => format!("{}; {what} {done}/{total}", last.note),
            };
            watcher(&Progress {
                what: &last.what,
                done: last.done,
                total: last.total,
                unit: &last.unit,
                note: &note,
            })
        };
        let mut inner = Monitor::new(&mut show);
        inner.stopped = self.stopped;
        let found = work(&mut inner);
        self.stopped = inner.stopped;
        found
    }

    /// Whether the watcher wants the job to stop.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// `Ok`, unless the watcher wants the job to stop.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub fn go_on(&self) -> Result<()> {
        match self.stopped {
            true => Err(Error::Stopped),
            false => Ok(()),
        }
    }

    /// [`Monitor::tell`] without a note.
    pub fn at(&mut self, what: &str, done: u64, total: u64, unit: &str) {
        self.tell(&Progress {
            what,
            done,
            total,
            unit,
            note: &"",
        });
    }

    /// [`Monitor::at`], and [`Monitor::go_on`].
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub fn step(&mut self, what: &str, done: u64, total: u64, unit: &str) -> Result<()> {
        self.at(what, done, total, unit);
        self.go_on()
    }
}

/// How results write paths: as text. A name that is not Unicode loses what has no letter, which is
/// better than to lose the result.
pub(crate) mod text {
    use std::path::{Path, PathBuf};

    use serde::{Serialize, Serializer};

    /// One path.
    pub fn path<S: Serializer>(path: &Path, out: S) -> Result<S::Ok, S::Error> {
        path.to_string_lossy().serialize(out)
    }

    /// A path that may be missing.
    pub fn maybe<S: Serializer>(path: &Option<PathBuf>, out: S) -> Result<S::Ok, S::Error> {
        let path = path.as_deref().map(Path::to_string_lossy);
        path.serialize(out)
    }

    /// Several paths.
    pub fn paths<S: Serializer>(paths: &[PathBuf], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_notes_on_the_whole_and_stop_it() {
        let mut seen = Vec::new();
        let mut watcher = |progress: &Progress<'_>| {
            seen.push(format!("{progress:?}"));
            match seen.len() < 3 {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        let mut monitor = Monitor::new(&mut watcher);
        monitor.tell(&Progress {
            what: "searching",
            done: 2,
            total: 9,
            unit: "settings",
            note: &"best 0.1",
        });
        let found = monitor.inside(|part| {
            part.step("sampling", 1, 4, "samples")?;
            part.step("sampling", 2, 4, "samples")
        });
        assert!(matches!(found, Err(Error::Stopped)) && monitor.stopped());
        assert_eq!(seen[0], "searching: 2 of 9 settings best 0.1");
        assert_eq!(seen[2], "searching: 2 of 9 settings best 0.1; sampling 2/4");
        let alone = Monitor::silent().inside(|part| part.step("alone", 0, 1, ""));
        assert!(alone.is_ok());
    }

    #[test]
    fn the_wish_to_stop_is_remembered() {
        let mut seen = Vec::new();
        let mut watcher = |progress: &Progress<'_>| {
            seen.push((progress.done, progress.note.to_string()));
            match progress.done {
                2 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        };
        let mut monitor = Monitor::new(&mut watcher);
        assert!(monitor.step("a", 1, 3, "steps").is_ok());
        let at = |done| Progress {
            what: "a",
            done,
            total: 3,
            unit: "steps",
            note: &0.5,
        };
        monitor.tell(&at(2));
        monitor.tell(&at(3));
        assert!(monitor.stopped());
        assert!(matches!(monitor.go_on(), Err(Error::Stopped)));
        let written = |text: &str| text.to_owned();
        assert_eq!(
            seen,
            [(1, written("")), (2, written("0.5")), (3, written("0.5"))]
        );
        let mut silent = Monitor::silent();
        assert!(silent.step("a", 1, 1, "steps").is_ok() && !silent.stopped());
    }
}
