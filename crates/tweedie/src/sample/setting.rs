//! A setting of a sampler, described: its name, its documentation, what it accepts, its default.
//!
//! Whoever reads or varies settings (the configuration's refusals, the program's help, the README,
//! tests that draw settings at random, a tuner) reads these descriptions and knows no sampler.

use std::fmt;

use toml::Value;

use crate::noise::Levels;

/// An interval of real numbers; its ends may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Whether `low` itself is outside.
    pub open_low: bool,
    /// Whether `high` itself is outside.
    pub open_high: bool,
}

impl Interval {
    /// \[low, high\].
    pub const fn closed(low: f64, high: f64) -> Self {
        Self {
            low,
            high,
            open_low: false,
            open_high: false,
        }
    }

    /// (low, high).
    pub const fn open(low: f64, high: f64) -> Self {
        Self {
            open_low: true,
            open_high: true,
            ..Self::closed(low, high)
        }
    }

    /// \[low, inf): finite numbers from `low` on.
    pub const fn from(low: f64) -> Self {
        Self {
            open_high: true,
            ..Self::closed(low, f64::INFINITY)
        }
    }

    /// (low, high\].
    pub const fn above(low: f64, high: f64) -> Self {
        Self {
            open_low: true,
            ..Self::closed(low, high)
        }
    }

    /// Whether `value` lies inside; NaN does not.
    pub fn contains(&self, value: f64) -> bool {
        let above = value > self.low || value == self.low && !self.open_low;
        let below = value < self.high || value == self.high && !self.open_high;
        above && below
    }

    /// The part that lies in `other` too.
    fn within(self, other: Self) -> Self {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        let open = |end, a: (f64, bool), b: (f64, bool)| a == (end, true) || b == (end, true);
        Self {
            low,
            high,
            open_low: open(low, (self.low, self.open_low), (other.low, other.open_low)),
            open_high: open(
                high,
                (self.high, self.open_high),
                (other.high, other.open_high),
            ),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = if self.open_low { '(' } else { '[' };
        let right = if self.open_high { ')' } else { ']' };
        write!(f, "{left}{}, {}{right}", Short(self.low), Short(self.high))
    }
}

/// A number as a person writes it.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.to_string();
        match self.0.abs() {
            size if size > 0.0 && size < 1e-3 => write!(f, "{:e}", self.0),
            _ if whole.len() > 8 => write!(f, "{:.4}", self.0),
            _ => f.write_str(&whole),
        }
    }
}

/// How values of a real setting compare: what a step of the same importance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// By differences.
    Linear,
    /// By ratios.
    Log,
}

/// The values of a real setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reals {
    /// What is accepted.
    pub accepted: Interval,
    /// The finite part of it that is worth searching.
    pub search: (f64, f64),
    /// How to search it.
    pub scale: Scale,
}

/// The values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SettingKind {
    /// A real number.
    Real(Reals),
    /// A real number, or a list with one for each noise level.
    RealPerLevel(Reals),
    /// A whole number from `least` on; up to `search` is worth searching.
    Count {
        /// The smallest that is accepted.
        least: usize,
        /// The largest worth trying.
        search: usize,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these words, or a real number.
    ChoiceOrReal(&'static [&'static str], Reals),
    /// true or false.
    Flag,
}

/// A value of a setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SettingValue {
    /// A real number.
    Real(f64),
    /// A whole number.
    Count(usize),
    /// A word.
    Choice(&'static str),
    /// true or false.
    Flag(bool),
}

impl From<SettingValue> for Value {
    fn from(value: SettingValue) -> Self {
        match value {
            SettingValue::Real(value) => value.into(),
            // Larger counts are refused as too many all the same.
            SettingValue::Count(value) => i64::try_from(value).unwrap_or(i64::MAX).into(),
            SettingValue::Choice(value) => value.into(),
            SettingValue::Flag(value) => value.into(),
        }
    }
}

impl fmt::Display for SettingValue {
    /// As a configuration has it, but for the point of whole reals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real(value) => Short(*value).fmt(f),
            Self::Count(value) => write!(f, "{value}"),
            Self::Choice(value) => write!(f, "\"{value}\""),
            Self::Flag(value) => write!(f, "{value}"),
        }
    }
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key in configurations and after `--set`.
    pub name: &'static str,
    /// What it does, in a line without a full stop.
    pub about: &'static str,
    /// What it accepts.
    pub kind: SettingKind,
    /// What holds where it is not given; `None` where that depends, as `about` says.
    pub default: Option<SettingValue>,
    /// Whether it may be left open: written into a configuration only where it is given.
    pub optional: bool,
    /// Spellings of earlier versions, which are still read.
    pub formerly: &'static [&'static str],
    /// Settings that say the same in another way: at most one of them and this may be given.
    pub instead_of: &'static [&'static str],
    /// The words of another setting that it goes with; with others it is refused.
    pub with: Option<(&'static str, &'static [&'static str])>,
    /// A setting that it must not lie below.
    pub at_least: Option<&'static str>,
    /// What is feasible on given levels whatever the other settings are, where that is less than
    /// what is accepted.
    pub on_levels: Option<fn(&Levels) -> Interval>,
}

impl Setting {
    const fn new(name: &'static str, kind: SettingKind, about: &'static str) -> Self {
        Self {
            name,
            about,
            kind,
            default: None,
            optional: true,
            formerly: &[],
            instead_of: &[],
            with: None,
            at_least: None,
            on_levels: None,
        }
    }

    /// A real number in `accepted`, worth searching in `search` by `scale`.
    pub const fn real(
        name: &'static str,
        accepted: Interval,
        search: (f64, f64),
        scale: Scale,
        about: &'static str,
    ) -> Self {
        let reals = Reals {
            accepted,
            search,
            scale,
        };
        Self::new(name, SettingKind::Real(reals), about)
    }

    /// As [`Setting::real`], or a list with one such number for each noise level.
    pub const fn real_per_level(
        name: &'static str,
        accepted: Interval,
        search: (f64, f64),
        scale: Scale,
        about: &'static str,
    ) -> Self {
        let reals = Reals {
            accepted,
            search,
            scale,
        };
        Self::new(name, SettingKind::RealPerLevel(reals), about)
    }

    /// A whole number from `least` on, worth searching up to `search`.
    pub const fn count(
        name: &'static str,
        least: usize,
        search: usize,
        about: &'static str,
    ) -> Self {
        Self::new(name, SettingKind::Count { least, search }, about)
    }

    /// One of `words`, the first by default.
    pub const fn choice(
        name: &'static str,
        words: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        Self::new(name, SettingKind::Choice(words), about).default(SettingValue::Choice(words[0]))
    }

    /// One of `words`, the first by default, or a number in \[0, 1\].
    pub const fn choice_or_share(
        name: &'static str,
        words: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        let reals = Reals {
            accepted: Interval::closed(0.0, 1.0),
            search: (0.0, 1.0),
            scale: Scale::Linear,
        };
        let kind = SettingKind::ChoiceOrReal(words, reals);
        Self::new(name, kind, about).default(SettingValue::Choice(words[0]))
    }

    /// true or false, false by default.
    pub const fn flag(name: &'static str, about: &'static str) -> Self {
        Self::new(name, SettingKind::Flag, about).default(SettingValue::Flag(false))
    }

    /// The same with a default, which configurations have written out.
    pub const fn default(mut self, value: SettingValue) -> Self {
        self.default = Some(value);
        self.optional = false;
        self
    }

    /// The same with what holds where it is left open.
    pub const fn otherwise(mut self, value: SettingValue) -> Self {
        self.default = Some(value);
        self
    }

    /// The same with spellings of earlier versions.
    pub const fn formerly(mut self, names: &'static [&'static str]) -> Self {
        self.formerly = names;
        self
    }

    /// The same as one of several ways to say the same.
    pub const fn instead_of(mut self, names: &'static [&'static str]) -> Self {
        self.instead_of = names;
        self
    }

    /// The same for certain `words` of the setting `name` only.
    pub const fn with(mut self, name: &'static str, words: &'static [&'static str]) -> Self {
        self.with = Some((name, words));
        self
    }

    /// The same, bounded from below by another setting.
    pub const fn at_least(mut self, name: &'static str) -> Self {
        self.at_least = Some(name);
        self
    }

    /// The same, where levels narrow what is feasible.
    pub const fn on_levels(mut self, feasible: fn(&Levels) -> Interval) -> Self {
        self.on_levels = Some(feasible);
        self
    }

    /// Its name and its earlier spellings.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.formerly.iter().copied())
    }

    /// What is feasible on `levels` of the real numbers it takes; `None` where it takes none.
    pub fn interval(&self, levels: &Levels) -> Option<Interval> {
        let (SettingKind::Real(reals)
        | SettingKind::RealPerLevel(reals)
        | SettingKind::ChoiceOrReal(_, reals)) = self.kind
        else {
            return None;
        };
        let narrowed = self.on_levels.map(|feasible| feasible(levels));
        Some(narrowed.map_or(reals.accepted, |narrow| reals.accepted.within(narrow)))
    }

    /// The feasible value at `unit` in \[0, 1) of the part worth searching on `levels`, by its
    /// scale, and not below `at_least`. `other` in \[0, 1) decides between words and numbers where
    /// both are taken. A list for each level is never drawn: it fits one number of levels only.
    pub fn at(&self, unit: f64, other: f64, at_least: Option<f64>, levels: &Levels) -> Value {
        let place = |count: usize| ((unit * count as f64) as usize).min(count.saturating_sub(1));
        match self.kind {
            SettingKind::Flag => (unit >= 0.5).into(),
            SettingKind::Choice(words) => words[place(words.len())].into(),
            SettingKind::ChoiceOrReal(words, _) if other >= 0.5 => words[place(words.len())].into(),
            SettingKind::Count { least, search } => {
                SettingValue::Count(least + place(search.saturating_sub(least) + 1)).into()
            }
            SettingKind::Real(reals)
            | SettingKind::RealPerLevel(reals)
            | SettingKind::ChoiceOrReal(_, reals) => {
                let feasible = self.interval(levels).unwrap_or(reals.accepted);
                reals.at(unit, at_least, feasible).into()
            }
        }
    }
}

impl Reals {
    /// The value at `unit` of the search interval within `feasible`; of `feasible` itself where
    /// the two have nothing in common.
    fn at(&self, unit: f64, at_least: Option<f64>, feasible: Interval) -> f64 {
        let searched = feasible.within(Interval::closed(self.search.0, self.search.1));
        let interval = if searched.low < searched.high {
            searched
        } else {
            feasible
        };
        let low = at_least.map_or(interval.low, |other| interval.low.max(other));
        let high = interval.high.max(low);
        // Open ends are kept away from.
        let margin = |open| if open { 1e-6 } else { 0.0 };
        let unit = unit
            .max(margin(interval.open_low))
            .min(1.0 - margin(interval.open_high));
        let value = match self.scale {
            Scale::Log if low > 0.0 => low * (high / low).powf(unit),
            _ => low + unit * (high - low),
        };
        value.clamp(low, high)
    }
}
