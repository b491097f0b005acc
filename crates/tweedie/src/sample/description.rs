//! What a sampler's file says about it, gathered for those who know it by name only.

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::sampler::Sampler;
use super::setting::Setting;
use crate::error::{Error, Result};
use crate::noise::Levels;

/// The settings of a sampler, which say all there is to say about it: how it is called, what it
/// accepts, what it makes of a number of network calls, and how it is made. Unknown keys are
/// refused.
pub trait Scheme: Serialize + DeserializeOwned + Default {
    /// The name in configurations and on the command line.
    const NAME: &'static str;
    /// The name as papers write it.
    const LABEL: &'static str;
    /// What it is, in a line without a full stop.
    const ABOUT: &'static str;
    /// Who proposed it.
    const PAPER: &'static str;
    /// The network calls of N noise levels.
    const CALLS: &'static str;
    /// What the last step does.
    const LAST_STEP: &'static str;
    /// Its settings: the keys of the type itself.
    const SETTINGS: &'static [Setting];
    /// How it spreads its noise levels, where it does so itself: between the first level and the
    /// last of those given. `None` for all that take the levels as they are.
    const SPREADS: Option<&'static str> = None;

    /// The largest number of noise levels that takes at most `calls` network calls a sample.
    ///
    /// # Errors
    /// Names `calls` where they are too few, or do not say how many levels there may be.
    fn levels_for(&self, calls: usize) -> Result<usize>;

    /// The sampler that descends `levels`.
    ///
    /// # Errors
    /// Names the setting that is not feasible, and what would be.
    fn sampler(&self, levels: &Levels) -> Result<Box<dyn Sampler>>;
}

/// A sampler, described: what [`Scheme`] has, of a sampler that is not known by its type.
#[derive(Debug)]
pub struct Description {
    /// The name in configurations and on the command line.
    pub name: &'static str,
    /// The name as papers write it.
    pub label: &'static str,
    /// What it is, in a line without a full stop.
    pub about: &'static str,
    /// Who proposed it.
    pub paper: &'static str,
    /// The network calls of N noise levels.
    pub calls: &'static str,
    /// What the last step does.
    pub last_step: &'static str,
    /// Its settings.
    pub settings: &'static [Setting],
    /// How it spreads its noise levels, where it does so itself.
    pub spreads: Option<&'static str>,
    defaults: fn() -> Table,
    check: fn(Table) -> Result<()>,
    levels_for: fn(Table, usize) -> Result<usize>,
    sampler: fn(Table, &Levels) -> Result<Box<dyn Sampler>>,
}

impl Description {
    pub(super) const fn of<S: Scheme>() -> Self {
        Self {
            name: S::NAME,
            label: S::LABEL,
            about: S::ABOUT,
            paper: S::PAPER,
            calls: S::CALLS,
            last_step: S::LAST_STEP,
            settings: S::SETTINGS,
            spreads: S::SPREADS,
            // Numbers, words and flags always have a TOML form.
            defaults: || Table::try_from(S::default()).unwrap_or_default(),
            check: |table| read::<S>(table).map(|_| ()),
            levels_for: |table, calls| {
                if calls == 0 {
                    return Err(Error::setting("calls", 0, "must be 1 or more"));
                }
                read::<S>(table)?.levels_for(calls)
            },
            sampler: |table, levels| read::<S>(table)?.sampler(levels),
        }
    }

    /// The setting called `name`, or called so in earlier versions.
    pub fn setting(&self, name: &str) -> Option<&'static Setting> {
        let mut settings = self.settings.iter();
        settings.find(|setting| setting.spellings().any(|spelling| spelling == name))
    }

    /// The settings that are written out where nothing else is given, with their values.
    pub fn defaults(&self) -> Table {
        (self.defaults)()
    }

    /// Checks that these are `settings` of the sampler.
    ///
    /// # Errors
    /// Names the setting that is unknown or of the wrong kind, and those there are.
    pub fn check(&self, settings: &Table) -> Result<()> {
        (self.check)(self.renamed(settings)?)
    }

    /// The largest number of noise levels for which the sampler with these `settings` makes at
    /// most `calls` network calls a sample.
    ///
    /// # Errors
    /// Names `calls` where they are too few or do not say how many levels there may be, or the
    /// setting that is unknown.
    pub fn levels_for(&self, settings: &Table, calls: usize) -> Result<usize> {
        (self.levels_for)(self.renamed(settings)?, calls)
    }

    /// The sampler with these `settings` that descends `levels`.
    ///
    /// # Errors
    /// Names the setting that is unknown or not feasible, and what would be.
    pub fn sampler(&self, settings: &Table, levels: &Levels) -> Result<Box<dyn Sampler>> {
        (self.sampler)(self.renamed(settings)?, levels)
    }

    /// Puts `value` into `settings` under `name`, in place of all that says the same: rivals, and
    /// spellings of earlier versions. What is not a setting is put there as it is, to be refused.
    pub fn set(&self, settings: &mut Table, name: &str, value: Value) {
        let name = match self.setting(name) {
            None => name,
            Some(setting) => {
                let rivals = setting
                    .instead_of
                    .iter()
                    .filter_map(|name| self.setting(name));
                for spelling in rivals.chain([setting]).flat_map(Setting::spellings) {
                    settings.remove(spelling);
                }
                setting.name
            }
        };
        settings.insert(name.into(), value);
    }

    /// Random settings that are feasible on `levels`, from uniform numbers in \[0, 1).
    ///
    /// Real settings are drawn by their scale from the part worth searching; of those that may be
    /// left open about half are.
    pub fn draw(&self, levels: &Levels, uniform: &mut dyn FnMut() -> f64) -> Table {
        let mut table = Table::new();
        for setting in self.settings {
            // As many numbers for each setting, whatever becomes of it.
            let [left_open, unit, other] = [uniform(), uniform(), uniform()];
            let rival = setting
                .instead_of
                .iter()
                .any(|name| table.contains_key(*name));
            let applies = setting.with.is_none_or(|(name, words)| {
                let word = table.get(name).and_then(Value::as_str);
                word.is_some_and(|word| words.contains(&word))
            });
            if rival || !applies || setting.optional && left_open < 0.5 {
                continue;
            }
            let at_least = setting.at_least.and_then(|name| self.real(&table, name));
            let value = setting.at(unit, other, at_least, levels);
            table.insert(setting.name.into(), value);
        }
        table
    }

    /// The value of the real setting `name`, or its default.
    fn real(&self, table: &Table, name: &str) -> Option<f64> {
        let given = table.get(name).cloned();
        let value = given.or_else(|| Some(self.setting(name)?.default?.into()));
        value?.as_float()
    }

    /// `settings` with the spellings of today.
    fn renamed(&self, settings: &Table) -> Result<Table> {
        let mut renamed = settings.clone();
        for setting in self.settings {
            for &old in setting.formerly {
                let Some(value) = renamed.remove(old) else {
                    continue;
                };
                if renamed.contains_key(setting.name) {
                    let reason = format!("is called {} now; give one of the two", setting.name);
                    return Err(Error::setting(old, value, reason));
                }
                renamed.insert(setting.name.into(), value);
            }
        }
        Ok(renamed)
    }
}

/// Reads `table` as the settings `S`.
fn read<S: Scheme>(table: Table) -> Result<S> {
    S::deserialize(table).map_err(|error| {
        // With the key, which stands in a line of its own.
        let text = error.to_string();
        let reason = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Error::setting("sampler", S::NAME, reason)
    })
}

/// The number of levels for `calls`, of a sampler that makes `each` calls at a level and needs at
/// least `least` levels.
///
/// # Errors
/// Names `calls` where they are too few.
pub(super) fn levels_at(calls: usize, each: usize, least: usize) -> Result<usize> {
    let levels = calls.checked_div(each).unwrap_or(0);
    if levels >= least.max(1) {
        return Ok(levels);
    }
    let needed = each.saturating_mul(least.max(1));
    let reason = format!(
        "too few: {each} at each of {} noise levels make {needed}",
        least.max(1)
    );
    Err(Error::setting("calls", calls, reason))
}
