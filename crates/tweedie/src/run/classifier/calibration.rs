//! The temperature of a run, and how good its probabilities are on what was held out.

use serde::{Deserialize, Serialize};

use super::super::RunDir;
use crate::error::{Error, Result};
use crate::files::{read_if_there, write_atomic};
use crate::measure::{Logits, Reliability};

/// The file of a run that has it.
pub(super) const NAME: &str = "calibration.json";

/// What was found on the held-out part when training had ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The checkpoint's step.
    pub step: u64,
    /// The digest of its weights.
    pub weights: String,
    /// Items held out.
    pub count: u64,
    /// Those of them that are classified right.
    pub correct: u64,
    /// The temperature that the logits are divided by.
    pub temperature: f64,
    /// Its standard error. None where the loss has no minimum, such as where every item is
    /// classified right: the temperature is then 1.
    pub temperature_error: Option<f64>,
    /// The probabilities at temperature 1.
    pub before: Reliability,
    /// Those at the temperature.
    pub after: Reliability,
}

impl Calibration {
    /// Fits the temperature of the weights with digest `weights` to the logits of held-out items.
    pub(super) fn fit(step: u64, weights: &str, logits: &Logits) -> Self {
        let found = logits.temperature();
        let temperature = found.map_or(1.0, |found| found.value);
        Self {
            step,
            weights: weights.to_owned(),
            count: logits.len() as u64,
            correct: logits.correct(),
            temperature,
            temperature_error: found.map(|found| found.standard_error),
            before: logits.reliability(1.0),
            after: logits.reliability(temperature),
        }
    }

    /// That of `run`, if it has one.
    pub(super) fn read(run: &RunDir) -> Result<Option<Self>> {
        let path = run.path().join(NAME);
        let Some(bytes) = read_if_there(&path)? else {
            return Ok(None);
        };
        let damaged = |what: String| {
            let reason = format!(
                "is damaged ({what}); remove it, and `tweedie classifier train` with --resume \
                 makes it again"
            );
            Error::content(&path, reason)
        };
        let found: Self = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        let t = found.temperature;
        match t.is_finite() && t > 0.0 {
            true => Ok(Some(found)),
            false => Err(damaged(format!("temperature {t}"))),
        }
    }

    /// Writes it to `run`.
    pub(super) fn write(&self, run: &RunDir) -> Result<()> {
        let path = run.path().join(NAME);
        let bytes = serde_json::to_vec_pretty(self);
        let bytes = bytes.map_err(|e| Error::content(&path, e.to_string()))?;
        write_atomic(&path, &bytes)
    }
}
