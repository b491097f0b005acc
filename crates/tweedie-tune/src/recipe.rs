//! A recipe: the best setting at one number of calls, in numbers, with where it comes from.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tweedie::data::Dataset;
use tweedie::noise::Levels;
use tweedie::run::Model;
use tweedie::sample::SamplerKind;
use tweedie::{Error, Result, write_atomic};

use crate::guard::Guards;
use crate::job::TuneJob;
use crate::{Outcome, Tuned};

/// What a recipe file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Where it comes from.
    pub tuned: Origin,
    /// What to sample with: the `[sample]` table of a configuration.
    pub sample: RecipeSample,
}

/// Where a recipe comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Network calls of a sample.
    pub calls: usize,
    /// The day.
    pub date: String,
    /// The version of this library.
    pub version: String,
    /// Training step of the weights that it was tuned on.
    pub step: u64,
    /// The SHA-256 of these weights.
    pub weights: String,
    /// The feature space.
    pub features: String,
    /// The data.
    pub data: String,
    /// The measure.
    pub measure: String,
    /// Its value on fresh seeds and on items that the search did not see.
    pub distance: f64,
    /// The standard error of that.
    pub standard_error: f64,
    /// Its interval of 95 %.
    pub interval: [f64; 2],
    /// Samples behind the value.
    pub samples: usize,
    /// Items behind it.
    pub items: usize,
    /// Whether it is better than every other setting measured, or one of a tie.
    pub outcome: String,
    /// The settings that cannot be told from it.
    pub ties: Vec<String>,
    /// Measures by which a usual setting is better beyond doubt.
    pub worse: Vec<String>,
    /// The seed of the search.
    pub seed: u32,
}

/// The sampler of a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecipeSample {
    /// The sampler.
    pub sampler: SamplerKind,
    /// The noise levels, in numbers.
    pub sigmas: Levels,
    /// Whether the result is the expected denoised sample.
    pub denoise: bool,
    /// The sampler's own settings.
    #[serde(flatten)]
    pub settings: toml::Table,
}

impl Recipe {
    /// That of what was found for `model`.
    pub(crate) fn new(
        model: &Model,
        data: &Dataset,
        job: &TuneJob,
        tuned: &Tuned,
        guards: &Guards,
    ) -> Self {
        let distance = tuned.distance.corrected;
        let names = tuned.ties.iter().map(|tie| tie.candidate.to_string());
        Self {
            tuned: Origin {
                calls: tuned.calls,
                date: today(),
                version: env!("CARGO_PKG_VERSION").into(),
                step: model.step(),
                weights: model.digest().unwrap_or_default().into(),
                features: job.space.to_string(),
                data: data.name().into(),
                measure: "squared Frechet distance, 1/n bias removed".into(),
                distance: distance.value,
                standard_error: distance.standard_error,
                interval: distance.interval(),
                samples: tuned.distance.samples,
                items: tuned.distance.reference.unwrap_or(0),
                outcome: match tuned.outcome {
                    Outcome::Winner => "winner".into(),
                    Outcome::Tie => "tie".into(),
                },
                ties: names.collect(),
                worse: guards.worse.clone(),
                seed: job.seed,
            },
            sample: RecipeSample {
                sampler: tuned.best.sampler,
                sigmas: tuned.best.levels.clone(),
                denoise: tuned.best.denoise,
                settings: tuned.best.settings.clone(),
            },
        }
    }

    /// Writes it to `path`, beside it first; the folder is made.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io("make", folder))?;
        }
        let text = toml::to_string(self).map_err(|e| Error::content(path, e.to_string()))?;
        write_atomic(path, text.as_bytes())
    }
}

/// The day, in UTC, as 2026-11-28 (Hinnant, "chrono-compatible low-level date algorithms").
fn today() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let [year, month, day] = date((since.as_secs() / 86_400) as i64);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day of a day counted from 1970-01-01.
fn date(days: i64) -> [i64; 3] {
    // Years begin in March, so that the leap day is the last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let civil = if month < 10 { month + 3 } else { month - 9 };
    [era * 400 + year + i64::from(civil <= 2), civil, day]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), [1970, 1, 1]);
        assert_eq!(date(11_016), [2000, 2, 29]);
        assert_eq!(date(20_785), [2026, 11, 28]);
    }
}
