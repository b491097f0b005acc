//! This library's side of the comparison with PyTorch.
//!
//! Reads requests from stdin, one JSON object a line, and answers each with one line on stdout:
//! what was asked for, or `{"error": "..."}`. `compare.py` asks; `worker.py` answers the same
//! requests with PyTorch.
//!
//! ```text
//! {"do": "open", "config": "unet.toml", "set": ["data.source=x.npy"], "precision": "f32"}
//! {"do": "weights", "file": "weights.safetensors"}                  writes them
//! {"do": "call", "inputs": "in.safetensors", "outputs": "out.safetensors"}
//! {"do": "update", "outputs": "update.safetensors"}                 what the first update did
//! {"do": "time", "what": "call", "batch": 16, "seconds": 2, "least": 3, "repeat": 1}
//! {"do": "open-measure", "weights": "w.safetensors", "pictures": "x.npy", "features": "f.safetensors", "dim": 2048}
//! {"do": "measure"}                                                 features and a distance
//! {"do": "time-measure", "what": "fid", "batch": 16, "seconds": 2, "least": 3, "repeat": 1}
//! {"do": "memory"}                                                  the process's peak
//! ```

mod case;
mod measure;
mod noise;
mod tensors;
mod timing;

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};
use tweedie::nn::Precision;

use crate::case::Case;
use crate::measure::Measure;
use crate::timing::Budget;

/// Errors are returned to the client as text, so they need no types.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Request {
    Open {
        config: PathBuf,
        #[serde(default)]
        set: Vec<String>,
        #[serde(default)]
        precision: Precision,
    },
    Weights {
        file: PathBuf,
    },
    Call {
        inputs: PathBuf,
        outputs: PathBuf,
    },
    Update {
        outputs: PathBuf,
    },
    Time {
        what: Work,
        #[serde(default)]
        batch: usize,
        #[serde(flatten)]
        budget: Budget,
    },
    OpenMeasure(measure::Files),
    Measure,
    TimeMeasure {
        what: measure::Work,
        #[serde(default)]
        batch: usize,
        #[serde(flatten)]
        budget: Budget,
    },
    Memory,
}

/// What can be timed.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Work {
    /// A call of the network.
    Call,
    /// An update of the network.
    Update,
    /// Standard normals.
    Noise,
    /// The arithmetic of a sampler's step.
    SamplerUpdate,
}

fn main() -> std::io::Result<()> {
    tweedie::memory::keep_freed_memory();
    let (mut case, mut measure) = (None, None);
    let mut stdout = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let answer = serde_json::from_str(&line?)
            .map_err(Into::into)
            .and_then(|request| answer(request, &mut case, &mut measure))
            .unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(stdout, "{answer}")?;
        stdout.flush()?;
    }
    Ok(())
}

fn answer(
    request: Request,
    case: &mut Option<Case>,
    measure: &mut Option<Measure>,
) -> Result<Value> {
    match request {
        Request::Open {
            config,
            set,
            precision,
        } => Ok(case
            .insert(Case::open(&config, &set, precision)?)
            .describe()),
        Request::Weights { file } => {
            opened(case)?.write_weights(&file)?;
            Ok(json!({}))
        }
        Request::Call { inputs, outputs } => {
            opened(case)?.call(&inputs, &outputs)?;
            Ok(json!({}))
        }
        Request::Update { outputs } => {
            opened(case)?.first_update(&outputs)?;
            Ok(json!({}))
        }
        Request::Time {
            what,
            batch,
            budget,
        } => {
            let times = match what {
                Work::Call => opened(case)?.time_calls(batch, budget)?,
                Work::Update => opened(case)?.time_updates(budget)?,
                Work::Noise => noise::normals(budget)?,
                Work::SamplerUpdate => noise::sampler_updates(budget)?,
            };
            Ok(json!({ "ms": times }))
        }
        Request::OpenMeasure(files) => {
            *measure = Some(Measure::open(files)?);
            Ok(json!({}))
        }
        Request::Measure => measure
            .as_mut()
            .ok_or("open what to measure first")?
            .answer(),
        Request::TimeMeasure {
            what,
            batch,
            budget,
        } => {
            let measure = measure.as_mut().ok_or("open what to measure first")?;
            Ok(json!({ "ms": measure.time(what, batch, budget)? }))
        }
        Request::Memory => {
            let bytes = tweedie::memory::peak().ok_or("this system does not report it")?;
            Ok(json!({ "bytes": bytes }))
        }
    }
}

fn opened(case: &mut Option<Case>) -> Result<&mut Case> {
    Ok(case.as_mut().ok_or("open a case first")?)
}
