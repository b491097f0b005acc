//! The samplers by name. The list itself stands in `sample/mod.rs`, a line for each.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::Table;

use super::SamplerKind;
use super::sampler::Sampler;
use crate::error::Result;
use crate::noise::Levels;

/// Makes [`SamplerKind`] of lines `Kind in module: public items;`, and the modules. A module has a
/// type `Settings` that is a [`Scheme`](super::Scheme).
macro_rules! samplers {
    ($($kind:ident in $module:ident $(: $($item:ident),+)?;)+) => {
        $(
            mod $module;
            $(pub use $module::{$($item),+};)?
        )+

        /// A sampler by its name. What it says about itself is its
        /// [`description`](SamplerKind::description).
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is documented in its file")]
        pub enum SamplerKind {
            #[default]
            $($kind,)+
        }

        impl SamplerKind {
            /// All samplers.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// What the sampler's file says about it.
            pub fn description(self) -> &'static Description {
                match self {
                    $(Self::$kind => const { &Description::of::<$module::Settings>() },)+
                }
            }
        }
    };
}
pub(super) use samplers;

impl SamplerKind {
    /// The sampler of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The name in configurations and on the command line.
    pub fn name(self) -> &'static str {
        self.description().name
    }

    /// The name as papers write it.
    pub fn label(self) -> &'static str {
        self.description().label
    }

    /// What it is, in a line.
    pub fn about(self) -> &'static str {
        self.description().about
    }

    /// The settings that are written out where nothing else is given, with their values.
    pub fn defaults(self) -> Table {
        self.description().defaults()
    }

    /// Checks that these are `settings` of the sampler.
    ///
    /// # Errors
    /// Names the setting that is unknown or of the wrong kind, and those there are.
    pub fn check(self, settings: &Table) -> Result<()> {
        self.description().check(settings)
    }

    /// The largest number of noise levels for which the sampler with these `settings` makes at
    /// most `calls` network calls a sample; [`Sampler::calls`] says how many it does make.
    ///
    /// # Errors
    /// Names `calls` where they are too few or do not say how many levels there may be, or the
    /// setting that is unknown.
    pub fn levels_for(self, settings: &Table, calls: usize) -> Result<usize> {
        self.description().levels_for(settings, calls)
    }

    /// The sampler with these `settings` that descends `levels`.
    ///
    /// # Errors
    /// Names the setting that is unknown or not feasible, and what would be.
    pub fn sampler(self, settings: &Table, levels: &Levels) -> Result<Box<dyn Sampler>> {
        self.description().sampler(settings, levels)
    }
}

impl fmt::Display for SamplerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for SamplerKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for SamplerKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            let names: Vec<String> = Self::ALL.iter().map(|kind| format!("`{kind}`")).collect();
            let names = names.join(", ");
            serde::de::Error::custom(format!("unknown variant `{name}`, expected one of {names}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sampler_has_a_name_of_its_own_and_defaults_that_work() {
        let levels = Levels::geometric(5.0, 0.05, 8).unwrap();
        for (i, kind) in SamplerKind::ALL.iter().enumerate() {
            let first = SamplerKind::ALL
                .iter()
                .position(|k| k.name() == kind.name());
            assert_eq!(first, Some(i));
            assert!(kind.about().len() > 20);
            for settings in [Table::new(), kind.defaults()] {
                let sampler = kind.sampler(&settings, &levels).unwrap();
                assert!((7..=8).contains(&sampler.steps()), "{}", kind.name());
            }
            let text = toml::to_string(&Wrapped { sampler: *kind }).unwrap();
            assert_eq!(text, format!("sampler = \"{}\"\n", kind.name()));
            assert_eq!(toml::from_str::<Wrapped>(&text).unwrap().sampler, *kind);
            let unknown = Table::from_iter([("wrong".to_owned(), 1.into())]);
            let message = kind.sampler(&unknown, &levels).err().unwrap().to_string();
            assert!(message.contains("wrong"), "{message}");
            assert!(message.contains(kind.name()), "{message}");
        }
        let unknown = toml::from_str::<Wrapped>("sampler = \"wrong\"").unwrap_err();
        for kind in SamplerKind::ALL {
            assert!(
                unknown.to_string().contains(&format!("`{kind}`")),
                "{unknown}"
            );
        }
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct Wrapped {
        sampler: SamplerKind,
    }
}
