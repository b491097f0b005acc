//! How long something takes.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::Result;

/// When a measurement is enough.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Budget {
    /// It goes on for so long.
    seconds: f64,
    /// It has so many times at least.
    least: usize,
    /// Each time is of so many runs.
    repeat: usize,
}

impl Budget {
    /// Whether `times`, begun at `began`, suffice.
    pub fn spent(&self, began: Instant, times: &[f64]) -> bool {
        times.len() >= self.least && began.elapsed().as_secs_f64() >= self.seconds
    }

    /// Times `run`: milliseconds for each `repeat` runs.
    pub fn measure(&self, mut run: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
        let (began, mut times) = (Instant::now(), Vec::new());
        while !self.spent(began, &times) {
            let start = Instant::now();
            for _ in 0..self.repeat {
                run()?;
            }
            times.push(milliseconds(start.elapsed()));
        }
        Ok(times)
    }
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
