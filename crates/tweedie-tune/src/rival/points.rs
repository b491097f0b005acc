//! The search's own objective, for any optimiser: points in, distances out, a JSON line each.
//!
//! A request is `{"point": [...], "samples": 256, "seed": 0}`: a point of the unit cube with one
//! coordinate an axis of [`Space`], how many samples (256 unless said), and which (0 unless said; all
//! points at one seed share their noise). The answer has the candidate in words, its levels, its
//! distance with its standard error, how many axes there are, and the network evaluations of all
//! requests so far; or `error`, where the point is not feasible or gives no samples.

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};
use tweedie::job::Monitor;
use tweedie::measure::{Estimate, FrechetReference};
use tweedie::noise::Levels;
use tweedie::{Error, Result};

use super::{Best, Record};
use crate::fault::of_setting;
use crate::seeds::Seeds;
use crate::{AXES, Candidate, Point, Space, Stand};

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// A number in \[0, 1\] for each axis.
    pub point: Vec<f64>,
    /// How many samples.
    #[serde(default = "usual_samples")]
    pub samples: u64,
    /// Which samples.
    #[serde(default)]
    pub seed: u32,
}

fn usual_samples() -> u64 {
    256
}

/// Samples of one request at most: more would not be for a search.
const MOST_SAMPLES: u64 = 1 << 20;

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The candidate in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<String>,
    /// Its noise levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<Levels>,
    /// The squared Frechet distance without its 1/n bias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<Estimate>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many coordinates a point has.
    pub axes: usize,
    /// Network evaluations so far.
    pub evaluations: u64,
}

/// A stand that answers requests.
pub struct Points<'a, 'b> {
    stand: &'a mut Stand<'b>,
    space: &'a Space,
    reference: &'a FrechetReference<'a>,
    calls: usize,
    record: Record,
}

impl<'a, 'b> Points<'a, 'b> {
    /// One for points of `space` at `calls` network calls, by the distance from `reference`.
    pub fn new(
        stand: &'a mut Stand<'b>,
        space: &'a Space,
        reference: &'a FrechetReference<'a>,
        calls: usize,
    ) -> Self {
        Self {
            record: Record::new(stand),
            stand,
            space,
            reference,
            calls,
        }
    }

    /// Answers the lines of `input` on `output` until it ends.
    ///
    /// # Errors
    /// [`Error::Setting`] with the line that is no request; [`Error::Io`] where a line cannot be read
    /// or written; [`Error::Stopped`] where `monitor` says so; those of the cache.
    pub fn serve(
        &mut self,
        input: impl BufRead,
        mut output: impl Write,
        monitor: &mut Monitor<'_>,
    ) -> Result<()> {
        for (number, line) in input.lines().enumerate() {
            let line = line.map_err(Error::io("read", "the points"))?;
            if line.trim().is_empty() {
                continue;
            }
            let ask: Ask = serde_json::from_str(&line).map_err(|error| {
                let reason = format!(
                    "line {} is no request: {error}; it takes {{\"point\": [{AXES} numbers in 0 to \
                     1], \"samples\": 256, \"seed\": 0}}",
                    number + 1
                );
                Error::setting("points", shortened(&line), reason)
            })?;
            let answer = self.answer(&ask, monitor)?;
            let text = serde_json::to_string(&answer).map_err(std::io::Error::from);
            let written = text.and_then(|text| writeln!(output, "{text}"));
            written
                .and_then(|()| output.flush())
                .map_err(Error::io("write", "the answers"))?;
        }
        Ok(())
    }

    /// Answers one request.
    ///
    /// # Errors
    /// [`Error::Stopped`] where `monitor` says so; those of the cache. What is wrong with the point is
    /// an answer.
    pub fn answer(&mut self, ask: &Ask, monitor: &mut Monitor<'_>) -> Result<Answer> {
        let measured = self.measure(ask, monitor);
        let evaluations = self.stand.spent() - self.record.before;
        match measured {
            Ok((candidate, distance)) => Ok(Answer {
                candidate: Some(candidate.to_string()),
                levels: Some(candidate.levels),
                distance: Some(distance),
                error: None,
                axes: AXES,
                evaluations,
            }),
            Err(error) => Ok(Answer {
                candidate: None,
                levels: None,
                distance: None,
                error: Some(of_setting(error)?.to_string()),
                axes: AXES,
                evaluations,
            }),
        }
    }

    fn measure(&mut self, ask: &Ask, monitor: &mut Monitor<'_>) -> Result<(Candidate, Estimate)> {
        let point = point(&ask.point)?;
        if !(4..=MOST_SAMPLES).contains(&ask.samples) {
            let reason = format!("must be 4 to {MOST_SAMPLES}");
            return Err(Error::setting("samples", ask.samples, reason));
        }
        let candidate = self.space.candidate(&point, self.calls)?;
        let first = Seeds::Explore.first(ask.seed);
        let seeds = first..first + ask.samples;
        let measured = self
            .stand
            .measure(&candidate, seeds, self.reference, monitor)?;
        let distance = measured.distance();
        self.record.note((candidate.clone(), Some(point)), distance);
        Ok((candidate, distance.corrected))
    }

    /// The smallest distance that was answered.
    ///
    /// # Errors
    /// [`Error::Setting`] where there was none.
    pub fn best(self) -> Result<Best> {
        self.record.end(self.stand)
    }
}

/// As a point of the cube.
fn point(given: &[f64]) -> Result<Point> {
    let Ok(point) = Point::try_from(given) else {
        let reason = format!("has as many coordinates; there are {AXES} axes");
        return Err(Error::setting("point", given.len(), reason));
    };
    match point.iter().find(|u| !(0.0..=1.0).contains(*u)) {
        Some(u) => Err(Error::setting(
            "point",
            u,
            "must be in [0, 1] in every axis",
        )),
        None => Ok(point),
    }
}

/// The beginning of a line, for a message.
fn shortened(line: &str) -> String {
    const SHOWN: usize = 60;
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}
