//! `loss-curve.json`: the loss curve that a run keeps.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::files::{read_if_there, write_atomic};
use crate::noise::LossCurve;
use crate::run::RunDir;
use crate::train::digest;

const NAME: &str = "loss-curve.json";

/// A loss curve as a run keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptCurve {
    /// The curve.
    pub curve: LossCurve,
    /// The SHA-256 of its file, which tells it from others.
    pub digest: String,
}

impl RunDir {
    /// Where the run's loss curve is kept.
    pub fn loss_curve_path(&self) -> PathBuf {
        self.path().join(NAME)
    }

    /// The run's loss curve, of whichever checkpoint it was measured; `None` where none was.
    ///
    /// # Errors
    /// When its file is damaged or cannot be read.
    pub fn loss_curve(&self) -> Result<Option<KeptCurve>> {
        let path = self.loss_curve_path();
        let Some(bytes) = read_if_there(&path)? else {
            return Ok(None);
        };
        let curve = serde_json::from_slice(&bytes).map_err(|e| {
            let command = format!("`tweedie levels {} --measure`", self.path().display());
            Error::content(&path, format!("is damaged ({e}); {command} makes it anew"))
        })?;
        let digest = digest(&bytes);
        Ok(Some(KeptCurve { curve, digest }))
    }

    /// Keeps `curve` as the run's, in place of an earlier one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn keep_loss_curve(&self, curve: &LossCurve) -> Result<KeptCurve> {
        let path = self.loss_curve_path();
        let bytes =
            serde_json::to_vec_pretty(curve).map_err(|e| Error::content(&path, e.to_string()))?;
        write_atomic(&path, &bytes)?;
        // As it reads back, so that sampling now and later is the same to the last bit.
        let kept = self.loss_curve()?;
        kept.ok_or_else(|| Error::content(&path, "was removed as soon as it was written"))
    }
}

/// What a model knows of loss curves.
pub(in crate::run) enum ModelCurve {
    /// Weights that no run keeps, such as those in training.
    NoRun,
    /// That of a run's folder, or why there is none.
    Of(RunDir, Result<Option<KeptCurve>, String>, String),
    /// Given by the caller.
    Given(KeptCurve),
}

impl ModelCurve {
    /// What `run` has; `flags` are those by which the command measures these weights.
    pub fn of(run: &RunDir, flags: String) -> Self {
        let kept = run.loss_curve().map_err(|error| error.to_string());
        Self::Of(run.clone(), kept, flags)
    }

    /// The curve of the weights with this digest.
    ///
    /// # Errors
    /// When there is none, it is damaged, or of other weights: with the command that makes it.
    pub fn get(&self, step: u64, weights: Option<&str>) -> Result<&KeptCurve> {
        let (run, kept, flags) = match self {
            Self::Given(kept) => return Ok(kept),
            Self::NoRun => {
                let reason = "has no loss curve; measure it and pass it on";
                return Err(Error::setting("the model", "in training", reason));
            }
            Self::Of(run, kept, flags) => (run, kept, flags),
        };
        let command = format!("`tweedie levels {} --measure{flags}`", run.path().display());
        let refuse = |reason| Err(Error::content(run.loss_curve_path(), reason));
        match kept {
            Ok(Some(kept)) if kept.curve.measured().weights.as_deref() == weights => Ok(kept),
            Ok(Some(kept)) => {
                let of = match kept.curve.measured().step {
                    Some(other) if other != step => {
                        format!("step {other}, and these are the weights of step {step}")
                    }
                    _ => "other weights than these".into(),
                };
                refuse(format!("was measured of {of}; {command} measures it anew"))
            }
            Ok(None) => refuse(format!(
                "is missing, from which this schedule makes the noise levels; {command} measures it, \
                 once for all numbers of steps"
            )),
            Err(reason) => {
                // It begins with the file's name.
                let name = format!("{}: ", run.loss_curve_path().display());
                refuse(reason.strip_prefix(&name).unwrap_or(reason).to_owned())
            }
        }
    }
}
