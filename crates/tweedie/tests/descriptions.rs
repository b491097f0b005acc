//! The samplers' descriptions of themselves: they agree with the settings, budgets of network calls
//! are respected, and the published tables are generated from them.
//!
//! `TWEEDIE_UPDATE_TABLES=1 cargo test --test descriptions` updates the tables.

mod common;

use std::path::Path;

use common::{SAMPLES, mixture, source};
use proptest::prelude::*;
use toml::{Table, Value};
use tweedie::Result;
use tweedie::noise::Levels;
use tweedie::random::{NoiseSource, Stream};
use tweedie::sample::{
    Description, Interval, SamplerKind, Setting, SettingKind, SettingValue, run,
};

fn descriptions() -> impl Iterator<Item = (SamplerKind, &'static Description)> {
    let all = SamplerKind::ALL.iter();
    all.map(|kind| (*kind, kind.description()))
}

fn levels() -> Levels {
    Levels::geometric(5.0, 0.05, 8).unwrap()
}

/// What else must be given so that `setting` may be.
fn context(setting: &Setting) -> Table {
    let word = |(name, words): (&str, &[&str])| (name.to_owned(), words[0].into());
    Table::from_iter(setting.with.map(word))
}

/// The sampler with `setting` at `value`.
fn with(kind: SamplerKind, setting: &Setting, value: impl Into<Value>) -> Result<(), String> {
    let mut table = context(setting);
    table.insert(setting.name.into(), value.into());
    let sampler = kind.sampler(&table, &levels());
    sampler.map(|_| ()).map_err(|error| error.to_string())
}

/// The keys that a sampler's settings are read from, as its refusal of another lists them.
fn keys(kind: SamplerKind) -> Vec<String> {
    let wrong = Table::from_iter([("wrong".to_owned(), 1.into())]);
    let message = kind.check(&wrong).unwrap_err().to_string();
    assert!(message.contains("unknown field `wrong`"), "{message}");
    let quoted = message.split('`').skip(3).step_by(2);
    quoted
        .filter(|key| *key != "wrong")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_key_is_described_or_refused_and_every_described_key_is_read() {
    for (kind, description) in descriptions() {
        let keys = keys(kind);
        for setting in description.settings {
            assert!(
                keys.iter().any(|key| key == setting.name),
                "{kind}: {}",
                setting.name
            );
            assert!(setting.about.len() > 4 && !setting.about.ends_with('.'));
        }
        for key in &keys {
            if description.setting(key).is_none() {
                // Another sampler's, read so that its refusal can say whose it is.
                let table = Table::from_iter([(key.clone(), Value::Float(1.5))]);
                let message = kind.sampler(&table, &levels()).err().unwrap().to_string();
                assert!(message.starts_with(&format!("{key} = 1.5: {key} belongs to")));
            }
        }
    }
}

#[test]
fn defaults_are_those_described() {
    for (kind, description) in descriptions() {
        let mut described = Table::new();
        for setting in description.settings.iter().filter(|s| !s.optional) {
            described.insert(setting.name.into(), setting.default.unwrap().into());
        }
        assert_eq!(description.defaults(), described, "{kind}");
        // What holds where a setting is left open is what is described.
        let result = |table: &Table| {
            let mut sampler = kind.sampler(table, &levels()).unwrap();
            run(&mixture(), &mut *sampler, &source(), &SAMPLES, &mut ()).unwrap()
        };
        for setting in description.settings {
            let Some(value) = setting.default else {
                continue;
            };
            let mut table = context(setting);
            let left_open = result(&table);
            table.insert(setting.name.into(), value.into());
            assert_eq!(result(&table), left_open, "{kind}: {}", setting.name);
        }
    }
}

/// What an end of an interval takes and refuses.
struct End {
    takes: Vec<f64>,
    refuses: Vec<f64>,
}

fn ends(interval: Interval) -> [End; 2] {
    let end = |end: f64, open: bool, outward: f64| {
        let (mut takes, mut refuses) = (Vec::new(), Vec::new());
        match open {
            true => refuses.push(end),
            false => takes.push(end),
        }
        if end.is_finite() {
            let step = outward * 1e-6 * end.abs().max(1e-9);
            takes.push(end - step);
            refuses.push(end + step);
        }
        End { takes, refuses }
    };
    [
        end(interval.low, interval.open_low, -1.0),
        end(interval.high, interval.open_high, 1.0),
    ]
}

#[test]
fn every_extreme_is_accepted_or_refused_as_described() {
    for (kind, description) in descriptions() {
        for setting in description.settings {
            let what = format!("{kind}: {}", setting.name);
            let takes = |value: Value| {
                let found = with(kind, setting, value.clone());
                assert!(found.is_ok(), "{what} = {value}: {found:?}");
            };
            let refuses = |value: Value| {
                let found = with(kind, setting, value.clone());
                let message = found.expect_err(&format!("{what} = {value}"));
                assert!(message.contains(setting.name), "{message}");
            };
            if let Some(interval) = setting.interval(&levels()) {
                for end in ends(interval) {
                    end.takes.into_iter().for_each(|value| takes(value.into()));
                    // Where another setting bounds this one, more may be feasible beside others.
                    if setting.at_least.is_none() {
                        end.refuses
                            .into_iter()
                            .for_each(|value| refuses(value.into()));
                    }
                }
                let (SettingKind::Real(reals)
                | SettingKind::RealPerLevel(reals)
                | SettingKind::ChoiceOrReal(_, reals)) = setting.kind
                else {
                    panic!("{what} has an interval and takes no numbers");
                };
                for end in ends(reals.accepted) {
                    end.refuses
                        .into_iter()
                        .for_each(|value| refuses(value.into()));
                }
                refuses(f64::NAN.into());
            }
            match setting.kind {
                SettingKind::Real(_) => refuses("word".into()),
                SettingKind::RealPerLevel(_) => {
                    let list = |count| {
                        let value = setting.at(0.5, 0.0, None, &levels());
                        Value::Array(vec![value; count])
                    };
                    takes(list(levels().len()));
                    refuses(list(levels().len() + 1));
                    refuses(list(0));
                    refuses("word".into());
                }
                SettingKind::Count { least, search } => {
                    takes((least as i64).into());
                    takes((search as i64).into());
                    refuses((least as i64 - 1).into());
                    refuses(i64::MAX.into());
                    refuses(1.5.into());
                }
                SettingKind::Choice(words) | SettingKind::ChoiceOrReal(words, _) => {
                    words.iter().for_each(|word| takes((*word).into()));
                    let mut table = context(setting);
                    table.insert(setting.name.into(), "wrong".into());
                    let message = kind.sampler(&table, &levels()).err().unwrap().to_string();
                    assert!(message.contains(words[0]), "{message}");
                }
                SettingKind::Flag => {
                    takes(true.into());
                    takes(false.into());
                    refuses(1.into());
                }
            }
        }
    }
}

#[test]
fn settings_that_exclude_each_other_are_refused_together() {
    for (kind, description) in descriptions() {
        for setting in description.settings {
            let middle = |setting: &Setting| setting.at(0.5, 0.0, None, &levels());
            for rival in setting.instead_of {
                let rival = description.setting(rival).unwrap();
                assert!(rival.instead_of.contains(&setting.name), "{kind}");
                let mut table = Table::new();
                table.insert(setting.name.into(), middle(setting));
                table.insert(rival.name.into(), middle(rival));
                let message = kind.sampler(&table, &levels()).err().unwrap().to_string();
                assert!(message.contains("give one"), "{message}");
                // Set after each other, the last one counts.
                description.set(&mut table, rival.name, middle(rival));
                assert_eq!(table.keys().collect::<Vec<_>>(), [rival.name]);
                assert!(kind.sampler(&table, &levels()).is_ok());
            }
            if let Some((name, words)) = setting.with {
                let other = description.setting(name).unwrap();
                let SettingKind::Choice(all) = other.kind else {
                    panic!("{name} has no words");
                };
                for word in all.iter().filter(|word| !words.contains(word)) {
                    let mut table = Table::from_iter([(name.to_owned(), Value::from(*word))]);
                    table.insert(setting.name.into(), middle(setting));
                    let message = kind.sampler(&table, &levels()).err().unwrap().to_string();
                    assert!(
                        message.starts_with(&format!("{} = ", setting.name)),
                        "{message}"
                    );
                }
            }
        }
    }
}

#[test]
fn earlier_spellings_are_read_and_never_beside_todays() {
    let mut some = 0;
    for (kind, description) in descriptions() {
        for setting in description.settings {
            for old in setting.formerly {
                some += 1;
                let mut tables = [context(setting), context(setting)];
                tables[0].insert((*old).into(), 0.25.into());
                tables[1].insert(setting.name.into(), 0.25.into());
                let [a, b] = tables.each_ref().map(|table| {
                    let mut sampler = kind.sampler(table, &levels()).unwrap();
                    run(&mixture(), &mut *sampler, &source(), &SAMPLES, &mut ()).unwrap()
                });
                assert_eq!(a, b);
                tables[0].insert(setting.name.into(), 0.5.into());
                let message = kind.check(&tables[0]).unwrap_err().to_string();
                assert!(message.starts_with(&format!("{old} = 0.25")), "{message}");
                description.set(&mut tables[0], old, 0.75.into());
                assert!(!tables[0].contains_key(*old));
                assert_eq!(tables[0][setting.name], 0.75.into());
            }
        }
    }
    assert_eq!(some, 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// As many levels as the budget allows, counted by a run.
    #[test]
    fn a_budget_of_calls_is_kept_and_used(
        kind in prop::sample::select(SamplerKind::ALL),
        calls in 1usize..70,
        seed in 0u64..1_000_000,
    ) {
        let source = NoiseSource::new(seed, Stream::Data);
        let mut numbers = 0;
        let mut uniform = || {
            numbers += 1;
            source.uniform(numbers, 0, 0)
        };
        // So close that what is feasible on two of them is on any number.
        let levels = |count| {
            let last = if count == 1 { 5.0 } else { 4.995 };
            Levels::geometric(5.0, last, count).unwrap()
        };
        let settings = kind.description().draw(&levels(2), &mut uniform);
        let count = match kind.levels_for(&settings, calls) {
            Ok(count) => count,
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.starts_with(&format!("calls = {calls}: ")), "{}", message);
                return Ok(());
            }
        };
        let made = |count: usize| kind.sampler(&settings, &levels(count)).unwrap();
        let mut sampler = made(count);
        let announced = sampler.calls().unwrap();
        prop_assert!(announced <= calls, "{kind} {settings}: {announced} of {calls}");
        prop_assert!(made(count + 1).calls().unwrap() > calls, "{kind} {settings}");
        if let Ok(result) = run(&mixture(), &mut *sampler, &common::source(), &[0, 1], &mut ()) {
            prop_assert_eq!(result.most_evaluations(), announced);
        }
    }
}

#[test]
fn budgets_are_what_the_papers_count() {
    let of = |kind: SamplerKind, text: &str, calls: usize| {
        let settings = toml::from_str(text).unwrap();
        kind.levels_for(&settings, calls)
            .map_err(|error| error.to_string())
    };
    // Karras et al. 2022: 18 steps are 35 calls.
    for (calls, levels) in [(35, 18), (36, 18), (37, 19), (1, 1)] {
        assert_eq!(of(SamplerKind::Heun, "", calls), Ok(levels));
    }
    assert_eq!(of(SamplerKind::Pc, "", 2000), Ok(1000));
    assert_eq!(of(SamplerKind::Pc, "corrections = 3", 11), Ok(2));
    let order = "corrections = 3\norder = \"predictor-first\"";
    assert_eq!(of(SamplerKind::Pc, order, 11), Ok(3));
    assert_eq!(of(SamplerKind::Als, "n_sigma = 5", 1160), Ok(232));
    assert_eq!(of(SamplerKind::Cas, "n_sigma = 5", 231 * 5 + 1), Ok(232));
    assert_eq!(of(SamplerKind::Ode, "method = \"heun\"", 35), Ok(18));
    for (kind, text, calls) in [
        (SamplerKind::Als, "n_sigma = 5", 9),
        (SamplerKind::Pc, "corrections = 3", 3),
        (SamplerKind::ReverseSde, "", 1),
        (SamplerKind::Ode, "", 1000),
        (SamplerKind::Cas, "", 0),
    ] {
        let message = of(kind, text, calls).unwrap_err();
        assert!(
            message.starts_with(&format!("calls = {calls}: ")),
            "{message}"
        );
    }
    assert!(
        of(SamplerKind::Ode, "", 9)
            .unwrap_err()
            .contains("tolerances")
    );
    assert!(
        of(SamplerKind::Cas, "n_sigma = 0", 9)
            .unwrap_err()
            .contains("n_sigma")
    );
}

/// A setting as the README has it: its default, and what else it takes.
fn cell(setting: &Setting) -> String {
    let text = match setting.default {
        Some(value) => format!("`{} = {value}`", setting.name),
        None => format!("`{}`", setting.name),
    };
    let quoted = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        words.join(", ")
    };
    match setting.kind {
        SettingKind::Real(reals) => format!("{text} in {}", reals.accepted),
        SettingKind::RealPerLevel(reals) => {
            format!(
                "{text} in {}, or a list with one for each level",
                reals.accepted
            )
        }
        SettingKind::Count { .. } => text,
        SettingKind::Choice(words) => format!("{text} (or {})", quoted(&words[1..])),
        SettingKind::ChoiceOrReal(words, reals) => {
            let words = quoted(&words[1..]);
            format!("{text} (or {words}, or a number in {})", reals.accepted)
        }
        SettingKind::Flag => text,
    }
}

/// The settings that say the same in several ways, or are a sampler's alone, in one cell.
fn cells(description: &Description) -> String {
    let mut cells: Vec<String> = Vec::new();
    for (i, setting) in description.settings.iter().enumerate() {
        let before = &description.settings[..i];
        let rival = before.iter().any(|s| setting.instead_of.contains(&s.name));
        match cells.last_mut() {
            Some(last) if rival => *last += &format!(" or {}", cell(setting)),
            _ => cells.push(cell(setting)),
        }
    }
    cells.join("; ")
}

fn readme_table() -> String {
    let mut table = String::from(
        "| `--sampler` | what it is | settings, by `--set` or in the `[sample]` table |\n\
         |---|---|---|\n",
    );
    for (_, d) in descriptions() {
        table += &format!(
            "| `{}` | {} ({}) | {} |\n",
            d.name,
            d.about,
            d.paper,
            cells(d)
        );
    }
    table
}

fn library_table() -> String {
    let mut table = String::from(
        "| name | what it is | paper | calls at N levels | the last step |\n|---|---|---|---|---|\n",
    );
    for (_, d) in descriptions() {
        let row = [d.about, d.paper, d.calls, d.last_step].join(" | ");
        table += &format!("| `{}` | {row} |\n", d.name);
    }
    table
}

/// Compares `path` with what `change` makes of it, or writes that.
fn is_current(path: &str, change: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let found = std::fs::read_to_string(&path).unwrap();
    let expected = change(&found);
    if std::env::var_os("TWEEDIE_UPDATE_TABLES").is_some() {
        std::fs::write(&path, expected).unwrap();
        return;
    }
    assert_eq!(found, expected, "{} is out of date", path.display());
}

#[test]
fn the_tables_of_samplers_are_made_of_the_descriptions() {
    is_current("src/sample/samplers.md", |_| library_table());
    is_current("../../README.md", |text| {
        let (before, rest) = text.split_once("<!-- samplers -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- /samplers -->\n").unwrap();
        let table = readme_table();
        format!("{before}<!-- samplers -->\n{table}<!-- /samplers -->\n{after}")
    });
}

#[test]
fn values_are_written_as_configurations_have_them() {
    for (value, text) in [
        (SettingValue::Real(1e-5), "1e-5"),
        (SettingValue::Real(0.16), "0.16"),
        (SettingValue::Real(0.0), "0"),
        (SettingValue::Real(f64::INFINITY), "inf"),
        (SettingValue::Count(3), "3"),
        (SettingValue::Choice("vp"), "\"vp\""),
        (SettingValue::Flag(false), "false"),
    ] {
        assert_eq!(value.to_string(), text);
        let read: Table = toml::from_str(&format!("v = {text}")).unwrap();
        let number = |value: &Value| value.as_float().or(value.as_integer().map(|i| i as f64));
        let written = Value::from(value);
        assert!(read["v"] == written || number(&read["v"]) == number(&written));
    }
}
