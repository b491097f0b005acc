//! Going on with a run, whatever it trains: its folder, data and configuration are checked against
//! the given files before anything is changed.

use std::path::Path;

use super::directory::{CONFIG, DATA, DataCard};
use super::{Lock, RunDir};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::train::{About, Checkpoint, TrainConfig, digest};

/// What the folder of a run needs to know of its configuration.
pub(super) trait RunConfig: Sized {
    /// Refuses a run of another kind; one whose configuration cannot be read may be of this.
    fn check_kind(run: &RunDir) -> Result<()>;

    /// The configuration that `run` holds.
    fn of(run: &RunDir) -> Result<Self>;

    /// As it is stored.
    fn to_toml(&self) -> String;

    /// The first key in which a resumed run would differ from the stored one, with both values.
    fn first_difference(&self, stored: &Self) -> Option<(String, String, String)>;
}

/// A run that is about to be resumed.
pub(super) struct Continued {
    pub run: RunDir,
    pub lock: Lock,
    /// What the user should know about how it is resumed.
    pub notes: Vec<String>,
    /// The checkpoint that it is resumed from; none for the start.
    step: Option<u64>,
    /// That checkpoint as it was asked for.
    from: Option<u64>,
    about: About,
    /// The card of the data given now, where it is to the byte that of the run.
    same_card: Option<DataCard>,
}

impl Continued {
    /// The run in `folder`, from its latest checkpoint, or from the start when there is none yet;
    /// or from the checkpoint `from`.
    pub fn open<C: RunConfig>(folder: &Path, from: Option<u64>) -> Result<Self> {
        let run = RunDir::open(folder)?;
        C::check_kind(&run)?;
        let lock = run.lock()?;
        let steps = run.checkpoints().steps()?;
        if let Some(step) = from.filter(|step| !steps.contains(step)) {
            let reason = format!("has no checkpoint at step {step}; there are {steps:?}");
            return Err(Error::content(run.path(), reason));
        }
        let step = from.or(steps.last().copied());
        let about = match step {
            Some(step) => run.checkpoints().about(step)?,
            None => About::default(),
        };
        Ok(Self {
            run,
            lock,
            notes: Vec::new(),
            step,
            from,
            about,
            same_card: None,
        })
    }

    /// Whether `bytes` are what the run's file `name` was. The run's own files are compared with
    /// the given ones, unless they are damaged and the given ones match the checkpoint's record.
    fn was(&self, name: &str, bytes: &[u8]) -> bool {
        let known = self.about.run.get(name);
        known.is_some_and(|known| known.contains(&digest(bytes)))
    }

    /// Refuses other data than the run began with.
    pub fn check_data(&mut self, data: &Dataset) -> Result<()> {
        let card = DataCard::new(data);
        if self.was(DATA, &card.to_bytes(self.run.path())?) {
            self.same_card = Some(card);
            return Ok(());
        }
        self.check_file(DATA)?;
        if card.is_like(&self.run.data()?) {
            return Ok(());
        }
        let reason = "is not the data that the run began with (number, shape, range or classes \
                      differ); restore it, or start another run with --out";
        Err(Error::content(data.name(), reason))
    }

    /// Refuses a configuration that differs in something that cannot change midway.
    pub fn check_config<C: RunConfig>(&self, config: &C) -> Result<()> {
        if self.was(CONFIG, config.to_toml().as_bytes()) {
            return Ok(());
        }
        self.check_file(CONFIG)?;
        let Some((key, new, old)) = config.first_difference(&C::of(&self.run)?) else {
            return Ok(());
        };
        let reason = format!(
            "differs from the run in {} (where it is {old}); a resumed run cannot change it: \
             restore it, or start another run with --out",
            self.run.path().display()
        );
        Err(Error::setting(key, new, reason))
    }

    /// Refuses a damaged file of the run, before it is compared with what it should be.
    fn check_file(&self, name: &str) -> Result<()> {
        if self.run.is_of(&self.about, name)? {
            return Ok(());
        }
        let reason = format!(
            "is damaged or was changed (its SHA-256 is not that recorded by the checkpoint of step \
             {}), and the configuration or data given now do not match that record; give those that \
             the run was started with",
            self.step.unwrap_or(0)
        );
        Err(Error::content(self.run.path().join(name), reason))
    }

    /// The checkpoint to resume from, which must be of a training `like` this one; none for the
    /// start.
    pub fn checkpoint(
        &self,
        like: &Checkpoint,
        config: &TrainConfig,
    ) -> Result<Option<(Checkpoint, About)>> {
        let Some(step) = self.step else {
            self.run.check_that_none_was_lost(config.checkpoint_every)?;
            return Ok(None);
        };
        let checkpoints = self.run.checkpoints();
        let checkpoint = checkpoints.load(step)?;
        check_like(&checkpoint, like)
            .map_err(|reason| Error::content(checkpoints.path(step), reason))?;
        Ok(Some((checkpoint, self.about.clone())))
    }

    /// Prepares the folder for resuming, now that everything has been found to fit.
    pub fn prepare<C: RunConfig>(&mut self, config: &C) -> Result<()> {
        let run = &self.run;
        run.sweep(&self.lock)?;
        if let Some(from) = self.from {
            for aside in run.checkpoints().set_aside_after(from)? {
                let note = format!("a later checkpoint is kept as {}", aside.display());
                self.notes.push(note);
            }
        }
        if let Some(card) = &self.same_card
            && !run.is_of(&self.about, DATA)?
        {
            run.replace_data(card)?;
        }
        run.replace_config_text(&config.to_toml())?;
        let skipped = run.stats()?.skipped;
        if skipped > 0 {
            let note = format!("{skipped} lines of stats.jsonl cannot be read; they stay");
            self.notes.push(note);
        }
        run.truncate_stats(self.step.unwrap_or(0))
    }
}

/// Whether both have the same sections of arrays of the same names and shapes: the reason why not.
fn check_like(found: &Checkpoint, like: &Checkpoint) -> Result<(), String> {
    let advice = "it belongs to another network; use the configuration it was trained with";
    for (section, like) in &like.sections {
        let Some(found) = found.sections.get(section) else {
            return Err(format!("lacks the section {section}: {advice}"));
        };
        if found.len() != like.len() {
            let (found, like) = (found.len(), like.len());
            return Err(format!(
                "{section} holds {found} arrays where the network has {like}: {advice}"
            ));
        }
        for (name, like) in like {
            let shape = found.get(name).map(|array| &array.shape);
            if shape != Some(&like.shape) {
                let shape = shape.map_or("missing".into(), |shape| format!("{shape:?}"));
                let like = &like.shape;
                return Err(format!(
                    "{name} in {section} is {shape} where the network has {like:?}: {advice}"
                ));
            }
        }
    }
    Ok(())
}
