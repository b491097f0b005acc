//! Which classes samples are conditioned on: `class` of the `[sample]` table.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::score::Condition;

/// The classes of samples. Sample k is of the (k mod n)-th of n classes, whatever is drawn beside
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classes {
    /// Every class of the model in turn.
    All,
    /// These in turn: one or more.
    Of(Vec<u32>),
}

impl Classes {
    /// The condition of each sample numbered `seeds`, of a model that has `classes`.
    ///
    /// # Errors
    /// [`Error::Setting`] for a class that the model does not have.
    pub fn conditions(&self, seeds: Range<u64>, classes: Option<usize>) -> Result<Vec<Condition>> {
        let refuse = |reason| Err(Error::setting("class", self, reason));
        let Some(count) = classes else {
            return refuse("this network is not conditioned on classes".to_string());
        };
        let all = || (0..count as u32).collect();
        let turns: Vec<u32> = match self {
            Self::All => all(),
            Self::Of(classes) => classes.clone(),
        };
        if turns.is_empty() || turns.iter().any(|&class| class as usize >= count) {
            return refuse(format!("this network has the classes 0 to {}", count - 1));
        }
        let of = |seed: u64| Condition::class(turns[(seed % turns.len() as u64) as usize]);
        Ok(seeds.map(of).collect())
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Of(classes) = self else {
            return f.write_str("all");
        };
        let classes: Vec<_> = classes.iter().map(u32::to_string).collect();
        f.write_str(&classes.join(","))
    }
}

impl FromStr for Classes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "all" {
            return Ok(Self::All);
        }
        let class = |text: &str| text.trim().parse::<u32>();
        let classes: Result<Vec<_>, _> = text.split(',').map(class).collect();
        match classes {
            Ok(classes) => Ok(Self::Of(classes)),
            Err(_) => Err("write a class like 3, several like 0,1,2, or all".into()),
        }
    }
}

/// As a file has them: a number, a list of numbers, or "all".
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    One(u32),
    Several(Vec<u32>),
    Text(String),
}

impl Serialize for Classes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self {
            Self::All => Written::Text("all".into()),
            Self::Of(classes) if classes.len() == 1 => Written::One(classes[0]),
            Self::Of(classes) => Written::Several(classes.clone()),
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Classes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::One(class) => Ok(Self::Of(vec![class])),
            Written::Several(classes) => Ok(Self::Of(classes)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_samples_class_depends_on_its_number_alone() {
        let of = |text: &str, seeds| {
            let classes: Classes = text.parse().unwrap();
            assert_eq!(classes.to_string(), text);
            let conditions = classes.conditions(seeds, Some(5)).unwrap();
            let classes = conditions.into_iter().map(|condition| condition.class);
            classes.collect::<Option<Vec<u32>>>().unwrap()
        };
        assert_eq!(of("all", 3..9), [3, 4, 0, 1, 2, 3]);
        assert_eq!(of("3", 7..9), [3, 3]);
        assert_eq!(of("4,0", 7..10), [0, 4, 0]);
    }

    #[test]
    fn wrong_classes_are_refused() {
        for wrong in ["", "-1", "1,", "x", "1.5", "4294967296"] {
            assert!(wrong.parse::<Classes>().is_err(), "{wrong}");
        }
        let refusal = |classes: Classes, count| {
            let error = classes.conditions(0..1, count).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            refusal(Classes::Of(vec![2, 5]), Some(5)),
            "class = 2,5: this network has the classes 0 to 4"
        );
        assert!(refusal(Classes::Of(vec![]), Some(5)).contains("0 to 4"));
        assert!(refusal(Classes::All, None).contains("not conditioned on classes"));
    }

    #[test]
    fn files_hold_a_number_a_list_or_all() {
        #[derive(Serialize, Deserialize)]
        struct Table {
            class: Classes,
        }
        for (text, classes) in [
            ("class = 3\n", Classes::Of(vec![3])),
            ("class = [1, 2]\n", Classes::Of(vec![1, 2])),
            ("class = \"all\"\n", Classes::All),
        ] {
            let table: Table = toml::from_str(text).unwrap();
            assert_eq!(table.class, classes);
            assert_eq!(toml::to_string(&table).unwrap(), text);
        }
        assert!(toml::from_str::<Table>("class = -1").is_err());
        assert!(toml::from_str::<Table>("class = \"some\"").is_err());
    }
}
