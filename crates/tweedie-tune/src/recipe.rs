//! The recipe of what was found.

use std::time::{SystemTime, UNIX_EPOCH};

use tweedie::data::Dataset;
use tweedie::run::{Model, Recipe, RecipeOrigin, SampleConfig};

use crate::job::TuneJob;
use crate::{Found, Outcome};

/// That of what was found for `model`; classes, guidance and clipping are those of its run.
pub(crate) fn recipe(model: &Model, data: &Dataset, job: &TuneJob, found: &Found) -> Recipe {
    let Found { tuned, guards, .. } = found;
    let (best, measured) = found.best();
    let distance = measured.corrected;
    let names = tuned.ties.iter().map(|tie| tie.candidate.to_string());
    let usual = SampleConfig::default();
    Recipe {
        tuned: RecipeOrigin {
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
            samples: measured.samples,
            items: measured.reference.unwrap_or(0),
            outcome: match tuned.outcome {
                Outcome::Winner => "winner".into(),
                Outcome::Tie => "tie".into(),
            },
            ties: names.collect(),
            worse: guards.worse.clone(),
            seed: job.seed.into(),
        },
        sample: SampleConfig {
            sampler: best.sampler,
            steps: best.levels.len(),
            schedule: usual.schedule,
            rho: usual.rho,
            p: usual.p,
            sigmas: Some(best.levels.clone()),
            denoise: best.denoise,
            guidance: best.guidance.or(model.config().sample.guidance),
            settings: best.settings.clone(),
            ..model.config().sample.clone()
        },
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
